//! Fusing.

use crate::error::{Error, Part, Source};
use crate::fit::Wire;
use crate::opened::Opener;
use crate::retarget::{relabel, rename_imports, renames};
use crate::{Interfaces, Item, Settings, World, nested};
use std::borrow::Cow;
use wasm_compose::graph::{Component, ComponentId, CompositionGraph, EncodeOptions, InstanceId};
use wasmparser::{Validator, WasmFeatures};

/// Fuses a consumer with a provider: what the consumer imports and the provider exports under the same name is
/// connected inside, everything else stays an import or export of the result. Both sides see one instance of the
/// provider.
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
    connect_all(consumer, &[Supply { provider, wires: wires.to_vec(), ..Supply::default() }])
}

/// An instance of a provider in a composition.
#[derive(Clone, Debug, Default)]
pub struct Supply<'a> {
    /// The provider. Several instances of one provider share its code.
    pub provider: &'a [u8],
    /// The connections from the consumer to this instance.
    pub wires: Vec<Wire>,
    /// Variables in the environment of this instance, besides the host's. If there are any, the provider has to import
    /// `wasi:cli/environment`.
    pub settings: Settings,
    /// Imports for which [`opens_shared`](crate::opens_shared) holds, and what is put before the identifiers of the buckets that
    /// they open, with a slash: their labels.
    pub labels: Vec<(String, String)>,
}

/// Fuses a consumer with several instances of providers, each with its own connections; otherwise like [`connect`].
///
/// # Errors
/// Those of [`connect`], and [`Error::Settings`] if a provider has settings and cannot read them.
pub fn connect_all(consumer: &[u8], supplies: &[Supply]) -> Result<Vec<u8>, Error> {
    let consumer_world = World::of(consumer).map_err(Part::Consumer.cannot_be_read())?;
    let parts: Vec<Instance> =
        supplies.iter().map(|supply| Instance::of(&consumer_world, supply)).collect::<Result<_, _>>()?;
    let fused = encode(consumer, &parts, None)?;
    let labelled = consumer_world.imports.iter().chain(&consumer_world.exports).any(|item| item.implements.is_some());
    let fused = if labelled { relabel(&fused, &consumer_world)? } else { fused };
    verify(consumer, &consumer_world, &parts, &fused).map_err(Error::Unsound)?;
    Ok(fused)
}

/// A component that calls the consumer: a command around what is otherwise a library.
#[derive(Clone, Debug)]
pub struct Runner<'a> {
    /// The component. The result has its exports instead of the consumer's.
    pub component: &'a [u8],
    /// Its imports that the consumer exports.
    pub calls: Vec<Wire>,
    /// The index of the supply that provides its other imports, under the names of that provider's exports. The runner
    /// shares that instance with the consumer.
    pub supply: usize,
}

/// Fuses a consumer with providers and with a runner that calls it; otherwise like [`connect_all`].
///
/// # Errors
/// Those of [`connect_all`], and [`Error::NoSuchName`] if the runner imports something that neither the consumer nor
/// the provider exports.
pub fn connect_runner(consumer: &[u8], supplies: &[Supply], runner: &Runner) -> Result<Vec<u8>, Error> {
    let consumer_world = World::of(consumer).map_err(Part::Consumer.cannot_be_read())?;
    let parts: Vec<Instance> =
        supplies.iter().map(|supply| Instance::of(&consumer_world, supply)).collect::<Result<_, _>>()?;
    let runner_world = World::of(runner.component).map_err(Part::Consumer.cannot_be_read())?;
    let fused = encode(consumer, &parts, Some((runner, &runner_world)))?;
    let checked = verify_parts(consumer, &consumer_world, &parts, &fused).and_then(|fused_world| {
        let names = |world: &World| world.exports.iter().map(|item| item.name.clone()).collect::<Vec<_>>();
        if names(&fused_world) != names(&runner_world) {
            return Err("its exports are not those of the runner".into());
        }
        match holds(&fused, runner.component)? {
            true => Ok(()),
            false => Err("the runner is not in it byte for byte".into()),
        }
    });
    checked.map_err(Error::Unsound)?;
    Ok(fused)
}

/// A supply in the composition.
struct Instance<'a> {
    /// The provider, with its imports renamed.
    provider: Cow<'a, [u8]>,
    world: World,
    wires: &'a [Wire],
    /// The component between it and the host's environment, and the name by which both import that.
    settings: Option<(Vec<u8>, String)>,
    /// The components between it and labelled imports.
    openers: Vec<Opener>,
}

