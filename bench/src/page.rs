//! The figures as text: a table for the terminal, and docs/bench.md.

use crate::chart;
use crate::curve::targets;
use crate::row::Row;
use anyhow::{Context, Result};
use kvfuse_curve::drive::Figures;
use kvfuse_curve::table;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

/// Where the section begins that `--curve --write` replaces.
const CURVE: &str = "## The curve over sizes\n";

const HEAD: &str = "\
How to read this page: kvfuse is a component fused with the file provider and run by the wasmtime command line. The
guest times itself. SQLite, redb, one file per key and the native clients run natively, without a boundary to wasm. The
**floor** is a provider that only answers from memory; the **bare exchange** and the bare host calls are made by a guest
that does nothing else. Unless noted otherwise there are 1,000 keys with values of 100 bytes. Each figure is the median
over slices of a hundred operations. Compare figures within one run, never between machines. *Without concurrency* is
the same component with the options that `kvfuse inspect` prints, `-S p3=n -W concurrency-support=n`; the curve over
sizes is measured with these options too, everything else with wasmtime's defaults.

*Flat* rows are the same parts as one [flat component](flat.md); those *in memory* are the flat floor.

*Share* is the figure divided by its target. The target is reached up to a share of 1.00.
";

const ABOUT_CURVE: &str = "
One instance, values of 100 bytes, keys in random order. Every store is filled and stays open. Its files are read once, so
that the system has them in memory, and then rounds alternate between the stores. Each figure is the mean over a round,
splits and checkpoints included, and of these the median over the rounds. Filling sets each key once, in an operation of
its own. There are a tenth as many counters as keys, in the same bucket. The bytes per key include all files, keys of 12
bytes and (after the rounds) the counters.

SQLite runs in WAL mode with synchronous=NORMAL, prepared statements and its default cache of 2 MB; each operation is a
transaction of its own. As with kvfuse's default, a write survives its process and may be lost in a power cut. redb runs
with its default cache of 1 GiB; single writes are committed with `Durability::None`, so they do not survive their
process, and every 10,000th is committed durably. Both run natively. kvfuse is what `kvfuse run` runs: fused flat, with
the options that `kvfuse inspect` prints; the rows named *composed* are fused with `--composed`. It has its default
memory, or `KEYVALUE_MEMORY=512M` in the rows named *memory 512M*.

`make bench-sizes` adds 10,000,000 keys, for kvfuse and SQLite. At that size, the time to fill is the mean over the first
30 seconds, when the store is still smaller; the rest is filled in batches. For work on the file store,
`cargo run --release --package kvfuse-curve` shows the same curve in a minute, with the store linked natively.
";

pub fn terminal(rows: &[Row]) -> String {
    let mut out = String::new();
    let width = |of: fn(&Row) -> &str| rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0);
    let (figure, target) = (width(|row| &row.figure), width(|row| row.target));
    for row in rows {
        let _ = writeln!(
            out,
            "{:<figure$}  {:<target$}  {:>6.2}  {:<7}  {}",
            row.figure,
            row.target,
            row.ratio,
            row.verdict(),
            row.measured
        );
    }
    out
}

fn markdown(rows: &[Row]) -> String {
    let mut out = String::from("| figure | target | share | | measured |\n|---|---|---|---|---|\n");
    for row in rows {
        let Row { figure, measured, ratio, target, .. } = row;
        let _ = writeln!(out, "| {figure} | {target} | {ratio:.2} | {} | {measured} |", row.verdict());
    }
    out
}

fn curve(all: &[Figures]) -> Result<String> {
    Ok(format!(
        "{CURVE}\n{}\n{ABOUT_CURVE}\n![Microseconds per operation over the number of keys](bench-curve.svg)\n\n\
         Microseconds per operation:\n\n{}\nHost calls per operation:\n\n{}\nTargets:\n\n{}",
        machine()?,
        table::curve(all),
        table::calls(all),
        markdown(&targets(all))
    ))
}

/// Writes docs/bench.md and its pictures.
pub fn write(rows: &[Row], all: &[Figures]) -> Result<()> {
    let head = head(rows)?;
    put("bench-curve.svg", &chart::curve(all))?;
    put("bench.md", &(head + &curve(all)?))
}

/// Writes everything in docs/bench.md that comes before the curve, and its picture.
pub fn write_rows(rows: &[Row]) -> Result<()> {
    let page = std::fs::read_to_string(path("bench.md"))?;
    let (_, curve) = page.split_once(CURVE).context("docs/bench.md has no curve: run `make bench`")?;
    put("bench.md", &format!("{}{CURVE}{curve}", head(rows)?))
}

fn head(rows: &[Row]) -> Result<String> {
    put("bench.svg", &chart::peers(rows))?;
    Ok(format!(
        "# Benchmarks\n\n{}\n\n{HEAD}\n![kvfuse and its peers in microseconds](bench.svg)\n\n{}\n",
        machine()?,
        markdown(rows)
    ))
}

/// Replaces the curve in docs/bench.md and its picture.
pub fn write_curve(all: &[Figures]) -> Result<()> {
    let page = std::fs::read_to_string(path("bench.md"))?;
    let rest = page.split(CURVE).next().unwrap_or_default();
    put("bench-curve.svg", &chart::curve(all))?;
    put("bench.md", &format!("{}\n\n{}", rest.trim_end(), curve(all)?))
}

fn path(name: &str) -> PathBuf {
    kvfuse_tests::root().join("docs").join(name)
}

fn put(name: &str, content: &str) -> Result<()> {
    std::fs::write(path(name), content).with_context(|| path(name).display().to_string())?;
    println!("written: docs/{name}");
    Ok(())
}

/// The machine and the date, in a sentence.
fn machine() -> Result<String> {
    let field = |file: &str, name: &str| -> Option<String> {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split(':').nth(1)?.trim().to_string())
    };
    let said = |program: &str, arguments: &[&str]| -> Option<String> {
        let output = Command::new(program).args(arguments).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.lines().last()?.trim().to_string())
    };
    let unknown = || "unknown".to_string();
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let cores = std::thread::available_parallelism()?;
    let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let memory = memory.map_or_else(unknown, |kib| format!("{:.0} GiB", kib / f64::from(1 << 20)));
    let scratch = kvfuse_curve::contender::scratch()?;
    let folder = scratch.path().display().to_string();
    let system = said("df", &["--output=fstype", &folder]).unwrap_or_else(unknown);
    let kernel = said("uname", &["-sr"]).unwrap_or_else(unknown);
    let kernel = kernel.split('-').next().unwrap_or_default();
    let date = said("date", &["-u", "+%F"]).unwrap_or_else(unknown);
    let wasmtime = kvfuse_tests::command_line()?.arg("--version").output()?;
    let wasmtime = String::from_utf8_lossy(&wasmtime.stdout);
    let wasmtime = wasmtime.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Ok(format!(
        "Measured on {date}: {model}, {cores} cores, {memory} of memory, {system}, {kernel}, {wasmtime}. One run of \
         `make bench`."
    ))
}
