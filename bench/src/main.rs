//! `make bench`: the fused file provider beside its peers, every figure a ratio to a baseline of the same run.
//!
//! Guests run under the wasmtime command line and time themselves; the native peers run here. All of them see the same
//! keys in the same order.

mod chart;
mod engines;
mod figures;
mod guests;
mod native;

use anyhow::Result;

fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let mut rows = Vec::new();
    if std::env::args().any(|argument| argument == "--engines") {
        // Those alone, and nothing is written.
        engines::measure(quick, &mut rows)?;
        println!("\n{}", chart::table(&rows));
        return Ok(());
    }
    let guests = guests::Guests::build()?;
    rows.extend(figures::measure(&guests, quick)?);
    println!("\n{}", chart::table(&rows));
    let picture = kvfuse_tests::root().join("docs/bench.svg");
    std::fs::write(&picture, chart::svg(&rows))?;
    std::fs::write(kvfuse_tests::root().join("docs/bench.md"), chart::markdown(&rows))?;
    println!("written: docs/bench.svg, docs/bench.md");
    Ok(())
}
