//! Consumers as people wrote them over the years, fused with the file provider and run.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::lean::{Instance, example, from_core, target};
use kvfuse_tests::{command_line, component};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::component::Val;

fn bytes(bytes: &[u8]) -> Val {
    Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect())
}

#[test]
fn the_service_of_golems_tutorial_runs_as_it_was_written_and_keeps_its_data() -> Result<()> {
    const API: &str = "golem:examples/api";
    let service = from_core(&target().join("golem/wasm32-unknown-unknown/release/golem_tutorial.wasm"))?;
    let fused = kvfuse_compose::compose(&service, &component("keyvalue")?)?;
    let folder = tempfile::tempdir()?;
    let (bucket, key) = (Val::String("bucket".into()), Val::String("key".into()));

    let mut instance = Instance::new(&fused, &[], folder.path())?;
    let missing = instance.call(API, "get", &[bucket.clone(), key.clone()])?;
    assert_eq!(missing, Val::Option(None), "it tells a missing key by the trace of an error");
    instance.call(API, "set", &[bucket.clone(), key.clone(), bytes(b"\0value\xff")])?;
    let value = Val::Option(Some(Box::new(bytes(b"\0value\xff"))));
    assert_eq!(instance.call(API, "get", &[bucket.clone(), key.clone()])?, value);
    drop(instance);
    assert_eq!(Instance::new(&fused, &[], folder.path())?.call(API, "get", &[bucket, key])?, value);
    Ok(())
}

#[test]
fn a_consumer_without_handles_of_the_wrpc_generation_runs_fused() -> Result<()> {
    let fused = kvfuse_compose::compose(&example("tally")?, &component("keyvalue")?)?;
    let folder = tempfile::tempdir()?;
    let run = |words: &[&str]| -> Result<String> {
        let mut instance = Instance::new(&fused, words, folder.path())?;
        instance.call("wasi:cli/run@0.2.12", "run", &[])?;
        Ok(instance.output())
    };
    assert_eq!(run(&["pear", "apple", "pear"])?, "apple 1\npear 2\n");
    assert_eq!(run(&["apple", "plum"])?, "apple 2\npear 2\nplum 1\n");
    Ok(())
}

/// `wasmtime serve` on a loopback port of its own choosing.
struct Serving {
    process: Child,
    address: String,
    _watchdog: Watchdog,
}

impl Serving {
    fn start(component: &Path, folder: &Path) -> Result<Self> {
        let watchdog = Watchdog::of_the_test();
        let mut process = command_line()?
            .args(["serve", "-S", "cli", "--addr", "127.0.0.1:0", "--dir"])
            .arg(format!("{}::/", folder.display()))
            .arg(component)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(process.stderr.take().context("a pipe")?).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.ok()?;
            Some(line.split_once("http://")?.1.trim_end_matches('/').to_string())
        });
        let Some(address) = address else {
            drop(process.kill());
            anyhow::bail!("wasmtime serve did not say where it listens");
        };
        // What it writes later is read, so that it does not stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, address, _watchdog: watchdog })
    }

    fn get(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no answer but {text:?}"))?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{text}");
        // The body may come in chunks, each after a line with its length.
        let body = if head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            body.lines().skip(1).step_by(2).collect::<String>()
        } else {
            body.to_string()
        };
        body.trim().parse().with_context(|| text.clone())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_visitor_counter_under_wasmtime_serve_counts_2000_requests_32_at_a_time_exactly() -> Result<()> {
    const REQUESTS: usize = 2000;
    let fused = kvfuse_compose::compose(&example("visitors")?, &component("keyvalue")?)?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    let file = folder.path().join("visitors.wasm");
    std::fs::write(&file, fused)?;
    let serving = Serving::start(&file, &data)?;

    let next = AtomicUsize::new(0);
    let visit = || -> Result<Vec<u64>> {
        let mut told = Vec::new();
        while next.fetch_add(1, Ordering::Relaxed) < REQUESTS {
            told.push(serving.get()?);
        }
        Ok(told)
    };
    let told: Result<Vec<Vec<u64>>> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..32).map(|_| scope.spawn(visit)).collect();
        visitors.into_iter().map(|visitor| visitor.join().expect("a visitor")).collect()
    });
    let mut told = told?.concat();
    told.sort_unstable();
    // Each visitor was told another number: nobody's visit was lost, and none was counted twice.
    assert_eq!(told, (1..=REQUESTS as u64).collect::<Vec<_>>());
    assert_eq!(serving.get()?, REQUESTS as u64 + 1);
    drop(serving);
    assert_eq!(Serving::start(&file, &data)?.get()?, REQUESTS as u64 + 2, "after a restart");
    Ok(())
}
