//! The provider's definitions, then the consumer's, with the adapters in between.

use super::NotFlat;
use super::adapter;
use super::calls::Calls;
use super::number::{Moved, NOWHERE, Sort};
use super::part::{Item, Part};
use super::reach::Memories;
use super::write::Writer;
use std::collections::HashMap;
use wasm_encoder::ExportKind;
use wasmparser::{CanonicalFunction, ComponentAlias, ComponentType};

pub fn splice(consumer: &Part, provider: &Part, calls: &Calls, memories: Memories) -> Result<Vec<u8>, NotFlat> {
    let mut out = Writer::default();
    let module = out.module(&adapter::table()?);
    let tables = Tables { theirs: out.instantiate(module, &[])?, own: out.instantiate(module, &[])? };
    let mut splice = Splice { calls, memories, out, tables, resources: HashMap::new(), reach: None };
    let provider = splice.provider(provider)?;
    splice.consumer(consumer, &provider)?;
    Ok(splice.out.finish())
}

/// The instances of the tables: of the consumer's handles and of the provider's own.
struct Tables {
    theirs: u32,
    own: u32,
}

struct Splice<'a> {
    calls: &'a Calls,
    memories: Memories,
    out: Writer,
    tables: Tables,
    /// The instances that the resources' functions come from, by their numbers.
    resources: HashMap<usize, u32>,
    /// The instance that adapters with one memory reach the provider's by.
    reach: Option<u32>,
}

impl Splice<'_> {
    fn provider(&mut self, provider: &Part) -> Result<Moved, NotFlat> {
        let mut moved = Moved::default();
        let own = |index: u32| {
            let id = provider.resource(index);
            self.calls.resources.iter().position(|known| Some(*known) == id)
        };
        let mut types = 0u32;
        for item in &provider.items {
            let sort = item.sort();
            let place = match item {
                // Nothing of the provider is exported any more: an export is only another name of what it exports.
                Item::Export(export) => moved.of(sort, export.index),
                Item::Canon(
                    CanonicalFunction::ResourceNew { resource }
                    | CanonicalFunction::ResourceRep { resource }
                    | CanonicalFunction::ResourceDrop { resource },
                ) if let Some(number) = own(*resource) => {
                    let name = match item {
                        Item::Canon(CanonicalFunction::ResourceNew { .. }) => "new",
                        Item::Canon(CanonicalFunction::ResourceRep { .. }) => "rep",
                        _ => "drop",
                    };
                    let unknown = || provider.has("a resource that is used before it is defined");
                    let instance = *self.resources.get(&number).ok_or_else(unknown)?;
                    self.out.function(instance, name)?
                }
                item => self.out.item(item, &mut moved)?,
            };
            moved.push(sort, place);
            if let Item::Type(ComponentType::Resource { dtor, .. }) = item
                && let Some(number) = own(types)
            {
                let end = dtor.map(|dtor| moved.of(Sort::CoreFunc, dtor));
                let instance = resource(&mut self.out, &self.tables, number, end)?;
                self.resources.insert(number, instance);
            }
            types += u32::from(sort == Sort::Type);
        }
        Ok(moved)
    }

    fn consumer(&mut self, consumer: &Part, provider: &Moved) -> Result<(), NotFlat> {
        let calls = self.calls;
        let mut moved = Moved::default();
        let (mut instances, mut functions) = (0u32, 0u32);
        let mut adapters: HashMap<usize, u32> = HashMap::new();
        for (number, item) in consumer.items.iter().enumerate() {
            let sort = item.sort();
            let place = match item {
                Item::Import(_) if sort == Sort::Instance && calls.instances.contains_key(&instances) => {
                    calls.instances.get(&instances).map_or(NOWHERE, |export| provider.of(Sort::Instance, *export))
                }
                // Its only use is to be lowered.
                Item::Alias(ComponentAlias::InstanceExport { .. })
                    if sort == Sort::Func && calls.functions.contains_key(&functions) =>
                {
                    NOWHERE
                }
                Item::Canon(CanonicalFunction::Lower { .. })
                    if let Some((side, function)) = calls.lowered.get(&number) =>
                {
                    let adapter = match adapters.get(side) {
                        Some(adapter) => *adapter,
                        None => {
                            let adapter = self.adapter(*side, &moved, provider)?;
                            adapters.insert(*side, adapter);
                            adapter
                        }
                    };
                    self.out.function(adapter, &function.to_string())?
                }
                Item::Canon(CanonicalFunction::ResourceDrop { resource })
                    if let Some(number) = consumer.resource(*resource).and_then(|id| calls.numbers.get(&id)) =>
                {
                    let unknown = || consumer.has("a resource that the provider does not have");
                    let instance = *self.resources.get(number).ok_or_else(unknown)?;
                    self.out.function(instance, "consumer-drop")?
                }
                item => self.out.item(item, &mut moved)?,
            };
            moved.push(sort, place);
            instances += u32::from(sort == Sort::Instance);
            functions += u32::from(sort == Sort::Func);
        }
        Ok(())
    }

    /// The instance of the adapter of one side.
    fn adapter(&mut self, side: usize, consumer: &Moved, provider: &Moved) -> Result<u32, NotFlat> {
        let calls = self.calls;
        let Some(side) = calls.sides.get(side) else { return Err(NotFlat::Unsound("a side is missing".into())) };
        let memory = |moved: &Moved, memory: Option<u32>, realloc: Option<u32>| {
            let memory = memory.map(|memory| moved.of(Sort::CoreMemory, memory));
            let realloc = realloc.map(|realloc| moved.of(Sort::CoreFunc, realloc));
            let memory = memory.map(|index| ("memory".to_string(), ExportKind::Memory, index));
            let realloc = realloc.map(|index| ("realloc".to_string(), ExportKind::Func, index));
            memory.into_iter().chain(realloc).collect::<Vec<_>>()
        };
        let theirs = memory(consumer, side.memory, side.realloc);
        let mut own = memory(provider, calls.memory, calls.realloc);
        for (number, function) in side.functions.iter().enumerate() {
            let core = provider.of(Sort::CoreFunc, function.core);
            own.push((format!("call{number}"), ExportKind::Func, core));
            if let Some(post) = function.post_return {
                own.push((format!("post{number}"), ExportKind::Func, provider.of(Sort::CoreFunc, post)));
            }
        }
        let (theirs, own) = (self.out.bundle(&theirs)?, self.out.bundle(&own)?);
        let mut with =
            vec![("consumer", theirs), ("provider", own), ("theirs", self.tables.theirs), ("own", self.tables.own)];
        if self.memories == Memories::One && calls.memory.is_some() {
            let reach = match self.reach {
                Some(reach) => reach,
                None => {
                    let module = self.out.module(&adapter::provider_memory()?);
                    self.out.instantiate(module, &[("provider", own)])?
                }
            };
            self.reach = Some(reach);
            with.push(("reach", reach));
        }
        let module = self.out.module(&adapter::adapter(calls, side, self.memories)?);
        self.out.instantiate(module, &with)
    }
}

/// The instance that a resource's functions come from; `end` is its destructor.
fn resource(out: &mut Writer, tables: &Tables, number: usize, end: Option<u32>) -> Result<u32, NotFlat> {
    let end = match end {
        Some(end) => out.bundle(&[("end".into(), ExportKind::Func, end)])?,
        None => {
            let nothing = out.module(&adapter::nothing()?);
            out.instantiate(nothing, &[])?
        }
    };
    let module = out.module(&adapter::resource(number)?);
    out.instantiate(module, &[("consumer", tables.theirs), ("provider", tables.own), ("resource", end)])
}
