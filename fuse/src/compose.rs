//! Fusing.

use crate::fit::Wire;
use crate::retarget::{rename_imports, renames};
use crate::{Interfaces, World, nested, write_atomically};
use anyhow::{Context, Result, bail, ensure};
use wasm_compose::composer::{ComponentComposer, ROOT_COMPONENT_NAME};
use wasm_compose::config::{Config, Dependency, Instantiation, InstantiationArg};

// The provider's name within the composition.
const PROVIDER: &str = "keyvalue-provider";

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

    // wasm-compose works on files, looks for dependencies by name in the folder of its configuration, and calls the
    // parts by their files' names; hence a folder of our own with fixed names.
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let consumer_path = folder.path().join("consumer.wasm");
    let provider_path = folder.path().join(PROVIDER).with_extension("wasm");
    write_atomically(&consumer_path, consumer)?;
    write_atomically(&provider_path, provider)?;
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty)?;

    let argument = |wire: &Wire| InstantiationArg { instance: PROVIDER.into(), export: Some(wire.export.clone()) };
    let root = Instantiation {
        arguments: wires.iter().map(|wire| (wire.import.clone(), argument(wire))).collect(),
        ..Instantiation::default()
    };
    let config = Config {
        dir: empty,
        dependencies: [(PROVIDER.to_string(), Dependency { path: provider_path })].into_iter().collect(),
        instantiations: [(ROOT_COMPONENT_NAME.to_string(), root)].into_iter().collect(),
        ..Config::default()
    };
    let fused = ComponentComposer::new(&consumer_path, &config)
        .compose()
        .context("the consumer and the provider do not fit together")?;
    verify(consumer, provider, wires, &fused).context("the fused component is not what it should be")?;
    Ok(fused)
}

// The promises of fusing, checked on the result itself.
fn verify(consumer: &[u8], provider: &[u8], wires: &[Wire], fused: &[u8]) -> Result<()> {
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(fused)?;
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
