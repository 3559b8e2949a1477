//! A component as the list of what it defines, in its order.

use super::NotFlat;
use crate::World;
use crate::error::Part as Which;
use crate::sections::sections;
use wasmparser::component_types::ResourceId;
use wasmparser::types::Types;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance, ComponentOuterAliasKind,
    ComponentType, Instance, Parser, Payload, Validator, WasmFeatures,
};

/// A component that is taken apart.
pub struct Part<'a> {
    pub which: Which,
    pub bytes: &'a [u8],
    pub world: World,
    /// What wasmparser knows of each index.
    pub types: Types,
    pub items: Vec<Item<'a>>,
}

/// One definition: it takes the next number of an index space.
pub enum Item<'a> {
    Type(ComponentType<'a>),
    Import(ComponentImport<'a>),
    Alias(ComponentAlias<'a>),
    Canon(CanonicalFunction),
    Instance(ComponentInstance<'a>),
    CoreInstance(Instance<'a>),
    /// A core module, as its bytes.
    Module(&'a [u8]),
    /// A component that refers to nothing outside, as its bytes.
    Component(&'a [u8]),
    Export(ComponentExport<'a>),
}

impl<'a> Part<'a> {
    pub fn read(bytes: &'a [u8], which: Which) -> Result<Self, NotFlat> {
        let other = |what: &str| NotFlat::Structure { part: which, what: what.into() };
        let asynchronous = WasmFeatures::CM_ASYNC
            | WasmFeatures::CM_ASYNC_STACKFUL
            | WasmFeatures::CM_MORE_ASYNC_BUILTINS
            | WasmFeatures::CM_THREADING
            | WasmFeatures::CM_ERROR_CONTEXT;
        let validated = Validator::new_with_features(WasmFeatures::all() - asynchronous).validate_all(bytes);
        let types =
            validated.map_err(|e| match Validator::new_with_features(WasmFeatures::all()).validate_all(bytes) {
                Ok(_) => NotFlat::Asynchronous(which),
                Err(_) => other(&format!("an error: {e}")),
            })?;
        let world = World::of(bytes).map_err(|e| other(&format!("a world that cannot be read: {e}")))?;
        let broken = |e: wasmparser::BinaryReaderError| other(&format!("an error: {e}"));
        let mut items = Vec::new();
        for section in sections(bytes).map_err(|e| other(&format!("an error: {e}")))? {
            let content = section.content();
            match section.payload {
                Payload::CustomSection(_) => {}
                Payload::ComponentTypeSection(s) => all(&mut items, s, Item::Type).map_err(broken)?,
                Payload::ComponentImportSection(s) => all(&mut items, s, Item::Import).map_err(broken)?,
                Payload::ComponentAliasSection(s) => all(&mut items, s, Item::Alias).map_err(broken)?,
                Payload::ComponentCanonicalSection(s) => all(&mut items, s, Item::Canon).map_err(broken)?,
                Payload::ComponentInstanceSection(s) => all(&mut items, s, Item::Instance).map_err(broken)?,
                Payload::InstanceSection(s) => all(&mut items, s, Item::CoreInstance).map_err(broken)?,
                Payload::ComponentExportSection(s) => all(&mut items, s, Item::Export).map_err(broken)?,
                Payload::ModuleSection { .. } => items.push(Item::Module(content)),
                Payload::ComponentSection { .. } => match closed(content).map_err(broken)? {
                    true => items.push(Item::Component(content)),
                    false => return Err(other("a component inside that refers to what is around it")),
                },
                _ => return Err(other("core types, values or a start function")),
            }
        }
        Ok(Self { which, bytes, world, types, items })
    }

    /// Why it cannot be taken apart.
    pub fn has(&self, what: impl Into<String>) -> NotFlat {
        NotFlat::Structure { part: self.which, what: what.into() }
    }

    /// The resource that a type index stands for.
    pub fn resource(&self, index: u32) -> Option<ResourceId> {
        use wasmparser::component_types::ComponentAnyTypeId::Resource;
        match self.types.as_ref().component_any_type_at(index) {
            Resource(id) => Some(id.resource()),
            _ => None,
        }
    }
}

fn all<'a, T: wasmparser::FromReader<'a>>(
    items: &mut Vec<Item<'a>>,
    section: wasmparser::SectionLimited<'a, T>,
    item: impl Fn(T) -> Item<'a>,
) -> Result<(), wasmparser::BinaryReaderError> {
    for one in section {
        items.push(item(one?));
    }
    Ok(())
}

/// Whether nothing in a component refers to what is outside of it: then it may stand anywhere.
fn closed(component: &[u8]) -> Result<bool, wasmparser::BinaryReaderError> {
    // How many components are open.
    let mut depth = 0u32;
    let mut open = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding, .. } => {
                let one = u32::from(encoding == wasmparser::Encoding::Component);
                open.push(one);
                depth += one;
            }
            Payload::End(_) => depth -= open.pop().unwrap_or(0).min(depth),
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::Outer { count, .. } = alias?
                        && count >= depth
                    {
                        return Ok(false);
                    }
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    if reaches_out(&ty?, depth) {
                        return Ok(false);
                    }
                }
            }
            Payload::CoreTypeSection(_) => return Ok(false),
            _ => {}
        }
    }
    Ok(true)
}

/// Whether a type, at this depth, refers to something outside of that many components.
fn reaches_out(ty: &ComponentType, depth: u32) -> bool {
    use wasmparser::{ComponentTypeDeclaration, InstanceTypeDeclaration};
    let alias = |alias: &ComponentAlias| match alias {
        ComponentAlias::Outer { count, kind, .. } => *count > depth || *kind != ComponentOuterAliasKind::Type,
        _ => false,
    };
    match ty {
        ComponentType::Instance(declarations) => declarations.iter().any(|one| match one {
            InstanceTypeDeclaration::Type(ty) => reaches_out(ty, depth + 1),
            InstanceTypeDeclaration::Alias(one) => alias(one),
            InstanceTypeDeclaration::CoreType(_) => true,
            InstanceTypeDeclaration::Export { .. } => false,
        }),
        ComponentType::Component(declarations) => declarations.iter().any(|one| match one {
            ComponentTypeDeclaration::Type(ty) => reaches_out(ty, depth + 1),
            ComponentTypeDeclaration::Alias(one) => alias(one),
            ComponentTypeDeclaration::CoreType(_) => true,
            ComponentTypeDeclaration::Export { .. } | ComponentTypeDeclaration::Import(_) => false,
        }),
        _ => false,
    }
}

/// The import that a component exports again as this function.
pub fn passed_through(component: &[u8], function: &str) -> Result<Option<String>, crate::Error> {
    let mut functions: Vec<Option<String>> = Vec::new();
    let mut found = None;
    for section in sections(component)? {
        match section.payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    if matches!(import.ty, wasmparser::ComponentTypeRef::Func(_)) {
                        functions.push(Some(import.name.name.to_string()));
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == wasmparser::ComponentExternalKind::Func {
                        let import = functions.get(export.index as usize).cloned().flatten();
                        if export.name.name == function {
                            found.clone_from(&import);
                        }
                        functions.push(import);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    if let ComponentAlias::InstanceExport { kind: wasmparser::ComponentExternalKind::Func, .. } = alias?
                    {
                        functions.push(None);
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for canon in section {
                    if let CanonicalFunction::Lift { .. } = canon? {
                        functions.push(None);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_takes_something_from_around_it_is_noticed_at_any_depth() {
        let inner = |text: &str| {
            let outer = wat::parse_str(format!("(component $o (type $t u8) {text})")).unwrap();
            let found = sections(&outer).unwrap();
            let inner = found.iter().find(|s| matches!(s.payload, Payload::ComponentSection { .. })).unwrap();
            closed(inner.content()).unwrap()
        };
        assert!(inner("(component $c (type $u u8) (type (instance (alias outer $c $u (type)))))"));
        assert!(inner("(component $c (type $u u8) (component (alias outer $c $u (type))))"));
        assert!(!inner("(component (alias outer $o $t (type)))"));
        assert!(!inner("(component (component (alias outer $o $t (type))))"));
        assert!(!inner("(component (type (instance (alias outer $o $t (type)))))"));
        assert!(!inner("(component (type (component (type (instance (alias outer $o $t (type)))))))"));
    }
}
