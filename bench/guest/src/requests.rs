//! The requests of the bare exchanges and of the native clients: byte for byte what the providers send for the same
//! operation.

use crate::key;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Keys of a batch.
pub const BATCH: usize = 100;
/// Bytes of a value.
pub const VALUE: usize = 100;

/// A request over a connection, and the length of its answer in bytes.
pub struct Exchange {
    pub request: Vec<u8>,
    pub answer: usize,
}

fn command(words: &[String]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        let _ = write!(text, "${}\r\n{word}\r\n", word.len());
    }
    text.into_bytes()
}

fn value() -> String {
    "v".repeat(VALUE)
}

/// One key, or a batch of them.
pub fn redis(operation: &str) -> Exchange {
    let keys = |count| (0..count).map(|n| format!("default:{}", key(n)));
    let pairs = |count| keys(count).flat_map(|key| [key, value()]);
    let one = |name: &str, rest: Vec<String>| command(&[vec![name.to_string()], rest].concat());
    let (found, ok) = (VALUE + "$100\r\n\r\n".len(), "+OK\r\n".len());
    match operation {
        "get" => Exchange { request: one("GET", keys(1).collect()), answer: found },
        "set" => Exchange { request: one("SET", pairs(1).collect()), answer: ok },
        "get-many" => {
            Exchange { request: one("MGET", keys(BATCH).collect()), answer: "*100\r\n".len() + BATCH * found }
        }
        "set-many" => Exchange { request: one("MSET", pairs(BATCH).collect()), answer: ok },
        other => panic!("no operation {other:?}"),
    }
}

/// The same for Memcached.
pub fn memcached(operation: &str) -> Exchange {
    let many = |count, command: &dyn Fn(usize) -> String| (0..count).map(command).collect::<String>().into_bytes();
    let get = |n| format!("mg default:{} v\r\n", key(n));
    let set = |n| format!("ms default:{} {VALUE}\r\n{}\r\n", key(n), value());
    let (found, done) = (VALUE + "VA 100\r\n\r\n".len(), "HD\r\n".len());
    match operation {
        "get" => Exchange { request: many(1, &get), answer: found },
        "set" => Exchange { request: many(1, &set), answer: done },
        "get-many" => Exchange { request: many(BATCH, &get), answer: BATCH * found },
        "set-many" => Exchange { request: many(BATCH, &set), answer: BATCH * done },
        other => panic!("no operation {other:?}"),
    }
}

/// A request over HTTP.
pub struct Http {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Http {
    fn new(method: &str, path: String, headers: &[(&str, &str)], body: String) -> Self {
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Self { method: method.into(), path, headers, body }
    }

    /// Requests as the text of a file, from which [`Http::read`] reads them.
    pub fn written(requests: &[Self]) -> String {
        requests.iter().fold(String::new(), |mut text, Self { method, path, headers, body }| {
            let _ = writeln!(text, "{method} {path} {} {}", headers.len(), body.len());
            headers.iter().for_each(|(name, value)| _ = writeln!(text, "{name} {value}"));
            text.push_str(body);
            text
        })
    }

