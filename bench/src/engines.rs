//! The networked providers beside the bare exchange: what they add to it.

use crate::aws::Service;
use crate::guests::{LEAN, STALE, flat};
use crate::row::{CLIENT, FLOOR, KVFUSE, Row, step, us};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kvfuse_bench_guest::requests::{self, BATCH, Http};
use kvfuse_bench_guest::{Order, key, median};
use kvfuse_compose::Memories;
use kvfuse_http::{calendar, keyed::keyed};
use kvfuse_servers::azure::{ACCOUNT, AzureTables, KEY};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::s3::S3;
use kvfuse_tests::{command_line, component, guest};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const OPERATIONS: [&str; 4] = ["get", "set", "get-many", "set-many"];

/// How many times each figure is measured. The smallest one counts: it was disturbed least.
const ROUNDS: usize = 3;

struct Engine {
    folder: TempDir,
    name: &'static str,
    port: u16,
    settings: Vec<String>,
    times: usize,
    /// The target of batches.
    batches: Batches,
    /// Makes the requests of the bare exchange, if they are signed as AWS' are.
    aws: Option<Service>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Batches {
    /// One request each: twice the time of a get.
    OneRequest,
    /// As many as the service allows: the time of the bare exchange of the same requests.
    AsAllowed,
}

impl Engine {
    fn new(name: &'static str, port: u16, settings: Vec<String>, times: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (consumer, provider) = (guest("bench")?, component(&format!("keyvalue-{name}"))?);
        let write = |file: &str, bytes| std::fs::write(folder.path().join(file), bytes);
        write("fused.wasm", kvfuse_compose::compose(&consumer, &provider)?)?;
        write("flat.wasm", flat(&consumer, &provider, Memories::Two)?)?;
        std::fs::write(folder.path().join("exchange.wasm"), guest("exchange")?)?;
        Ok(Self { folder, name, port, settings, times, batches: Batches::OneRequest, aws: None })
    }

    fn times(&self, operation: &str) -> usize {
        if self.batches == Batches::AsAllowed && operation.ends_with("many") { self.times / 10 } else { self.times }
    }

    fn run(&self, component: &str, options: &[&str], arguments: &[String]) -> Result<f64> {
        let path: PathBuf = self.folder.path().join(component).with_extension("wasm");
        let mut command = command_line()?;
        // The bare guest imports what both engines need, so everything runs with the flags of both.
        command
            .args(["run", "-S", "inherit-network", "-S", "http"])
            .args(self.settings.iter().flat_map(|setting| ["--env", setting]))
            .args(options)
            .arg(path)
            .args(arguments);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        text.parse().with_context(|| format!("{arguments:?} printed {text:?}"))
    }

    fn fused(&self, operation: &str) -> Result<f64> {
        let arguments = [operation, &self.times(operation).to_string(), "1000", "100"].map(str::to_string);
        self.run("fused", &[], &arguments)
    }

    /// A get of what this instance has seen, which asks nobody.
    fn remembered(&self, component: &str) -> Result<f64> {
        let arguments = ["get", "100000", "1000", "100"].map(str::to_string);
        self.run(component, &[&["--env", STALE][..], &LEAN].concat(), &arguments)
    }

    fn bare(&self, operation: &str) -> Result<f64> {
        let times = self.times(operation).to_string();
        let name = if self.aws.is_some() { "file" } else { self.name };
        let mut arguments = [name, operation, &times, &self.port.to_string()].map(str::to_string).to_vec();
        if self.name == "azure" {
            arguments.extend(signed(operation)?);
        }
        if let Some(service) = &self.aws {
            std::fs::write(self.folder.path().join("requests"), Http::written(&service.requests(operation)?))?;
        }
        self.run("exchange", &[&format!("--dir={}::.", self.folder.path().display())], &arguments)
    }

    /// The same by an HTTP client that keeps its connection.
    fn native(&self, operation: &str) -> Result<f64> {
        let service = self.aws.as_ref().context("a service of AWS")?;
        native_http(self.port, &service.requests(operation)?, self.times(operation))
    }

