//! Fuses random components with real ones: `kvfuse-smith [TIMES] [SEED]`. What is made flat is valid, everything else is
//! refused, and nothing panics.

#[allow(dead_code, reason = "tests/flat has more uses")]
#[path = "../../tests/flat/random.rs"]
mod random;
#[path = "../../tests/flat/sections.rs"]
mod sections;

use anyhow::{Context, Result, ensure};
use arbitrary::Unstructured;
use kvfuse_compose::{Interfaces, Memories, Supply, Wire, flatten};
use random::Random;
use sections::{Section, emptied, join, split};
use std::collections::BTreeMap;
use wasm_smith::Config;
use wasmparser::{Validator, WasmFeatures};

const TYPES: u8 = 7;
const IMPORTS: u8 = 10;
const EXPORTS: u8 = 11;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let times = arguments.next().transpose()?.unwrap_or(2_000);
    let first = arguments.next().transpose()?.unwrap_or(1);
    let component = |name: &str| -> Result<Vec<u8>> {
        let path = format!("{}/../../components/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
        Ok(emptied(&std::fs::read(&path).with_context(|| format!("{path} is missing; make builds it"))?))
    };
    let (consumer, provider) = (component("kv_demo")?, component("keyvalue")?);
    let mut tally = BTreeMap::new();
    for seed in first..first + times {
        one(&consumer, &provider, seed, &mut tally).with_context(|| format!("seed {seed}"))?;
    }
    println!("{tally:?}");
    let flat = |kind: &'static str| tally.get(&(kind, "flat")).is_some_and(|count| *count > 0);
    let all = ["as a consumer", "as a provider", "in a consumer", "in a provider", "by itself"];
    for kind in all {
        ensure!(flat(kind), "none was made flat {kind}");
    }
    Ok(())
}

type Tally = BTreeMap<(&'static str, &'static str), u64>;

fn one(consumer: &[u8], provider: &[u8], seed: u64, tally: &mut Tally) -> Result<()> {
    let random = &mut Random(seed);
    let bytes: Vec<u8> = (0..16 + random.below(3000)).map(|_| random.next() as u8).collect();
    let config = Config { max_imports: 8, max_modules: 3, max_components: 3, ..Config::default() };
    let Ok(made) = wasm_smith::Component::new(config, &mut Unstructured::new(&bytes)) else { return Ok(()) };
    let made = made.to_bytes();
    fuse("as a consumer", &made, provider, tally)?;
    fuse("as a provider", consumer, &made, tally)?;
    fuse("by itself", &made, &made, tally)?;
    // What needs nothing before it may stand anywhere: behind a real component, and in it.
    let mixed = |real: &[u8], random: &mut Random| {
        let mut sections = split(real);
        let foreign: Vec<Section> =
            split(&made).into_iter().filter(|section| ![TYPES, IMPORTS, EXPORTS].contains(&section.id)).collect();
        for section in foreign {
            let at = if random.below(2) == 0 { sections.len() } else { random.below(sections.len() + 1) };
            sections.insert(at, section);
        }
        join(real, &sections)
    };
    fuse("in a consumer", &mixed(consumer, random), provider, tally)?;
    fuse("in a provider", consumer, &mixed(provider, random), tally)
}

fn fuse(kind: &'static str, consumer: &[u8], provider: &[u8], tally: &mut Tally) -> Result<()> {
    let names = |bytes: &[u8], imports: bool| match Interfaces::of(bytes) {
        Ok(interfaces) if imports => interfaces.imports,
        Ok(interfaces) => interfaces.exports,
        Err(_) => Vec::new(),
    };
    let exports = names(provider, false);
    let wires = names(consumer, true).into_iter().filter(|name| exports.contains(name));
    let wires: Vec<_> = wires.map(|name| Wire { import: name.clone(), export: name }).collect();
    let valid = |bytes: &[u8]| Validator::new_with_features(WasmFeatures::all()).validate_all(bytes).is_ok();
    let whole = valid(consumer) && valid(provider);
    let mut ended = None;
    for memories in [Memories::Two, Memories::One] {
        let supply = Supply { provider, wires: wires.clone(), ..Supply::default() };
        let became = match flatten(consumer, &[supply], memories) {
            Ok(flat) => {
                ensure!(whole, "{kind}: what is no component was made flat");
                ensure!(valid(&flat), "{kind}: it is made flat and not valid");
                "flat"
            }
            Err(_) if whole => "refused",
            Err(_) => "no component",
        };
        ensure!(ended.is_none_or(|before| before == became), "{kind}: the two forms differ");
        ended = Some(became);
    }
    if let Some(ended) = ended {
        *tally.entry((kind, ended)).or_default() += 1;
    }
    Ok(())
}