    /// Panics if it is another text.
    pub fn read(mut text: &str) -> Vec<Self> {
        let mut requests = Vec::new();
        while let Some((first, rest)) = text.split_once('\n') {
            let [method, path, count, length] = first.split(' ').collect::<Vec<_>>().try_into().expect("four words");
            text = rest;
            let mut headers = Vec::new();
            for _ in 0..count.parse().expect("a number") {
                let (line, rest) = text.split_once('\n').expect("a header");
                let (name, value) = line.split_once(' ').expect("a value");
                headers.push((name.to_string(), value.to_string()));
                text = rest;
            }
            let (body, rest) = text.split_at(length.parse().expect("a length"));
            requests.push(Self { method: method.into(), path: path.into(), headers, body: body.into() });
            text = rest;
        }
        requests
    }
}

/// Of etcd's JSON gateway: one key, or a batch of them.
pub fn etcd(operation: &str) -> Vec<Http> {
    let field = |n| format!(r#""key":"{}""#, STANDARD.encode(format!("keyvalue/default/{}", key(n))));
    let range = |n| format!("{{{}}}", field(n));
    let put = |n| format!(r#"{{{},"value":"{}"}}"#, field(n), STANDARD.encode(value()));
    let batch = |name: &str, part: &dyn Fn(usize) -> String| {
        let parts: Vec<String> = (0..BATCH).map(|n| format!(r#"{{"{name}":{}}}"#, part(n))).collect();
        format!(r#"{{"success":[{}]}}"#, parts.join(","))
    };
    let (path, body) = match operation {
        "get" => ("/v3/kv/range", range(7)),
        "set" => ("/v3/kv/put", put(7)),
        "get-many" => ("/v3/kv/txn", batch("request_range", &range)),
        "set-many" => ("/v3/kv/txn", batch("request_put", &put)),
        other => panic!("no operation {other:?}"),
    };
    vec![Http::new("POST", path.into(), &[("content-type", "application/json")], body)]
}

/// Of Azure Tables: one key, or a batch of them, in the emulator's account. `port` is where it listens; the requests are signed
/// at `date`.
pub fn azure(operation: &str, port: u16, date: &str, authorization: &str) -> Vec<Http> {
    const READS: usize = 12;
    let (method, content_type, resource) = azure_signed(operation);
    let entity = |n| format!("{ACCOUNT}/keyvalue(PartitionKey='default',RowKey='{}')", row(n));
    let json = |n| {
        format!(
            r#"{{"PartitionKey":"default","RowKey":"{}","mark":"{}","mark@odata.type":"Edm.Binary","value0":"{}","value0@odata.type":"Edm.Binary"}}"#,
            row(n),
            STANDARD.encode([7; 16]),
            STANDARD.encode(value())
        )
    };
    let change = |n| {
        format!(
            "--changeset_kvfuse\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
             PUT http://127.0.0.1:{port}{} HTTP/1.1\r\nAccept: application/json;odata=nometadata\r\n\
             DataServiceVersion: 3.0;\r\nContent-Type: application/json\r\n\r\n{}\r\n",
            entity(n),
            json(n)
        )
    };
    let parts: Vec<(String, String)> = match operation {
        "get" => vec![(resource, String::new())],
        "set" => vec![(resource, json(7))],
        "get-many" => {
            let rows: Vec<String> = (0..BATCH).map(row).collect();
            rows.chunks(READS).map(|rows| (format!("{resource}?{}", query(rows)), String::new())).collect()
        }
        _ => {
            let changes: String = (0..BATCH).map(change).collect();
            let begin = "--batch_kvfuse\r\nContent-Type: multipart/mixed; boundary=changeset_kvfuse\r\n\r\n";
            vec![(resource, format!("{begin}{changes}--changeset_kvfuse--\r\n--batch_kvfuse--\r\n"))]
        }
    };
    let mut headers = vec![
        ("accept", "application/json;odata=nometadata"),
        ("dataserviceversion", "3.0;NetFx"),
        ("maxdataserviceversion", "3.0;NetFx"),
        ("x-ms-date", date),
        ("x-ms-version", "2019-02-02"),
        ("authorization", authorization),
    ];
    if !content_type.is_empty() {
        headers.push(("content-type", content_type));
    }
    parts.into_iter().map(|(path, body)| Http::new(method, path, &headers, body)).collect()
}

/// What is signed of the requests of an operation, beside the date: the method, the content type and the resource.
pub fn azure_signed(operation: &str) -> (&'static str, &'static str, String) {
    let entity = || format!("{ACCOUNT}/keyvalue(PartitionKey='default',RowKey='{}')", row(7));
    match operation {
        "get" => ("GET", "", entity()),
        "set" => ("PUT", "application/json", entity()),
        "get-many" => ("GET", "", format!("{ACCOUNT}/keyvalue()")),
        "set-many" => ("POST", "multipart/mixed; boundary=batch_kvfuse", format!("{ACCOUNT}/$batch")),
        other => panic!("no operation {other:?}"),
    }
}

/// The path of the account of every emulator of Azure Tables.
const ACCOUNT: &str = "/devstoreaccount1";

fn row(n: usize) -> String {
    format!("k{}", key(n))
}

/// A query of these rows, which are in order.
fn query(rows: &[String]) -> String {
    let any: Vec<String> = rows.iter().map(|row| format!("RowKey eq '{row}'")).collect();
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    let filter =
        format!("PartitionKey eq 'default' and RowKey ge '{first}' and RowKey le '{last}' and ({})", any.join(" or "));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("$filter={}&$top=1000", filter.bytes().map(escape).collect::<String>())
}
