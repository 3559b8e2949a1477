//! The networked providers beside the bare exchange: what they add to it.

use crate::guests::{LEAN, STALE, flat};
use crate::row::{CLIENT, FLOOR, KVFUSE, Row, step, us};
use anyhow::{Context, Result, ensure};
use kvfuse_bench_guest::requests::{self, BATCH};
use kvfuse_bench_guest::{Order, key, median};
use kvfuse_compose::Memories;
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::redis::Redis;
use kvfuse_tests::lean::example;
use kvfuse_tests::{command_line, component, guest};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Instant;
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
}

impl Engine {
    fn new(name: &'static str, port: u16, settings: Vec<String>, times: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (consumer, provider) = (guest("bench")?, component(&format!("keyvalue-{name}"))?);
        let write = |file: &str, bytes| std::fs::write(folder.path().join(file), bytes);
        write("fused.wasm", kvfuse_compose::compose(&consumer, &provider)?)?;
        write("flat.wasm", flat(&consumer, &provider, Memories::Two)?)?;
        std::fs::write(folder.path().join("exchange.wasm"), guest("exchange")?)?;
        Ok(Self { folder, name, port, settings, times })
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
        let arguments = [operation, &self.times.to_string(), "1000", "100"].map(str::to_string);
        self.run("fused", &[], &arguments)
    }

    /// A get of what this instance has seen, which asks nobody.
    fn remembered(&self, component: &str) -> Result<f64> {
        let arguments = ["get", "100000", "1000", "100"].map(str::to_string);
        self.run(component, &[&["--env", STALE][..], &LEAN].concat(), &arguments)
    }

    fn bare(&self, operation: &str) -> Result<f64> {
        let arguments = [self.name, operation, &self.times.to_string(), &self.port.to_string()].map(str::to_string);
        self.run("exchange", &[], &arguments)
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
                Row::at_most(label, told, ours, 2.0 * get, "2 × one get")
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
    step("Redis: many gets of one instance at once");
    let many = Many::new(
        "keyvalue-redis-async",
        "inherit-network",
        format!("KEYVALUE_REDIS_URL={}", server.url()),
        times(40_000),
    )?;
    rows.extend(many.rows(
        ["redis get, 64 at once", "redis get, 64 at once, natively"],
        [(8.0, "8 × one at a time"), (0.7, "0.7 × a native client")],
        "that pipelines",
        || native_at_once(&server.url(), times(40_000), 64),
    )?);
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
    let native = |operation: &str| Ok(native_http(port, operation, times(2_000)));
    engine.measure(rows, ["etcd get", "etcd set", "etcd get-many", "etcd set-many"], native)?;
    step("etcd: many gets of one instance at once");
    rows.extend(etcd_at_once(&server, times(4_000))?);
    Ok(())
}

fn etcd_at_once(server: &Etcd, times: usize) -> Result<[Row; 2]> {
    let port = *server.ports().first().context("a member")?;
    let setting = format!("KEYVALUE_ETCD_ENDPOINTS={}", server.endpoints());
    Many::new("keyvalue-etcd-async", "http", setting, times)?.rows(
        ["etcd get, 64 at once", "etcd get, 64 at once, natively"],
        [(3.0, "3 × one at a time"), (0.3, "0.3 × a native client")],
        "with 64 connections that it keeps",
        || Ok(native_http_at_once(port, times, 64)),
    )
}

/// Gets of one instance through `wasmcloud:keyvalue`, so many at once.
struct Many {
    fused: PathBuf,
    grants: &'static str,
    setting: String,
    times: usize,
    _folder: TempDir,
}

impl Many {
    fn new(artefact: &str, grants: &'static str, setting: String, times: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("fused.wasm");
        std::fs::write(&path, kvfuse_compose::compose(&example("many_wasmcloud")?, &component(artefact)?)?)?;
        Ok(Self { fused: path, grants, setting, times, _folder: folder })
    }

