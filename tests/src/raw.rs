//! A consumer without bindings: a core module in which every function of a key-value interface can be called with any
//! numbers, and whose allocator misbehaves when asked to.
//!
//! Its component exports a function for each one that it imports, with the core parameters as numbers, and `poke`,
//! `peek`, `digest` and `misbehave`.

use crate::root;
use anyhow::{Context, Result};
use std::fmt::Write;
use wasmtime::component::Val;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem};

/// Where its memory is free for arguments. Its allocations come after that.
pub const SCRATCH: std::ops::Range<u32> = 0x100..0x1_8000;
/// The size of its memory in bytes, unless it grows.
pub const MEMORY: u32 = 0x6_0000;

/// How its allocator misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    No,
    /// It returns an unaligned address.
    Unaligned,
    /// It returns an address beyond the end of its memory.
    Outside,
    /// It returns the last bytes of its memory.
    AtTheEnd,
    /// It returns the same address every time.
    Same,
    /// It returns 0.
    Zero,
    /// It grows its memory first.
    Grows,
    /// It calls the interface.
    Calls,
    /// It drops handles.
    Drops,
    /// It traps.
    Traps,
}

impl Misbehaviour {
    pub const ALL: [Self; 10] = [
        Self::No,
        Self::Unaligned,
        Self::Outside,
        Self::AtTheEnd,
        Self::Same,
        Self::Zero,
        Self::Grows,
        Self::Calls,
        Self::Drops,
        Self::Traps,
    ];
}

/// A function that it imports.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The interface and the function, or `drop` and the resource.
    pub name: String,
    /// The export that calls it.
    pub export: String,
    /// What the core function takes: whether each is of 64 bits.
    pub core: Vec<bool>,
    pub kind: Kind,
}

impl Raw {
    /// Whether the last parameter says where the result goes.
    pub fn returns_in_memory(&self) -> bool {
        matches!(self.kind, Kind::Function { retptr: true, .. })
    }
}

/// What is called.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The parameters and the result, and whether the consumer says where the result goes.
    Function { params: Vec<(String, Type)>, result: Option<Type>, retptr: bool },
    /// A resource is dropped.
    Drop(TypeId),
}

/// The consumer of one generation.
pub struct Consumer {
    pub component: Vec<u8>,
    pub functions: Vec<Raw>,
    pub resolve: Resolve,
}

impl Consumer {
    /// Of the interfaces in a folder of `wit/`. Functions that pass resources of other packages are left out.
    pub fn of(generation: &str) -> Result<Self> {
        Self::with(generation, &[])
    }

    /// The same with interfaces of the host, each a package as text.
    pub fn with(generation: &str, host: &[&str]) -> Result<Self> {
        let mut resolve = Resolve::default();
        let folder = root().join("wit");
        let io = "wasi:io/";
        let mentions =
            |file: std::fs::DirEntry| std::fs::read_to_string(file.path()).is_ok_and(|text| text.contains(io));
        if std::fs::read_dir(folder.join(generation))?.flatten().any(mentions) {
            resolve.push_dir(folder.join("io"))?;
        }
        let (package, _) = resolve.push_dir(folder.join(generation)).with_context(|| generation.to_string())?;
        let mut packages = vec![package];
        for text in host {
            packages.push(resolve.push_str("host.wit", text)?);
        }
        Self::of_packages(resolve, &packages)
    }

    /// Of a package as text.
    pub fn of_text(text: &str) -> Result<Self> {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("package.wit", text)?;
        Self::of_packages(resolve, &[package])
    }

    fn of_packages(mut resolve: Resolve, packages: &[PackageId]) -> Result<Self> {
        let mut functions = Vec::new();
        let mut module = Module::default();
        let mut imported = Vec::new();
        for package in packages {
            let elsewhere = |id: TypeId| match resolve.types[id].owner {
                TypeOwner::Interface(interface) => resolve.interfaces[interface].package != Some(*package),
                _ => true,
            };
            for interface in interfaces(&resolve, *package) {
                let name = resolve.id_of(interface).context("a name")?;
                for function in resolve.interfaces[interface].functions.values() {
                    if !passes(&resolve, function, &elsewhere) {
                        functions.push(module.function(&resolve, &name, function));
                    }
                }
                for (resource, id) in &resolve.interfaces[interface].types {
                    if resolve.types[*id].kind == TypeDefKind::Resource {
                        functions.push(module.drop(&name, resource, *id));
                    }
                }
                imported.push(name);
            }
        }
        let world = resolve.push_str("raw.wit", &world(&imported, &functions))?;
        let world = resolve.select_world(&[world], None)?;
        let component = encode(&module.text(), &resolve, world)?;
        Ok(Self { component, functions, resolve })
    }

