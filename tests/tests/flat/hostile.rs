//! A consumer that means harm, one way at a time.

use crate::pair::{Ended, Pair, Running};
use anyhow::{Context, Result, ensure};
use kvfuse_tests::component;
use kvfuse_tests::raw::{Consumer, MEMORY, Misbehaviour, Raw, SCRATCH};

/// Where results go.
const RESULT: u32 = 0x1_0000;

/// A running consumer of `draft2` with handles: a bucket with the key `n`, and a compare-and-swap of it.
struct Shop<'a> {
    consumer: &'a Consumer,
    running: Running,
    bucket: u32,
    cas: u32,
}

impl<'a> Shop<'a> {
    fn open(consumer: &'a Consumer, mut running: Running, bucket: &str) -> Result<Self> {
        running.poke(SCRATCH.start, &[bucket.as_bytes(), b"        "].concat())?;
        running.poke(SCRATCH.start + 0x40, b"n1      ")?;
        let open = [u64::from(SCRATCH.start), bucket.len() as u64, u64::from(RESULT)];
        running.call(consumer.function("#open"), &open)?;
        let opened = running.peek(RESULT)?.context("memory")?;
        ensure!(opened as u8 == 0, "the bucket does not open");
        let bucket = (opened >> 32) as u32;
        let (key, value) = (u64::from(SCRATCH.start + 0x40), u64::from(SCRATCH.start + 0x41));
        let mut shop = Self { consumer, running, bucket, cas: 0 };
        shop.returns("bucket.set", &[u64::from(bucket), key, 1, value, 1, u64::from(RESULT)])?;
        shop.returns("cas.new", &[u64::from(bucket), key, 1, u64::from(RESULT)])?;
        shop.cas = (shop.running.peek(RESULT)?.context("memory")? >> 32) as u32;
        Ok(shop)
    }

    fn returns(&mut self, name: &str, core: &[u64]) -> Result<()> {
        let ended = self.running.call(self.consumer.function(name), core).with_context(|| name.to_string())?;
        ensure!(ended != Ended::Trapped, "{name}{core:?} trapped");
        Ok(())
    }

    /// Arguments for a function that are right: its handles, the key `n`, and the result's place.
    fn right(&self, raw: &Raw) -> Vec<u64> {
        let (bucket, cas) = (u64::from(self.bucket), u64::from(self.cas));
        let (key, result) = (u64::from(SCRATCH.start + 0x40), u64::from(RESULT));
        let name = raw.name.rsplit_once('#').map_or(raw.name.as_str(), |(_, name)| name);
        match name {
            "open" => vec![u64::from(SCRATCH.start), 8, result],
            "[method]bucket.get" | "[method]bucket.delete" | "[method]bucket.exists" | "[static]cas.new" => {
                vec![bucket, key, 1, result]
            }
            "[method]bucket.set" => vec![bucket, key, 1, key, 1, result],
            "[method]bucket.list-keys" => vec![bucket, 0, 0, 0, result],
            "[method]cas.current" => vec![cas, result],
            "swap" => vec![cas, key, 1, result],
            "increment" => vec![bucket, key, 1, 1, result],
            "[resource-drop]bucket" => vec![bucket],
            "[resource-drop]cas" => vec![cas],
            // Lists, which are empty.
            _ => vec![bucket, 0, 0, result],
        }
    }
}

fn draft2() -> Result<(Consumer, Pair)> {
    let consumer = Consumer::of("draft2")?;
    let pair = Pair::new(&consumer.component, &component("keyvalue")?)?;
    Ok((consumer, pair))
}

