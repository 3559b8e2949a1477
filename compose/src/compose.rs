//! Fusing.

use crate::error::{Error, Part, Source};
use crate::fit::Wire;
use crate::retarget::{rename_imports, renames};
use crate::{Interfaces, Item, World, nested};
use wasm_compose::graph::{Component, CompositionGraph, EncodeOptions};
use wasmparser::{Validator, WasmFeatures};

/// Fuses a consumer with a provider: what the consumer imports and the provider exports under the same name is connected
/// inside, everything else stays an import or export of the result. Both sides see one instance of the provider.
///
/// [`fit`](crate::fit) and [`connect`] go by the shape of the interfaces instead of their names.
///
/// ```
/// use kvfuse_compose::{Interfaces, compose};
///
/// let consumer = wat::parse_str(r#"(component
///     (import "acme:store/counter" (instance $counter (export "next" (func (result u32)))))
///     (alias export $counter "next" (func $next))
///     (export "run" (func $next)))"#)?;
/// let provider = wat::parse_str(r#"(component
///     (core module $code (func (export "next") (result i32) i32.const 7))
///     (core instance $code (instantiate $code))
///     (func $next (result u32) (canon lift (core func $code "next")))
///     (instance $counter (export "next" (func $next)))
///     (export "acme:store/counter" (instance $counter)))"#)?;
///
/// let fused = Interfaces::of(&compose(&consumer, &provider)?)?;
/// assert!(fused.imports.is_empty());
/// assert_eq!(fused.exports, ["run"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Part`] if either is not a component, [`Error::NothingToConnect`] if the provider exports nothing that the
/// consumer imports, and those of [`connect`].
pub fn compose(consumer: &[u8], provider: &[u8]) -> Result<Vec<u8>, Error> {
    let imports = Interfaces::of(consumer).map_err(Part::Consumer.cannot_be_read())?.imports;
    let exports = Interfaces::of(provider).map_err(Part::Provider.cannot_be_read())?.exports;
    let wires: Vec<_> = imports
        .iter()
        .filter(|name| exports.contains(name))
        .map(|name| Wire { import: name.clone(), export: name.clone() })
        .collect();
    if wires.is_empty() {
        return Err(Error::NothingToConnect { imports, exports });
    }
    connect(consumer, provider, &wires)
}

/// Fuses by the connections named, and checks that the result is valid and that nothing but those connections changed:
/// both parts are in it byte for byte, except that the provider's imports are renamed where
/// [`renames`](crate::renames) says so.
///
/// ```
/// use kvfuse_compose::{Interfaces, World, connect, fit};
///
/// // The consumer was built against another version, in which the function is the same.
/// let consumer = wat::parse_str(r#"(component
///     (import "acme:store/counter@0.2.0" (instance $counter (export "next" (func (result u32)))))
///     (alias export $counter "next" (func $next))
///     (export "run" (func $next)))"#)?;
/// # let provider = wat::parse_str(r#"(component
/// #    (core module $code (func (export "next") (result i32) i32.const 7))
/// #    (core instance $code (instantiate $code))
/// #    (func $next (result u32) (canon lift (core func $code "next")))
/// #    (instance $counter (export "next" (func $next)))
/// #    (export "acme:store/counter@0.1.0" (instance $counter)))"#)?;
///
/// let (wanted, offered) = (World::of(&consumer)?.imports, World::of(&provider)?.exports);
/// let wires = fit(&wanted.iter().collect::<Vec<_>>(), &offered).expect("every function is there");
/// assert_eq!(wires[0].export, "acme:store/counter@0.1.0");
///
/// let fused = Interfaces::of(&connect(&consumer, &provider, &wires)?)?;
/// assert!(fused.imports.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Part`] if either cannot be read, [`Error::NoSuchName`] if a wire begins or ends nowhere,
/// [`Error::TwoVersions`] as [`renames`](crate::renames) says, [`Error::Mismatch`] if an interface differs in the two,
/// and [`Error::Unsound`] if the result fails its check.
pub fn connect(consumer: &[u8], provider: &[u8], wires: &[Wire]) -> Result<Vec<u8>, Error> {
    let consumer_world = World::of(consumer).map_err(Part::Consumer.cannot_be_read())?;
    let provider_world = World::of(provider).map_err(Part::Provider.cannot_be_read())?;
    let renames = renames(&consumer_world, &provider_world, wires)?;
    let renamed = if renames.is_empty() { None } else { Some(rename_imports(provider, &renames)?) };
    let provider = renamed.as_deref().unwrap_or(provider);

    let fused = encode(consumer, provider, wires)?;
    verify(consumer, provider, wires, &fused).map_err(Error::Unsound)?;
    Ok(fused)
}

