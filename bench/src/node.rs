//! The floor on Node.js, as jco transpiles it: composed, flat with two memories in a module, and flat with one.

use crate::guests::flat;
use crate::row::{Row, step, us};
use anyhow::{Context, Result, ensure};
use kvfuse_compose::{Memories, compose};
use kvfuse_tests::{component, guest, root};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Transpiles with these options what was made so.
struct Form {
    name: &'static str,
    options: &'static [&'static str],
    make: fn(&[u8], &[u8]) -> Result<Vec<u8>>,
}

/// The first one is what the others are measured by.
const FORMS: [Form; 4] = [
    Form { name: "composed", options: &[], make: |consumer, provider| Ok(compose(consumer, provider)?) },
    Form {
        name: "composed, --multi-memory",
        options: &["--multi-memory"],
        make: |consumer, provider| Ok(compose(consumer, provider)?),
    },
    Form {
        name: "flat, --multi-memory",
        options: &["--multi-memory"],
        make: |consumer, provider| flat(consumer, provider, Memories::Two),
    },
    Form {
        name: "flat with one memory",
        options: &[],
        make: |consumer, provider| flat(consumer, provider, Memories::One),
    },
];

/// The operation, the number of keys, the size of a value, and how often it is done composed and flat.
const WORKLOADS: [(&str, &str, &str, &str, [usize; 2]); 4] = [
    ("get", "get", "1000", "100", [10_000, 400_000]),
    ("set", "set", "1000", "100", [10_000, 400_000]),
    ("get of 64 KiB", "get", "10", "65536", [100, 20_000]),
    ("set of 64 KiB", "set", "10", "65536", [100, 20_000]),
];

const ROUNDS: usize = 3;

/// The runtime, which `NODE` names if it is not the one on the path.
fn node() -> Command {
    Command::new(std::env::var_os("NODE").unwrap_or_else(|| "node".into()))
}

pub fn measure(quick: bool) -> Result<Vec<Row>> {
    let tools = std::env::var_os("KVFUSE_TOOLS").map_or_else(|| root().join(".tools"), PathBuf::from);
    let packages = tools.join("node-packages/node_modules").canonicalize().context("make languages fetches jco")?;
    let (consumer, provider) = (guest("bench")?, component("bench-floor")?);
    let folder = tempfile::tempdir()?;
    let mut programs = Vec::new();
    for (number, form) in FORMS.iter().enumerate() {
        step(&format!("jco transpile: {}", form.name));
        let program = transpile(&folder, number, &(form.make)(&consumer, &provider)?, form, &packages)?;
        // Node before version 22 has no modules with two memories.
        match run(&program, &["get", "100", "10", "100"]) {
            Ok(_) => programs.push((form, program)),
            Err(error) if form.options.is_empty() => return Err(error),
            Err(_) => step("this Node refuses it"),
        }
    }
    let mut rows = Vec::new();
    for (figure, operation, keys, size, times) in WORKLOADS {
        step(&format!("{figure}, on Node"));
        let mut figures = vec![Vec::new(); programs.len()];
        for _ in 0..if quick { 1 } else { ROUNDS } {
            for ((form, program), figures) in programs.iter().zip(&mut figures) {
                let [composed, flat] = times;
                let times = if form.name.starts_with("composed") { composed } else { flat };
                let times = if quick { times.div_ceil(10).max(100) } else { times };
                figures.push(run(program, &[operation, &times.to_string(), keys, size])?);
            }
        }
        let medians: Vec<f64> = figures.iter_mut().map(|figures| median(figures)).collect();
        let Some((composed, others)) = medians.split_first() else { continue };
        for ((form, _), flat) in programs.iter().skip(1).zip(others) {
            let ratio = composed / flat;
            let told = format!("{}, composed {}: {ratio:.0} times", us(*flat), us(*composed));
            let title = format!("{figure}, on Node: {}", form.name);
            rows.push(match form.name.starts_with("composed") {
                true => Row::at_least(title, told, ratio, 1.0, "as fast as composed"),
                false => Row::at_least(title, told, ratio, 30.0, "30 × faster than composed"),
            });
        }
    }
    Ok(rows)
}

/// The folder of what jco makes of a component.
fn transpile(folder: &TempDir, number: usize, bytes: &[u8], form: &Form, packages: &Path) -> Result<PathBuf> {
    let out = folder.path().join(number.to_string());
    std::fs::create_dir(&out)?;
    std::fs::write(out.join("bench.wasm"), bytes)?;
    // The name of the demo: the script is the one that runs it.
    let made = node()
        .arg(packages.join("@bytecodealliance/jco/dist/jco.js"))
        .args(["transpile", "bench.wasm", "--name", "kv_demo", "--out-dir", "."])
        .args(form.options)
        .current_dir(&out)
        .output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::os::unix::fs::symlink(packages, out.join("node_modules"))?;
    std::fs::write(out.join("package.json"), "{\"type\":\"module\"}\n")?;
    std::fs::write(out.join("run.js"), include_str!("../../demo-consumer/javascript/node.js"))?;
    Ok(out)
}

/// Nanoseconds for each operation.
fn run(program: &Path, arguments: &[&str]) -> Result<f64> {
    let ran = node().args(["run.js", "data"]).args(arguments).current_dir(program).output()?;
    ensure!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let text = String::from_utf8(ran.stdout)?;
    text.trim().parse().with_context(|| format!("it printed {text:?}"))
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
