//! Which functions cross from one part to the other, and how.

use super::NotFlat;
use super::number::Sort;
use super::part::{Item, Part};
use super::types::{Reader, Ty, Unfit};
use crate::Wire;
use std::collections::HashMap;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ResourceId};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentType,
};

/// The parameters' and the result's types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub params: Vec<Ty>,
    pub result: Option<Ty>,
}

/// A function of the provider that the consumer calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub signature: Signature,
    /// The provider's core function.
    pub core: u32,
    /// What it wants called when its result has been read.
    pub post_return: Option<u32>,
}

/// What one adapter is for: all calls of the consumer with one memory and one allocator.
#[derive(Clone, Debug)]
pub struct Side {
    pub memory: Option<u32>,
    pub realloc: Option<u32>,
    pub functions: Vec<Function>,
}

/// What is connected. All indices are those of their parts.
#[derive(Debug)]
pub struct Calls {
    /// The consumer's imported instances, and the instance of the provider that each of them is.
    pub instances: HashMap<u32, u32>,
    /// The consumer's functions that come from them.
    pub functions: HashMap<u32, (u32, String)>,
    /// The provider's resources that the consumer can have. Their places here are their numbers.
    pub resources: Vec<ResourceId>,
    /// The same, as the consumer knows them.
    pub numbers: HashMap<ResourceId, usize>,
    pub sides: Vec<Side>,
    /// By its place in the consumer's items, the side and the function in it that a lowering becomes.
    pub lowered: HashMap<usize, (usize, usize)>,
    /// The provider's memory and allocator.
    pub memory: Option<u32>,
    pub realloc: Option<u32>,
}

pub fn find(consumer: &Part, provider: &Part, wires: &[Wire]) -> Result<Calls, NotFlat> {
    let calls = Calls {
        instances: HashMap::new(),
        functions: HashMap::new(),
        resources: Vec::new(),
        numbers: HashMap::new(),
        sides: Vec::new(),
        lowered: HashMap::new(),
        memory: None,
        realloc: None,
    };
    unused_elsewhere(consumer, wires)?;
    let mut finder = Finder { consumer, provider, calls, lifts: lifts(provider), own: own_resources(provider) };
    finder.connect(wires)?;
    finder.lowerings()?;
    Ok(finder.calls)
}

/// That no other interface of the consumer has types of one that is connected: it would have to give them another home.
fn unused_elsewhere(consumer: &Part, wires: &[Wire]) -> Result<(), NotFlat> {
    let connected = |name: &String| wires.iter().any(|wire| wire.import == *name);
    let imports = consumer.world.imports.iter().filter(|item| !connected(&item.name));
    match imports.chain(&consumer.world.exports).find(|item| item.uses.iter().any(connected)) {
        Some(item) => Err(NotFlat::Used(item.name.clone())),
        None => Ok(()),
    }
}

/// A lifted function of the provider.
struct Lift {
    core: u32,
    options: Options,
}

struct Finder<'a> {
    consumer: &'a Part<'a>,
    provider: &'a Part<'a>,
    calls: Calls,
    lifts: HashMap<u32, Lift>,
    /// The resources that the provider defines itself.
    own: Vec<ResourceId>,
}