pub fn every_handle_number() -> Result<()> {
    let (consumer, pair) = draft2()?;
    let numbers = (0..40).chain([255, 0x0fff_fffe, 0x0fff_ffff, 0x1000_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
    let (mut trapped, mut returned) = (0, 0);
    for number in numbers {
        for raw in consumer.functions.iter().filter(|raw| !raw.name.ends_with("#open")) {
            let mut shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
            let mut core = shop.right(raw);
            core[0] = u64::from(number);
            match shop.running.call(raw, &core).with_context(|| format!("{}{core:?}", raw.name))? {
                Ended::Trapped => trapped += 1,
                Ended::Returned(_) => returned += 1,
            }
        }
    }
    // There are two handles, and each function takes one of them.
    let functions = consumer.functions.len() - 1;
    ensure!(returned == functions && trapped == 46 * functions, "{returned} returned, {trapped} trapped");
    Ok(())
}

/// What is given away or dropped is gone.
pub fn a_handle_that_is_gone() -> Result<()> {
    let (consumer, pair) = draft2()?;
    for gone in ["swap", "[resource-drop]cas", "[resource-drop]bucket"] {
        for again in ["swap", "[resource-drop]cas", "cas.current", "bucket.get", "[resource-drop]bucket"] {
            let mut shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
            let first = consumer.function(gone);
            let core = shop.right(first);
            ensure!(shop.running.call(first, &core)? != Ended::Trapped, "{gone} trapped");
            let second = consumer.function(again);
            let core = shop.right(second);
            let ended = shop.running.call(second, &core).with_context(|| format!("{gone}, then {again}"))?;
            let of = |name: &str| name.ends_with("bucket") || name.starts_with("bucket");
            ensure!((ended == Ended::Trapped) == (of(gone) == of(again)), "{gone}, then {again}: {ended:?}");
        }
    }
    Ok(())
}

/// Each way in which an allocator can misbehave, at each of its calls within each function.
pub fn every_allocator() -> Result<()> {
    let (consumer, pair) = draft2()?;
    let mut within = 0;
    for how in Misbehaviour::ALL {
        for raw in &consumer.functions {
            for after in 0..5 {
                let mut shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
                let mut core = shop.right(raw);
                if raw.name.ends_with("-many") {
                    // Three keys, and pairs of one place: a list of both shapes.
                    let key = (SCRATCH.start + 0x40).to_le_bytes();
                    let one = [&key[..], &1u32.to_le_bytes()].concat();
                    shop.running.poke(SCRATCH.start + 0x100, &one.repeat(8))?;
                    core = vec![core[0], u64::from(SCRATCH.start + 0x100), 3, u64::from(RESULT)];
                }
                shop.running.misbehave(how, after)?;
                let ended = shop.running.call(raw, &core).with_context(|| format!("{how:?} {after}, {}", raw.name))?;
                within +=
                    usize::from(ended == Ended::Trapped && matches!(how, Misbehaviour::Calls | Misbehaviour::Drops));
                let harmless = matches!(how, Misbehaviour::No | Misbehaviour::Grows);
                ensure!(!harmless || ended != Ended::Trapped, "{how:?} {after}, {}", raw.name);
            }
        }
    }
    ensure!(within > 10, "only {within} calls within a call were stopped");
    Ok(())
}

/// Every length at which the way of copying changes comes through whole, both ways.
pub fn every_length() -> Result<()> {
    let (consumer, pair) = draft2()?;
    let mut shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
    let (key, value) = (SCRATCH.start + 0x40, SCRATCH.start + 0x100);
    let lengths = (0..40).chain(240..280).chain([511, 512, 4095, 4096, 65_535, 65_536, 80_000]);
    for length in lengths {
        let bytes: Vec<u8> = (0..length).map(|index| (index * 7 + length) as u8).collect();
        shop.running.poke(value, &bytes)?;
        let bucket = u64::from(shop.bucket);
        let set = [bucket, u64::from(key), 1, u64::from(value), length as u64, u64::from(RESULT) + 0x8000];
        shop.returns("bucket.set", &set)?;
        // The key is as long, where that is short: all of it letters.
        let text: Vec<u8> = (0..length.min(600)).map(|index| b'a' + (index % 26) as u8).collect();
        shop.running.poke(value, &[&text[..], "ü".as_bytes()].concat())?;
        for more in [0, 2] {
            let name = [bucket, u64::from(value), (text.len() + more) as u64, u64::from(RESULT) + 0x8000];
            shop.returns("bucket.exists", &name)?;
            shop.returns("bucket.set", &[name[0], name[1], name[2], name[1], 1, name[3]])?;
        }
        shop.returns("bucket.get", &[bucket, u64::from(key), 1, u64::from(RESULT) + 0x8000])?;
        let place = shop.running.peek(RESULT + 0x8008)?.context("memory")?;
        ensure!((place >> 32) as usize == length, "{length} bytes became {}", place >> 32);
        for (index, word) in bytes.chunks(8).enumerate() {
            let got = shop.running.peek(place as u32 + 8 * index as u32)?.context("memory")?.to_le_bytes();
            ensure!(got[..word.len()] == *word, "{length} bytes differ at {}", 8 * index);
        }
        shop.returns("bucket.list-keys", &[bucket, 0, 0, 0, u64::from(RESULT) + 0x8000])?;
    }
    Ok(())
}

/// Text that may be UTF-8 or not, where the standard library says which.
pub fn every_kind_of_text() -> Result<()> {
    let (consumer, pair) = draft2()?;
    const LEADS: [u8; 19] = [
        0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5,
        0xff,
    ];
    const SECONDS: [u8; 10] = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff];
    const LASTS: [&[u8]; 7] = [b"", b"\x80", b"\xbf", b"a", b"\xbf\x80", b"\x80\xbf", b"\xc2\x80"];
    let exists = consumer.function("bucket.exists");
    let mut shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
    let mut refused = 0;
    for start in [&b""[..], b"123456789"] {
        for lead in LEADS {
            for second in SECONDS {
                for last in LASTS {
                    let text = [start, &[lead, second], last].concat();
                    shop.running.poke(SCRATCH.start + 0x100, &text)?;
                    let (bucket, place) = (u64::from(shop.bucket), u64::from(SCRATCH.start + 0x100));
                    let core = [bucket, place, text.len() as u64, u64::from(RESULT)];
                    let ended = shop.running.call(exists, &core).with_context(|| format!("{text:x?}"))?;
                    let valid = std::str::from_utf8(&text).is_ok();
                    ensure!((ended != Ended::Trapped) == valid, "{text:x?} ended with {ended:?}");
                    if ended == Ended::Trapped {
                        refused += 1;
                        shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
                    }
                }
            }
        }
    }
    ensure!(refused > 1000, "only {refused} were refused");
    Ok(())
}

/// Nothing, at a place that is not there: no byte is read, and still the place has to exist.
pub fn nothing_at_every_place() -> Result<()> {
    let (consumer, pair) = draft2()?;
    for name in ["bucket.exists", "delete-many"] {
        for place in [0, MEMORY - 4, MEMORY, MEMORY + 4, 0x8000_0000, u32::MAX - 3] {
            let mut shop = Shop::open(&consumer, pair.start(None)?, ":memory:")?;
            let core = [u64::from(shop.bucket), u64::from(place), 0, u64::from(RESULT)];
            let ended =
                shop.running.call(consumer.function(name), &core).with_context(|| format!("{name}{core:x?}"))?;
            ensure!((ended == Ended::Trapped) == (place > MEMORY), "{name}{core:x?} ended with {ended:?}");
        }
    }
    Ok(())
}

const FILESYSTEM: &str = "package wasi:filesystem@0.2.12;
interface types { resource descriptor { is-same-object: func(other: borrow<descriptor>) -> bool; } }";
const IO: &str = "package wasi:io@0.2.12;
interface poll { resource pollable { ready: func() -> bool; } }
interface streams { resource input-stream; resource output-stream; }";

/// The consumer imports the very interfaces of the host that the provider does, and has no handle of them. The provider
/// has some: directories, files, streams.
pub fn the_providers_own_handles() -> Result<()> {
    let consumer = Consumer::with("draft2", &[FILESYSTEM, IO])?;
    let pair = Pair::new(&consumer.component, &component("keyvalue")?)?;
    let of_host = |raw: &&Raw| raw.name.starts_with("wasi:filesystem/") || raw.name.starts_with("wasi:io/");
    let host: Vec<&Raw> = consumer.functions.iter().filter(of_host).collect();
    ensure!(host.len() == 6, "{} functions of the host", host.len());
    for raw in host {
        for number in (0..32).chain([0x0fff_ffff, 0x1000_0000, u32::MAX]) {
            let folders = [tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?];
            let running = pair.start(Some(folders.each_ref().map(|folder| folder.path())))?;
            let mut shop = Shop::open(&consumer, running, "shop")?;
            let core = vec![u64::from(number); raw.core.len()];
            let ended = shop.running.call(raw, &core).with_context(|| format!("{}{core:?}", raw.name))?;
            ensure!(ended == Ended::Trapped, "{}{core:?} reached something", raw.name);
        }
    }
    Ok(())
}
