//! Fusing.

use crate::fit::Wire;
use crate::retarget::{rename_imports, renames};
use crate::{Interfaces, World, nested};
use anyhow::{Context, Result, bail, ensure};
use wasm_compose::graph::{Component, CompositionGraph, EncodeOptions};
use wasmparser::{Validator, WasmFeatures};

/// Fuses a consumer with a provider: what the consumer imports and the provider exports under the same name is connected
/// inside, everything else stays an import or export of the result. Both sides see one instance of the provider.
///
/// # Errors
/// If either is not a component, if the provider exports nothing that the consumer imports, or if an interface of the
/// same name has another shape in each.
pub fn compose(consumer: &[u8], provider: &[u8]) -> Result<Vec<u8>> {
    let wanted = Interfaces::of(consumer).context("the consumer cannot be read")?.imports;
    let offered = Interfaces::of(provider).context("the provider cannot be read")?.exports;
    let wires: Vec<_> = wanted
        .iter()
        .filter(|name| offered.contains(name))
        .map(|name| Wire { import: name.clone(), export: name.clone() })
        .collect();
    if wires.is_empty() {
        bail!(
            "the provider exports nothing that the consumer imports\n  the consumer imports: {}\n  the provider exports: {}",
            wanted.join(", "),
            offered.join(", ")
        );
    }
    connect(consumer, provider, &wires)
}

/// Fuses by the connections named, and checks that the result is valid and that nothing but those connections changed.
pub fn connect(consumer: &[u8], provider: &[u8], wires: &[Wire]) -> Result<Vec<u8>> {
    let renames = renames(&World::of(consumer)?, &World::of(provider)?, wires)?;
    let renamed = if renames.is_empty() { None } else { Some(rename_imports(provider, &renames)?) };
    let provider = renamed.as_deref().unwrap_or(provider);

    let fused = encode(consumer, provider, wires).context("the consumer and the provider do not fit together")?;
    verify(consumer, provider, wires, &fused).context("the fused component is not what it should be")?;
    Ok(fused)
}

fn encode(consumer: &[u8], provider: &[u8], wires: &[Wire]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    // Types are compared only within one validator.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut add = |name, bytes| {
        let id = graph.add_component(Component::from_bytes(&mut validator, name, bytes)?)?;
        Ok::<_, anyhow::Error>((id, graph.instantiate(id)?))
    };
    let (consumer, to) = add("consumer", consumer)?;
    let (provider, from) = add("keyvalue-provider", provider)?;
    for wire in wires {
        let export = graph.get_component(provider).and_then(|part| part.export_by_name(&wire.export));
        let import = graph.get_component(consumer).and_then(|part| part.import_by_name(&wire.import));
        let (export, ..) = export.with_context(|| format!("the provider has no export {}", wire.export))?;
        let (import, _) = import.with_context(|| format!("the consumer has no import {}", wire.import))?;
        graph.connect(from, Some(export), to, import)?;
    }
    graph.encode(EncodeOptions { define_components: true, export: Some(to), validate: false })
}

// The promises of fusing, checked on the result itself.
fn verify(consumer: &[u8], provider: &[u8], wires: &[Wire], fused: &[u8]) -> Result<()> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(fused)?;
    let (consumer_world, provider_world, fused_world) = (World::of(consumer)?, World::of(provider)?, World::of(fused)?);

    let connected = |name: &str| wires.iter().any(|wire| wire.import == name);
    let expected: Vec<_> =
        consumer_world.imports.iter().filter(|item| !connected(&item.name)).chain(&provider_world.imports).collect();
    for item in &fused_world.imports {
        ensure!(
            expected.iter().any(|other| other.name == item.name),
            "it imports {}, which neither part does",
            item.name
        );
    }
    for item in expected {
        ensure!(fused_world.imports.iter().any(|other| other.name == item.name), "it lost the import {}", item.name);
    }
    ensure!(consumer_world.exports == fused_world.exports, "its exports are not those of the consumer");

    let parts = nested(fused)?;
    for (what, part) in [("consumer", consumer), ("provider", provider)] {
        let inside = parts.iter().any(|nested| fused.get(nested.range.clone()) == Some(part));
        ensure!(inside, "the {what} is not in it byte for byte");
    }
    Ok(())
}