impl Finder<'_> {
    fn connect(&mut self, wires: &[Wire]) -> Result<(), NotFlat> {
        let exports = exported_instances(self.provider);
        for (index, name) in imported_instances(self.consumer) {
            let Some(wire) = wires.iter().find(|wire| wire.import == name) else { continue };
            let missing = || self.provider.has(format!("no instance {}", wire.export));
            let instance = *exports.get(wire.export.as_str()).ok_or_else(missing)?;
            self.calls.instances.insert(index, instance);
            self.resources(index, instance)?;
        }
        if self.calls.instances.len() != wires.len() {
            return Err(self.consumer.has("imports that are no interfaces"));
        }
        Ok(())
    }

    /// The resources of an interface have the same names in both.
    fn resources(&mut self, imported: u32, exported: u32) -> Result<(), NotFlat> {
        let of = |part: &Part, instance: u32| -> Vec<(String, ResourceId)> {
            let types = part.types.as_ref();
            let Some(ty) = types.get(types.component_instance_at(instance)) else { return Vec::new() };
            let resource = |(name, item): (&String, &wasmparser::component_types::ComponentItem)| match item.ty {
                ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } => {
                    Some((name.clone(), id.resource()))
                }
                _ => None,
            };
            ty.exports.iter().filter_map(resource).collect()
        };
        let offered = of(self.provider, exported);
        for (name, id) in of(self.consumer, imported) {
            let Some((_, theirs)) = offered.iter().find(|(other, _)| *other == name) else { continue };
            // Of the host's resources there is one table for both. It is refused where a function passes them.
            if !self.own.contains(theirs) {
                continue;
            }
            let known = self.calls.resources.iter().position(|known| known == theirs);
            let number = known.unwrap_or(self.calls.resources.len());
            if known.is_none() {
                self.calls.resources.push(*theirs);
            }
            if *self.calls.numbers.entry(id).or_insert(number) != number {
                return Err(self.consumer.has(format!("one resource {name} where the provider has two")));
            }
        }
        Ok(())
    }

    /// Goes through the consumer: what comes from the imports that are connected must be lowered and nothing else.
    fn lowerings(&mut self) -> Result<(), NotFlat> {
        let mut next_function = 0u32;
        for (place, item) in self.consumer.items.iter().enumerate() {
            match item {
                Item::Alias(ComponentAlias::InstanceExport {
                    kind: ComponentExternalKind::Func,
                    instance_index,
                    name,
                }) if self.calls.instances.contains_key(instance_index) => {
                    self.calls.functions.insert(next_function, (*instance_index, (*name).to_string()));
                }
                Item::Canon(CanonicalFunction::Lower { func_index, options }) => {
                    if let Some((instance, name)) = self.calls.functions.get(func_index).cloned() {
                        let lowered = self.lower(instance, &name, options)?;
                        self.calls.lowered.insert(place, lowered);
                    }
                }
                Item::Instance(ComponentInstance::Instantiate { args, .. }) => {
                    self.untouched(args.iter().map(|arg| (arg.kind, arg.index)))?;
                }
                Item::Instance(ComponentInstance::FromExports(exports)) => {
                    self.untouched(exports.iter().map(|export| (export.kind, export.index)))?;
                }
                Item::Export(export) => self.untouched([(export.kind, export.index)].into_iter())?,
                _ => {}
            }
            if item.sort() == Sort::Func {
                next_function += 1;
            }
        }
        Ok(())
    }

    fn untouched(&self, mut used: impl Iterator<Item = (ComponentExternalKind, u32)>) -> Result<(), NotFlat> {
        let connected = |(kind, index): (ComponentExternalKind, u32)| match kind {
            ComponentExternalKind::Instance => self.calls.instances.contains_key(&index),
            ComponentExternalKind::Func => self.calls.functions.contains_key(&index),
            ComponentExternalKind::Type => {
                self.consumer.resource(index).is_some_and(|id| self.calls.numbers.contains_key(&id))
            }
            _ => false,
        };
        match used.any(connected) {
            true => Err(self.consumer.has("components inside that are given what it imports")),
            false => Ok(()),
        }
    }

    /// The side and the function in it that a lowering becomes.
    fn lower(&mut self, instance: u32, name: &str, options: &[CanonicalOption]) -> Result<(usize, usize), NotFlat> {
        let options = Options::read(self.consumer, options)?;
        let function = self.function(instance, name)?;
        let (memory, realloc) = (options.memory, options.realloc);
        let known = self.calls.sides.iter().position(|side| (side.memory, side.realloc) == (memory, realloc));
        let number = known.unwrap_or(self.calls.sides.len());
        if known.is_none() {
            self.calls.sides.push(Side { memory, realloc, functions: Vec::new() });
        }
        let Some(side) = self.calls.sides.get_mut(number) else { return Err(self.consumer.has("no memory")) };
        let of_function = side.functions.iter().position(|known| *known == function);
        let place = of_function.unwrap_or(side.functions.len());
        if of_function.is_none() {
            side.functions.push(function);
        }
        Ok((number, place))
    }

    fn function(&mut self, instance: u32, name: &str) -> Result<Function, NotFlat> {
        let missing = |part: &Part| part.has(format!("no function {name}"));
        let exporter = *self.calls.instances.get(&instance).ok_or_else(|| missing(self.consumer))?;
        let index = exported_function(self.provider, exporter, name)?;
        let lift = self.lifts.get(&index).ok_or_else(|| self.provider.has("functions from elsewhere"))?;

        let numbers = |id: ResourceId| self.calls.numbers.get(&id).copied();
        let wanted = signature(self.consumer, instance, name, &numbers)?;
        let own = |id: ResourceId| self.calls.resources.iter().position(|known| *known == id);
        let offered = signature(self.provider, exporter, name, &own)?;
        if wanted != offered {
            return Err(NotFlat::Types { function: name.into(), what: "other types in the two" });
        }
        let agreed = |known: Option<u32>, new: Option<u32>| known.is_none() || new.is_none() || known == new;
        if !agreed(self.calls.memory, lift.options.memory) || !agreed(self.calls.realloc, lift.options.realloc) {
            return Err(self.provider.has("several memories"));
        }
        self.calls.memory = self.calls.memory.or(lift.options.memory);
        self.calls.realloc = self.calls.realloc.or(lift.options.realloc);
        Ok(Function { signature: offered, core: lift.core, post_return: lift.options.post_return })
    }
}

