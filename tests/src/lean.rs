//! Components that are built for wasm32-unknown-unknown, and calls of their exports.

use crate::root;
use anyhow::{Context, Result};
use kvfuse_compose::{About, componentize};
use std::path::{Path, PathBuf};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Engine, ResourceLimiter, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The component of an example for wasm32-unknown-unknown, by its name.
pub fn example(name: &str) -> Result<Vec<u8>> {
    from_core(&target().join("wasm32-unknown-unknown/guest/examples").join(format!("{name}.wasm")))
}

/// A component of a core module that carries its world.
pub fn from_core(path: &Path) -> Result<Vec<u8>> {
    let core =
        std::fs::read(path).with_context(|| format!("{} is missing; make test-guests makes it", path.display()))?;
    let about =
        About { name: "guest".into(), version: "0.1.0".into(), licenses: "Apache-2.0".into(), ..About::default() };
    componentize(&core, &about).with_context(|| path.display().to_string())
}

/// A running component: its exports can be called one after the other, in one instance.
pub struct Instance {
    store: Store<Host>,
    instance: wasmtime::component::Instance,
    stdout: MemoryOutputPipe,
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
    /// The size of all memories together, in bytes. They never shrink.
    memory: usize,
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.memory += desired - current;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Instance {
    /// Instantiates it with the directory as `/`.
    pub fn new(component: &[u8], arguments: &[&str], directory: &Path) -> Result<Self> {
        let engine = Engine::default();
        let component = Component::new(&engine, component)?;
        let stdout = MemoryOutputPipe::new(1 << 20);
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg("guest").args(arguments).stdout(stdout.clone()).preopened_dir(directory, "/", FsPerms::ReadWrite)?;
        let mut store = Store::new(&engine, Host { wasi: wasi.build(), table: ResourceTable::new(), memory: 0 });
        store.limiter(|host| host);
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let instance = linker.instantiate(&mut store, &component)?;
        Ok(Self { store, instance, stdout })
    }

    /// Calls a function of an exported interface; it has one result.
    pub fn call(&mut self, interface: &str, function: &str, parameters: &[Val]) -> Result<Val> {
        let interface_index =
            self.instance.get_export_index(&mut self.store, None, interface).context("no such export")?;
        let index = self.instance.get_export_index(&mut self.store, Some(&interface_index), function);
        let function =
            self.instance.get_func(&mut self.store, index.context("no such function")?).context("no function")?;
        let mut results = vec![Val::Bool(false); function.ty(&self.store).results().len()];
        function.call(&mut self.store, parameters, &mut results)?;
        Ok(results.pop().unwrap_or(Val::Tuple(Vec::new())))
    }

    /// How much memory the instance has, consumer and provider together, in bytes.
    pub fn memory(&self) -> usize {
        self.store.data().memory
    }

    /// What it has written to standard output so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout.contents()).into_owned()
    }
}
