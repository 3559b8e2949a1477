//! What is measured, against which baseline, and what it has to reach.

use crate::guests::{Guest, Guests, number};
use crate::{engines, native};
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Instant;

/// One figure.
pub struct Row {
    pub figure: &'static str,
    /// What was measured, in words.
    pub measured: String,
    /// The figure as a ratio to its target: at most 1 is reached.
    pub ratio: f64,
    pub target: &'static str,
}

impl Row {
    /// A figure that has to be at most `limit`.
    pub fn at_most(figure: &'static str, measured: String, value: f64, limit: f64, target: &'static str) -> Self {
        Self { figure, measured, ratio: value / limit, target }
    }

    /// A figure that has to be at least `limit`.
    fn at_least(figure: &'static str, measured: String, value: f64, limit: f64, target: &'static str) -> Self {
        Self { figure, measured, ratio: limit / value, target }
    }
}

struct Bench<'a> {
    guests: &'a Guests,
    quick: bool,
    rows: Vec<Row>,
}

pub fn measure(guests: &Guests, quick: bool) -> Result<Vec<Row>> {
    let mut bench = Bench { guests, quick, rows: Vec::new() };
    bench.single_keys()?;
    bench.batches()?;
    bench.large_values()?;
    bench.large_stores()?;
    bench.overwriting()?;
    bench.processes()?;
    engines::measure(quick, &mut bench.rows)?;
    Ok(bench.rows)
}

pub fn us(ns: f64) -> String {
    if ns < 100_000.0 { format!("{:.2} µs", ns / 1000.0) } else { format!("{:.0} µs", ns / 1000.0) }
}

pub fn step(text: &str) {
    eprintln!("[bench] {text}");
}