fn signature(
    part: &Part,
    instance: u32,
    name: &str,
    number: &dyn Fn(ResourceId) -> Option<usize>,
) -> Result<Signature, NotFlat> {
    let types = part.types.as_ref();
    let exports = types.get(types.component_instance_at(instance)).map(|ty| &ty.exports);
    let function = match exports.and_then(|exports| exports.get(name)).map(|item| item.ty) {
        Some(ComponentEntityType::Func(id)) => types.get(id),
        _ => None,
    };
    let function = function.ok_or_else(|| part.has(format!("no function {name}")))?;
    let reader = Reader { types, number };
    let unfit = |e: Unfit| match e {
        Unfit::HostResource => NotFlat::HostResource(name.into()),
        Unfit::Unknown(what) => NotFlat::Types { function: name.into(), what },
    };
    let params: Vec<Ty> =
        function.params.iter().map(|(_, ty)| reader.read(ty)).collect::<Result<_, _>>().map_err(unfit)?;
    let result = function.result.as_ref().map(|ty| reader.read(ty)).transpose().map_err(unfit)?;
    let too_large = params.iter().chain(&result).map(Ty::parts).sum::<usize>() > MAX_PARTS;
    let too_many = too_large || params.iter().map(|ty| ty.flat().len()).sum::<usize>() > MAX_FLAT_PARAMS;
    // A handle that is lent must not be given away in the same call; the order decides then, and nobody has such a function.
    let (mut lent, mut given) = (Vec::new(), Vec::new());
    params.iter().for_each(|ty| ty.handles(&mut lent, &mut given));
    if too_many || given.iter().any(|number| lent.contains(number)) {
        return Err(NotFlat::Types { function: name.into(), what: "more than an adapter is made for" });
    }
    Ok(Signature { params, result })
}

/// An adapter has code for each part of a function's types, and a type that is written once may be in another many times.
const MAX_PARTS: usize = 1000;

/// More than these are passed in memory.
const MAX_FLAT_PARAMS: usize = 16;

/// The options of a lifting or a lowering.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub memory: Option<u32>,
    pub realloc: Option<u32>,
    pub post_return: Option<u32>,
}