    /// Get and set beside the bare exchange; batches beside one get and beside the bare exchange of the same bytes.
    /// `native` makes the exchange without wasm, over a connection that it keeps.
    fn measure(
        &self,
        rows: &mut Vec<Row>,
        labels: [&'static str; 4],
        native: impl Fn(&str) -> Result<f64>,
    ) -> Result<()> {
        let mut least = [[f64::INFINITY; 3]; 4];
        for _ in 0..ROUNDS {
            for (least, operation) in least.iter_mut().zip(OPERATIONS) {
                let figures = [self.fused(operation)?, self.bare(operation)?, native(operation)?];
                for (least, figure) in least.iter_mut().zip(figures) {
                    *least = least.min(figure);
                }
            }
        }
        let [[get, bare_get, _], ..] = least;
        for (n, ([ours, bare, native], label)) in least.into_iter().zip(labels).enumerate() {
            let beside =
                format!("{:.2} × the bare exchange's {}, a native client's {}", ours / bare, us(bare), us(native));
            let row = if n < 2 {
                Row::at_most(label, format!("{} = {beside}", us(ours)), ours, 1.25 * bare, "1.25 × the bare exchange")
            } else {
                // Much of a get is the host's and the server's time, which grows with the bytes for any client.
                let told = format!(
                    "100 keys in {} = {:.2} × one get (bare: {:.2} ×) = {beside}",
                    us(ours),
                    ours / get,
                    bare / bare_get
                );
                match self.batches {
                    Batches::OneRequest => Row::at_most(label, told, ours, 2.0 * get, "2 × one get"),
                    Batches::AsAllowed => Row::at_most(label, told, ours, 1.25 * bare, "1.25 × the bare exchange"),
                }
            };
            rows.push(row.pictured([(KVFUSE, ours), (FLOOR, bare), (CLIENT, native)]));
        }
        let (get, composed) = (self.remembered("flat")?, self.remembered("fused")?);
        let told = format!("{}; composed {}", us(get), us(composed));
        rows.push(Row::at_most(format!("{} get, bounded staleness", self.name), told, get, 600.0, "0.6 µs"));
        Ok(())
    }

    /// A get over TLS beside this one, both once connected, from the same server.
    fn beside_tls(&self, encrypted: &Self) -> Result<Row> {
        let [mut plain, mut ours] = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            plain = plain.min(self.fused("get")?);
            ours = ours.min(encrypted.fused("get")?);
        }
        let told = format!("{} = {:.2} × the plain get's {}", us(ours), ours / plain, us(plain));
        Ok(Row::at_most("redis get over TLS", told, ours, 1.5 * plain, "1.5 × the plain get"))
    }
}

pub fn measure(quick: bool, rows: &mut Vec<Row>) -> Result<()> {
    let times = |times: usize| if quick { times / 20 } else { times };

    step("Redis: 100 bytes over 1,000 keys");
    let authority = Authority::new();
    let server = Redis::start_tls(&authority.certificate("127.0.0.1"), &[]);
    let settings = vec![format!("KEYVALUE_REDIS_URL={}", server.url())];
    let engine = Engine::new("redis", server.port(), settings, times(10_000))?;
    let native = |operation: &str| native_redis(&server.url(), operation, times(10_000));
    engine.measure(rows, ["redis get", "redis set", "redis get-many", "redis set-many"], native)?;
    let settings =
        vec![format!("KEYVALUE_REDIS_URL={}", server.tls_url()), format!("KEYVALUE_TLS_CA={}", authority.pem())];
    rows.push(engine.beside_tls(&Engine::new("redis-tls", server.tls_port(), settings, times(10_000))?)?);
    drop(server);

    step("Memcached: 100 bytes over 1,000 keys");
    let server = Memcached::start(&[]);
    let settings = vec![format!("KEYVALUE_MEMCACHED_SERVERS={}", server.address())];
    let engine = Engine::new("memcached", server.port(), settings, times(10_000))?;
    let native = |operation: &str| native_memcached(server.port(), operation, times(10_000));
    engine.measure(rows, ["memcached get", "memcached set", "memcached get-many", "memcached set-many"], native)?;
    drop(server);

    step("etcd: 100 bytes over 1,000 keys");
    let server = Etcd::start(1, &[]);
    let settings = vec![format!("KEYVALUE_ETCD_ENDPOINTS={}", server.endpoints())];
    let port = *server.ports().first().context("a member")?;
    let engine = Engine::new("etcd", port, settings, times(2_000))?;
    native_http(port, &requests::etcd("set-many"), 1)?;
    let native = |operation: &str| native_http(port, &requests::etcd(operation), times(2_000));
    engine.measure(rows, ["etcd get", "etcd set", "etcd get-many", "etcd set-many"], native)?;

    step("Azure Tables: 100 bytes over 1,000 keys");
    let server = AzureTables::start();
    let settings = vec![format!("KEYVALUE_AZURE_ENDPOINT={}", server.endpoint()), format!("KEYVALUE_AZURE_KEY={KEY}")];
    let port = server.port();
    let engine = Engine { batches: Batches::AsAllowed, ..Engine::new("azure", port, settings, times(400))? };
    let native = |operation: &str| {
        let [date, authorization] = signed(operation)?;
        native_http(port, &requests::azure(operation, port, &date, &authorization), engine.times(operation))
    };
    engine.measure(rows, ["azure get", "azure set", "azure get-many", "azure set-many"], native)?;
    drop(server);

    step("DynamoDB: 100 bytes over 1,000 keys");
    let server = DynamoDb::start();
    let engine = of_aws("dynamodb", server.port(), server.endpoint(), &server.access_key, times(400))?;
    engine.measure(rows, ["dynamodb get", "dynamodb set", "dynamodb get-many", "dynamodb set-many"], |operation| {
        engine.native(operation)
    })?;
    drop(server);

    step("S3: 100 bytes over 1,000 keys");
    let server = S3::seaweedfs();
    let engine = of_aws("s3", server.port(), server.endpoint(), &server.access_key, times(400))?;
    engine.measure(rows, ["s3 get", "s3 set", "s3 get-many", "s3 set-many"], |operation| engine.native(operation))
}

fn of_aws(
    name: &'static str,
    port: u16,
    endpoint: String,
    (id, secret): &(String, String),
    times: usize,
) -> Result<Engine> {
    let settings = vec![
        format!("KEYVALUE_{}_ENDPOINT={endpoint}", name.to_uppercase()),
        format!("AWS_ACCESS_KEY_ID={id}"),
        format!("AWS_SECRET_ACCESS_KEY={secret}"),
        "AWS_REGION=us-east-1".into(),
    ];
    let service = Service { name, port, access_key: (id.clone(), secret.clone()) };
    Ok(Engine { batches: Batches::AsAllowed, aws: Some(service), ..Engine::new(name, port, settings, times)? })
}

/// The date and the authorization of the requests of an operation to the emulator of Azure Tables. They are good for some minutes.
fn signed(operation: &str) -> Result<[String; 2]> {
    let (method, content_type, resource) = requests::azure_signed(operation);
    let date = calendar::http_date(SystemTime::now().duration_since(UNIX_EPOCH)?);
    let text = format!("{method}\n\n{content_type}\n{date}\n/{ACCOUNT}{resource}");
    let hash = keyed(&STANDARD.decode(KEY)?, &text).ok().context("a key")?;
    Ok([date, format!("SharedKey {ACCOUNT}:{}", STANDARD.encode(hash))])
}

/// The redis crate on one connection.
fn native_redis(url: &str, operation: &str, times: usize) -> Result<f64> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let value = vec![b'v'; 100];
    let keys: Vec<String> = (0..1000).map(|n| format!("native:{}", key(n))).collect();
    let batch = || keys.iter().take(BATCH);
    let pairs: Vec<_> = batch().map(|key| (key, &value)).collect();
    redis::cmd("MSET").arg(keys.iter().map(|key| (key, &value)).collect::<Vec<_>>()).exec(&mut connection)?;
    let mut order = Order::default();
    Ok(median(times, || match operation {
        "get" => {
            let found: Vec<u8> = redis::cmd("GET").arg(&keys[order.below(1000)]).query(&mut connection).expect("reads");
            assert_eq!(found.len(), 100);
        }
        "set" => redis::cmd("SET").arg(&keys[order.below(1000)]).arg(&value).exec(&mut connection).expect("writes"),
        "get-many" => {
            let found: Vec<Vec<u8>> =
                redis::cmd("MGET").arg(batch().collect::<Vec<_>>()).query(&mut connection).expect("reads");
            assert_eq!(found.len(), BATCH);
        }
        _ => redis::cmd("MSET").arg(&pairs).exec(&mut connection).expect("writes"),
    }))
}

