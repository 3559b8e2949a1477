//! What others change, on the page of `kvfuse explore`: told by a watch where the store has one, and asked for elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis::Redis;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use support::browser::Browser;
use support::explorer::Explorer;
use support::page::ENTER;
use support::server::Server;
use support::{Folder, wasmtime};

/// The page's pauses never end, so it asks for nothing again by itself: what it shows, it was told.
const NEVER_ASKS: &str = "{
    const after = window.setTimeout;
    window.setTimeout = (work, time, ...more) => (time === 3000 ? 0 : after(work, time, ...more));
}";

fn open(browser: &Browser, url: &str) {
    browser.open(url);
    browser.says("#list", "first");
    browser.value("document.querySelector('#list li').click()");
    browser.says("#shown", "1");
}

#[test]
fn where_the_store_is_watched_the_page_is_told_of_what_others_change_and_asks_for_nothing() {
    let folder = Folder::new();
    let (redis, etcd) = (Redis::start(&[]), Etcd::start(1, &[]));
    let browser = Browser::start(&folder);
    browser.chromium("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NEVER_ASKS }));
    for store in ["files:data", &redis.url(), &format!("etcd:{}", etcd.endpoints())] {
        let kv = |words: &[&str]| folder.kvfuse(&[&["kv", "--store", store], words].concat()).ok();
        kv(&["put", "first", "1"]);
        let explorer = Explorer::start(&folder, &["--store", store]);
        open(&browser, &explorer.url());
        assert_eq!(browser.value("setTimeout(() => {}, 3000)"), json!(0));
        browser.says("#live", "live");
        kv(&["put", "second", "2"]);
        browser.says("#list li.fresh", "second");
        kv(&["put", "first", "changed"]);
        browser.says("#changed", "Somebody else has changed this key just now.");
        assert_eq!(browser.text("#shown pre"), "changed");
        kv(&["delete", "first"]);
        browser.says("#changed", "Somebody else has deleted this key just now.");
        browser.until("the list lacks it", "document.querySelector('#list').innerText === 'second'");
        // Another bucket, and what the prefix leaves out.
        browser.fill("#bucket", "other");
        browser.fill("#prefix", "p/");
        browser.press(ENTER);
        browser.says("#listed", "no key begins with this prefix");
        browser.says("#live", "live");
        kv(&["put", "--bucket", "other", "q", "1"]);
        kv(&["put", "--bucket", "other", "p/a", "1"]);
        browser.until("the list has it", "document.querySelector('#list').innerText === 'p/a'");
    }
}

#[test]
#[ignore = "long: make test-long"]
fn a_page_that_comes_back_to_the_front_shows_what_happened_meanwhile() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    redis.command(&["SET", "default:first", "1"]);
    let explorer = Explorer::start(&folder, &["--store", &redis.url()]);
    let watched = |count: u64| {
        wait_until("it is watched so often", || {
            redis.command(&["INFO", "clients"]).lines().any(|line| line == format!("tracking_clients:{count}"))
        });
    };
    let browser = Browser::start(&folder);
    browser.chromium("Page.addScriptToEvaluateOnNewDocument", json!({ "source": NEVER_ASKS }));
    open(&browser, &explorer.url());
    watched(1);
    let hide = |hidden: bool| {
        let as_if = format!(
            "void (Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}),
             document.dispatchEvent(new Event('visibilitychange')))"
        );
        browser.value(&as_if);
    };
    hide(true);
    watched(0);
    redis.command(&["SET", "default:second", "2"]);
    hide(false);
    browser.says("#list li.fresh", "second");
    watched(1);
    // A page that is gone is not told any more.
    browser.request("url", json!({ "url": "about:blank" }));
    watched(0);
}

/// Answers to what the page writes come late: it learns of the change before it knows that it was its own.
const ANSWERS_LATE: &str = "{
    const ask = window.fetch;
    window.fetch = async (address, ...more) => {
        const answer = await ask(address, ...more);
        if (/set|increment|delete/.test(address)) await new Promise((done) => setTimeout(done, 700));
        return answer;
    };
}";

