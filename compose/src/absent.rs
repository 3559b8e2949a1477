//! Interfaces that a component imports but will never call.

use crate::error::{Error, Source};
use crate::world::{Item, World, decoded};
use crate::{Wire, connect};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::decoding::DecodedWasm;
use wit_parser::{ManglingAndAbi, Resolve, WorldId, WorldItem, WorldKey};

/// The component without these imports: they are satisfied inside, by functions that trap.
///
/// For interfaces that a component can be configured never to call. kvfuse uses it for the WASI interfaces of stores
/// that a provider contains but a fused component does not use: a host need not have them, and need not grant them.
///
/// ```
/// use kvfuse_compose::{Interfaces, without_imports};
///
/// let component = wat::parse_str(r#"(component
///     (import "acme:door/lock@1.0.0" (instance (export "open" (func (result u32)))))
///     (import "acme:wall/paint@1.0.0" (instance (export "dry" (func))))
///     (core module $code (func (export "run")))
///     (core instance $code (instantiate $code))
///     (func $run (canon lift (core func $code "run")))
///     (export "run" (func $run)))"#)?;
/// let without = without_imports(&component, &["acme:door/lock@1.0.0".to_string()])?;
/// assert_eq!(Interfaces::of(&without)?.imports, ["acme:wall/paint@1.0.0"]);
/// assert_eq!(Interfaces::of(&without)?.exports, ["run"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Types`] if the component cannot be read, [`Error::Componentize`] if the imports cannot be replaced,
/// and those of [`connect`].
pub fn without_imports(component: &[u8], names: &[String]) -> Result<Vec<u8>, Error> {
    let (mut resolve, world) = match decoded(component)? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => return Err(Error::WitPackage),
    };
    let world_of_component = World::of(component)?;
    let absent: Vec<&Item> = world_of_component.imports.iter().filter(|item| names.contains(&item.name)).collect();
    if absent.is_empty() {
        return Ok(component.to_vec());
    }
    let wires: Vec<_> =
        absent.iter().map(|item| Wire { import: item.name.clone(), export: item.name.clone() }).collect();
    keep_only(&mut resolve, world, &wires);
    let stub = stub(resolve, world).map_err(Error::Componentize)?;
    connect(component, &stub, &wires)
}

/// Reduces a world to these imports. Interfaces that they take types from keep only their types.
fn keep_only(resolve: &mut Resolve, world: WorldId, wires: &[Wire]) {
    let Some(imports) = resolve.worlds.get(world).map(|world| world.imports.clone()) else { return };
    let kept = |key: &WorldKey| wires.iter().any(|wire| wire.import == resolve.name_world_key(key));
    let (kept, others): (Vec<_>, Vec<_>) = imports.into_iter().partition(|(key, _)| kept(key));
    for (_, item) in others {
        if let WorldItem::Interface { id, .. } = item
            && let Some(interface) = resolve.interfaces.get_mut(id)
        {
            interface.functions.clear();
        }
    }
    if let Some(world) = resolve.worlds.get_mut(world) {
        world.imports = kept.into_iter().collect();
    }
}

/// A component that exports what the world imports.
fn stub(mut resolve: Resolve, world: WorldId) -> Result<Vec<u8>, Source> {
    resolve.exportize(world, None, None)?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&module)?.validate(true).encode()?)
}
