//! The curve over sizes without wasm: kvfuse's file store linked natively, beside SQLite and redb.

use anyhow::{Context, Result};
use kvfuse_curve::contender::{Contender, Native, Peer};
use kvfuse_curve::drive::{Pace, curve};
use kvfuse_curve::table;
use lexopt::{Arg, ValueExt};

const HELP: &str =
    "usage: kvfuse-curve [--sizes 1000,100000] [--memory BYTES] [--only NAME] [--rounds N] [--round MS] [--fill S]
  --sizes   keys of each store, in commas
  --memory  adds the file store with this much memory (what KEYVALUE_MEMORY sets)
  --only    only the stores whose name contains this: native, larger, SQLite, redb
  --rounds, --round, --fill  how many rounds, their milliseconds, and the seconds of filling that are timed";

fn main() -> Result<()> {
    let (mut sizes, mut pace, mut memory, mut only) = (vec![1_000, 100_000], Pace::quick(), None, String::new());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("sizes") => {
                let text = arguments.value()?.string()?;
                sizes = text.split(',').map(str::parse).collect::<Result<_, _>>().context("--sizes takes numbers")?;
            }
            Arg::Long("memory") => memory = Some(arguments.value()?.parse()?),
            Arg::Long("only") => only = arguments.value()?.string()?,
            Arg::Long("rounds") => pace.rounds = arguments.value()?.parse()?,
            Arg::Long("round") => pace.round = arguments.value()?.parse()?,
            Arg::Long("fill") => pace.fill = arguments.value()?.parse()?,
            Arg::Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(other.unexpected()).context(HELP),
        }
    }
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(Native { memory: None })];
    if memory.is_some() {
        contenders.push(Box::new(Native { memory }));
    }
    contenders.extend([Box::new(Peer::Sqlite) as Box<dyn Contender>, Box::new(Peer::Redb)]);
    contenders.retain(|contender| contender.name().contains(&only));
    let contenders: Vec<&dyn Contender> = contenders.iter().map(AsRef::as_ref).collect();
    let all = curve(&contenders, &sizes, pace)?;
    println!(
        "Microseconds per operation\n\n{}\nCalls of the file port per operation\n\n{}",
        table::curve(&all),
        table::calls(&all)
    );
    Ok(())
}