fn encode(consumer: &[u8], provider: &[u8], wires: &[Wire]) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    // Types are compared only within one validator.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut add = |name, bytes| {
        let id = graph.add_component(Component::from_bytes(&mut validator, name, bytes)?)?;
        Ok::<_, Source>((id, graph.instantiate(id)?))
    };
    let (consumer, to) = add("consumer", consumer).map_err(Error::Mismatch)?;
    let (provider, from) = add("keyvalue-provider", provider).map_err(Error::Mismatch)?;
    for wire in wires {
        let export = graph.get_component(provider).and_then(|part| part.export_by_name(&wire.export));
        let import = graph.get_component(consumer).and_then(|part| part.import_by_name(&wire.import));
        let missing = |part, name: &String| Error::NoSuchName { part, name: name.clone() };
        let (export, ..) = export.ok_or_else(|| missing(Part::Provider, &wire.export))?;
        let (import, _) = import.ok_or_else(|| missing(Part::Consumer, &wire.import))?;
        graph.connect(from, Some(export), to, import).map_err(|e| Error::Mismatch(e.into()))?;
    }
    let options = EncodeOptions { define_components: true, export: Some(to), validate: false };
    graph.encode(options).map_err(|e| Error::Mismatch(e.into()))
}

/// The promises of fusing, checked on the result itself. Gives the first one that is broken.
fn verify(consumer: &[u8], provider: &[u8], wires: &[Wire], fused: &[u8]) -> Result<(), String> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(fused).map_err(|e| e.to_string())?;
    let world = |component| World::of(component).map_err(|e| e.to_string());
    let (consumer_world, provider_world, fused_world) = (world(consumer)?, world(provider)?, world(fused)?);

    let connected = |name: &str| wires.iter().any(|wire| wire.import == name);
    let expected: Vec<_> =
        consumer_world.imports.iter().filter(|item| !connected(&item.name)).chain(&provider_world.imports).collect();
    let added = |name: &str| !expected.iter().any(|item| item.name == name);
    let lost = |name: &str| !fused_world.imports.iter().any(|item| item.name == name);
    if let Some(item) = fused_world.imports.iter().find(|item| added(&item.name)) {
        return Err(format!("it imports {}, which neither part does", item.name));
    }
    if let Some(item) = expected.iter().find(|item| lost(&item.name)) {
        return Err(format!("it lost the import {}", item.name));
    }
    // An export that used types of what is connected now defines them itself, or uses those of an export before it. It may
    // call them otherwise than they were called where they came from, so what counts is the functions as they are written.
    let still_imported = |name: &&String| fused_world.imports.iter().any(|import| import.name == **name);
    let texts = |item: &Item| item.functions.iter().map(|(name, f)| (name.clone(), f.text.clone())).collect::<Vec<_>>();
    let kept = |(item, fused): (&Item, &Item)| {
        item.name == fused.name
            && item.implements == fused.implements
            && texts(item) == texts(fused)
            && item.uses.iter().filter(still_imported).eq(fused.uses.iter().filter(still_imported))
    };
    let (before, after) = (&consumer_world.exports, &fused_world.exports);
    if before.len() != after.len() || !before.iter().zip(after).all(kept) {
        return Err("its exports are not those of the consumer".into());
    }
    let parts = nested(fused).map_err(|e| e.to_string())?;
    for (what, part) in [(Part::Consumer, consumer), (Part::Provider, provider)] {
        if !parts.iter().any(|nested| fused.get(nested.range.clone()) == Some(part)) {
            return Err(format!("the {what} is not in it byte for byte"));
        }
    }
    Ok(())
}
