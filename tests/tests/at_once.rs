//! Many calls of one instance at once, fused with a store whose calls wait, under the wasmtime command line.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::gateway::{Asked, Gateway};
use kvfuse_servers::memcached::Memcached;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::lean::example;
use kvfuse_tests::{command_line, component};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A store to fuse the guest with, and how to run it.
struct Over {
    artefact: &'static str,
    grants: &'static str,
    settings: Vec<String>,
}

fn redis_at(url: &str) -> Over {
    let settings = vec![format!("KEYVALUE_REDIS_URL={url}")];
    Over { artefact: "keyvalue-redis-async", grants: "inherit-network,tcp", settings }
}

fn etcd_at(endpoint: &str) -> Over {
    let settings = vec![format!("KEYVALUE_ETCD_ENDPOINTS={endpoint}"), "KEYVALUE_TIMEOUT_MS=60000".into()];
    Over { artefact: "keyvalue-etcd-async", grants: "http", settings }
}

fn memcached_at(address: &str) -> Over {
    let settings = vec![format!("KEYVALUE_MEMCACHED_SERVERS={address}"), "KEYVALUE_TIMEOUT_MS=60000".into()];
    Over { artefact: "keyvalue-memcached-async", grants: "inherit-network,tcp", settings }
}

/// The guest `many_wasmcloud`, running.
struct Running {
    child: Child,
    _folder: TempDir,
}

impl Running {
    fn start(over: &Over, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let fused = folder.path().join("fused.wasm");
        std::fs::write(&fused, kvfuse_compose::compose(&example("many_wasmcloud")?, &component(over.artefact)?)?)?;
        let mut command = command_line()?;
        command.args(["run", "-S", over.grants]);
        for setting in &over.settings {
            command.args(["--env", setting]);
        }
        command.arg(&fused).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Self { child: command.spawn()?, _folder: folder })
    }

    fn output(self) -> Result<String> {
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }
}

fn run(over: &Over, arguments: &[&str]) -> Result<String> {
    Running::start(over, arguments)?.output()
}

/// How many connections a server has seen, this one included.
fn connections(redis: &Redis) -> Result<u64> {
    let info = redis.command(&["INFO", "stats"]);
    let count = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    count.context("the server does not say")?.trim().parse().context("a number")
}

#[test]
fn sixty_four_calls_at_once_share_the_four_connections_to_memcached() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let server = Memcached::start(&[]);
    let before = server.statistic("total_connections");
    let took = run(&memcached_at(&server.address()), &["get", "2000", "64"])?;
    ensure!(took.trim().parse::<u64>().is_ok(), "{took}");
    let connections = server.statistic("total_connections") - before;
    ensure!(connections == 4 + 1, "{connections}: four of the instance, and one that asked");
    Ok(())
}

#[test]
fn sixty_four_calls_at_once_get_their_values_over_one_connection() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let before = connections(&redis)?;
    let took = run(&redis_at(&redis.url()), &["get", "2000", "64"])?;
    ensure!(took.trim().parse::<u64>().is_ok(), "{took}");
    ensure!(connections(&redis)? == before + 2, "one of the instance, and one that asked");
    Ok(())
}

#[test]
fn a_call_that_is_dropped_after_any_number_of_polls_harms_no_other() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    ensure!(run(&redis_at(&redis.url()), &["drop", "16"])?.is_empty());
    Ok(())
}

#[test]
fn a_call_waits_for_its_server_while_a_timer_and_another_call_go_on() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("redis://{}", listener.local_addr()?);
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut connection, _) = listener.accept()?;
        let (mut seen, mut buffer) = (Vec::<u8>::new(), [0; 4096]);
        let mut until = |connection: &mut std::net::TcpStream, word: &[u8]| -> Result<()> {
            while !seen.windows(word.len()).any(|part| part == word) {
                let count = connection.read(&mut buffer)?;
                ensure!(count > 0, "the client has gone before {}", String::from_utf8_lossy(word));
                seen.extend(buffer.iter().take(count));
            }
            Ok(())
        };
        until(&mut connection, b"HELLO\r\n$1\r\n3\r\n")?;
        connection.write_all(b"-ERR unknown command 'HELLO'\r\n")?;
        until(&mut connection, b"many:slow\r\n")?;
        until(&mut connection, b"many:go\r\n$0\r\n\r\n")?;
        connection.write_all(b"$3\r\nnow\r\n+OK\r\n")?;
        Ok(())
    });
    let answer = run(&redis_at(&url), &["beside"])?;
    ensure!(answer == format!("{:?}\n", Some(b"now".to_vec())), "{answer}");
    server.join().ok().context("the server")?
}

