//! A provider that returns whatever number the test wants as a handle of its own.

use crate::pair::{Ended, Pair, Running};
use anyhow::{Result, ensure};
use kvfuse_tests::raw::{Consumer, encode};
use wit_parser::Resolve;

const WIT: &str = "package acme:keyvalue@1.0.0;
interface lender {
  resource thing { id: func() -> u32; }
  make: func(id: u32) -> u32;
  give: func(handle: u32) -> thing;
}
world provider { export lender; }";

/// `make` tells the number of a new handle, and `give` returns the number that it gets.
const LENDER: &str = r#"(module
  (import "[export]acme:keyvalue/lender@1.0.0" "[resource-new]thing" (func $new (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "acme:keyvalue/lender@1.0.0#make") (param i32) (result i32) (call $new (local.get 0)))
  (func (export "acme:keyvalue/lender@1.0.0#give") (param i32) (result i32) (local.get 0))
  (func (export "acme:keyvalue/lender@1.0.0#[method]thing.id") (param i32) (result i32) (local.get 0))
)"#;

fn number(running: &mut Running, consumer: &Consumer, name: &str, argument: u64) -> Result<Option<u64>> {
    Ok(match running.call(consumer.function(name), &[argument])? {
        Ended::Returned(number) => Some(number),
        Ended::Trapped => None,
    })
}

fn lender() -> Result<(Consumer, Pair)> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("lender.wit", WIT)?;
    let world = resolve.select_world(&[package], Some("provider"))?;
    let consumer = Consumer::of_text(WIT)?;
    let pair = Pair::new(&consumer.component, &encode(LENDER, &resolve, world)?)?;
    Ok((consumer, pair))
}

/// More handles than one page of memory has room for, in both tables.
pub fn many() -> Result<()> {
    const MANY: u64 = 10_000;
    let (consumer, pair) = lender()?;
    let mut running = pair.start(None)?;
    let mut call = |name, argument| number(&mut running, &consumer, name, argument);
    let made = (0..MANY).map(|id| Ok(call("#make", id)?.expect("a number"))).collect::<Result<Vec<_>>>()?;
    let given = made.iter().map(|made| Ok(call("#give", *made)?.expect("a handle"))).collect::<Result<Vec<_>>>()?;
    for (id, handle) in (0..MANY).zip(given) {
        ensure!(call("thing.id", handle)? == Some(id), "{handle} is another thing");
    }
    Ok(())
}

/// What it has can be given once, and what it does not have cannot be given.
pub fn gives() -> Result<()> {
    let (consumer, pair) = lender()?;
    let start = || -> Result<(Running, u64, u64)> {
        let mut running = pair.start(None)?;
        let made = number(&mut running, &consumer, "#make", 7)?.expect("a number");
        let given = number(&mut running, &consumer, "#give", made)?.expect("a handle");
        Ok((running, made, given))
    };
    let (mut running, made, given) = start()?;
    ensure!(number(&mut running, &consumer, "thing.id", given)? == Some(7), "it is another thing");
    ensure!(number(&mut running, &consumer, "#give", made)?.is_none(), "it was given twice");
    for never in [0, 2, 100, 0xffff_ffff] {
        let (mut running, made, _) = start()?;
        ensure!(number(&mut running, &consumer, "#give", made + never)?.is_none(), "{never} was given");
    }
    // The place that became free is taken again.
    let (mut running, made, given) = start()?;
    let again = number(&mut running, &consumer, "#make", 8)?;
    ensure!(again == Some(made), "{again:?} after {made}");
    let second = number(&mut running, &consumer, "#give", made)?.expect("a handle");
    for (handle, id) in [(given, 7), (second, 8)] {
        ensure!(number(&mut running, &consumer, "thing.id", handle)? == Some(id), "it is another thing");
    }
    Ok(())
}