impl<'a> Instance<'a> {
    fn of(consumer: &World, supply: &'a Supply) -> Result<Self, Error> {
        let unreadable = Part::Provider.cannot_be_read();
        let world = World::of(supply.provider).map_err(&unreadable)?;
        let renames = renames(consumer, &world, &supply.wires)?;
        let (provider, world) = match renames.is_empty() {
            true => (Cow::Borrowed(supply.provider), world),
            false => {
                let renamed = rename_imports(supply.provider, &renames)?;
                let world = World::of(&renamed).map_err(&unreadable)?;
                (Cow::Owned(renamed), world)
            }
        };
        let settings = match supply.settings.is_empty() {
            true => None,
            false => {
                let name = environment(&world)?;
                Some((supply.settings.component(&name)?, name))
            }
        };
        let opener = |(import, label): &(String, String)| Opener::new(consumer, &supply.wires, import, label);
        let openers = supply.labels.iter().map(opener).collect::<Result<_, _>>()?;
        Ok(Self { provider, world, wires: &supply.wires, settings, openers })
    }
}

/// The name by which a provider imports the environment.
fn environment(world: &World) -> Result<String, Error> {
    let is_environment = |item: &&Item| item.name.starts_with("wasi:cli/environment@");
    let item = world.imports.iter().find(is_environment).ok_or_else(|| {
        Error::Settings("the provider does not import wasi:cli/environment, so it cannot read them".into())
    })?;
    match item.functions.keys().find(|name| *name != "get-environment") {
        Some(other) => Err(Error::Settings(format!("the provider imports {other} of {} as well", item.name))),
        None => Ok(item.name.clone()),
    }
}

fn encode<'a>(
    consumer: &'a [u8],
    parts: &'a [Instance],
    runner: Option<(&'a Runner<'a>, &World)>,
) -> Result<Vec<u8>, Error> {
    let mut graph = CompositionGraph::new();
    // Types are compared only within one validator.
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    // Each component is included once, with as many instances as there are supplies.
    let mut known: Vec<(&'a [u8], ComponentId)> = Vec::new();
    let mut add = |graph: &mut CompositionGraph<'a>, what: &str, bytes: &'a [u8]| {
        if let Some((_, id)) = known.iter().find(|(known, _)| *known == bytes) {
            return Ok(*id);
        }
        let name = match known.len() {
            0 | 1 => what.to_string(),
            more => format!("{what}-{more}"),
        };
        let id = graph.add_component(Component::from_bytes(&mut validator, name, bytes)?)?;
        known.push((bytes, id));
        Ok::<_, Source>(id)
    };
    let mismatch = |e: Source| Error::Mismatch(e);
    let consumer = add(&mut graph, "consumer", consumer).map_err(mismatch)?;
    let to = graph.instantiate(consumer).map_err(|e| Error::Mismatch(e.into()))?;
    let mut sources = Vec::new();
    for part in parts {
        let provider = add(&mut graph, "keyvalue-provider", &part.provider).map_err(mismatch)?;
        let from = graph.instantiate(provider).map_err(|e| Error::Mismatch(e.into()))?;
        let missing = |part, name: &String| Error::NoSuchName { part, name: name.clone() };
        let direct = |wire: &&Wire| !part.openers.iter().any(|opener| opener.import == wire.import);
        for wire in part.wires.iter().filter(direct) {
            wire_up(&mut graph, (provider, from, &wire.export), (consumer, to, &wire.import), missing)?;
        }
        for Opener { component, import, types, store } in &part.openers {
            let opener = add(&mut graph, "keyvalue-label", component).map_err(mismatch)?;
            let through = graph.instantiate(opener).map_err(|e| Error::Mismatch(e.into()))?;
            for name in [types, store] {
                wire_up(&mut graph, (provider, from, name), (opener, through, name), missing)?;
            }
            wire_up(&mut graph, (opener, through, store), (consumer, to, import), missing)?;
        }
        if let Some((settings, name)) = &part.settings {
            let settings = add(&mut graph, "keyvalue-settings", settings).map_err(mismatch)?;
            let through = graph.instantiate(settings).map_err(|e| Error::Mismatch(e.into()))?;
            let missing = |_, name: &String| Error::Settings(format!("{name} cannot be connected"));
            wire_up(&mut graph, (settings, through, name), (provider, from, name), missing)?;
        }
        sources.push((provider, from));
    }
    let mut outermost = to;
    if let Some((runner, world)) = runner {
        let component = add(&mut graph, "keyvalue-runner", runner.component).map_err(mismatch)?;
        let instance = graph.instantiate(component).map_err(|e| Error::Mismatch(e.into()))?;
        let missing = |part, name: &String| Error::NoSuchName { part, name: name.clone() };
        for wire in &runner.calls {
            wire_up(&mut graph, (consumer, to, &wire.export), (component, instance, &wire.import), missing)?;
        }
        let called = |name: &String| runner.calls.iter().any(|wire| wire.import == *name);
        if let Some((provider, from)) = sources.get(runner.supply) {
            for item in world.imports.iter().filter(|item| !called(&item.name)) {
                wire_up(&mut graph, (*provider, *from, &item.name), (component, instance, &item.name), missing)?;
            }
        }
        outermost = instance;
    }
    let options = EncodeOptions { define_components: true, export: Some(outermost), validate: false };
    graph.encode(options).map_err(|e| Error::Mismatch(e.into()))
}

/// A component of the graph, an instance of it, and the name of an export or import.
type End<'a> = (ComponentId, InstanceId, &'a String);