    /// The functions and drops whose names end so.
    pub fn function(&self, name: &str) -> &Raw {
        self.functions.iter().find(|raw| raw.name.ends_with(name)).expect("a function of this name")
    }
}

/// The interfaces of a package that a consumer imports: those of its world `imports`, where it has one.
fn interfaces(resolve: &Resolve, package: PackageId) -> Vec<InterfaceId> {
    let package_of = &resolve.packages[package];
    let Some(world) = package_of.worlds.get("imports") else {
        return package_of.interfaces.values().copied().collect();
    };
    let of_package = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } if resolve.interfaces[*id].package == Some(package) => Some(*id),
        _ => None,
    };
    resolve.worlds[*world].imports.values().filter_map(of_package).collect()
}

/// A component of a core module's text and its world.
pub fn encode(module: &str, resolve: &Resolve, world: WorldId) -> Result<Vec<u8>> {
    let mut core = wat::parse_str(module)?;
    embed_component_metadata(&mut core, resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&core)?.validate(true).encode()
}

/// A component of a core module's text and the world of this name in a package as text.
pub fn encode_text(module: &str, package: &str, world: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("package.wit", package)?;
    let world = resolve.select_world(&[package], Some(world))?;
    encode(module, &resolve, world)
}

/// The resource that is meant, through aliases.
pub fn resource(resolve: &Resolve, mut id: TypeId) -> TypeId {
    while let TypeDefKind::Type(Type::Id(other)) = resolve.types[id].kind {
        id = other;
    }
    id
}

fn passes(resolve: &Resolve, function: &Function, which: &dyn Fn(TypeId) -> bool) -> bool {
    let params = function.params.iter().map(|param| &param.ty);
    params.chain(&function.result).any(|ty| has(resolve, ty, which))
}

fn has(resolve: &Resolve, ty: &Type, which: &dyn Fn(TypeId) -> bool) -> bool {
    let Type::Id(id) = ty else { return false };
    let has = |ty: &Type| has(resolve, ty, which);
    match &resolve.types[*id].kind {
        TypeDefKind::Handle(handle) => {
            let (wit_parser::Handle::Own(id) | wit_parser::Handle::Borrow(id)) = handle;
            which(resource(resolve, *id))
        }
        TypeDefKind::Record(record) => record.fields.iter().any(|field| has(&field.ty)),
        TypeDefKind::Tuple(tuple) => tuple.types.iter().any(has),
        TypeDefKind::Variant(variant) => variant.cases.iter().flat_map(|case| &case.ty).any(has),
        TypeDefKind::Option(ty) | TypeDefKind::List(ty) | TypeDefKind::Type(ty) => has(ty),
        TypeDefKind::Result(result) => result.ok.iter().chain(&result.err).any(has),
        _ => false,
    }
}

fn world(imported: &[String], functions: &[Raw]) -> String {
    let mut text = String::from("package kvfuse:raw;\nworld raw {\n");
    for name in imported {
        let _ = writeln!(text, "  import {name};");
    }
    for raw in functions {
        let of = |(index, wide): (usize, &bool)| format!("a{index}: {}", if *wide { "u64" } else { "u32" });
        let params: Vec<_> = raw.core.iter().enumerate().map(of).collect();
        let _ = writeln!(text, "  export {}: func({}) -> u64;", raw.export, params.join(", "));
    }
    text.push_str(
        "  export poke: func(at: u32, bytes: u64);
  export peek: func(at: u32) -> u64;
  export digest: func() -> u64;
  export misbehave: func(how: u32, after: u32);
}
",
    );
    text
}

/// The core module's text.
#[derive(Default)]
struct Module {
    imports: String,
    exports: String,
    number: usize,
    drops: String,
    call: String,
}

impl Module {
    fn function(&mut self, resolve: &Resolve, interface: &str, function: &Function) -> Raw {
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
        assert!(!signature.indirect_params, "no function has so many parameters");
        let wide = |ty: &WasmType| matches!(ty, WasmType::I64 | WasmType::PointerOrI64);
        let core: Vec<bool> = signature.params.iter().map(wide).collect();
        let params = function.params.iter().map(|param| (param.name.clone(), param.ty)).collect();
        let kind = Kind::Function { params, result: function.result, retptr: signature.retptr };
        let raw = self.import(interface, &function.name, core, signature.results.first().map(wide), kind);
        if self.call.is_empty() && raw.core.len() > 2 {
            let zeros: String =
                raw.core.iter().map(|wide| if *wide { "(i64.const 0)" } else { "(i32.const 0)" }).collect();
            let drop = if signature.results.is_empty() { "" } else { "drop" };
            self.call = format!("(call ${} {zeros}) {drop}", raw.export);
        }
        raw
    }

