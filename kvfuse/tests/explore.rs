//! `kvfuse explore`: who may ask, and what is answered. The page itself is in `explore_page.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis::Redis;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use support::explorer::{Answer, Explorer, ask};
use support::server::Server;
use support::{Folder, wasmtime};

fn store() -> (Folder, Explorer) {
    let folder = Folder::new();
    folder.kvfuse(&["kv", "put", "a", "1"]).ok();
    let explorer = Explorer::start(&folder, &[]);
    (folder, explorer)
}

#[test]
fn every_path_needs_the_token_the_host_and_the_origin() {
    let (_folder, explorer) = store();
    let (host, token) = (explorer.host(), explorer.token());
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "128 random bits: {token}");
    let port = host.rsplit(':').next().unwrap();
    let (localhost, other) = (format!("localhost:{port}"), format!("127.0.0.1:{}", port.parse::<u16>().unwrap() - 1));
    let (ours, theirs) = (format!("http://{host}"), format!("http://{other}"));
    for (method, name) in [
        ("GET", ""),
        ("GET", "page.js"),
        ("GET", "icon.svg"),
        ("POST", "api/about"),
        ("POST", "api/keys"),
        ("POST", "api/set"),
        ("POST", "api/buckets"),
        ("POST", "api/stat"),
        ("POST", "api/changes"),
        ("GET", "nowhere"),
    ] {
        let asked = |path: &str, headers: &[(&str, &str)]| ask(host, method, path, headers, b"{}").status;
        let path = format!("/{token}/{name}");
        let right = asked(&path, &[("Host", host)]);
        assert_ne!(right, 403, "{name}");
        for headers in [
            &[("Host", localhost.as_str())][..],
            &[("Host", host), ("Sec-Fetch-Site", "same-origin"), ("Origin", &ours)],
            &[("Host", host), ("Sec-Fetch-Site", "none")],
        ] {
            assert_eq!(asked(&path, headers), right, "{name} {headers:?}");
        }
        for headers in [
            &[][..],
            &[("Host", "evil.example")],
            &[("Host", &other)],
            &[("Host", host), ("Origin", &theirs)],
            &[("Host", host), ("Origin", "null")],
            &[("Host", host), ("Origin", "http://evil.example")],
            &[("Host", host), ("Sec-Fetch-Site", "cross-site")],
            &[("Host", host), ("Sec-Fetch-Site", "same-site")],
        ] {
            // A request without a host is refused even before it is looked at.
            let status = asked(&path, headers);
            assert!(status == 403 || (headers.is_empty() && status >= 400), "{name} {headers:?}: {status}");
        }
        let wrong = format!("{}{}", token.get(..31).unwrap(), if token.ends_with('0') { '1' } else { '0' });
        for path in
            [format!("/{name}"), format!("/{wrong}/{name}"), format!("/{name}?{token}"), format!("/{token}{name}x")]
        {
            assert_eq!(asked(&path, &[("Host", host)]), 403, "{path}");
        }
    }
}

#[test]
fn two_explorers_have_two_tokens() {
    let folder = Folder::new();
    folder.kvfuse(&["kv", "put", "a", "1"]).ok();
    let (one, other) = (Explorer::start(&folder, &[]), Explorer::start(&folder, &[]));
    assert_ne!(one.token(), other.token());
    assert_eq!(ask(one.host(), "GET", &format!("/{}/", other.token()), &[("Host", one.host())], b"").status, 403);
}

#[test]
fn every_answer_forbids_what_the_page_does_not_need() {
    let (_folder, explorer) = store();
    let host = explorer.host();
    for (path, method) in [
        (format!("/{}/", explorer.token()), "GET"),
        (format!("/{}/api/stat", explorer.token()), "POST"),
        (format!("/{}/api/get", explorer.token()), "POST"),
        ("/".to_string(), "GET"),
    ] {
        let Answer { head, .. } = ask(host, method, &path, &[("Host", host)], b"{}");
        let head = head.to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; ",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "cross-origin-resource-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path} lacks {header}: {head}");
        }
    }
}

