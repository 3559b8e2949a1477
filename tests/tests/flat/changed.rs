//! Components that nobody would make: real ones with changes. Each is made flat and is valid then, or is refused.

use crate::pair::fuse;
use crate::random::Random;
use crate::sections::{Section, emptied, join, split};
use anyhow::{Context, Result, bail, ensure};
use kvfuse_compose::{Interfaces, Memories, Supply, Wire, flatten};
use kvfuse_tests::component;
use kvfuse_tests::raw::Consumer;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmparser::{Validator, WasmFeatures};

/// What is changed: consumers, and providers.
struct Bases {
    consumers: Vec<Vec<u8>>,
    providers: Vec<Vec<u8>>,
}

impl Bases {
    fn new() -> Result<Self> {
        let of = |generation: &str| -> Result<Vec<u8>> { Ok(Consumer::of(generation)?.component) };
        let provider = emptied(&component("keyvalue")?);
        let (draft2, wrpc) = (of("draft2")?, of("wrpc")?);
        // What was fused already is a part again, of what it still imports or as something else altogether.
        let [composed, flat, single] = fuse(&draft2, &provider)?;
        Ok(Self {
            consumers: vec![draft2, wrpc, of("spin2")?, of("v0_1")?, emptied(&component("kv_demo")?), composed, flat],
            providers: vec![provider, emptied(&component("keyvalue-redis")?), single],
        })
    }
}

/// What became of them.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many of a kind were components at all.
    valid: BTreeMap<&'static str, u64>,
    /// How many of a kind were made flat.
    flat: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// That changes of both kinds were made flat, and that some others that are components were not.
    fn ensure(&self) -> Result<()> {
        let sum = |counts: &BTreeMap<&str, u64>| counts.values().sum::<u64>();
        ensure!(self.flat.len() == 2 && sum(&self.valid) > sum(&self.flat), "the changes show too little: {self:?}");
        Ok(())
    }

    /// Makes two flat, and checks the result.
    fn fuse(&mut self, kind: &'static str, consumer: &[u8], provider: &[u8], wires: &[Wire]) -> Result<()> {
        if valid(consumer).is_err() || valid(provider).is_err() {
            // It may not be taken for a component, nor may it do any harm.
            ensure!(self.made(consumer, provider, wires)?.is_none(), "what is no component was made flat");
            return Ok(());
        }
        *self.valid.entry(kind).or_default() += 1;
        if let Some(flat) = self.made(consumer, provider, wires)? {
            *self.flat.entry(kind).or_default() += 1;
            valid(&flat).context("it is made flat and not valid")?;
        }
        Ok(())
    }

    fn made(&self, consumer: &[u8], provider: &[u8], wires: &[Wire]) -> Result<Option<Vec<u8>>> {
        let flat = |memories| {
            let supply = Supply { provider, wires: wires.to_vec(), ..Supply::default() };
            catch_unwind(AssertUnwindSafe(|| flatten(consumer, &[supply], memories)))
        };
        match (flat(Memories::Two), flat(Memories::One)) {
            (Ok(Ok(two)), Ok(Ok(one))) => {
                valid(&one).context("it is made flat with one memory and not valid")?;
                Ok(Some(two))
            }
            (Ok(Err(_)), Ok(Err(_))) => Ok(None),
            (Ok(_), Ok(_)) => bail!("it is made flat in one form and not in the other"),
            _ => bail!("it panics"),
        }
    }
}

fn valid(component: &[u8]) -> Result<()> {
    // What else there is to WebAssembly is nothing that a component of today has.
    Validator::new_with_features(WasmFeatures::all()).validate_all(component)?;
    ensure!(Interfaces::of(component).is_ok(), "it has no world");
    Ok(())
}

/// The imports of one that the other exports; now and then something else.
fn wires(random: &mut Random, consumer: &[u8], provider: &[u8]) -> Vec<Wire> {
    let (Ok(consumer), Ok(provider)) = (Interfaces::of(consumer), Interfaces::of(provider)) else { return Vec::new() };
    let mut wires = Vec::new();
    for import in consumer.imports {
        let export = match random.below(40) {
            0 => continue,
            1 if !provider.exports.is_empty() => random.pick(&provider.exports),
            _ if provider.exports.contains(&import) => import.clone(),
            _ => continue,
        };
        wires.push(Wire { import, export });
    }
    wires
}

/// Changes some bytes outside of core modules, or whole sections, of which some come from elsewhere.
fn change(random: &mut Random, component: &[u8], elsewhere: &[u8]) -> Vec<u8> {
    let mut sections = split(component);
    for _ in 0..1 + random.below(2) {
        match random.below(20) {
            0 => drop(sections.remove(random.below(sections.len()))),
            1 => {
                let section = random.pick(&sections);
                sections.insert(random.below(sections.len() + 1), section);
            }
            2 => {
                let section = sections.remove(random.below(sections.len()));
                sections.insert(random.below(sections.len() + 1), section);
            }
            3 => {
                let other = split(elsewhere);
                sections.insert(random.below(sections.len() + 1), random.pick(&other));
            }
            _ => {
                let inner = |section: &Section| !section.is_module() && !section.content.is_empty();
                let places: Vec<usize> = (0..sections.len()).filter(|place| inner(&sections[*place])).collect();
                if places.is_empty() {
                    continue;
                }
                let content = &mut sections[random.pick(&places)].content;
                let at = random.below(content.len());
                content[at] = match random.below(3) {
                    0 => content[at].wrapping_add(1),
                    1 => content[at].wrapping_sub(1),
                    _ => random.next() as u8,
                };
            }
        }
        if sections.is_empty() {
            break;
        }
    }
    join(component, &sections)
}

/// One of each for every seed.
pub fn run(seeds: std::ops::Range<u64>) -> Result<()> {
    let bases = Bases::new()?;
    let mut tally = Tally::default();
    for seed in seeds {
        one(&bases, seed, &mut tally).with_context(|| format!("seed {seed}"))?;
    }
    tally.ensure()
}

fn one(bases: &Bases, seed: u64, tally: &mut Tally) -> Result<()> {
    let random = &mut Random(seed);
    let (consumer, provider) = (random.pick(&bases.consumers), random.pick(&bases.providers));
    let wired = wires(random, &consumer, &provider);
    let changed = change(random, &consumer, &provider);
    tally.fuse("changed consumers", &changed, &provider, &wired)?;
    let changed = change(random, &provider, &consumer);
    tally.fuse("changed providers", &consumer, &changed, &wired)
}
