//! What a component imports and exports, function by function.

use crate::error::Error;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    Function, FunctionKind, Handle, Interface, Resolve, Type, TypeDef, TypeDefKind, TypeId, WorldId, WorldItem,
    WorldKey,
};

/// A component seen from outside.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Its imports, in the order of the component.
    pub imports: Vec<Item>,
    /// Its exports, in the order of the component.
    pub exports: Vec<Item>,
}

/// One import or export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The name by which it is connected: `wasi:keyvalue/store@0.2.0-draft2`, a label, or a function's name.
    pub name: String,
    /// For a labelled import (`import sessions: wasi:keyvalue/store@0.2.0-draft2`): the interface it stands for.
    pub implements: Option<String>,
    /// Whether it is an interface or something by itself.
    pub kind: ItemKind,
    /// Its functions.
    pub functions: Functions,
    /// The resources that it defines. One that it uses from another interface belongs to that one.
    pub resources: Vec<String>,
    /// The interfaces whose types it uses, sorted: `wasi:io/streams@0.2.0`.
    pub uses: Vec<String>,
    /// Those of them whose resources it uses, sorted.
    pub borrows: Vec<String>,
}

/// What an import or export is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemKind {
    /// An interface, of a package or of the component itself.
    #[default]
    Interface,
    /// A function that belongs to no interface.
    Function,
    /// A type that belongs to no interface.
    Type,
}

/// The functions of an interface by their names in the binary format (`[method]bucket.get`). An interface that only
/// carries types has none.
pub type Functions = BTreeMap<String, Signature>;

/// The parameters and the result of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The function as its author wrote it, with the names of the types: `bucket.get: func(key: string) -> result<…,
    /// error>`.
    pub text: String,
    /// Every named type written out, except resources, which are their names. Two functions can be connected when these
    /// are equal.
    pub shape: String,
}

impl Item {
    /// The interface that is meant, whether it was imported by its name or under a label.
    ///
    /// ```
    /// # use kvfuse_compose::Item;
    /// let name = "wasi:keyvalue/store@0.2.0-draft2";
    /// let labelled = Item { name: "sessions".into(), implements: Some(name.into()), ..Item::default() };
    /// assert_eq!(labelled.interface(), name);
    /// ```
    pub fn interface(&self) -> &str {
        self.implements.as_deref().unwrap_or(&self.name)
    }

    /// Whether it only has types, so that no component has to provide it.
    pub fn only_types(&self) -> bool {
        self.functions.is_empty() && self.resources.is_empty()
    }
}

impl World {
    /// Reads a component, and validates it on the way.
    ///
    /// ```
    /// let component = wat::parse_str(r#"(component
    ///     (import "acme:store/counter" (instance (export "next" (func (param "by" u32) (result u32))))))"#)?;
    /// let world = kvfuse_compose::World::of(&component)?;
    /// assert_eq!(world.imports[0].name, "acme:store/counter");
    /// assert_eq!(world.imports[0].functions["next"].text, "next: func(by: u32) -> u32");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Types`] if it is damaged, or imports or exports what WIT cannot express (modules, components, values);
    /// [`Error::WitPackage`].
    pub fn of(component: &[u8]) -> Result<Self, Error> {
        match decoded(component)? {
            DecodedWasm::Component(resolve, world) => Ok(Self::read(&resolve, world)),
            DecodedWasm::WitPackage(..) => Err(Error::WitPackage),
        }
    }

    fn read(resolve: &Resolve, world: WorldId) -> Self {
        let Some(world) = resolve.worlds.get(world) else { return Self::default() };
        let items = |items: &IndexMap<WorldKey, WorldItem>| {
            items.iter().map(|(key, item)| Item::read(resolve, key, item)).collect()
        };
        Self { imports: items(&world.imports), exports: items(&world.exports) }
    }
}

/// What `wit_parser` makes of a component. It panics at some valid ones, for example those that export a component's
/// type: `tests/smith` found them.
pub(crate) fn decoded(component: &[u8]) -> Result<DecodedWasm, Error> {
    let decoded = std::panic::catch_unwind(|| decode(component));
    let decoded = decoded.map_err(|_| Error::Types("it exports or imports what WIT cannot express".into()))?;
    decoded.map_err(|e| Error::Types(e.into()))
}

