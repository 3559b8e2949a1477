//! The sections of the result: what follows one another and is of one kind shares a section.

use super::NotFlat;
use super::number::{Counts, Moved, Sort};
use super::part::Item;
use wasm_encoder::reencode::ReencodeComponent;
use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentExportSection, ComponentImportSection,
    ComponentInstanceSection, ComponentSection, ComponentTypeSection, ExportKind, InstanceSection, ModuleArg,
    RawSection,
};

/// The numbers of the sections whose content is taken as it is.
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;

#[derive(Default)]
pub struct Writer {
    done: Component,
    open: Open,
    counts: Counts,
}

#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    Types(ComponentTypeSection),
    Imports(ComponentImportSection),
    Aliases(ComponentAliasSection),
    Canons(CanonicalFunctionSection),
    Instances(ComponentInstanceSection),
    CoreInstances(InstanceSection),
    Exports(ComponentExportSection),
}

/// The open section of one kind, after closing one of another.
macro_rules! open {
    ($writer:expr, $kind:ident) => {{
        if !matches!($writer.open, Open::$kind(_)) {
            $writer.close();
            $writer.open = Open::$kind(Default::default());
        }
        match &mut $writer.open {
            Open::$kind(section) => section,
            _ => return Err(NotFlat::Unsound("a section that cannot be opened".into())),
        }
    }};
}

impl Writer {
    fn close(&mut self) {
        match std::mem::take(&mut self.open) {
            Open::Nothing => {}
            Open::Types(section) => self.add(&section),
            Open::Imports(section) => self.add(&section),
            Open::Aliases(section) => self.add(&section),
            Open::Canons(section) => self.add(&section),
            Open::Instances(section) => self.add(&section),
            Open::CoreInstances(section) => self.add(&section),
            Open::Exports(section) => self.add(&section),
        }
    }

    fn add(&mut self, section: &impl ComponentSection) {
        self.done.section(section);
    }

    /// Adds a part's definition, and gives its index in the result.
    pub fn item(&mut self, item: &Item, moved: &mut Moved) -> Result<u32, NotFlat> {
        let failed = |e: wasm_encoder::reencode::Error| NotFlat::Unsound(e.to_string());
        match item {
            Item::Type(ty) => {
                // A type may refer to the one before: its place is known before this one is read.
                moved.parse_component_type(open!(self, Types).ty(), ty.clone()).map_err(failed)?;
            }
            Item::Import(import) => {
                let ty = moved.component_type_ref(import.ty).map_err(failed)?;
                open!(self, Imports).import(import.name, ty);
            }
            Item::Alias(alias) => {
                let alias = moved.component_alias(alias.clone()).map_err(failed)?;
                open!(self, Aliases).alias(alias);
            }
            Item::Canon(canon) => {
                moved.parse_component_canonical(open!(self, Canons), canon.clone()).map_err(failed)?;
            }
            Item::Instance(instance) => {
                moved.parse_component_instance(open!(self, Instances), instance.clone()).map_err(failed)?;
            }
            Item::CoreInstance(instance) => {
                moved.parse_instance(open!(self, CoreInstances), instance.clone()).map_err(failed)?;
            }
            Item::Export(export) => {
                moved.parse_component_export(open!(self, Exports), export.clone()).map_err(failed)?;
            }
            Item::Module(bytes) => return Ok(self.module(bytes)),
            Item::Component(bytes) => {
                self.close();
                self.done.section(&RawSection { id: COMPONENT, data: bytes });
            }
        }
        Ok(self.counts.take(item.sort()))
    }

    /// Adds a core module, and gives its index.
    pub fn module(&mut self, bytes: &[u8]) -> u32 {
        self.close();
        self.done.section(&RawSection { id: MODULE, data: bytes });
        self.counts.take(Sort::Module)
    }

    /// Instantiates a core module, and gives the instance's index.
    pub fn instantiate(&mut self, module: u32, with: &[(&str, u32)]) -> Result<u32, NotFlat> {
        let args = with.iter().map(|(name, instance)| (*name, ModuleArg::Instance(*instance)));
        open!(self, CoreInstances).instantiate(module, args);
        Ok(self.counts.take(Sort::CoreInstance))
    }

    /// Makes a core instance of definitions, and gives its index.
    pub fn bundle(&mut self, items: &[(String, ExportKind, u32)]) -> Result<u32, NotFlat> {
        let items = items.iter().map(|(name, kind, index)| (name.as_str(), *kind, *index));
        open!(self, CoreInstances).export_items(items);
        Ok(self.counts.take(Sort::CoreInstance))
    }

    /// The index of a core instance's function.
    pub fn function(&mut self, instance: u32, name: &str) -> Result<u32, NotFlat> {
        open!(self, Aliases).alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Func, name });
        Ok(self.counts.take(Sort::CoreFunc))
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.close();
        self.done.finish()
    }
}
