//! The figures of flat components, beside the composed ones.

use crate::figures::Bench;
use crate::guests::Guest;
use crate::native;
use crate::row::{Row, step, us};
use anyhow::Result;
use kvfuse_curve::contender::scratch;

/// An operation, how often, and on what: the number of keys, and the size of a value or of a batch.
const WORKLOADS: [(&str, &str, usize, &str, &str); 6] = [
    ("get", "get", 100_000, "1000", "100"),
    ("set", "set", 100_000, "1000", "100"),
    ("get-many", "get-many", 4_000, "100", "100"),
    ("set-many", "set-many", 4_000, "100", "100"),
    ("get of 64 KiB", "get", 10_000, "10", "65536"),
    ("set of 64 KiB", "set", 10_000, "10", "65536"),
];

impl Bench<'_> {
    pub fn flat(&mut self) -> Result<()> {
        step("flat components");
        for (figure, operation, times, keys, size) in WORKLOADS {
            let times = self.times(times).to_string();
            let arguments = [operation, &times, keys, size];
            let run = |guest| self.time(guest, &[], &arguments);
            let (flat, composed) = (run(Guest::OursFlat)?, run(Guest::Ours)?);
            let (floor, composed_floor) = (run(Guest::FloorFlat)?, run(Guest::Floor)?);
            let host = run(Guest::Host)?;
            let told = format!("{}; composed {}, wasmtime's own host {}", us(floor), us(composed_floor), us(host));
            let title = format!("{figure}, flat, in memory");
            self.rows.push(Row::at_most(title, told, floor, host, "faster than wasmtime's own host"));
            let beside = format!("{}; composed {}, the flat floor {}", us(flat), us(composed), us(floor));
            self.files(figure, &times, (flat, composed), &beside)?;
        }
        Ok(())
    }

    /// The same over files, beside what the figure has to be measured by.
    fn files(&mut self, figure: &str, times: &str, (flat, composed): (f64, f64), beside: &str) -> Result<()> {
        let call = |arguments: &[&str]| self.time(Guest::Calls, &[], arguments);
        let title = format!("{figure}, flat");
        let row = match figure {
            "get" | "set" => {
                let folder = scratch()?;
                let wal = native::sqlite(folder.path(), true, self.times(100_000), 1000, 100)?;
                let wal = if figure == "get" { wal.get } else { wal.set };
                let told = format!("{beside}; {:.2} × sqlite-wal's {}", flat / wal, us(wal));
                if figure == "get" {
                    let read = call(&["read", times])?;
                    let own = format!("{} above the host read's {}", us(flat - read), us(read));
                    self.rows.push(Row::at_most(title.clone(), own, flat - read, 1_700.0, "1.7 µs above a host read"));
                    Row::at_most(title, told, flat, 0.75 * wal, "0.75 × sqlite-wal")
                } else {
                    Row::at_least(title, told, wal / flat, 2.5, "2.5 × faster than sqlite-wal")
                }
            }
            "get of 64 KiB" => {
                let read = call(&["read", times, "65536"])?;
                let told = format!("{beside}; a bare read {}", us(read));
                Row::at_most(title, told, flat, 2.0 * read, "2 × a bare read")
            }
            "set of 64 KiB" => {
                let pair = call(&["append-read", times, "65536"])?;
                let told = format!("{beside}; a bare append that is read back {}", us(pair));
                Row::at_most(title, told, flat, 1.3 * pair, "1.3 × a bare append that is read back")
            }
            _ => Row::at_most(title, beside.into(), flat, composed, "faster than composed"),
        };
        self.rows.push(row);
        Ok(())
    }
}
