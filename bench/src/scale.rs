//! The figures of large stores, overwriting, mixed sizes and several processes.

use crate::figures::Bench;
use crate::fused::Fused;
use crate::guests::{Guest, number};
use crate::row::{Row, step, us};
use anyhow::{Context, Result, ensure};
use kvfuse_curve::contender::{Contender, Shape, scratch};
use kvfuse_curve::drive::{MANY, median, size};
use std::path::Path;
use std::time::Instant;

impl Bench<'_> {
    pub fn at_scale(&mut self) -> Result<()> {
        self.large_stores()?;
        self.overwriting()?;
        self.mixed()?;
        self.processes()
    }

    fn large_stores(&mut self) -> Result<()> {
        let many = if self.quick { 50_000 } else { 1_000_000 };
        step(&format!("a store of {many} keys"));
        let (small, large) = (scratch()?, scratch()?);
        let fill = |folder: &Path, keys: usize| {
            self.guests.run(Guest::Ours, folder, &[], &["fill", "1", &keys.to_string(), "100"])
        };
        fill(small.path(), 1000)?;
        fill(large.path(), many)?;
        let first = |folder: &Path, keys: usize| -> Result<f64> {
            let keys = keys.to_string();
            let runs = (0..15)
                .map(|_| self.guests.run(Guest::Ours, folder, &[], &["first-get", "1", &keys])?.context("no number"))
                .collect::<Result<Vec<f64>>>()?;
            Ok(median(runs))
        };
        let (of_few, of_many) = (first(small.path(), 1000)?, first(large.path(), many)?);
        let told = format!("{} = {:.2} × the {} with 1,000 keys", us(of_many), of_many / of_few, us(of_few));
        self.rows.push(Row::at_most(
            "first get in a fresh instance",
            told,
            of_many,
            1.5 * of_few,
            "1.5 × as long as with 1,000 keys",
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
        let told = format!("{rate:.0} keys a second");
        self.rows.push(Row::at_least("listing every key", told, rate, 500_000.0, "500,000 keys a second"));
        Ok(())
    }

    fn overwriting(&mut self) -> Result<()> {
        step("every key overwritten 20 times");
        let folder = scratch()?;
        let keys = if self.quick { 2_000 } else { 20_000 };
        for _ in 0..21 {
            self.guests.run(Guest::Ours, folder.path(), &[], &["fill", "1", &keys.to_string(), "100"])?;
        }
        let (held, live) = (size(folder.path())?, (keys * (100 + "user:0000000".len())) as f64);
        let told = format!("{:.2} × the live data of {:.1} MB", held / live, live / 1e6);
        self.rows.push(Row::at_most("directory after overwriting", told, held, 3.0 * live, "3 × the live data"));
        Ok(())
    }

    /// Small operations in a bucket that has large values too, beside one that has the same small values alone.
    fn mixed(&mut self) -> Result<()> {
        const OPERATIONS: [&str; 4] = ["get", "set", "set-many", "increment"];
        step("values of 10 bytes to 1 MiB in one bucket");
        let keys = if self.quick { 2_000 } else { 20_000 };
        let (rounds, round) = if self.quick { (3, 100) } else { (9, 400) };
        let contender = Fused::new("kvfuse", self.guests, Guest::OursLean)?;
        let folders = [scratch()?, scratch()?];
        let mut stores = Vec::new();
        for (folder, sizes) in folders.iter().zip(["small", "mixed"]) {
            let mut store = contender.open(folder.path(), Shape { keys, sizes })?;
            store.run("fill-random 0 0")?;
            store.run("counters 0 0")?;
            stores.push(store);
        }
        for operation in OPERATIONS {
            let mut figures = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                for (store, figures) in stores.iter_mut().zip(&mut figures) {
                    figures.push(store.run(&format!("{operation} {MANY} {round}"))?);
                }
            }
            let [small, mixed] = figures.map(median);
            let told = format!("{} = {:.2} × the {} in a bucket of small values", us(mixed), mixed / small, us(small));
            let figure = format!("{operation} of small values among large ones");
            self.rows.push(Row::at_most(figure, told, mixed, 1.5 * small, "1.5 × among small ones"));
        }
        Ok(())
    }

    fn processes(&mut self) -> Result<()> {
        let each = self.times(10_000).max(1000);
        let run = |processes: usize, store: &Path, arguments: &[&str]| -> Result<f64> {
            let start = Instant::now();
            let children = (0..processes)
                .map(|_| self.guests.start(Guest::Ours, store, &[], arguments))
                .collect::<Result<Vec<_>>>()?;
            for child in children {
                number(child)?;
            }
            Ok((processes * each) as f64 / start.elapsed().as_secs_f64())
        };
        let times = each.to_string();
        step("8 processes, one counter");
        let (single, shared) = (scratch()?, scratch()?);
        let (one, eight) = (run(1, single.path(), &["count", &times])?, run(8, shared.path(), &["count", &times])?);
        let sum = self.guests.run(Guest::Ours, shared.path(), &[], &["read-counter"])?.context("no number")?;
        ensure!(sum == (8 * each) as f64, "8 processes added {each} each, and the counter says {sum}");
        let told = format!("exact; {eight:.0} a second in total, {one:.0} by one process, start-up included");
        let row = Row::at_least("8 processes on one counter", told, eight, one / 2.0, "half of one process's rate");

        step("8 processes, reading and writing");
        let store = scratch()?;
        self.guests.run(Guest::Ours, store.path(), &[], &["fill", "1", "10000", "100"])?;
        let mixed = ["mixed", &times, "10000", "100"];
        let (one, eight) = (run(1, store.path(), &mixed)?, run(8, store.path(), &mixed)?);
        let told = format!(
            "{eight:.0} gets and as many sets a second in total over 10,000 keys, {one:.0} by one process, start-up \
             included"
        );
        self.rows.push(row);
        let half = "half of one process's rate";
        self.rows.push(Row::at_least("8 processes reading and writing", told, eight, one / 2.0, half));
        Ok(())
    }
}
