//! A provider that returns whatever the test wants: results with bad pointers, cases that do not exist, bytes that are no
//! text. The consumer must get from it flat what it gets composed.

use crate::pair::{Ended, Pair};
use crate::random::Random;
use anyhow::{Context, Result, ensure};
use kvfuse_tests::raw::{Consumer, Misbehaviour, SCRATCH, encode_text};

const WIT: &str = "package acme:keyvalue@1.0.0;
interface liar {
  variant error { none, text(string), number(u64), small(u8) }
  enum colour { red, green, blue }
  record mixed {
    flag: bool,
    small: u8,
    short: s16,
    colour: colour,
    numbers: list<u64>,
    shorts: list<u16>,
    pairs: list<tuple<bool, string>>,
  }
  write: func(at: u32, bytes: u64);
  one: func(at: u32) -> result<list<string>, error>;
  two: func(at: u32) -> option<tuple<string, option<list<u8>>>>;
  three: func(at: u32) -> mixed;
  four: func(at: u32) -> string;
  five: func(at: u32) -> list<list<option<colour>>>;
  flag: func(value: u32) -> bool;
  colour-of: func(value: u32) -> colour;
  small: func(value: u32) -> u8;
  short: func(value: u32) -> s16;
  trap: func();
  mix: func(flag: bool, small: u8, signed: s8, short: u16, error: error, number: option<u64>) -> u64;
  nest: func(items: list<tuple<u8, error>>, colours: list<colour>) -> u64;
}
world provider { export liar; }";

/// Its functions return the pointers and numbers that the test chose. What is allocated is where `write` never writes.
const LIAR: &str = r#"(module
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 0x20000))
  (global $posts (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
                            (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    ;; What it gives may be somewhere else.
    (i32.add (local.get $at) (i32.load (i32.const 8))))
  (func (export "acme:keyvalue/liar@1.0.0#write") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func $give (param i32) (result i32) (local.get 0))
  (func $post (param i32) (global.set $posts (i32.add (global.get $posts) (i32.add (local.get 0) (i32.const 1)))))
  {EXPORTS}
  (func (export "acme:keyvalue/liar@1.0.0#trap") unreachable)
  ;; A sum of everything that it gets, so that each argument counts.
  (func $add (param $sum i64) (param $more i64) (result i64)
    (i64.add (i64.mul (local.get $sum) (i64.const 1099511628211)) (local.get $more)))
  (func $memory (param $at i32) (param $end i32) (result i64)
    (local $sum i64)
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $sum (call $add (local.get $sum) (i64.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more)))
    (local.get $sum))
  (func (export "acme:keyvalue/liar@1.0.0#mix")
    (param i32 i32 i32 i32) (param $case i32) (param i64 i32) (param i32 i64) (result i64)
    (local $sum i64)
    (local.set $sum (i64.extend_i32_u (global.get $posts)))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get 0))))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get 1))))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get 2))))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get 3))))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get $case))))
    (local.set $sum (call $add (local.get $sum) (local.get 5)))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get 6))))
    (local.set $sum (call $add (local.get $sum) (i64.extend_i32_u (local.get 7))))
    (local.set $sum (call $add (local.get $sum) (local.get 8)))
    (call $add (local.get $sum) (call $memory (i32.const 0x20000) (global.get $free))))
  (func (export "acme:keyvalue/liar@1.0.0#nest") (param i32 i32 i32 i32) (result i64)
    (call $add (i64.extend_i32_u (i32.add (local.get 1) (local.get 3)))
      (call $memory (i32.const 0x20000) (global.get $free))))
)"#;

fn provider() -> Result<Vec<u8>> {
    let names = ["one", "two", "three", "four", "five", "flag", "colour-of", "small", "short"];
    let exports = names.map(|name| {
        let export = format!("acme:keyvalue/liar@1.0.0#{name}");
        format!("(export \"{export}\" (func $give)) (export \"cabi_post_{export}\" (func $post))\n")
    });
    encode_text(&LIAR.replace("{EXPORTS}", &exports.concat()), WIT, "provider")
}