#[test]
fn keys_are_listed_by_prefix_to_the_end() {
    let folder = Folder::new();
    let lines: String = (0..3000).map(|n| format!("{{\"key\":\"user/{n}\",\"value\":\"\"}}\n")).collect();
    folder.write("pairs", lines);
    folder.kvfuse(&["kv", "bulk-put", "pairs"]).ok();
    let explorer = Explorer::start(&folder, &[]);
    let all = |prefix: &str| {
        let (mut keys, mut read, mut cursor) = (Vec::new(), 0, Value::Null);
        loop {
            let asked = json!({ "bucket": "default", "prefix": prefix, "cursor": cursor });
            let (status, mut page, _) = explorer.call("keys", &asked, b"");
            assert_eq!(status, 200, "{page}");
            keys.extend(page["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_string()));
            read += page["read"].as_u64().unwrap();
            cursor = page["cursor"].take();
            if cursor.is_null() {
                keys.sort();
                return (keys, read);
            }
        }
    };
    let mut expected: Vec<_> =
        (0..3000).map(|n| format!("user/{n}")).filter(|key| key.starts_with("user/17")).collect();
    expected.sort();
    assert_eq!(all("user/17"), (expected, 3000));
    assert_eq!(all("").0.len(), 3000);
    assert_eq!(all("nothing"), (Vec::new(), 3000));
}

#[test]
fn nothing_is_overwritten_or_deleted_that_the_page_has_not_seen() {
    let (_folder, explorer) = store();
    let version =
        |key: &str| explorer.call("get", &json!({ "bucket": "default", "key": key }), b"").1["version"].take();
    let set = |key: &str, seen: &Value, value: &[u8]| {
        explorer.call("set", &json!({ "bucket": "default", "key": key, "seen": seen }), value)
    };
    let seen = version("a");
    assert_eq!(set("a", &seen, b"2").0, 200);
    // The same again: it is "2" by now.
    let (status, now, _) = set("a", &seen, b"3");
    assert_eq!((status, &now["version"], &now["size"]), (409, &version("a"), &json!(1)));
    // A new key, which exists.
    assert_eq!(set("a", &Value::Null, b"3").0, 409);
    // One that does not exist any more.
    assert_eq!(set("b", &seen, b"3").0, 409);
    let delete =
        |seen: &Value| explorer.call("delete", &json!({ "bucket": "default", "key": "a", "seen": seen }), b"").0;
    assert_eq!(delete(&seen), 409);
    assert_eq!(explorer.get("default", "a"), Some(b"2".to_vec()));
    assert_eq!(delete(&version("a")), 200);
    assert_eq!((explorer.get("default", "a"), explorer.get("default", "b")), (None, None));
}

#[test]
fn values_and_keys_pass_byte_for_byte() {
    let (folder, explorer) = store();
    let all: Vec<u8> = (0..=255).collect();
    let long = "k".repeat(1 << 20);
    for key in ["", "a\nb\0\"\\", "<script>", "Ω🦀", long.as_str()] {
        for value in [&b""[..], &all, b"\n\n", &[7; 3_000_000]] {
            explorer.put("default", key, value);
            assert!(explorer.get("default", key).as_deref() == Some(value), "{key:.20}, {} bytes", value.len());
        }
    }
    assert_eq!(folder.kvfuse(&["kv", "get", "<script>"]).ok().len(), 3_000_000);
    let (_, head, value) = explorer.call("get", &json!({ "bucket": "default", "key": "Ω🦀", "limit": 3 }), b"");
    assert_eq!((&head["size"], value.as_slice()), (&json!(3_000_000), &[7; 3][..]));
    let unless = &head["version"];
    let (_, head, value) = explorer.call("get", &json!({ "bucket": "default", "key": "Ω🦀", "unless": unless }), b"");
    assert_eq!((&head["same"], value.len()), (&json!(true), 0));
}

#[test]
fn counters_count_in_64_bits() {
    let (_folder, explorer) = store();
    let add = |delta: &str| {
        let (status, said, _) =
            explorer.call("increment", &json!({ "bucket": "default", "key": "n", "delta": delta }), b"");
        (status, said)
    };
    assert_eq!(add("9223372036854775806"), (200, json!({ "sum": "9223372036854775806" })));
    assert_eq!(add("1"), (200, json!({ "sum": "9223372036854775807" })));
    let (status, said) = add("1");
    assert!(status == 502 && said["error"].as_str().unwrap().contains("9223372036854775807"), "{said}");
    let (status, said) = add("1.5");
    assert!(status == 502 && said["error"].as_str().unwrap().contains("not a whole number"), "{said}");
}

#[test]
fn what_is_asked_wrongly_is_refused_with_the_reason() {
    let (_folder, explorer) = store();
    let (host, token) = (explorer.host(), explorer.token());
    for (method, name, body, status, reason) in [
        ("POST", "api/set", "{\"bucket\":\"b\"}\nsecret", 400, "a field is missing"),
        ("POST", "api/get", "{\"bucket\":\"b\",\"key\":\"secret\"", 400, "not JSON"),
        ("POST", "api/get", "", 400, "not JSON"),
        ("POST", "api/stat", "{}", 400, "a field is missing"),
        ("POST", "api/changes", "{}", 400, "a field is missing"),
        ("POST", "api/changes", "{\"bucket\":\":cache:\"}", 502, "reserved"),
        ("GET", "api/get", "", 405, "POST it"),
        ("POST", "page.js", "", 405, "GET it"),
        ("GET", "../secret", "", 404, "no such page"),
        ("POST", "api/keys", "{\"bucket\":\":cache:\"}", 502, "reserved"),
        ("POST", "api/keys", "{\"bucket\":\"default\",\"cursor\":\"made up\"}", 502, "cursor"),
    ] {
        let answer = ask(host, method, &format!("/{token}/{name}"), &[("Host", host)], body.as_bytes());
        let said = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, status, "{name}: {said}");
        assert!(said.contains(reason) && !said.contains("secret"), "{name}: {said}");
    }
}

#[test]
fn a_value_that_is_cut_off_is_not_stored() {
    let (_folder, explorer) = store();
    let (host, token) = (explorer.host(), explorer.token());
    let body = format!("{}\nhalf", json!({ "bucket": "default", "key": "cut", "seen": null }));
    let mut connection = TcpStream::connect(host).unwrap();
    let length = body.len() + 4;
    write!(connection, "POST /{token}/api/set HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    // The answer, if there is one, comes when the request has been dealt with.
    let mut answer = String::new();
    drop(std::io::Read::read_to_string(&mut connection, &mut answer));
    assert!(!answer.contains(" 200 "), "{answer}");
    assert_eq!(explorer.get("default", "cut"), None);
}

#[test]
fn it_knows_the_buckets_and_the_files_of_a_store_that_keeps_files() {
    let (folder, explorer) = store();
    folder.kvfuse(&["kv", "put", "--bucket", "sessions", "b", "2"]).ok();
    let call = |name: &str, head: Value| explorer.call(name, &head, b"");
    let (_, about, _) = call("about", json!({}));
    assert_eq!(about, json!({ "store": "files:data", "buckets": true, "stat": true, "watch": true }));
    assert_eq!(call("buckets", json!({})).1, json!({ "buckets": ["default", "sessions"] }));
    let stat = folder.kvfuse(&["stat", "--json", "data"]).ok();
    let mut expected: Value = serde_json::from_str(&stat).unwrap();
    expected["directory"] = json!("data");
    assert_eq!(call("stat", json!({ "verify": false })).1, expected);
}

#[test]
fn a_server_s_store_is_explored_and_its_absence_is_an_error_of_each_request() {
    let folder = Folder::new();
    let mut redis = Redis::start(&[]);
    let explorer = Explorer::start(&folder, &["--store", &redis.url()]);
    let (_, about, _) = explorer.call("about", &json!({}), b"");
    assert_eq!((&about["buckets"], &about["stat"]), (&json!(false), &json!(false)));
    assert_eq!(explorer.call("stat", &json!({ "verify": false }), b"").0, 404);
    explorer.put("b", "a", b"1");
    assert_eq!(redis.command(&["GET", "b:a"]), "1");
    redis.command(&["SET", "b:a", "2"]);
    assert_eq!(explorer.get("b", "a"), Some(b"2".to_vec()), "nothing is kept of what was read");
    redis.kill();
    let (status, said, _) = explorer.call("get", &json!({ "bucket": "b", "key": "a" }), b"");
    assert!(status == 502 && said["error"].as_str().unwrap().contains("127.0.0.1"), "{said}");
    redis.restart();
    wait_until("it answers again", || explorer.call("get", &json!({ "bucket": "b", "key": "a" }), b"").0 == 200);
}

#[test]
fn the_component_guards_itself_under_any_host() {
    let folder = Folder::new();
    folder.kvfuse(&["kv", "put", "a", "1"]).ok();
    let said = folder.kvfuse(&["explore", "-o", "explorer.fused.wasm"]).ok();
    assert!(
        said.contains("an HTTP handler of ") && said.contains("wasmtime serve") && said.contains("EXPLORE_TOKEN"),
        "{said}"
    );
    let serve = |token: Option<&str>| {
        let mut command = wasmtime();
        command.args(["serve", "-S", "cli", "--addr", "127.0.0.1:0", "--dir", "data::/"]);
        command.args(token.map(|token| format!("--env=EXPLORE_TOKEN={token}"))).arg("explorer.fused.wasm");
        Server::spawn(&folder, &mut command)
    };
    let server = serve(Some("0123456789abcdef"));
    let asked = |headers: &[(&str, &str)], token: &str| {
        let body = b"{\"bucket\":\"default\",\"key\":\"a\"}";
        ask(&server.address, "POST", &format!("/{token}/api/get"), headers, body)
    };
    let host = ("Host", server.address.as_str());
    let answer = asked(&[host], "0123456789abcdef");
    assert!(answer.status == 200 && answer.body.ends_with(b"\n1"), "{answer:?}");
    let page = ask(&server.address, "GET", "/0123456789abcdef/", &[host], b"");
    assert!(page.status == 200 && page.body.starts_with(b"<!doctype html>"), "{page:?}");
    for (headers, token) in [
        (&[host][..], "0123456789abcdeF"),
        (&[("Host", "evil.example")], "0123456789abcdef"),
        (&[host, ("Origin", "http://evil.example")], "0123456789abcdef"),
        (&[host, ("Sec-Fetch-Site", "cross-site")], "0123456789abcdef"),
    ] {
        assert_eq!(asked(headers, token).status, 403, "{headers:?} {token}");
    }
    let server = serve(None);
    let answer = ask(&server.address, "GET", "//", &[("Host", &server.address)], b"");
    assert!(answer.status == 403 && String::from_utf8_lossy(&answer.body).contains("set EXPLORE_TOKEN"), "{answer:?}");
}

#[test]
fn it_listens_on_the_loopback_interface_and_on_the_port_that_was_named() {
    let folder = Folder::new();
    folder.kvfuse(&["kv", "put", "a", "1"]).ok();
    let explorer = Explorer::start(&folder, &[]);
    assert!(explorer.host().starts_with("127.0.0.1:"));
    let port = explorer.host().rsplit(':').next().unwrap();
    let ran = folder.run(Command::new(env!("CARGO_BIN_EXE_kvfuse")).args(["explore", "--port", port]));
    assert!(ran.stderr.contains("cannot listen") && ran.stderr.contains("--port names another port"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn a_directory_that_does_not_exist_is_refused_and_not_made() {
    let folder = Folder::new();
    folder.refuses(
        &["explore", "--store", "files:nowhere"],
        3,
        "\
error: there is no such directory
  --> nowhere
   = help: name the directory of the store: --store files:DIRECTORY
",
    );
}
