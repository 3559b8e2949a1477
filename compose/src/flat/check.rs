//! The promises of a flat component, checked on the result itself.

use super::NotFlat;
use super::part::Part;
use crate::error::Error;
use crate::{Item, Wire, World};
use wasmparser::{Parser, Payload};

pub fn check(flat: &[u8], consumer: &Part, provider: &Part, wires: &[Wire]) -> Result<(), NotFlat> {
    broken(flat, consumer, provider, wires).map_or(Ok(()), |promise| Err(NotFlat::Unsound(promise)))
}

/// The first promise that is broken.
fn broken(flat: &[u8], consumer: &Part, provider: &Part, wires: &[Wire]) -> Option<String> {
    // This validates it, but for the bodies of functions: those were valid in the parts, or when they were made.
    let world = match World::of(flat) {
        Ok(world) => world,
        Err(e) => return Some(reasons(&e)),
    };
    let connected = |item: &&Item| wires.iter().any(|wire| wire.import == item.name);
    let left = consumer.world.imports.iter().filter(|item| !connected(item));
    let expected: Vec<&Item> = left.chain(&provider.world.imports).collect();
    let same = |one: &Item, other: &Item| one.name == other.name && one.implements == other.implements;
    let texts = |item: &Item| item.functions.iter().map(|(name, f)| (name.clone(), f.text.clone())).collect::<Vec<_>>();
    let kept = |one: &Item, other: &Item| same(one, other) && texts(one) == texts(other);
    if world.imports.len() != expected.len()
        || !expected.iter().all(|item| world.imports.iter().any(|import| kept(import, item)))
    {
        return Some("its imports are not those of its parts".into());
    }
    let (before, after) = (&consumer.world.exports, &world.exports);
    if before.len() != after.len() || !before.iter().zip(after).all(|(one, other)| kept(one, other)) {
        return Some("its exports are not those of the consumer".into());
    }
    let inside = match modules(flat) {
        Ok(modules) => modules,
        Err(e) => return Some(e.to_string()),
    };
    for part in [consumer, provider] {
        match modules(part.bytes) {
            Ok(modules) if modules.iter().all(|module| inside.contains(module)) => {}
            Ok(_) => return Some(format!("a core module of the {} is not in it byte for byte", part.which)),
            Err(e) => return Some(e.to_string()),
        }
    }
    None
}

fn reasons(e: &Error) -> String {
    let sources = std::iter::successors(Some(e as &dyn std::error::Error), |e| e.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The core modules in a component, at any depth.
fn modules(component: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        if let Payload::ModuleSection { unchecked_range: range, .. } = payload? {
            found.push(crate::sections::bytes(component, range)?);
        }
    }
    Ok(found)
}
