//! Real processes on one directory: killed at random, and served by the hundreds.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::{command_line, component, guest};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Fuses a guest with the file provider and compiles it, so that each of many processes starts at once.
fn compiled(name: &str, folder: &Path) -> Result<PathBuf> {
    let (fused, out) = (folder.join(format!("{name}.wasm")), folder.join(format!("{name}.cwasm")));
    std::fs::write(&fused, kvfuse_compose::compose(&guest(name)?, &component("keyvalue")?)?)?;
    let done = command_line()?.arg("compile").arg("-o").arg(&out).arg(&fused).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(out)
}

fn run(program: &Path, data: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = command_line()?;
    command.args(["run", "--allow-precompiled", &format!("--dir={}::/", data.display())]).arg(program).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// What one worker's processes reported.
#[derive(Default)]
struct Told {
    increments: u64,
    /// By key: the value last acknowledged, or being set when the process died.
    values: HashMap<String, (Option<String>, Option<String>)>,
    kills: u64,
}

/// Runs one worker, and kills and restarts it until it has used up its `lives`.
fn work(program: &Path, data: &Path, number: u64, lives: u64) -> Result<Told> {
    let mut told = Told::default();
    // Where each life ends, in lines: from a generator, so that no two workers end together.
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for life in 0..=lives {
        let mut child = run(program, data, &[&number.to_string(), "1000000"])?.spawn()?;
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let last = 200 + (state >> 33) % 3000;
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        let mut count = 0;
        for line in lines.by_ref() {
            let line = line?;
            count += 1;
            if count == last {
                child.kill()?;
                told.kills += 1;
            }
            match line.split_at_checked(2) {
                Some(("+ ", _)) => told.increments += 1,
                Some(("= ", rest)) => {
                    let (key, value) = rest.split_once(' ').context("a key and a value")?;
                    told.values.entry(key.to_string()).or_default().1 = Some(value.to_string());
                }
                Some(("! ", rest)) => {
                    let (key, value) = rest.split_once(' ').context("a key and a value")?;
                    told.values.insert(key.to_string(), (Some(value.to_string()), None));
                }
                // The last line of a killed process may be cut short.
                _ => ensure!(count >= last, "worker {number}, life {life}: {line:?}"),
            }
        }
        let mut errors = String::new();
        child.stderr.take().context("its errors")?.read_to_string(&mut errors)?;
        child.wait()?;
        ensure!(count >= last, "worker {number}, life {life} ended by itself: {errors}");
    }
    Ok(told)
}

#[test]
fn eight_processes_killed_at_random_lose_nothing_and_count_exactly() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    let program = compiled("files_worker", folder.path())?;
    let workers: Vec<Told> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let (program, data) = (&program, &data);
                    move || work(program, data, number, 4)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<_>>()
    })?;
    let output = run(&program, &data, &["check"])?.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: HashMap<String, String> = String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    let (told, kills) = workers.iter().fold((0, 0), |(a, b), worker| (a + worker.increments, b + worker.kills));
    let counter: u64 = found.get("counter").context("the counter")?.parse()?;
    // Each kill can hit an increment that was done and not yet reported.
    ensure!((told..=told + kills).contains(&counter), "told {told} increments and {kills} kills, found {counter}");
    for (number, worker) in workers.iter().enumerate() {
        for (key, (done, begun)) in &worker.values {
            let name = format!("worker {number} key {key}");
            let value = found.get(&name);
            ensure!(
                value == done.as_ref() || value == begun.as_ref(),
                "{name} is {value:?}, told {done:?}, begun {begun:?}"
            );
        }
    }
    println!("{told} increments told, {kills} kills, the counter is {counter}, {} keys", found.len());
    Ok(())
}

/// A served component, killed on drop.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve(program: &Path, data: &Path) -> Result<Server> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let process = command_line()?
        .args(["serve", "-Scli", "--allow-precompiled", "--addr", &address, &format!("--dir={}::/", data.display())])
        .arg(program)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let server = Server { process, address };
    for _ in 0..1000 {
        if TcpStream::connect(&server.address).is_ok() {
            return Ok(server);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("the server does not answer")
}

/// Makes one request, and gives the number in its answer.
fn request(address: &str) -> Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").with_context(|| answer.clone())?;
    // The body comes in one chunk.
    let number = body
        .lines()
        .find(|line| line.parse::<u64>().is_ok() && body.lines().count() == 1)
        .map_or_else(|| body.lines().nth(1).unwrap_or_default().to_string(), str::to_string);
    number.parse().with_context(|| answer.clone())
}

#[test]
fn thirty_two_clients_of_two_servers_count_exactly() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    const CLIENTS: u64 = 32;
    const REQUESTS: u64 = 40;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    let program = compiled("kvfuse_serve_guest", folder.path())?;
    let servers = [serve(&program, &data)?, serve(&program, &data)?];
    let highest = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let mut numbers: Vec<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (servers, highest, failed) = (&servers, &highest, &failed);
                scope.spawn(move || -> Result<Vec<u64>> {
                    let mut numbers = Vec::new();
                    for turn in 0..REQUESTS {
                        if failed.load(Ordering::Relaxed) {
                            break;
                        }
                        let before = highest.load(Ordering::SeqCst);
                        let number = request(&servers[(client + turn) as usize % 2].address)
                            .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
                        ensure!(number > before, "{number} was given after {before}");
                        highest.fetch_max(number, Ordering::SeqCst);
                        numbers.push(number);
                    }
                    Ok(numbers)
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?
    .concat();
    numbers.sort_unstable();
    ensure!(numbers == (1..=CLIENTS * REQUESTS).collect::<Vec<_>>(), "not every number was given once: {numbers:?}");
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_process_with_a_handful_of_descriptors_works_on_many_segments() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let folder = tempfile::tempdir()?;
    let (program, data) = (compiled("files_worker", folder.path())?, folder.path().join("data"));
    std::fs::create_dir(&data)?;
    let plain = run(&program, &data, &["fill", "8000"])?;
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 24 && exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    let output = limited.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "8000\n");
    let files = std::fs::read_dir(std::fs::read_dir(&data)?.next().context("a bucket")??.path())?.count();
    ensure!(files > 16, "only {files} files: it never split");
    Ok(())
}
