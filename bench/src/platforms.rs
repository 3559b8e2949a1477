//! The asynchronous interfaces of the platforms: many calls of one instance at once, what a call adds, and handlers.

use crate::row::{CLIENT, KVFUSE, Row, step, us};
use anyhow::{Context, Result, ensure};
use kvfuse_bench_guest::{key, requests};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use kvfuse_tests::lean::example;
use kvfuse_tests::{command_line, component};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Instant;
use tempfile::TempDir;

/// How many times each figure is measured. The smallest one counts: it was disturbed least.
const ROUNDS: usize = 3;

pub fn measure(quick: bool, rows: &mut Vec<Row>) -> Result<()> {
    let times = |times: usize| if quick { times / 20 } else { times };
    step("wasmcloud:keyvalue beside wasi:keyvalue, on files");
    rows.push(beside_draft2(times(200_000))?);

    let redis = Redis::start(&[]);
    step("Redis: many gets of one instance at once");
    rows.extend(redis_at_once(&redis, times(40_000))?);
    step("Redis: a handler of WASI 0.3 beside one of 0.2, 32 clients");
    rows.push(handlers(&redis, times(20_000))?);
    drop(redis);

    step("etcd: many gets of one instance at once");
    rows.extend(etcd_at_once(&Etcd::start(1, &[]), times(4_000))?);
    Ok(())
}

/// A get through `wasmcloud:keyvalue`, called synchronously, beside one through draft2, both in one component.
fn beside_draft2(times: usize) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let fused = folder.path().join("fused.wasm");
    std::fs::write(&fused, kvfuse_compose::compose(&example("two_views")?, &component("keyvalue-async")?)?)?;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let store = kvfuse_curve::contender::scratch()?;
        let mut command = command_line()?;
        command.arg("run").arg(format!("--dir={}::/", store.path().display())).arg(&fused).arg(times.to_string());
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        let told = || format!("it printed {text:?} {}", String::from_utf8_lossy(&output.stderr));
        let (plain, cloud) = text.split_once(' ').with_context(told)?;
        let (plain, cloud): (f64, f64) = (plain.parse().with_context(told)?, cloud.parse().with_context(told)?);
        ratios.push((cloud / plain, plain, cloud));
    }
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, plain, cloud) = *ratios.get(ROUNDS / 2).context("a round")?;
    let told = format!("{} = {ratio:.2} × {} through draft2, composed", us(cloud), us(plain));
    Ok(Row::at_most("get through wasmcloud:keyvalue", told, ratio, 1.2, "1.2 × that through draft2"))
}

fn redis_at_once(server: &Redis, times: usize) -> Result<[Row; 2]> {
    let setting = format!("KEYVALUE_REDIS_URL={}", server.url());
    Many::new("keyvalue-redis-async", "inherit-network", setting, times)?.rows(
        ["redis get, 64 at once", "redis get, 64 at once, natively"],
        [(8.0, "8 × one at a time"), (0.7, "0.7 × a native client")],
        "that pipelines",
        || native_at_once(&server.url(), times, 64),
    )
}

