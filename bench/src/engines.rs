//! The networked providers beside the bare exchange: what they add to it.

use crate::figures::{Row, step, us};
use anyhow::{Context, Result, ensure};
use kvfuse_bench_guest::{Order, changed, key, median};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use kvfuse_tests::{command_line, component, guest};
use std::path::PathBuf;
use tempfile::TempDir;

/// How often a figure is taken; what counts is the least, the one that other work on the machine disturbed least.
const ROUNDS: usize = 3;

struct Engine {
    folder: TempDir,
    name: &'static str,
    port: u16,
    setting: String,
    times: usize,
}

impl Engine {
    fn new(name: &'static str, port: u16, setting: String, times: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let fused = kvfuse_compose::compose(&guest("bench")?, &component(&format!("keyvalue_{name}"))?)?;
        std::fs::write(folder.path().join("fused.wasm"), fused)?;
        std::fs::write(folder.path().join("exchange.wasm"), guest("exchange")?)?;
        Ok(Self { folder, name, port, setting, times })
    }

    fn run(&self, component: &str, arguments: &[String]) -> Result<f64> {
        let path: PathBuf = self.folder.path().join(component).with_extension("wasm");
        let mut command = command_line()?;
        // The bare guest has both engines in it, so both run with the flags of both.
        command
            .args(["run", "-S", "inherit-network", "-S", "http"])
            .args(["--env", &self.setting])
            .arg(path)
            .args(arguments);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        text.parse().with_context(|| format!("{arguments:?} printed {text:?}"))
    }

    fn fused(&self, operation: &str) -> Result<f64> {
        let arguments = [operation, &self.times.to_string(), "1000", "100"].map(str::to_string);
        self.run("fused", &arguments)
    }

    fn bare(&self, operation: &str) -> Result<f64> {
        let operation = format!("{}-{operation}", self.name);
        self.run("exchange", &[operation, self.times.to_string(), self.port.to_string()])
    }

    /// Get and set beside the bare exchange, and batches beside one get. `native` are a client's get and set.
    fn measure(&self, rows: &mut Vec<Row>, labels: [&'static str; 4], native: (f64, f64)) -> Result<()> {
        let mut least = [f64::INFINITY; 6];
        for _ in 0..ROUNDS {
            let figures = [
                self.fused("get")?,
                self.bare("get")?,
                self.fused("set")?,
                self.bare("set")?,
                self.fused("get-many")?,
                self.fused("set-many")?,
            ];
            for (least, figure) in least.iter_mut().zip(figures) {
                *least = least.min(figure);
            }
        }
        let [get, bare_get, set, bare_set, get_many, set_many] = least;
        let beside = |ours, bare, native| {
            format!(
                "{} = {:.2} × the bare exchange's {}; a native client {}",
                us(ours),
                ours / bare,
                us(bare),
                us(native)
            )
        };
        let batch = |ours: f64| format!("100 keys in {} = {:.2} × one get", us(ours), ours / get);
        let bare = "1.25 × the bare exchange";
        rows.push(Row::at_most(labels[0], beside(get, bare_get, native.0), get, 1.25 * bare_get, bare));
        rows.push(Row::at_most(labels[1], beside(set, bare_set, native.1), set, 1.25 * bare_set, bare));
        rows.push(Row::at_most(labels[2], batch(get_many), get_many, 2.0 * get, "2 × one get"));
        rows.push(Row::at_most(labels[3], batch(set_many), set_many, 2.0 * get, "2 × one get"));
        Ok(())
    }
}

pub fn measure(quick: bool, rows: &mut Vec<Row>) -> Result<()> {
    let times = |times: usize| if quick { times / 20 } else { times };

    step("Redis: 100 bytes over 1,000 keys");
    let server = Redis::start(&[]);
    let setting = format!("KEYVALUE_REDIS_URL={}", server.url());
    let engine = Engine::new("redis", server.port(), setting, times(10_000))?;
    let native = native_redis(&server.url(), times(10_000))?;
    engine.measure(rows, ["redis get", "redis set", "redis get-many", "redis set-many"], native)?;
    drop(server);

    step("etcd: 100 bytes over 1,000 keys");
    let server = Etcd::start(1, &[]);
    let setting = format!("KEYVALUE_ETCD_ENDPOINTS={}", server.endpoints());
    let port = *server.ports().first().context("a member")?;
    let engine = Engine::new("etcd", port, setting, times(2_000))?;
    let native = native_http(port, times(2_000))?;
    engine.measure(rows, ["etcd get", "etcd set", "etcd get-many", "etcd set-many"], native)
}

/// The redis crate on one connection.
fn native_redis(url: &str, times: usize) -> Result<(f64, f64)> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let mut value = vec![b'v'; 100];
    for n in 0..1000 {
        redis::cmd("SET").arg(key(n)).arg(&value).exec(&mut connection)?;
    }
    let mut order = Order::default();
    let get = median(times, || {
        let found: Vec<u8> = redis::cmd("GET").arg(key(order.below(1000))).query(&mut connection).expect("reads");
        assert_eq!(found.len(), 100);
    });
    let set = median(times, || {
        let (key, value) = (key(order.below(1000)), changed(&mut value));
        redis::cmd("SET").arg(key).arg(value).exec(&mut connection).expect("writes");
    });
    Ok((get, set))
}

/// The same requests as the bare exchange's, by an HTTP client that keeps its connection.
fn native_http(port: u16, times: usize) -> Result<(f64, f64)> {
    let agent = ureq::Agent::new_with_defaults();
    let post = |path: &str, body: &str| {
        let request = agent.post(format!("http://127.0.0.1:{port}{path}")).header("content-type", "application/json");
        request.send(body).expect("an answer").body_mut().read_to_vec().expect("a body")
    };
    let key = "a2V5dmFsdWUvZGVmYXVsdC91c2VyOjAwMDAwMDc=";
    let put = format!(r#"{{"key":"{key}","value":"{}"}}"#, "dnZ2".repeat(33) + "dg==");
    let range = format!(r#"{{"key":"{key}"}}"#);
    let set = median(times, || assert!(post("/v3/kv/put", &put).len() > 10));
    let get = median(times, || assert!(post("/v3/kv/range", &range).len() > 100));
    Ok((get, set))
}
