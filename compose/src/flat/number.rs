//! Indices that move: what a part calls its seventh function may be the twentieth of the result.

use super::part::Item;
use std::convert::Infallible;
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentTypeRef, ExternalKind,
};

/// The index spaces of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Type,
    Func,
    Value,
    Instance,
    Component,
    Module,
    CoreInstance,
    CoreFunc,
    CoreMemory,
    CoreTable,
    CoreGlobal,
    CoreTag,
    CoreType,
}

const SORTS: usize = Sort::CoreType as usize + 1;

impl From<ComponentExternalKind> for Sort {
    fn from(kind: ComponentExternalKind) -> Self {
        match kind {
            ComponentExternalKind::Module => Self::Module,
            ComponentExternalKind::Func => Self::Func,
            ComponentExternalKind::Value => Self::Value,
            ComponentExternalKind::Type => Self::Type,
            ComponentExternalKind::Instance => Self::Instance,
            ComponentExternalKind::Component => Self::Component,
        }
    }
}

impl From<ExternalKind> for Sort {
    fn from(kind: ExternalKind) -> Self {
        match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::CoreFunc,
            ExternalKind::Table => Self::CoreTable,
            ExternalKind::Memory => Self::CoreMemory,
            ExternalKind::Global => Self::CoreGlobal,
            ExternalKind::Tag => Self::CoreTag,
        }
    }
}

impl Item<'_> {
    /// What this is one more of.
    pub fn sort(&self) -> Sort {
        match self {
            Self::Type(_) => Sort::Type,
            Self::Import(import) => match import.ty {
                ComponentTypeRef::Module(_) => Sort::Module,
                ComponentTypeRef::Func(_) => Sort::Func,
                ComponentTypeRef::Value(_) => Sort::Value,
                ComponentTypeRef::Type(_) => Sort::Type,
                ComponentTypeRef::Instance(_) => Sort::Instance,
                ComponentTypeRef::Component(_) => Sort::Component,
            },
            Self::Alias(ComponentAlias::InstanceExport { kind, .. }) => (*kind).into(),
            Self::Alias(ComponentAlias::CoreInstanceExport { kind, .. }) => (*kind).into(),
            Self::Alias(ComponentAlias::Outer { kind, .. }) => match kind {
                ComponentOuterAliasKind::CoreModule => Sort::Module,
                ComponentOuterAliasKind::CoreType => Sort::CoreType,
                ComponentOuterAliasKind::Type => Sort::Type,
                ComponentOuterAliasKind::Component => Sort::Component,
            },
            Self::Canon(CanonicalFunction::Lift { .. }) => Sort::Func,
            Self::Canon(_) => Sort::CoreFunc,
            Self::Instance(_) => Sort::Instance,
            Self::CoreInstance(_) => Sort::CoreInstance,
            Self::Module(_) => Sort::Module,
            Self::Component(_) => Sort::Component,
            Self::Export(export) => export.kind.into(),
        }
    }
}

/// How many there are of each sort.
#[derive(Clone, Debug, Default)]
pub struct Counts([u32; SORTS]);

impl Counts {
    /// The index of the next one, which is taken.
    pub fn take(&mut self, sort: Sort) -> u32 {
        let Some(count) = self.0.get_mut(sort as usize) else { return NOWHERE };
        *count += 1;
        *count - 1
    }
}

/// The index of what is not in the result. Nothing may refer to it: no component has as much of anything, so a result
/// that does is invalid.
pub const NOWHERE: u32 = u32::MAX;

/// Where what a part defines is in the result.
#[derive(Debug, Default)]
pub struct Moved {
    places: [Vec<u32>; SORTS],
    /// How many types are open around what is read.
    depth: u32,
}

impl Moved {
    /// The next one of this part is there.
    pub fn push(&mut self, sort: Sort, place: u32) {
        if let Some(places) = self.places.get_mut(sort as usize) {
            places.push(place);
        }
    }

    pub fn of(&self, sort: Sort, index: u32) -> u32 {
        let places = self.places.get(sort as usize);
        places.and_then(|places| places.get(index as usize)).copied().unwrap_or(NOWHERE)
    }

    /// Types in types count by themselves.
    fn outermost(&self, sort: Sort, index: u32) -> u32 {
        if self.depth == 0 { self.of(sort, index) } else { index }
    }
}

impl Reencode for Moved {
    type Error = Infallible;

    fn type_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.outermost(Sort::CoreType, index))
    }
    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.of(Sort::CoreFunc, index))
    }
    fn memory_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.of(Sort::CoreMemory, index))
    }
    fn table_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.of(Sort::CoreTable, index))
    }
    fn global_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.of(Sort::CoreGlobal, index))
    }
    fn tag_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.of(Sort::CoreTag, index))
    }
}

impl ReencodeComponent for Moved {
    fn component_type_index(&mut self, index: u32) -> u32 {
        self.outermost(Sort::Type, index)
    }
    fn component_instance_index(&mut self, index: u32) -> u32 {
        self.outermost(Sort::Instance, index)
    }
    fn component_func_index(&mut self, index: u32) -> u32 {
        self.outermost(Sort::Func, index)
    }
    fn component_index(&mut self, index: u32) -> u32 {
        self.outermost(Sort::Component, index)
    }
    fn module_index(&mut self, index: u32) -> u32 {
        self.outermost(Sort::Module, index)
    }
    fn instance_index(&mut self, index: u32) -> u32 {
        self.of(Sort::CoreInstance, index)
    }
    fn component_value_index(&mut self, _: u32) -> u32 {
        NOWHERE
    }
    fn outer_component_type_index(&mut self, count: u32, index: u32) -> u32 {
        if count == self.depth { self.of(Sort::Type, index) } else { index }
    }
    fn outer_type_index(&mut self, _: u32, _: u32) -> Result<u32, Error<Infallible>> {
        Ok(NOWHERE)
    }
    fn outer_component_index(&mut self, _: u32, _: u32) -> u32 {
        NOWHERE
    }
    fn outer_module_index(&mut self, _: u32, _: u32) -> u32 {
        NOWHERE
    }
    fn push_depth(&mut self) {
        self.depth += 1;
    }
    fn pop_depth(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}