fn wire_up(
    graph: &mut CompositionGraph,
    (provider, from, export): End,
    (consumer, to, import): End,
    missing: impl Fn(Part, &String) -> Error,
) -> Result<(), Error> {
    let exported = graph.get_component(provider).and_then(|part| part.export_by_name(export));
    let imported = graph.get_component(consumer).and_then(|part| part.import_by_name(import));
    let (exported, ..) = exported.ok_or_else(|| missing(Part::Provider, export))?;
    let (imported, _) = imported.ok_or_else(|| missing(Part::Consumer, import))?;
    graph.connect(from, Some(exported), to, imported).map_err(|e| Error::Mismatch(e.into()))
}

/// The guarantees of fusing, checked on the result itself. Returns the first one that is broken.
fn verify(consumer: &[u8], consumer_world: &World, parts: &[Instance], fused: &[u8]) -> Result<(), String> {
    let fused_world = verify_parts(consumer, consumer_world, parts, fused)?;
    let same = |one: &Item, other: &Item| one.name == other.name && one.implements == other.implements;
    // An export that used types of a connected interface now defines them itself, or uses those of an earlier export.
    // Their names may differ from those in the original interface, so the functions are compared as written.
    let still_imported = |name: &&String| fused_world.imports.iter().any(|import| import.name == **name);
    let texts = |item: &Item| item.functions.iter().map(|(name, f)| (name.clone(), f.text.clone())).collect::<Vec<_>>();
    let kept = |(item, fused): (&Item, &Item)| {
        same(item, fused)
            && texts(item) == texts(fused)
            && item.uses.iter().filter(still_imported).eq(fused.uses.iter().filter(still_imported))
    };
    let (before, after) = (&consumer_world.exports, &fused_world.exports);
    if before.len() != after.len() || !before.iter().zip(after).all(kept) {
        return Err("its exports are not those of the consumer".into());
    }
    Ok(())
}

fn holds(fused: &[u8], part: &[u8]) -> Result<bool, String> {
    let inside = nested(fused).map_err(|e| e.to_string())?;
    Ok(inside.iter().any(|nested| fused.get(nested.range.clone()) == Some(part)))
}