impl Options {
    fn read(part: &Part, options: &[CanonicalOption]) -> Result<Self, NotFlat> {
        let encoding = |what| NotFlat::Encoding { part: part.which, what };
        let mut read = Self::default();
        for option in options {
            match option {
                CanonicalOption::UTF8 => {}
                CanonicalOption::UTF16 => return Err(encoding("strings in UTF-16")),
                CanonicalOption::CompactUTF16 => return Err(encoding("strings in Latin-1 or UTF-16")),
                CanonicalOption::Memory(memory) => {
                    let ty = part.types.as_ref().memory_at(*memory);
                    if ty.memory64 || ty.shared || ty.page_size_log2.is_some_and(|size| size != 16) {
                        return Err(encoding("a memory that is shared, of 64 bits, or has pages of its own size"));
                    }
                    read.memory = Some(*memory);
                }
                CanonicalOption::Realloc(function) => read.realloc = Some(*function),
                CanonicalOption::PostReturn(function) => read.post_return = Some(*function),
                CanonicalOption::Async | CanonicalOption::Callback(_) => {
                    return Err(NotFlat::Asynchronous(part.which));
                }
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => return Err(encoding("objects of its heap")),
            }
        }
        Ok(read)
    }
}

fn lifts(provider: &Part) -> HashMap<u32, Lift> {
    let mut lifts = HashMap::new();
    for (item, index) in provider.items.iter().filter(|item| item.sort() == Sort::Func).zip(0u32..) {
        if let Item::Canon(CanonicalFunction::Lift { core_func_index, options, .. }) = item {
            // What is lifted otherwise is refused when it is called.
            if let Ok(options) = Options::read(provider, options) {
                lifts.insert(index, Lift { core: *core_func_index, options });
            }
        }
    }
    lifts
}

fn own_resources(provider: &Part) -> Vec<ResourceId> {
    let types = provider.items.iter().filter(|item| item.sort() == Sort::Type);
    let defined = types.zip(0u32..).filter(|(item, _)| matches!(item, Item::Type(ComponentType::Resource { .. })));
    defined.filter_map(|(_, index)| provider.resource(index)).collect()
}

fn imported_instances<'a>(part: &'a Part) -> impl Iterator<Item = (u32, &'a str)> {
    let instances = part.items.iter().filter(|item| item.sort() == Sort::Instance).zip(0u32..);
    instances.filter_map(|(item, index)| match item {
        Item::Import(import) => Some((index, import.name.name)),
        _ => None,
    })
}

fn exported_instances<'a>(part: &'a Part) -> HashMap<&'a str, u32> {
    let exports = part.items.iter().filter_map(|item| match item {
        Item::Export(export) if export.kind == ComponentExternalKind::Instance => {
            Some((export.name.name, export.index))
        }
        _ => None,
    });
    exports.collect()
}

/// The provider's function that one of its instances has under this name.
fn exported_function(provider: &Part, instance: u32, name: &str) -> Result<u32, NotFlat> {
    let unknown = || provider.has(format!("a function {name} whose origin is not clear"));
    let instances: Vec<&Item> = provider.items.iter().filter(|item| item.sort() == Sort::Instance).collect();
    let mut defined = instances.get(instance as usize);
    // An export is one more name of an instance that was there before.
    while let Some(Item::Export(export)) = defined {
        defined = instances.get(export.index as usize);
    }
    match defined {
        Some(Item::Instance(ComponentInstance::FromExports(exports))) => {
            let export = exports.iter().find(|export| export.name.name == name);
            export.filter(|export| export.kind == ComponentExternalKind::Func).map(|export| export.index)
        }
        // A component that only gives other names to what it is given, as an encoder makes it.
        Some(Item::Instance(ComponentInstance::Instantiate { component_index, args })) => {
            let components = provider.items.iter().filter(|item| item.sort() == Sort::Component);
            let Some(Item::Component(bytes)) = components.into_iter().nth(*component_index as usize) else {
                return Err(unknown());
            };
            let import = super::part::passed_through(bytes, name).map_err(|_| unknown())?;
            let arg = args.iter().find(|arg| import.as_deref() == Some(arg.name));
            arg.filter(|arg| arg.kind == ComponentExternalKind::Func).map(|arg| arg.index)
        }
        _ => None,
    }
    .ok_or_else(unknown)
}