impl Item {
    fn read(resolve: &Resolve, key: &WorldKey, item: &WorldItem) -> Self {
        let functions = match item {
            WorldItem::Interface { id, .. } => resolve.interfaces.get(*id).map(|interface| {
                interface.functions.values().map(|f| (f.name.clone(), Signature::of(resolve, f))).collect()
            }),
            WorldItem::Function(f) => Some(BTreeMap::from([(f.name.clone(), Signature::of(resolve, f))])),
            WorldItem::Type { .. } => None,
        };
        let kind = match item {
            WorldItem::Interface { .. } => ItemKind::Interface,
            WorldItem::Function(_) => ItemKind::Function,
            WorldItem::Type { .. } => ItemKind::Type,
        };
        let interface = match item {
            WorldItem::Interface { id, .. } => resolve.interfaces.get(*id),
            _ => None,
        };
        let uses = |kind: fn(&Resolve, TypeId) -> bool| {
            interface.map(|interface| uses(resolve, interface, kind)).unwrap_or_default()
        };
        Self {
            kind,
            resources: interface.map(|interface| resources(resolve, interface)).unwrap_or_default(),
            borrows: uses(is_resource),
            uses: uses(|_, _| true),
            name: resolve.name_world_key(key),
            implements: resolve.implements_value(key, item),
            functions: functions.unwrap_or_default(),
        }
    }
}

/// The resources that an interface defines.
fn resources(resolve: &Resolve, interface: &Interface) -> Vec<String> {
    let defined = |id: &TypeId| resolve.types.get(*id).is_some_and(|def| def.kind == TypeDefKind::Resource);
    interface.types.iter().filter(|(_, id)| defined(id)).map(|(name, _)| name.clone()).collect()
}

/// The interfaces whose types of some kind an interface uses.
fn uses(resolve: &Resolve, interface: &Interface, kind: fn(&Resolve, TypeId) -> bool) -> Vec<String> {
    let of_kind = interface.types.values().filter(|id| kind(resolve, **id));
    let mut names: Vec<String> = of_kind.filter_map(|id| resolve.id_of(resolve.type_interface_dep(*id)?)).collect();
    names.sort();
    names.dedup();
    names
}

fn is_resource(resolve: &Resolve, id: TypeId) -> bool {
    match resolve.types.get(id).map(|def| &def.kind) {
        Some(TypeDefKind::Resource) => true,
        // The types that `use` brings in.
        Some(TypeDefKind::Type(Type::Id(used))) => is_resource(resolve, *used),
        _ => false,
    }
}

impl Signature {
    fn of(resolve: &Resolve, function: &Function) -> Self {
        let plain = Printer { resolve, expand: false };
        let expanded = Printer { resolve, expand: true };
        Self { text: plain.function(function), shape: expanded.function(function) }
    }
}

struct Printer<'a> {
    resolve: &'a Resolve,
    expand: bool,
}

