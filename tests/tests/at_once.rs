//! Many calls of one instance at once, fused with the store in Redis, under the wasmtime command line.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::lean::example;
use kvfuse_tests::{command_line, component};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// The guest `many_wasmcloud`, running.
struct Running {
    child: Child,
    _folder: TempDir,
}

impl Running {
    fn start(url: &str, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let fused = folder.path().join("fused.wasm");
        std::fs::write(
            &fused,
            kvfuse_compose::compose(&example("many_wasmcloud")?, &component("keyvalue-redis-async")?)?,
        )?;
        let mut command = command_line()?;
        command.args(["run", "-S", "inherit-network,tcp", "--env", &format!("KEYVALUE_REDIS_URL={url}")]);
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

fn run(url: &str, arguments: &[&str]) -> Result<String> {
    Running::start(url, arguments)?.output()
}

/// How many connections a server has seen, this one included.
fn connections(redis: &Redis) -> Result<u64> {
    let info = redis.command(&["INFO", "stats"]);
    let count = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    count.context("the server does not say")?.trim().parse().context("a number")
}

#[test]
fn sixty_four_calls_at_once_get_their_values_over_one_connection() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let before = connections(&redis)?;
    let took = run(&redis.url(), &["get", "2000", "64"])?;
    ensure!(took.trim().parse::<u64>().is_ok(), "{took}");
    ensure!(connections(&redis)? == before + 2, "one of the instance, and one that asked");
    Ok(())
}

#[test]
fn a_call_that_is_dropped_after_any_number_of_polls_harms_no_other() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    ensure!(run(&redis.url(), &["drop", "16"])?.is_empty());
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
    let answer = run(&url, &["beside"])?;
    ensure!(answer == format!("{:?}\n", Some(b"now".to_vec())), "{answer}");
    server.join().ok().context("the server")?
}

#[test]
fn counters_are_exact_but_for_unknown_outcomes_when_the_server_dies_under_sixty_four_calls() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let mut redis = Redis::start(&[]);
    let running = Running::start(&redis.url(), &["count", "counter", "30000", "64"])?;
    let value = |redis: &Redis| redis.command(&["GET", "many:counter"]).parse::<u64>().unwrap_or(0);
    for target in [2_000, 8_000] {
        wait_until("the load goes on", || value(&redis) >= target);
        redis.restart();
    }
    let counts = running.output()?;
    let (known, unknown) = counts.trim().split_once(' ').with_context(|| counts.clone())?;
    let (known, unknown): (u64, u64) = (known.parse()?, unknown.parse()?);
    let value = value(&redis);
    ensure!(known <= value && value <= known + unknown, "{known} known, {unknown} unknown, and it is {value}");
    ensure!(known > 20_000, "{known} known of 30000: the others were retried");
    Ok(())
}