#[test]
fn counters_are_exact_but_for_unknown_outcomes_when_the_server_dies_under_sixty_four_calls() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let mut redis = Redis::start(&[]);
    let running = Running::start(&redis_at(&redis.url()), &["count", "counter", "30000", "64"])?;
    let value = |redis: &Redis| redis.command(&["GET", "many:counter"]).parse::<u64>().unwrap_or(0);
    for target in [2_000, 8_000] {
        wait_until("the load goes on", || value(&redis) >= target);
        redis.restart();
    }
    let (known, unknown) = counts(running)?;
    let value = value(&redis);
    ensure!(known <= value && value <= known + unknown, "{known} known, {unknown} unknown, and it is {value}");
    ensure!(known > 20_000, "{known} known of 30000: the others were retried");
    Ok(())
}

/// How many were added, and of how many it is not known.
fn counts(running: Running) -> Result<(u64, u64)> {
    let counts = running.output()?;
    let (known, unknown) = counts.trim().split_once(' ').with_context(|| counts.clone())?;
    Ok((known.parse()?, unknown.parse()?))
}

#[test]
fn a_connection_that_its_server_ends_has_ended_for_whoever_asks_again() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let call = format!("run({})", listener.local_addr()?.port());
    // It closes each connection when the first bytes have arrived. The test's process ends it.
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 16]);
        }
    });
    let folder = tempfile::tempdir()?;
    let guest = folder.path().join("ends.wasm");
    std::fs::write(&guest, example("ends")?)?;
    let output = command_line()?.args(["run", "-S", "inherit-network,tcp", "--invoke", &call]).arg(&guest).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && text == "\"300 ended\"\n", "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn sixty_four_reads_of_etcd_at_once_are_on_their_way_in_two_requests() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let over = etcd_at(&gateway.endpoint());
    let server = std::thread::spawn(move || {
        // A thousand keys are set, 128 at once.
        (0..1000usize.div_ceil(128)).for_each(|_| gateway.take().answer(200, WRITTEN));
        let value = "dnZ2".repeat(33) + "dg==";
        let give = |asked: Asked| asked.give(|_| value.clone());
        let asked = gateway.take_together(2);
        assert!(asked.iter().all(|asked| asked.keys().len() == 32));
        asked.into_iter().rev().for_each(give);
    });
    let took = run(&over, &["get", "64", "64"])?;
    ensure!(took.trim().parse::<u64>().is_ok(), "{took}");
    server.join().ok().context("the gateway")
}

/// The answer to a write.
const WRITTEN: &str = r#"{"header":{"revision":"1"}}"#;

#[test]
fn a_call_to_etcd_that_is_dropped_after_any_number_of_polls_harms_no_other() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let wrong = run(&etcd_at(&etcd.endpoints()), &["drop", "24"])?;
    ensure!(wrong.is_empty(), "{wrong}");
    Ok(())
}

#[test]
fn answers_of_etcd_that_arrive_byte_by_byte_are_read() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let etcd = Etcd::start(1, &[]);
    let proxy = Proxy::start(*etcd.ports().first().context("a member")?);
    proxy.trickle(true);
    let took = run(&etcd_at(&format!("http://127.0.0.1:{}", proxy.port())), &["get", "64", "16"])?;
    ensure!(took.trim().parse::<u64>().is_ok(), "{took}");
    Ok(())
}

#[test]
fn a_call_waits_for_etcd_while_a_timer_and_another_call_go_on() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let gateway = Gateway::start();
    let over = etcd_at(&gateway.endpoint());
    let server = std::thread::spawn(move || {
        let slow = gateway.take();
        let go = gateway.take();
        assert!(slow.is_for("/v3/kv/range") && go.is_for("/v3/kv/put"), "{} {}", slow.text, go.text);
        slow.echo();
        go.answer(200, WRITTEN);
    });
    let answer = run(&over, &["beside"])?;
    ensure!(answer == format!("{:?}\n", Some(b"keyvalue/many/slow".to_vec())), "{answer}");
    server.join().ok().context("the gateway")
}

#[test]
fn counters_in_etcd_are_exact_but_for_unknown_outcomes_when_it_dies_under_calls_at_once() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let mut etcd = Etcd::start(1, &[]);
    let running = Running::start(&etcd_at(&etcd.endpoints()), &["count", "counter", "1000", "8"])?;
    // Each write of the counter is a revision, and nothing else writes.
    let writes = |etcd: &Etcd| etcd.revision().parse::<u64>().unwrap_or(0);
    for target in [100, 400] {
        wait_until("the load goes on", || writes(&etcd) >= target);
        etcd.kill(0);
        etcd.resume(0);
        etcd.wait_until_serving();
    }
    let (known, unknown) = counts(running)?;
    // The first revision is of nothing.
    let value = writes(&etcd) - 1;
    ensure!(known <= value && value <= known + unknown, "{known} known, {unknown} unknown, and it is {value}");
    ensure!(known > 900, "{known} known of 1000: the others were retried");
    Ok(())
}