impl Printer<'_> {
    fn function(&self, f: &Function) -> String {
        let (prefix, skip) = match f.kind {
            FunctionKind::Freestanding => ("", 0),
            FunctionKind::AsyncFreestanding => ("async ", 0),
            FunctionKind::Method(_) => ("", 1),
            FunctionKind::AsyncMethod(_) => ("async ", 1),
            FunctionKind::Static(_) => ("static ", 0),
            FunctionKind::AsyncStatic(_) => ("static async ", 0),
            FunctionKind::Constructor(_) => ("constructor ", 0),
        };
        let name = f.name.rsplit(']').next().unwrap_or(&f.name);
        let parameters: Vec<_> =
            f.params.iter().skip(skip).map(|p| format!("{}: {}", p.name, self.value(&p.ty))).collect();
        let result = f.result.as_ref().map(|ty| format!(" -> {}", self.value(ty))).unwrap_or_default();
        format!("{name}: {prefix}func({}){result}", parameters.join(", "))
    }

    fn value(&self, ty: &Type) -> String {
        match ty {
            Type::Id(id) => self.resolve.types.get(*id).map_or_else(String::new, |def| self.definition(def)),
            Type::Bool => "bool".into(),
            Type::U8 => "u8".into(),
            Type::U16 => "u16".into(),
            Type::U32 => "u32".into(),
            Type::U64 => "u64".into(),
            Type::S8 => "s8".into(),
            Type::S16 => "s16".into(),
            Type::S32 => "s32".into(),
            Type::S64 => "s64".into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "string".into(),
            Type::ErrorContext => "error-context".into(),
        }
    }

    fn optional(&self, ty: &Option<Type>) -> String {
        ty.as_ref().map_or_else(|| "_".into(), |ty| self.value(ty))
    }

    fn definition(&self, def: &TypeDef) -> String {
        if let (Some(name), false) = (&def.name, self.expand) {
            return name.clone();
        }
        let cases = |cases: &mut dyn Iterator<Item = (&String, Option<&Type>)>| {
            let cases: Vec<_> = cases
                .map(|(name, ty)| ty.map_or_else(|| name.clone(), |ty| format!("{name}({})", self.value(ty))))
                .collect();
            cases.join(", ")
        };
        match &def.kind {
            TypeDefKind::Record(record) => {
                let fields: Vec<_> =
                    record.fields.iter().map(|field| format!("{}: {}", field.name, self.value(&field.ty))).collect();
                format!("record {{ {} }}", fields.join(", "))
            }
            TypeDefKind::Resource => def.name.clone().unwrap_or_else(|| "resource".into()),
            TypeDefKind::Handle(Handle::Own(id)) => self.value(&Type::Id(*id)),
            TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", self.value(&Type::Id(*id))),
            TypeDefKind::Flags(flags) => {
                format!("flags {{ {} }}", cases(&mut flags.flags.iter().map(|flag| (&flag.name, None))))
            }
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<_> = tuple.types.iter().map(|ty| self.value(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            TypeDefKind::Variant(variant) => {
                let mut list = variant.cases.iter().map(|case| (&case.name, case.ty.as_ref()));
                format!("variant {{ {} }}", cases(&mut list))
            }
            TypeDefKind::Enum(list) => {
                format!("enum {{ {} }}", cases(&mut list.cases.iter().map(|case| (&case.name, None))))
            }
            TypeDefKind::Option(ty) => format!("option<{}>", self.value(ty)),
            TypeDefKind::Result(result) => match (&result.ok, &result.err) {
                (None, None) => "result".into(),
                (Some(ok), None) => format!("result<{}>", self.value(ok)),
                (ok, err) => format!("result<{}, {}>", self.optional(ok), self.optional(err)),
            },
            TypeDefKind::List(ty) => format!("list<{}>", self.value(ty)),
            TypeDefKind::Map(key, value) => format!("map<{}, {}>", self.value(key), self.value(value)),
            TypeDefKind::FixedLengthList(ty, length) => format!("list<{}, {length}>", self.value(ty)),
            TypeDefKind::Future(ty) => format!("future<{}>", self.optional(ty)),
            TypeDefKind::Stream(ty) => format!("stream<{}>", self.optional(ty)),
            TypeDefKind::Type(ty) => self.value(ty),
            TypeDefKind::Unknown => "unknown".into(),
        }
    }
}

/// The package and the bare name of an interface. `None` for anything else than the name of an interface in a package.
///
/// ```
/// let (package, interface) = kvfuse_compose::split_name("wasi:keyvalue/store@0.2.0-draft2").unwrap();
/// assert_eq!((package.as_str(), interface), ("wasi:keyvalue@0.2.0-draft2", "store"));
/// assert_eq!(kvfuse_compose::split_name("sessions"), None);
/// ```
pub fn split_name(interface: &str) -> Option<(String, &str)> {
    let (path, version) = interface.split_once('@').map_or((interface, ""), |(path, version)| (path, version));
    let (package, name) = path.split_once('/')?;
    Some((if version.is_empty() { package.into() } else { format!("{package}@{version}") }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_the_decoder_panics_at_is_an_error() {
        let function = "(component (import \"a:b/c\" (instance (type (func)) (export \"f\" (type (eq 0))))))";
        for text in [function, "(component (type $f (func)) (export \"f\" (type $f)))"] {
            let component = wat::parse_str(text).expect("a component");
            assert!(matches!(World::of(&component), Err(Error::Types(_))), "{text}");
        }
    }
}
