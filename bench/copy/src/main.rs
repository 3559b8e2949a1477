//! `make bench-copy`: `kvfuse copy` of a million keys of 100 bytes from files to Redis, beside native clients that write the same
//! keys to the same server from memory.
//!
//! In each round the server is emptied before each of them writes, one after the other. The median of the rounds counts.

use anyhow::{Context, Result, ensure};
use kvfuse_core::Store;
use kvfuse_files::{Config, FileStore};
use kvfuse_servers::process::program;
use kvfuse_servers::redis::Redis;
use kvfuse_transport::files::native::ReadWrite;
use lexopt::{Arg, ValueExt};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HELP: &str =
    "usage: kvfuse-bench-copy KVFUSE [--keys N] [--rounds N]    KVFUSE is the program, as `make kvfuse` builds it";

/// Commands of a native client's pipeline: as many keys as `kvfuse copy` sets at once.
const PIPELINE: usize = 500;
/// What is aimed at: this part of what a native pipelining client writes.
const TARGET: f64 = 0.5;

fn key(n: usize) -> String {
    format!("key:{n:08}")
}

fn value(n: usize) -> String {
    format!("{n:0100}")
}

/// What is measured, and with what.
struct Bench {
    kvfuse: PathBuf,
    keys: usize,
    folder: tempfile::TempDir,
    redis: Redis,
}

/// One writing of all keys.
struct Took {
    time: Duration,
    /// The most memory that the process had, in bytes.
    peak: u64,
}

impl Bench {
    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The commands of all keys, as bytes of Redis' protocol.
    fn commands(&self) -> PathBuf {
        self.folder.path().join("commands")
    }

    fn prepare(&self) -> Result<()> {
        std::fs::create_dir(self.data())?;
        let bucket = FileStore::new(Ok(ReadWrite::open(&self.data())?), Config::default()).open("default")?;
        let pairs: Vec<_> = (0..self.keys).map(|n| (key(n), value(n))).collect();
        for pairs in pairs.chunks(1000) {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
            bucket.set_many(&pairs)?;
        }
        let mut commands = BufWriter::new(File::create(self.commands())?);
        for (key, value) in &pairs {
            let key = format!("default:{key}");
            write!(commands, "*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())?;
        }
        commands.flush()?;
        // Compiling the providers is not measured: it happens once on a machine.
        let url = self.redis.url();
        for store in ["files:data", url.as_str()] {
            let arguments = ["kv", "put", "compiled", "1", "--bucket", "another", "--store", store];
            ensure!(Command::new(&self.kvfuse).args(arguments).current_dir(self.folder.path()).status()?.success());
        }
        Ok(())
    }

    fn kvfuse(&self) -> Result<Took> {
        let arguments = ["copy", "--from", "files:data", "--bucket", "default", "--to", &self.redis.url()];
        let mut command = Command::new(&self.kvfuse);
        self.run(command.args(arguments).current_dir(self.folder.path()))
    }

    fn redis_cli(&self) -> Result<Took> {
        let mut command = Command::new(program("redis-cli", "redis-tools"));
        command.args(["-p", &self.redis.port().to_string(), "--pipe"]).stdin(File::open(self.commands())?);
        self.run(&mut command)
    }

    fn run(&self, command: &mut Command) -> Result<Took> {
        let begun = Instant::now();
        let mut child = command.stdout(Stdio::null()).spawn()?;
        let mut peak = 0;
        let status = loop {
            peak = memory(&child).unwrap_or(peak);
            match child.try_wait()? {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let time = begun.elapsed();
        ensure!(status.success(), "{command:?} failed");
        Ok(Took { time, peak })
    }

    /// The redis crate on one connection. Its memory is that of this process, and is not told.
    fn redis_crate(&self) -> Result<Took> {
        let mut connection = redis::Client::open(self.redis.url())?.get_connection()?;
        let begun = Instant::now();
        for first in (0..self.keys).step_by(PIPELINE) {
            let mut pipe = redis::pipe();
            for n in first..self.keys.min(first + PIPELINE) {
                pipe.set(format!("default:{}", key(n)), value(n)).ignore();
            }
            pipe.exec(&mut connection)?;
        }
        Ok(Took { time: begun.elapsed(), peak: 0 })
    }

    /// Empties the server, lets one of them write, and looks whether everything is there.
    fn measure(&self, write: impl Fn(&Self) -> Result<Took>) -> Result<Took> {
        self.redis.command(&["FLUSHALL"]);
        let took = write(self)?;
        let written = self.redis.command(&["DBSIZE"]);
        ensure!(written == format!(":{}", self.keys), "{written} keys were written");
        let n = self.keys / 2;
        ensure!(self.redis.command(&["GET", &format!("default:{}", key(n))]) == value(n), "another value was written");
        Ok(took)
    }
}

/// The most memory that a process has had so far, in bytes.
fn memory(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

fn median(took: &[Took]) -> Duration {
    let mut times: Vec<_> = took.iter().map(|took| took.time).collect();
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<()> {
    let (mut kvfuse, mut keys, mut rounds) = (None, 1_000_000, 3);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Value(path) => kvfuse = Some(PathBuf::from(path)),
            Arg::Long("keys") => keys = arguments.value()?.parse()?,
            Arg::Long("rounds") => rounds = arguments.value()?.parse()?,
            other => return Err(other.unexpected()).context(HELP),
        }
    }
    let kvfuse = kvfuse.as_deref().map(Path::canonicalize).context(HELP)?.context("there is no such program")?;
    let folder = tempfile::tempdir()?;
    let bench = Bench { kvfuse, keys, folder, redis: Redis::start(&["--appendonly", "no"]) };
    bench.prepare()?;
    let mut all = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let [copy, library, program] = &mut all;
        copy.push(bench.measure(Bench::kvfuse)?);
        library.push(bench.measure(Bench::redis_crate)?);
        program.push(bench.measure(Bench::redis_cli)?);
    }
    println!("{keys} keys with values of 100 bytes; median of {rounds}");
    let names = ["kvfuse copy", "redis crate, pipelines of 500", "redis-cli --pipe"];
    for (name, took) in names.iter().zip(&all) {
        let time = median(took).as_secs_f64();
        let times: Vec<_> = took.iter().map(|took| format!("{:.2}", took.time.as_secs_f64())).collect();
        let peak = match took.iter().map(|took| took.peak).max() {
            Some(peak) if peak > 0 => format!(", at most {} MiB of memory", peak >> 20),
            _ => String::new(),
        };
        println!("  {name:<30} {time:.2} s = {:.0} keys/s ({}){peak}", keys as f64 / time, times.join(", "));
    }
    let [copy, library, program] = all.map(|took| median(&took).as_secs_f64());
    for (name, native) in [("the redis crate", library), ("redis-cli --pipe", program)] {
        let part = native / copy;
        let verdict = if part >= TARGET { "reached" } else { "missed" };
        println!("kvfuse copy writes {:.0} % of what {name} writes; 50 % is {verdict}", part * 100.0);
    }
    Ok(())
}
