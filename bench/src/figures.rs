//! The figures of a small store, their baselines and their targets.

use crate::guests::{Guest, Guests, STALE};
use crate::row::{FILES, FLOOR, HOST, KVFUSE, Row, SQLITE, WAL, step, us};
use crate::{engines, native, platforms};
use anyhow::{Context, Result};
use kvfuse_curve::contender::scratch;

pub struct Bench<'a> {
    pub guests: &'a Guests,
    pub quick: bool,
    pub rows: Vec<Row>,
}

pub fn measure(guests: &Guests, quick: bool) -> Result<Vec<Row>> {
    let mut bench = Bench { guests, quick, rows: Vec::new() };
    bench.single_keys()?;
    bench.batches()?;
    bench.large_values()?;
    bench.flat()?;
    bench.at_scale()?;
    engines::measure(quick, &mut bench.rows)?;
    platforms::measure(quick, &mut bench.rows)?;
    Ok(bench.rows)
}

impl Bench<'_> {
    pub fn times(&self, times: usize) -> usize {
        if self.quick { times / 20 } else { times }
    }

    /// One operation in a directory of its own, in nanoseconds.
    pub fn time(&self, guest: Guest, settings: &[&str], arguments: &[&str]) -> Result<f64> {
        let folder = scratch()?;
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
        let lean = [run(Guest::OursLean, &[], "get")?, run(Guest::OursLean, &[], "set")?];
        let lean_floor = [run(Guest::FloorLean, &[], "get")?, run(Guest::FloorLean, &[], "set")?];
        let remembered = [run(Guest::OursFlatLean, &[STALE], "get")?, run(Guest::OursLean, &[STALE], "get")?];
        let (read, append) =
            (self.time(Guest::Calls, &[], &["read", &times])?, self.time(Guest::Calls, &[], &["append", &times])?);
        step("native peers");
        let folders = [scratch()?, scratch()?, scratch()?];
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
        let sides = |ours, floor, host, wal, sqlite, files| {
            [(KVFUSE, ours), (FLOOR, floor), (HOST, host), (WAL, wal), (SQLITE, sqlite), (FILES, files)]
        };
        self.rows.push(
            Row::at_most("get", told, get - floor_get, 1.5 * read, "floor + 1.5 host calls")
                .pictured(sides(get, floor_get, host_get, wal.get, sqlite.get, files.get)),
        );
        let told = format!("{:.2} × sqlite-wal's {}", get / wal.get, us(wal.get));
        self.rows.push(Row::at_most("get", told, get, wal.get, "faster than sqlite-wal"));
        let told = beside("set", set, floor_set, host_set, wal.set, files.set, sqlite.set);
        let pair = self.time(Guest::Calls, &[], &["append-read", &times, "130"])?;
        let told = format!("{told}; the floor and a bare append that is read back {}", us(floor_set + pair));
        let call = (read + append) / 2.0;
        self.rows.push(
            Row::at_most("set", told, set - floor_set, 2.5 * call, "floor + 2.5 host calls")
                .pictured(sides(set, floor_set, host_set, wal.set, sqlite.set, files.set)),
        );
        let told = format!("{:.1} times faster than sqlite-wal", wal.set / set);
        self.rows.push(Row::at_least("set", told, wal.set / set, 3.0, "3 × faster than sqlite-wal"));
        let told = format!("{:.1} times faster than files", files.set / set);
        self.rows.push(Row::at_least("set", told, files.set / set, 30.0, "30 × faster than files"));

        let names = ["get, without concurrency", "set, without concurrency"];
        for (n, (ours, floor)) in [(get, floor_get), (set, floor_set)].into_iter().enumerate() {
            let told = format!(
                "{}, with wasmtime's defaults {}; the floor {} and {}",
                us(lean[n]),
                us(ours),
                us(lean_floor[n]),
                us(floor)
            );
            let row = Row::at_most(names[n], told, lean[n], ours, "faster than with the defaults");
            self.rows.push(row.pictured([(KVFUSE, lean[n]), (FLOOR, lean_floor[n])]));
        }

        let told = format!("{}; composed {}", us(remembered[0]), us(remembered[1]));
        self.rows.push(Row::at_most("get, bounded staleness", told, remembered[0], 600.0, "0.6 µs"));

        step("full durability");
        let few = self.times(4_000).to_string();
        let full = self.time(Guest::Ours, &["KEYVALUE_DURABILITY=full"], &["set", &few, "1000", "100"])?;
        let synced = self.time(Guest::Calls, &[], &["append-sync", &few])?;
        let told = format!("{}; one write + sync-data {}", us(full), us(synced));
        self.rows.push(Row::at_most("set, full durability", told, full, 1.3 * synced, "1.3 × write + sync-data"));
        let told = format!("{:.2} × sqlite's {}", full / sqlite.set, us(sqlite.set));
        self.rows.push(Row::at_most("set, full durability", told, full, sqlite.set, "faster than sqlite").pictured([
            (KVFUSE, full),
            (FLOOR, synced),
            (SQLITE, sqlite.set),
        ]));

        step("counters and swaps");
        let increment = self.time(Guest::Ours, &[], &["increment", &times])?;
        let swap = self.time(Guest::Swap, &[], &[&times])?;
        let told = |ns: f64| format!("{} = {:.2} × set", us(ns), ns / set);
        self.rows.push(Row::at_most("increment", told(increment), increment, 1.3 * set, "1.3 × set"));
        // A swap is two calls of the interface: making the handle costs a get, swapping a set.
        let whole = format!("{}, including {} for the handle", told(swap), us(get));
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
            let row = Row::at_most(operation, told, ours, 3.0 * floor, "3 × the floor's");
            self.rows.push(row.pictured([(KVFUSE, ours), (FLOOR, floor)]));
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
            let row = Row::at_most(figure, told, ours, 1.5 * floor, "1.5 × the floor's");
            self.rows.push(row.pictured([(KVFUSE, ours), (FLOOR, floor)]));
        }
        Ok(())
    }
}