#[test]
#[ignore = "long: make test-long"]
fn what_the_page_writes_is_not_said_to_be_of_somebody_else() {
    let folder = Folder::new();
    folder.kvfuse(&["kv", "put", "first", "1"]).ok();
    let explorer = Explorer::start(&folder, &[]);
    let browser = Browser::start(&folder);
    browser.chromium("Page.addScriptToEvaluateOnNewDocument", json!({ "source": ANSWERS_LATE }));
    open(&browser, &explorer.url());
    browser.says("#live", "live");
    let quiet = || assert_eq!(browser.value("document.querySelector('#changed').hidden"), json!(true));
    browser.click("#more");
    browser.says("#shown output", "2");
    quiet();
    browser.click("#kinds button[value=text]");
    browser.click("#edit");
    browser.fill("#text", "mine");
    browser.click("#save");
    browser.says("#shown pre", "mine");
    quiet();
    browser.click("#delete");
    browser.click("#ask button[value=yes]");
    browser.says("#about", "does not exist");
    quiet();
}

#[test]
#[ignore = "long: make test-long"]
fn a_store_that_is_not_watched_is_asked_again_and_again() {
    let folder = Folder::new();
    let redis = Redis::start(&[]);
    redis.command(&["HSET", "default", "first", "1"]);
    let browser = Browser::start(&folder);
    let refuses = ["--store", &redis.url(), "--env", "KEYVALUE_REDIS_LAYOUT=hash"];
    let explorer = Explorer::start(&folder, &refuses);
    let (status, said, _) = explorer.call("changes", &json!({ "bucket": "default" }), b"");
    assert!(status == 501 && said["error"].as_str().unwrap().contains("layout `hash`"), "{status} {said}");
    open(&browser, &explorer.url());
    redis.command(&["HSET", "default", "second", "2"]);
    browser.says("#list li.fresh", "second");
    redis.command(&["HSET", "default", "first", "changed"]);
    browser.says("#changed", "Somebody else has changed this key just now.");
    assert_eq!(browser.value("document.querySelector('#live').hidden"), json!(true));

    // The component by itself does not watch.
    folder.kvfuse(&["kv", "put", "first", "1"]).ok();
    folder.kvfuse(&["explore", "-o", "explorer.fused.wasm"]).ok();
    let mut command = wasmtime();
    command.args(["serve", "-S", "cli", "--addr", "127.0.0.1:0", "--dir", "data::/"]);
    let served = Server::spawn(&folder, command.args(["--env=EXPLORE_TOKEN=0123456789abcdef", "explorer.fused.wasm"]));
    open(&browser, &format!("http://{}/0123456789abcdef/", served.address));
    folder.kvfuse(&["kv", "put", "second", "2"]).ok();
    browser.says("#list li.fresh", "second");
    assert_eq!(browser.value("document.querySelector('#live').hidden"), json!(true));
}

/// The lines of `api/changes`.
fn listen(explorer: &Explorer, bucket: &str) -> impl Iterator<Item = Value> + use<> {
    let (host, token) = (explorer.host(), explorer.token());
    let body = format!("{}\n", json!({ "bucket": bucket }));
    let mut connection = TcpStream::connect(host).unwrap();
    let length = body.len();
    // HTTP/1.0 has no chunks.
    write!(connection, "POST /{token}/api/changes HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut lines = BufReader::new(connection).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().contains(" 200 "));
    assert_eq!(lines.by_ref().find(|line| line.is_empty()).as_deref(), Some(""), "the head ends");
    lines.map(|line| serde_json::from_str(&line).unwrap())
}

#[test]
fn who_listens_is_told_the_keys_until_the_server_is_gone() {
    let folder = Folder::new();
    let mut redis = Redis::start(&[]);
    let explorer = Explorer::start(&folder, &["--store", &redis.url()]);
    let mut lines = listen(&explorer, "b");
    assert_eq!(lines.next(), Some(json!({ "set": [], "deleted": [], "all": true })));
    redis.command(&["SET", "b:k\n", "secret"]);
    assert_eq!(lines.next(), Some(json!({ "set": ["k\n"], "deleted": [], "all": false })));
    redis.command(&["DEL", "b:k\n"]);
    assert_eq!(lines.next(), Some(json!({ "set": [], "deleted": ["k\n"], "all": false })));
    redis.command(&["FLUSHALL"]);
    assert_eq!(lines.next(), Some(json!({ "set": [], "deleted": [], "all": true })));
    redis.kill();
    assert_eq!(lines.next(), None);
    let (status, said, _) = explorer.call("changes", &json!({ "bucket": "b" }), b"");
    assert!(status == 502 && said["error"].as_str().unwrap().contains("127.0.0.1"), "{status} {said}");
    redis.resume();
    assert_eq!(listen(&explorer, "b").next(), Some(json!({ "set": [], "deleted": [], "all": true })));
}