/// Words that make lies: numbers of cases, places and lengths that just fit or just do not.
pub fn word(random: &mut Random) -> u32 {
    const WORDS: [u32; 16] = [
        0,
        1,
        2,
        3,
        4,
        7,
        0x100,
        0x108,
        0x1f0,
        0x3_fff8,
        0x3_fffc,
        0x4_0000,
        0x1000_0000,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
    ];
    match random.below(6) {
        0 => WORDS[random.below(WORDS.len())],
        1 => 0x100 + 4 * random.below(64) as u32,
        2 => random.below(0x1_0000) as u32,
        _ => random.below(4) as u32,
    }
}

/// Runs `programs` of them.
pub fn compare(seeds: std::ops::Range<u64>) -> Result<()> {
    let consumer = Consumer::of_text(WIT)?;
    let pair = Pair::new(&consumer.component, &provider()?)?;
    let (mut returned, mut trapped) = (std::collections::BTreeMap::new(), 0);
    for seed in seeds {
        let mut random = Random(seed);
        let mut running = pair.start(None)?;
        for number in 0..60 {
            let context = || format!("seed {seed}, call {number}");
            // The provider's memory, and the consumer's.
            for _ in 0..4 {
                let at = 0x100 + 8 * random.below(32) as u32;
                let bytes = u64::from(word(&mut random)) | u64::from(word(&mut random)) << 32;
                let write = consumer.function("#write");
                running.call(write, &[u64::from(at), bytes]).with_context(context)?;
                running.poke(at, &bytes.rotate_left(random.below(2) as u32 * 32).to_le_bytes())?;
            }
            if random.below(30) == 0 {
                running.misbehave(Misbehaviour::ALL[random.below(10)], random.below(3) as u32)?;
            }
            let raw = &consumer.functions[random.below(consumer.functions.len())];
            if raw.name.ends_with("#write") || raw.name.ends_with("#trap") {
                continue;
            }
            let many = raw.core.len();
            let mut core: Vec<u64> = raw
                .core
                .iter()
                .map(|wide| match wide {
                    true => u64::from(word(&mut random)) | u64::from(word(&mut random)) << 32,
                    false => u64::from(word(&mut random)),
                })
                .collect();
            // Where the provider says its result is, and where the consumer wants it: mostly a place that is one.
            if many == 2 && random.below(8) > 0 {
                core = vec![0x100 + 8 * random.below(16) as u64, u64::from(SCRATCH.end) - 0x1000];
            }
            match running.call(raw, &core).with_context(|| format!("{}, {}{core:x?}", context(), raw.name))? {
                Ended::Returned(_) => *returned.entry(raw.name.clone()).or_insert(0) += 1,
                Ended::Trapped => {
                    trapped += 1;
                    break;
                }
            }
        }
    }
    for raw in &consumer.functions {
        let other = raw.name.ends_with("#write") || raw.name.ends_with("#trap");
        ensure!(other || returned.contains_key(&raw.name), "{} never returned", raw.name);
    }
    ensure!(trapped > 10, "only {trapped} lies were found out");
    Ok(())
}

/// Its allocator gives places that are not aligned, or not there.
pub fn allocates() -> Result<()> {
    let consumer = Consumer::of_text(WIT)?;
    let pair = Pair::new(&consumer.component, &provider()?)?;
    for (beside, taken) in [(0u64, true), (8, true), (1, false), (4, false), (0x3_0000, false), (0x7fff_0000, false)] {
        let mut running = pair.start(None)?;
        running.call(consumer.function("#write"), &[8, beside])?;
        let items = u64::from(SCRATCH.start.next_multiple_of(8));
        let ended = running.call(consumer.function("#nest"), &[items, 2, items, 0])?;
        ensure!(matches!(ended, Ended::Returned(_)) == taken, "{beside:#x} beside its place: {ended:?}");
    }
    Ok(())
}

/// A provider that traps ends both.
pub fn traps() -> Result<()> {
    let consumer = Consumer::of_text(WIT)?;
    let mut running = Pair::new(&consumer.component, &provider()?)?.start(None)?;
    ensure!(running.call(consumer.function("#flag"), &[3])? == Ended::Returned(1), "a flag is 0 or 1");
    ensure!(running.call(consumer.function("#trap"), &[])? == Ended::Trapped, "it did not trap");
    Ok(())
}
