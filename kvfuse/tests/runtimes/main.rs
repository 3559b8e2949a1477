//! Every runtime with a command and a handler, on each store that it can have: what the README's table of runtimes says.
//!
//! A cell of the table is a test. `make test` runs those of runtimes that need not be fetched; `make test-runtimes` runs all of
//! them, and writes the table if they pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod cell;
mod chromium;
mod embedded;
mod native;
mod node;
#[path = "../support/mod.rs"]
mod support;
mod table;

use cell::{Cell, Program, Runtime};
use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::sync::Arc;

/// The rows, in the table's order.
fn runtimes() -> Vec<Arc<dyn Runtime>> {
    let mut rows: Vec<Arc<dyn Runtime>> = vec![Arc::new(native::Kvfuse)];
    rows.extend(native::Wasmtime::all().into_iter().map(|row| Arc::new(row) as Arc<dyn Runtime>));
    rows.extend([Arc::new(embedded::Rust) as Arc<dyn Runtime>, Arc::new(embedded::Python)]);
    rows.extend(node::Node::all().into_iter().map(|row| Arc::new(row) as Arc<dyn Runtime>));
    rows.push(Arc::new(chromium::Chromium));
    rows.extend(native::Wasmtime::foreign().into_iter().map(|row| Arc::new(row) as Arc<dyn Runtime>));
    rows
}

/// The versions of a runtime that tools/runtimes.sh fetches.
fn versions(runtime: &str) -> impl Iterator<Item = &'static str> {
    let lines = include_str!("../../../tools/runtimes.versions").lines();
    let rest = lines.filter_map(move |line| line.strip_prefix(runtime)?.strip_prefix(' '));
    rest.filter_map(|rest| rest.split(' ').next())
}

fn main() -> ExitCode {
    if let Some(code) = embedded::as_the_embedding() {
        return code;
    }
    let arguments = Arguments::from_args();
    let rows = runtimes();
    let mut trials = Vec::new();
    for row in &rows {
        for (program, store) in cell::columns() {
            if let Cell::Nothing(_) = row.expected(program, store) {
                continue;
            }
            let name = format!("{} runs {} on {}", row.name(), program.name(), store.name());
            let (row, cheap) = (row.clone(), row.is_cheap() && program != Program::Conformance);
            let trial = Trial::test(name, move || Ok(cell::check(&*row, program, store)?));
            trials.push(trial.with_ignored_flag(!cheap));
        }
    }
    let writes = std::env::var_os("KVFUSE_RUNTIMES_TABLE").is_some();
    if !writes {
        let rows = rows.clone();
        trials.push(Trial::test("the README has the table of these cells", move || Ok(table::check(&rows)?)));
    }
    trials.extend(embedded::documented());
    trials.extend(native::trials());
    trials.extend(chromium::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    if writes && !conclusion.has_failed() && conclusion.num_filtered_out == 0 && conclusion.num_ignored == 0 {
        table::write(&rows);
    }
    conclusion.exit_code()
}
