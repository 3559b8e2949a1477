//! `make bench`: the fused providers beside their peers, all measured in one run.
//!
//! Guests run under the wasmtime command line and time themselves. Native peers run in this process. All use the same
//! keys in the same order.
//!
//! | file | |
//! |---|---|
//! | `figures`, `flat`, `scale`, `engines` | the figures of small stores, made flat, of large ones, of Redis, Memcached, etcd, Azure Tables, DynamoDB and S3 |
//! | `aws` | signed requests of DynamoDB and S3 |
//! | `platforms` | the figures of the asynchronous interfaces |
//! | `curve`, `fused`, `counting` | the curve over sizes, its fused contender, and host calls |
//! | `guests`, `native` | what is measured: fused guests, and native peers |
//! | `node` | fused guests on Node.js |
//! | `row`, `page`, `chart` | a figure, the text and the pictures |

mod aws;
mod chart;
mod counting;
mod curve;
mod engines;
mod figures;
mod flat;
mod fused;
mod guests;
mod native;
mod node;
mod page;
mod platforms;
mod row;
mod scale;

use anyhow::{Context, Result};
use guests::Guests;
use kvfuse_curve::drive::{Figures, Pace};
use kvfuse_curve::table;
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
usage: kvfuse-bench [--quick] [--sizes KEYS,KEYS...]    everything; writes docs/bench.md and its pictures
       kvfuse-bench --curve [--sizes ...] [--native] [--only NAME] [--write]
       kvfuse-bench --rows [--quick]                    everything but the curve, into docs/bench.md
       kvfuse-bench --engines                           the stores over servers only
       kvfuse-bench --platforms                         the asynchronous interfaces only
       kvfuse-bench --node                              on Node.js, through jco, only; NODE names another node
  --quick   fewer operations, smaller stores
  --curve   the curve over sizes only, quickly; with --write in full, into its section of docs/bench.md
  --sizes   keys of the stores of the curve
  --native  the file store without wasm as well
  --only    only the stores whose name contains this: kvfuse, 512M, SQLite, redb, native";

#[derive(Default)]
struct Options {
    quick: bool,
    curve: bool,
    rows: bool,
    engines: bool,
    platforms: bool,
    node: bool,
    native: bool,
    write: bool,
    sizes: Option<Vec<usize>>,
    only: String,
}

fn options() -> Result<Option<Options>> {
    let mut options = Options::default();
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("quick") => options.quick = true,
            Arg::Long("curve") => options.curve = true,
            Arg::Long("rows") => options.rows = true,
            Arg::Long("engines") => options.engines = true,
            Arg::Long("platforms") => options.platforms = true,
            Arg::Long("node") => options.node = true,
            Arg::Long("native") => options.native = true,
            Arg::Long("write") => options.write = true,
            Arg::Long("only") => options.only = arguments.value()?.string()?,
            Arg::Long("sizes") => {
                let sizes = arguments.value()?.string()?;
                let sizes = sizes.split(',').map(str::parse).collect::<Result<_, _>>();
                options.sizes = Some(sizes.context("--sizes takes numbers separated by commas")?);
            }
            Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected()).context(HELP),
        }
    }
    Ok(Some(options))
}

fn main() -> Result<()> {
    let Some(options) = options()? else {
        println!("{HELP}");
        return Ok(());
    };
    let mut rows = Vec::new();
    if options.engines || options.platforms {
        let measure = if options.engines { engines::measure } else { platforms::measure };
        measure(options.quick, &mut rows)?;
        println!("\n{}", page::terminal(&rows));
        return Ok(());
    }
    if options.node {
        println!("\n{}", page::terminal(&node::measure(options.quick)?));
        return Ok(());
    }
    let guests = Guests::build()?;
    let quick = options.quick || options.curve && !options.write;
    if !options.curve {
        rows = figures::measure(&guests, quick)?;
        println!("\n{}", page::terminal(&rows));
        if options.rows {
            return page::write_rows(&rows);
        }
    }
    let sizes =
        options.sizes.unwrap_or_else(|| if quick { vec![1_000, 100_000] } else { vec![1_000, 100_000, 1_000_000] });
    let pace = if quick { Pace::quick() } else { Pace::default() };
    let all = curve::measure(&guests, options.native, &options.only, &sizes, pace)?;
    print(&all);
    match (options.curve, options.write) {
        (false, _) => page::write(&rows, &all),
        (true, true) => page::write_curve(&all),
        (true, false) => Ok(()),
    }
}

fn print(all: &[Figures]) {
    println!(
        "Microseconds per operation:\n\n{}\nHost calls per operation:\n\n{}",
        table::curve(all),
        table::calls(all)
    );
    println!("{}", page::terminal(&curve::targets(all)));
}