    /// How long one takes, in nanoseconds.
    fn gets(&self, at_once: usize) -> Result<f64> {
        let mut command = command_line()?;
        command.args(["run", "-S", self.grants, "--env", &self.setting]);
        // One at a time takes several times as long.
        let times = if at_once == 1 { self.times / 4 } else { self.times };
        let output = command.arg(&self.fused).args(["get", &times.to_string(), &at_once.to_string()]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        text.parse().with_context(|| format!("it printed {text:?} {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The rows of a store: 64 at once have to be so many times as fast as one at a time, and this part as fast as a native
    /// client.
    fn rows(
        &self,
        names: [&'static str; 2],
        targets: [(f64, &'static str); 2],
        client: &str,
        native: impl Fn() -> Result<f64>,
    ) -> Result<[Row; 2]> {
        let mut least = [f64::INFINITY; 4];
        for _ in 0..ROUNDS {
            let figures = [self.gets(1)?, self.gets(16)?, self.gets(64)?, native()?];
            for (least, figure) in least.iter_mut().zip(figures) {
                *least = least.min(figure);
            }
        }
        let [one, sixteen, all, native] = least;
        let told = format!("{} each; one at a time {}, 16 at once {}", us(all), us(one), us(sixteen));
        let row = Row::at_least(names[0], told, one / all, targets[0].0, targets[0].1);
        let told = format!("{:.2} × a native client {client}, which takes {}", native / all, us(native));
        let beside = Row::at_least(names[1], told, native / all, targets[1].0, targets[1].1);
        Ok([row.pictured([(KVFUSE, all), (CLIENT, native)]), beside])
    }
}

/// The redis crate with so many gets at once on one connection, in one thread.
fn native_at_once(url: &str, times: usize, at_once: usize) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = redis::Client::open(url)?;
    runtime.block_on(async {
        let connection = client.get_multiplexed_async_connection().await?;
        let keys: Rc<Vec<String>> = Rc::new((0..1000).map(|n| format!("native:{}", key(n))).collect());
        let began = Instant::now();
        let tasks = tokio::task::LocalSet::new();
        for task in 0..at_once {
            let (mut connection, keys) = (connection.clone(), keys.clone());
            tasks.spawn_local(async move {
                for n in (task..times).step_by(at_once) {
                    let found: Vec<u8> = redis::cmd("GET")
                        .arg(&keys[n * 7919 % 1000])
                        .query_async(&mut connection)
                        .await
                        .expect("reads");
                    assert_eq!(found.len(), 100);
                }
            });
        }
        tasks.await;
        Ok(began.elapsed().as_nanos() as f64 / times as f64)
    })
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
fn native_http(port: u16, operation: &str, times: usize) -> f64 {
    let agent = ureq::Agent::new_with_defaults();
    let post = |what: &requests::Etcd| {
        let url = format!("http://127.0.0.1:{port}{}", what.path);
        let request = agent.post(url).header("content-type", "application/json");
        request.send(&what.body).expect("an answer").body_mut().read_to_vec().expect("a body")
    };
    post(&requests::etcd("set-many"));
    let what = requests::etcd(operation);
    median(times, || assert!(post(&what).len() > 10))
}

/// The same gets by so many threads at once, each of which keeps its connection: how long one takes, in nanoseconds.
fn native_http_at_once(port: u16, times: usize, at_once: usize) -> f64 {
    let url = format!("http://127.0.0.1:{port}");
    let agent = ureq::Agent::new_with_defaults();
    let post = |agent: &ureq::Agent, what: &requests::Etcd| {
        let request = agent.post(format!("{url}{}", what.path)).header("content-type", "application/json");
        request.send(&what.body).expect("an answer").body_mut().read_to_vec().expect("a body")
    };
    post(&agent, &requests::etcd("set-many"));
    let begin = Barrier::new(at_once + 1);
    let began = std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                let (agent, what) = (ureq::Agent::new_with_defaults(), requests::etcd("get"));
                post(&agent, &what);
                begin.wait();
                (0..times / at_once).for_each(|_| assert!(post(&agent, &what).len() > 10));
            });
        }
        begin.wait();
        Instant::now()
    });
    began.elapsed().as_nanos() as f64 / (times / at_once * at_once) as f64
}