/// A handler under `wasmtime serve`, which counts its visitors in Redis.
struct Served {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Served {
    fn start(consumer: &str, artefact: &str, server: &Redis) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let fused = folder.path().join("fused.wasm");
        std::fs::write(&fused, kvfuse_compose::compose(&example(consumer)?, &component(artefact)?)?)?;
        let mut command = command_line()?;
        command.args(["serve", "--addr", "127.0.0.1:0", "-S", "cli,inherit-network,tcp"]);
        // The default for WASI 0.3, and asked for with 0.2.
        command.args(["--max-instance-reuse-count", "128", "--env", &format!("KEYVALUE_REDIS_URL={}", server.url())]);
        let mut child = command.arg(&fused).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("its messages")?);
        let mut line = String::new();
        while !line.contains("Serving HTTP") {
            line.clear();
            ensure!(lines.read_line(&mut line)? > 0, "wasmtime serve has ended");
        }
        let port = line.trim().trim_end_matches('/').rsplit(':').next().context("a port")?.parse()?;
        // It would stop at a full pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self { child, port, _folder: folder })
    }

    /// So many requests by 32 clients, each over a connection that it keeps: the nanoseconds of one.
    fn requests(&self, times: usize) -> f64 {
        const CLIENTS: usize = 32;
        let url = format!("http://127.0.0.1:{}/", self.port);
        at_once(CLIENTS, times, |agent| {
            let count = agent.get(&url).call().expect("an answer").body_mut().read_to_string().expect("a body");
            assert!(count.parse::<u64>().is_ok(), "{count}");
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both handlers also over a store that answers from memory, which shows what the runtime needs for either.
fn handlers(server: &Redis, times: usize) -> Result<Row> {
    let pairs = [
        ("visitors", "keyvalue-redis"),
        ("visitors_wasmcloud", "keyvalue-redis-async"),
        ("visitors", "bench-floor"),
        ("visitors_p3", "bench-floor"),
    ];
    let served = pairs.map(|(consumer, artefact)| Served::start(consumer, artefact, server));
    let served: Vec<Served> = served.into_iter().collect::<Result<_>>()?;
    let mut least = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        for (least, served) in least.iter_mut().zip(&served) {
            *least = least.min(served.requests(times));
        }
    }
    let [second, third, second_floor, third_floor] = least;
    let per_second = |ns: f64| 1e9 / ns;
    let told = format!(
        "{:.0} requests a second = {:.2} × the {:.0} of 0.2, both with 128 requests an instance; with a store that answers from \
         memory {:.0} = {:.2} × {:.0}",
        per_second(third),
        second / third,
        per_second(second),
        per_second(third_floor),
        second_floor / third_floor,
        per_second(second_floor)
    );
    Ok(Row::at_least("a handler of WASI 0.3", told, second / third, 0.9, "0.9 × one of 0.2"))
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
        self.gets_with(at_once, None)
    }

    /// The same with one more setting.
    fn gets_with(&self, at_once: usize, setting: Option<&str>) -> Result<f64> {
        let mut command = command_line()?;
        command.args(["run", "-S", self.grants, "--env", &self.setting]);
        command.args(setting.into_iter().flat_map(|setting| ["--env", setting]));
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
        let mut least = [f64::INFINITY; 5];
        for _ in 0..ROUNDS {
            // Answered from the memory of the instance: what is left is the runtime's part of a call.
            let kept = self.gets_with(64, Some("KEYVALUE_STALE_MS=3600000"))?;
            let figures = [self.gets(1)?, self.gets(16)?, self.gets(64)?, native()?, kept];
            for (least, figure) in least.iter_mut().zip(figures) {
                *least = least.min(figure);
            }
        }
        let [one, sixteen, all, native, kept] = least;
        let told = format!("{} each; one at a time {}, 16 at once {}", us(all), us(one), us(sixteen));
        let row = Row::at_least(names[0], told, one / all, targets[0].0, targets[0].1);
        let told = format!(
            "{:.2} × a native client {client}, which takes {}; without the server, from memory, {} each",
            native / all,
            us(native),
            us(kept)
        );
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
        let value = vec![b'v'; 100];
        let pairs: Vec<_> = keys.iter().map(|key| (key, &value)).collect();
        redis::cmd("MSET").arg(pairs).exec_async(&mut connection.clone()).await?;
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

/// The same gets by so many clients at once.
fn native_http_at_once(port: u16, times: usize, clients: usize) -> f64 {
    let post = |agent: &ureq::Agent, what: &requests::Http| {
        let request = agent.post(format!("http://127.0.0.1:{port}{}", what.path));
        let request = what.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send(&what.body).expect("an answer").body_mut().read_to_vec().expect("a body")
    };
    let agent = ureq::Agent::new_with_defaults();
    requests::etcd("set-many").iter().for_each(|what| _ = post(&agent, what));
    let get = requests::etcd("get");
    at_once(clients, times, |agent| get.iter().for_each(|what| assert!(post(agent, what).len() > 10)))
}

/// So many calls by so many threads at once, each with a connection that it keeps: how long one takes, in nanoseconds.
fn at_once(clients: usize, times: usize, call: impl Fn(&ureq::Agent) + Sync) -> f64 {
    let begin = Barrier::new(clients + 1);
    let began = std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let agent = ureq::Agent::new_with_defaults();
                call(&agent);
                begin.wait();
                (0..times / clients).for_each(|_| call(&agent));
            });
        }
        begin.wait();
        Instant::now()
    });
    began.elapsed().as_nanos() as f64 / (times / clients * clients) as f64
}
