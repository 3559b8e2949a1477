//! A provider that returns whatever number the test wants as a handle of its own.

use crate::pair::{Ended, Pair, Running};
use anyhow::{Context, Result, ensure};
use kvfuse_tests::raw::{Consumer, encode_text};

const WIT: &str = "package acme:keyvalue@1.0.0;
interface lender {
  resource thing { id: func() -> u32; }
  make: func(id: u32) -> u32;
  give: func(handle: u32) -> thing;
  discard: func(handle: u32);
  ended: func() -> u32;
}
world provider { export lender; }";

/// `make` tells the number of a new handle, `give` returns the number that it gets, and `discard` drops it. `ended` has
/// the identities of what was destroyed as its digits.
const LENDER: &str = r#"(module
  (import "[export]acme:keyvalue/lender@1.0.0" "[resource-new]thing" (func $new (param i32) (result i32)))
  (import "[export]acme:keyvalue/lender@1.0.0" "[resource-drop]thing" (func $drop (param i32)))
  (memory (export "memory") 1)
  (global $ended (mut i32) (i32.const 0))
  (func (export "acme:keyvalue/lender@1.0.0#[dtor]thing") (param i32)
    (global.set $ended (i32.add (i32.mul (global.get $ended) (i32.const 10)) (local.get 0))))
  (func (export "acme:keyvalue/lender@1.0.0#discard") (param i32) (call $drop (local.get 0)))
  (func (export "acme:keyvalue/lender@1.0.0#ended") (result i32) (global.get $ended))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "acme:keyvalue/lender@1.0.0#make") (param i32) (result i32) (call $new (local.get 0)))
  (func (export "acme:keyvalue/lender@1.0.0#give") (param i32) (result i32) (local.get 0))
  (func (export "acme:keyvalue/lender@1.0.0#[method]thing.id") (param i32) (result i32) (local.get 0))
)"#;

/// What a function returns; `None` if it traps.
fn number(running: &mut Running, consumer: &Consumer, name: &str, arguments: &[u64]) -> Result<Option<u64>> {
    Ok(match running.call(consumer.function(name), arguments)? {
        Ended::Returned(number) => Some(number),
        Ended::Trapped => None,
    })
}

fn lender() -> Result<(Consumer, Pair)> {
    let consumer = Consumer::of_text(WIT)?;
    let pair = Pair::new(&consumer.component, &encode_text(LENDER, WIT, "provider")?)?;
    Ok((consumer, pair))
}

/// More handles than one page of memory has room for, in both tables.
pub fn many() -> Result<()> {
    const MANY: u64 = 10_000;
    let (consumer, pair) = lender()?;
    let mut running = pair.start(None)?;
    let mut call = |name, argument| number(&mut running, &consumer, name, &[argument]);
    let made = (0..MANY).map(|id| Ok(call("#make", id)?.expect("a number"))).collect::<Result<Vec<_>>>()?;
    let given = made.iter().map(|made| Ok(call("#give", *made)?.expect("a handle"))).collect::<Result<Vec<_>>>()?;
    for (id, handle) in (0..MANY).zip(given) {
        ensure!(call("thing.id", handle)? == Some(id), "{handle} is another thing");
    }
    Ok(())
}

/// A thing is destroyed once, whoever drops it.
pub fn destroys() -> Result<()> {
    let (consumer, pair) = lender()?;
    let mut running = pair.start(None)?;
    let mut call = |name: &str, arguments: &[u64]| -> Result<u64> {
        number(&mut running, &consumer, name, arguments)?.with_context(|| format!("{name} trapped"))
    };
    let (first, second) = (call("#make", &[3])?, call("#make", &[4])?);
    let given = call("#give", &[first])?;
    ensure!(call("#ended", &[])? == 0, "nothing was dropped");
    call("[resource-drop]thing", &[given])?;
    ensure!(call("#ended", &[])? == 3, "the consumer dropped it");
    call("#discard", &[second])?;
    ensure!(call("#ended", &[])? == 34, "the provider dropped it");
    Ok(())
}

/// What it has can be given once, and what it does not have cannot be given.
pub fn gives() -> Result<()> {
    let (consumer, pair) = lender()?;
    let start = || -> Result<(Running, u64, u64)> {
        let mut running = pair.start(None)?;
        let made = number(&mut running, &consumer, "#make", &[7])?.expect("a number");
        let given = number(&mut running, &consumer, "#give", &[made])?.expect("a handle");
        Ok((running, made, given))
    };
    let (mut running, made, given) = start()?;
    ensure!(number(&mut running, &consumer, "thing.id", &[given])? == Some(7), "it is another thing");
    ensure!(number(&mut running, &consumer, "#give", &[made])?.is_none(), "it was given twice");
    for never in [0, 2, 100, 0xffff_ffff] {
        let (mut running, made, _) = start()?;
        ensure!(number(&mut running, &consumer, "#give", &[made + never])?.is_none(), "{never} was given");
    }
    // The place that became free is taken again.
    let (mut running, made, given) = start()?;
    let again = number(&mut running, &consumer, "#make", &[8])?;
    ensure!(again == Some(made), "{again:?} after {made}");
    let second = number(&mut running, &consumer, "#give", &[made])?.expect("a handle");
    for (handle, id) in [(given, 7), (second, 8)] {
        ensure!(number(&mut running, &consumer, "thing.id", &[handle])? == Some(id), "it is another thing");
    }
    Ok(())
}