/// All of them except those about exports. Returns the world of the result.
fn verify_parts(consumer: &[u8], consumer_world: &World, parts: &[Instance], fused: &[u8]) -> Result<World, String> {
    Validator::new_with_features(WasmFeatures::all()).validate_all(fused).map_err(|e| e.to_string())?;
    let fused_world = World::of(fused).map_err(|e| e.to_string())?;

    let connected = |name: &str| parts.iter().any(|part| part.wires.iter().any(|wire| wire.import == name));
    let left = consumer_world.imports.iter().filter(|item| !connected(&item.name));
    let expected: Vec<_> = left.chain(parts.iter().flat_map(|part| &part.world.imports)).collect();
    let added = |name: &str| !expected.iter().any(|item| item.name == name);
    let same = |one: &Item, other: &Item| one.name == other.name && one.implements == other.implements;
    let lost = |item: &Item| !fused_world.imports.iter().any(|import| same(import, item));
    if let Some(item) = fused_world.imports.iter().find(|item| added(&item.name)) {
        return Err(format!("it imports {}, which none of its parts imports", item.name));
    }
    if let Some(item) = expected.iter().find(|item| lost(item)) {
        return Err(format!("it lost the import {}", item.name));
    }
    let inside = nested(fused).map_err(|e| e.to_string())?;
    let holds = |part: &[u8]| inside.iter().any(|nested| fused.get(nested.range.clone()) == Some(part));
    if !holds(consumer) {
        return Err(format!("the {} is not in it byte for byte", Part::Consumer));
    }
    for part in parts {
        if !holds(&part.provider) {
            return Err(format!("the {} is not in it byte for byte", Part::Provider));
        }
        if part.settings.as_ref().is_some_and(|(settings, _)| !holds(settings)) {
            return Err("the settings are not in it".into());
        }
        if !part.openers.iter().all(|opener| holds(&opener.component)) {
            return Err("what opens the buckets of its labels is not in it".into());
        }
    }
    Ok(fused_world)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports a counter under two names.
    const CONSUMER: &str = r#"(component
        (import "acme:store/one" (instance $one (export "next" (func (result u32)))))
        (import "acme:store/two" (instance $two (export "next" (func (result u32)))))
        (alias export $one "next" (func $next))
        (export "run" (func $next)))"#;

    /// A counter, and what it imports.
    fn provider(imports: &str) -> Vec<u8> {
        let text = format!(
            r#"(component
                {imports}
                (core module $code (func (export "next") (result i32) i32.const 7))
                (core instance $code (instantiate $code))
                (func $next (result u32) (canon lift (core func $code "next")))
                (instance $counter (export "next" (func $next)))
                (export "acme:store/counter" (instance $counter)))"#
        );
        wat::parse_str(text).unwrap()
    }

    const ENVIRONMENT: &str = r#"(import "wasi:cli/environment@0.2.6" (instance
        (export "get-environment" (func (result (list (tuple string string)))))))"#;

    fn supply<'a>(provider: &'a [u8], import: &str, label: &str) -> Supply<'a> {
        let wire = Wire { import: format!("acme:store/{import}"), export: "acme:store/counter".into() };
        let settings = Settings::default().with_fixed("LABEL", label);
        Supply { provider, wires: vec![wire], settings, ..Supply::default() }
    }

    #[test]
    fn instances_of_one_provider_share_its_code_and_have_settings_of_their_own() {
        let (consumer, provider) = (wat::parse_str(CONSUMER).unwrap(), provider(ENVIRONMENT));
        let fused = connect_all(&consumer, &[supply(&provider, "one", "a"), supply(&provider, "two", "b")]).unwrap();
        assert_eq!(Interfaces::of(&fused).unwrap().imports, ["wasi:cli/environment@0.2.6"]);
        let copies = nested(&fused).unwrap().into_iter().filter(|part| fused[part.range.clone()] == provider).count();
        assert_eq!(copies, 1);
        let labels = Settings::inside(&fused).unwrap();
        assert_eq!(labels.iter().map(|settings| settings.get("LABEL")).collect::<Vec<_>>(), [Some("a"), Some("b")]);
    }

    #[test]
    fn a_provider_that_cannot_read_its_settings_gets_none() {
        let consumer = wat::parse_str(CONSUMER).unwrap();
        let more = ENVIRONMENT.replace("(instance\n", "(instance (export \"get-arguments\" (func))\n");
        for imports in ["", &more] {
            let provider = provider(imports);
            let error = connect_all(&consumer, &[supply(&provider, "one", "a")]).unwrap_err();
            assert!(matches!(error, Error::Settings(_)), "{error}");
        }
    }

    #[test]
    fn a_runner_calls_the_consumer_and_shares_the_provider_with_it() {
        let consumer = wat::parse_str(
            r#"(component
                (import "acme:store/counter" (instance $counter (export "next" (func (result u32)))))
                (alias export $counter "next" (func $next))
                (instance $handler (export "handle" (func $next)))
                (export "acme:store/handler" (instance $handler)))"#,
        );
        let runner = wat::parse_str(
            r#"(component
                (import "acme:store/counter" (instance (export "next" (func (result u32)))))
                (import "acme:store/handler" (instance $handler (export "handle" (func (result u32)))))
                (alias export $handler "handle" (func $handle))
                (export "run" (func $handle)))"#,
        );
        let (consumer, runner, provider) = (consumer.unwrap(), runner.unwrap(), provider(""));
        let name = |name: &str| format!("acme:store/{name}");
        let wires = vec![Wire { import: name("counter"), export: name("counter") }];
        let supplies = [Supply { provider: &provider, wires, ..Supply::default() }];
        let calls = vec![Wire { import: name("handler"), export: name("handler") }];
        let called = Runner { component: &runner, calls, supply: 0 };
        let fused = connect_runner(&consumer, &supplies, &called).unwrap();
        let world = World::of(&fused).unwrap();
        assert!(world.imports.is_empty());
        assert_eq!(world.exports.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["run"]);
        // Each of the three is in it once.
        assert_eq!(nested(&fused).unwrap().len(), 3);
        let nothing = Runner { calls: Vec::new(), ..called };
        let error = connect_runner(&consumer, &supplies, &nothing).unwrap_err();
        assert!(matches!(error, Error::NoSuchName { part: Part::Provider, .. }), "{error}");
    }
}
