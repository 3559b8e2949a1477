//! Components that are built for wasm32-unknown-unknown, and calls of their exports.

use crate::root;
use anyhow::{Context, Result, ensure};
use kvfuse_compose::{About, componentize};
use kvfuse_servers::watchdog::Watchdog;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::component::types::ComponentItem;
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

/// A running component: its exports can be called one after the other, in one instance. One that lives too long ends the
/// test program.
pub struct Instance {
    store: Store<Host>,
    instance: wasmtime::component::Instance,
    stdout: MemoryOutputPipe,
    _watchdog: Watchdog,
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
        Self::with(component, arguments, directory, |_, _| Ok(()))
    }

    /// Instantiates it beside another one: what it imports and the other exports under the same name, the host passes on, as
    /// values of its own. wasmCloud links the components of a workload in this way.
    pub fn beside(sibling: Self, component: &[u8], arguments: &[&str], directory: &Path) -> Result<Self> {
        let sibling = Arc::new(Mutex::new(sibling));
        Self::with(component, arguments, directory, |component, linker| {
            for (import, item) in component.component_type().imports(component.engine()) {
                let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
                if !lock(&sibling).exports(import) {
                    continue;
                }
                let mut instance = linker.instance(import)?;
                for (function, item) in interface.exports(component.engine()) {
                    ensure!(matches!(item.ty, ComponentItem::ComponentFunc(_)), "{import} has more than functions");
                    let (sibling, names) = (sibling.clone(), (import.to_string(), function.to_string()));
                    instance.func_new(function, move |_, _, parameters, results| {
                        let value = lock(&sibling)
                            .call(&names.0, &names.1, parameters)
                            .map_err(wasmtime::Error::from_anyhow)?;
                        results.iter_mut().for_each(|result| result.clone_from(&value));
                        Ok(())
                    })?;
                }
            }
            Ok(())
        })
    }

    fn exports(&mut self, interface: &str) -> bool {
        self.instance.get_export_index(&mut self.store, None, interface).is_some()
    }

    fn with(
        component: &[u8],
        arguments: &[&str],
        directory: &Path,
        link: impl FnOnce(&Component, &mut Linker<Host>) -> Result<()>,
    ) -> Result<Self> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let watchdog = Watchdog::of_the_run(&arguments);
        let engine = Engine::default();
        let component = Component::new(&engine, component)?;
        let stdout = MemoryOutputPipe::new(1 << 20);
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg("guest").args(&arguments).stdout(stdout.clone()).preopened_dir(directory, "/", FsPerms::ReadWrite)?;
        let mut store = Store::new(&engine, Host { wasi: wasi.build(), table: ResourceTable::new(), memory: 0 });
        store.limiter(|host| host);
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        link(&component, &mut linker)?;
        let instance = linker.instantiate(&mut store, &component)?;
        Ok(Self { store, instance, stdout, _watchdog: watchdog })
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

fn lock(instance: &Mutex<Instance>) -> MutexGuard<'_, Instance> {
    instance.lock().unwrap_or_else(PoisonError::into_inner)
}