/// The same requests as the bare exchange's, over a connection that it keeps.
fn native_memcached(port: u16, operation: &str, times: usize) -> Result<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::new();
    let mut exchange = |what: &requests::Exchange| {
        stream.write_all(&what.request).expect("it is sent");
        answer.resize(what.answer, 0);
        stream.read_exact(&mut answer).expect("an answer");
    };
    exchange(&requests::memcached("set-many"));
    let what = requests::memcached(operation);
    Ok(median(times, || exchange(&what)))
}

/// The same requests as the bare exchange's, by an HTTP client that keeps its connection.
fn native_http(port: u16, what: &[requests::Http], times: usize) -> Result<f64> {
    let agent = ureq::Agent::new_with_defaults();
    let exchange = |what: &requests::Http| {
        let url = format!("http://127.0.0.1:{port}{}", what.path);
        let mut request = ureq::http::Request::builder().method(what.method.as_str()).uri(url);
        for (name, value) in &what.headers {
            request = request.header(name, value);
        }
        let sent = match what.method.as_str() {
            "GET" => agent.run(request.body(())?),
            _ => agent.run(request.body(what.body.as_str())?),
        };
        anyhow::Ok(sent?.body_mut().read_to_vec()?)
    };
    for what in what {
        exchange(what)?;
    }
    Ok(median(times, || what.iter().for_each(|what| _ = exchange(what).expect("an answer"))))
}