impl Bench<'_> {
    fn times(&self, times: usize) -> usize {
        if self.quick { times / 20 } else { times }
    }

    /// One operation in a directory of its own, in nanoseconds.
    fn time(&self, guest: Guest, settings: &[&str], arguments: &[&str]) -> Result<f64> {
        let folder = tempfile::tempdir()?;
        self.guests.run(guest, folder.path(), settings, arguments)?.context("no number")
    }

    fn single_keys(&mut self) -> Result<()> {
        step("single keys: 100 bytes over 1,000 keys");
        let times = self.times(100_000).to_string();
        let workload = |operation: &'static str| [operation, &times, "1000", "100"].map(String::from);
        let run = |guest, settings: &[&str], operation: &'static str| {
            let arguments = workload(operation);
            self.time(guest, settings, &arguments.each_ref().map(String::as_str))
        };
        let (get, set) = (run(Guest::Ours, &[], "get")?, run(Guest::Ours, &[], "set")?);
        let (floor_get, floor_set) = (run(Guest::Floor, &[], "get")?, run(Guest::Floor, &[], "set")?);
        let (host_get, host_set) = (run(Guest::Host, &[], "get")?, run(Guest::Host, &[], "set")?);
        let (read, append) =
            (self.time(Guest::Calls, &[], &["read", &times])?, self.time(Guest::Calls, &[], &["append", &times])?);
        step("native peers");
        let folders = [tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?];
        let files = native::files(folders[0].path(), self.times(20_000), 1000, 100)?;
        let sqlite = native::sqlite(folders[1].path(), false, self.times(20_000), 1000, 100)?;
        let wal = native::sqlite(folders[2].path(), true, self.times(100_000), 1000, 100)?;

        let beside = |what, ours, floor, host, wal, files, sqlite| {
            format!(
                "{what} {}; floor {}, wasmtime's own host {}, sqlite-wal {}, sqlite {}, files {}",
                us(ours),
                us(floor),
                us(host),
                us(wal),
                us(sqlite),
                us(files)
            )
        };
        let told = beside("get", get, floor_get, host_get, wal.get, files.get, sqlite.get);
        self.rows.push(Row::at_most("get", told, get - floor_get, 1.5 * read, "floor + 1.5 host calls"));
        let told = format!("{:.2} × sqlite-wal's {}", get / wal.get, us(wal.get));
        self.rows.push(Row::at_most("get", told, get, wal.get, "faster than sqlite-wal"));
        let told = beside("set", set, floor_set, host_set, wal.set, files.set, sqlite.set);
        let pair = self.time(Guest::Calls, &[], &["append-read", &times, "130"])?;
        let told = format!("{told}; the floor and a bare append that is read back {}", us(floor_set + pair));
        let call = (read + append) / 2.0;
        self.rows.push(Row::at_most("set", told, set - floor_set, 2.5 * call, "floor + 2.5 host calls"));
        let told = format!("{:.1} times faster than sqlite-wal", wal.set / set);
        self.rows.push(Row::at_least("set", told, wal.set / set, 3.0, "3 × faster than sqlite-wal"));
        let told = format!("{:.1} times faster than files", files.set / set);
        self.rows.push(Row::at_least("set", told, files.set / set, 30.0, "30 × faster than files"));

        step("full durability");
        let few = self.times(4_000).to_string();
        let full = self.time(Guest::Ours, &["KEYVALUE_DURABILITY=full"], &["set", &few, "1000", "100"])?;
        let synced = self.time(Guest::Calls, &[], &["append-sync", &few])?;
        let told = format!("{}; one write + sync-data {}", us(full), us(synced));
        self.rows.push(Row::at_most("set, full durability", told, full, 1.3 * synced, "1.3 × write + sync-data"));
        let told = format!("{:.2} × sqlite's {}", full / sqlite.set, us(sqlite.set));
        self.rows.push(Row::at_most("set, full durability", told, full, sqlite.set, "faster than sqlite"));

        step("counters and swaps");
        let increment = self.time(Guest::Ours, &[], &["increment", &times])?;
        let swap = self.time(Guest::Swap, &[], &[&times])?;
        let told = |ns: f64| format!("{} = {:.2} × set", us(ns), ns / set);
        self.rows.push(Row::at_most("increment", told(increment), increment, 1.3 * set, "1.3 × set"));
        // A swap is two calls of the interface: making the handle is a get, swapping a set.
        let whole = format!("{}, of which the handle {}", told(swap), us(get));
        self.rows.push(Row::at_most("swap, without its handle", whole, swap - get, 1.3 * set, "1.3 × set"));
        Ok(())
    }

    fn batches(&mut self) -> Result<()> {
        step("batches of 100 keys");
        let times = self.times(4_000).to_string();
        for operation in ["get-many", "set-many"] {
            let arguments = [operation, &times, "100", "100"];
            let (ours, floor) = (self.time(Guest::Ours, &[], &arguments)?, self.time(Guest::Floor, &[], &arguments)?);
            let told = format!("{} = {:.2} × the floor's {}", us(ours), ours / floor, us(floor));
            self.rows.push(Row::at_most(operation, told, ours, 3.0 * floor, "3 × the floor's"));
        }
        Ok(())
    }

    fn large_values(&mut self) -> Result<()> {
        step("values of 64 KiB");
        let times = self.times(10_000).to_string();
        for (figure, operation) in [("get of 64 KiB", "get"), ("set of 64 KiB", "set")] {
            let arguments = [operation, &times, "10", "65536"];
            let (ours, floor) = (self.time(Guest::Ours, &[], &arguments)?, self.time(Guest::Floor, &[], &arguments)?);
            let mut told = format!("{} = {:.2} × the floor's {}", us(ours), ours / floor, us(floor));
            if operation == "set" {
                let pair = self.time(Guest::Calls, &[], &["append-read", &times, "65536"])?;
                told += &format!("; a bare append that is read back {}", us(pair));
            }
            self.rows.push(Row::at_most(figure, told, ours, 1.5 * floor, "1.5 × the floor's"));
        }
        Ok(())
    }

    fn large_stores(&mut self) -> Result<()> {
        let many = if self.quick { 50_000 } else { 1_000_000 };
        step(&format!("a store of {many} keys"));
        let (small, large) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let fill = |folder: &Path, keys: usize| {
            self.guests.run(Guest::Ours, folder, &[], &["fill", "1", &keys.to_string(), "100"])
        };
        fill(small.path(), 1000)?;
        fill(large.path(), many)?;
        let first = |folder: &Path, keys: usize| -> Result<f64> {
            let keys = keys.to_string();
            let mut runs = (0..15)
                .map(|_| self.guests.run(Guest::Ours, folder, &[], &["first-get", "1", &keys])?.context("no number"))
                .collect::<Result<Vec<f64>>>()?;
            runs.sort_by(f64::total_cmp);
            Ok(runs[runs.len() / 2])
        };
        let (of_few, of_many) = (first(small.path(), 1000)?, first(large.path(), many)?);
        let told = format!("{} = {:.2} × that of 1,000 keys, {}", us(of_many), of_many / of_few, us(of_few));
        self.rows.push(Row::at_most(
            "first get in a fresh instance",
            told,
            of_many,
            3.0 * of_few,
            "3 × that of 1,000 keys",
        ));

        step("memory, reading and writing at random");
        let program = kvfuse_tests::Program::new(&self.guests.bytes(Guest::Ours)?)?;
        let mixed = ["mixed", if self.quick { "5000" } else { "200000" }, &many.to_string(), "100"].map(String::from);
        let command = kvfuse_tests::Command::new(&mixed.each_ref().map(String::as_str)).dir(large.path(), "/");
        let outcome = program.run(&command)?;
        outcome.succeeded()?;
        let mib = outcome.peak_memory as f64 / f64::from(1 << 20);
        let told = format!("{mib:.1} MiB, consumer and provider together");
        self.rows.push(Row::at_most("peak guest memory", told, mib, 32.0, "32 MiB"));

        step("listing");
        let arguments = ["list", "1", &many.to_string()];
        let rate = self.guests.run(Guest::Ours, large.path(), &[], &arguments)?.context("no number")?;
        let told = format!("{:.0} keys a second", rate);
        self.rows.push(Row::at_least("listing every key", told, rate, 500_000.0, "500,000 keys a second"));
        Ok(())
    }

    fn overwriting(&mut self) -> Result<()> {
        step("every key overwritten 20 times");
        let folder = tempfile::tempdir()?;
        let keys = if self.quick { 2_000 } else { 20_000 };
        for _ in 0..21 {
            self.guests.run(Guest::Ours, folder.path(), &[], &["fill", "1", &keys.to_string(), "100"])?;
        }
        let (held, live) = (size(folder.path())?, (keys * (100 + "user:0000000".len())) as f64);
        let told = format!("{:.2} × the live data of {:.1} MB", held / live, live / 1e6);
        self.rows.push(Row::at_most("directory after overwriting", told, held, 3.0 * live, "3 × the live data"));
        Ok(())
    }

    fn processes(&mut self) -> Result<()> {
        step("8 processes, one counter");
        let each = self.times(10_000).max(1000);
        let folder = tempfile::tempdir()?;
        let count = |processes: usize, store: &Path| -> Result<f64> {
            let start = Instant::now();
            let children = (0..processes)
                .map(|_| self.guests.start(Guest::Ours, store, &[], &["count", &each.to_string()]))
                .collect::<Result<Vec<_>>>()?;
            for child in children {
                number(child)?;
            }
            Ok((processes * each) as f64 / start.elapsed().as_secs_f64())
        };
        let single = tempfile::tempdir()?;
        let (one, eight) = (count(1, single.path())?, count(8, folder.path())?);
        let sum = self.guests.run(Guest::Ours, folder.path(), &[], &["read-counter"])?.context("no number")?;
        anyhow::ensure!(sum == (8 * each) as f64, "8 processes added {each} each, and the counter says {sum}");
        let told = format!("exact; {eight:.0} a second in sum, {one:.0} by one alone, start-up included");
        self.rows.push(Row::at_least("8 processes on one counter", told, eight, one / 2.0, "half of one's rate"));
        Ok(())
    }
}

fn size(folder: &Path) -> Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        sum += if data.is_dir() { size(&entry.path())? } else { data.len() as f64 };
    }
    Ok(sum)
}