    fn drop(&mut self, interface: &str, resource: &str, id: TypeId) -> Raw {
        let raw = self.import(interface, &format!("[resource-drop]{resource}"), vec![false], None, Kind::Drop(id));
        let _ = writeln!(self.drops, "(call ${} (i32.const 1))", raw.export);
        raw
    }

    /// `result` is whether the result has 64 bits, if there is one.
    fn import(&mut self, interface: &str, name: &str, core: Vec<bool>, result: Option<bool>, kind: Kind) -> Raw {
        let export = format!("call-{}", self.number);
        self.number += 1;
        let types: Vec<_> = core.iter().map(|wide| if *wide { "i64" } else { "i32" }).collect();
        let params = if types.is_empty() { String::new() } else { format!("(param {})", types.join(" ")) };
        let (returns, widened) = match result {
            None => ("", "(i64.const 0)"),
            Some(false) => ("(result i32)", "(i64.extend_i32_u)"),
            Some(true) => ("(result i64)", ""),
        };
        let _ = writeln!(self.imports, "(import \"{interface}\" \"{name}\" (func ${export} {params} {returns}))");
        let arguments: String = (0..types.len()).map(|index| format!("(local.get {index})")).collect();
        let _ = writeln!(
            self.exports,
            "(func (export \"{export}\") {params} (result i64) (call ${export} {arguments}) {widened})"
        );
        Raw { name: format!("{interface}#{name}"), export, core, kind }
    }

    fn text(&self) -> String {
        let pages = MEMORY >> 16;
        let free = SCRATCH.end;
        format!(
            r#"(module
  {imports}
  (memory (export "memory") {pages})
  (global $free (mut i32) (i32.const {free}))
  (global $how (mut i32) (i32.const 0))
  (global $after (mut i32) (i32.const 0))
  (func $end (result i32) (i32.shl (memory.size) (i32.const 16)))
  (func $plain (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $free) (call $end))
      (then (if (i32.eq (i32.const -1) (memory.grow
        (i32.add (i32.const 1) (i32.shr_u (i32.sub (global.get $free) (call $end)) (i32.const 16))))) (then unreachable))))
    (local.get $at))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $how i32)
    (if (global.get $how)
      (then
        (if (global.get $after)
          (then (global.set $after (i32.sub (global.get $after) (i32.const 1))))
          (else (local.set $how (global.get $how)) (global.set $how (i32.const 0))))))
    (if (i32.eq (local.get $how) (i32.const 1))
      (then (return (i32.add (call $plain (i32.const 8) (i32.add (local.get $size) (i32.const 8))) (i32.const 1)))))
    (if (i32.eq (local.get $how) (i32.const 2))
      (then (return (i32.sub (call $end) (i32.and (i32.shr_u (local.get $size) (i32.const 1)) (i32.const -8))))))
    (if (i32.eq (local.get $how) (i32.const 3))
      (then (return (i32.and (i32.sub (call $end) (local.get $size)) (i32.sub (i32.const 0) (local.get $align))))))
    (if (i32.eq (local.get $how) (i32.const 4)) (then (global.set $how (i32.const 4)) (return (i32.const 4096))))
    (if (i32.eq (local.get $how) (i32.const 5)) (then (return (i32.const 0))))
    (if (i32.eq (local.get $how) (i32.const 6)) (then (drop (memory.grow (i32.const 1)))))
    (if (i32.eq (local.get $how) (i32.const 7)) (then {call}))
    (if (i32.eq (local.get $how) (i32.const 8)) (then {drops}))
    (if (i32.eq (local.get $how) (i32.const 9)) (then unreachable))
    (call $plain (local.get $align) (local.get $size)))
  {exports}
  (func (export "poke") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "peek") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "misbehave") (param i32 i32)
    (global.set $how (local.get 0)) (global.set $after (local.get 1)))
  ;; Of the whole memory, its size, and how much was allocated.
  (func (export "digest") (result i64)
    (local $at i32) (local $end i32) (local $digest i64)
    (local.set $end (call $end))
    (local.set $digest (i64.xor (i64.extend_i32_u (local.get $end)) (i64.extend_i32_u (global.get $free))))
    (loop $more
      (local.set $digest
        (i64.xor
          (i64.mul (i64.rotl (local.get $digest) (i64.const 23)) (i64.const 0x9e3779b97f4a7c15))
          (i64.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $digest))
)"#,
            imports = self.imports,
            exports = self.exports,
            call = self.call,
            drops = self.drops,
        )
    }
}

/// A core argument as the export takes it.
pub fn argument(wide: bool, value: u64) -> Val {
    if wide { Val::U64(value) } else { Val::U32(value as u32) }
}
