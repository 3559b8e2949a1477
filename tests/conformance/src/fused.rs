//! One case in a fused component.

use crate::Runner;
use crate::command::PATIENCE;
use crate::target::{Grant, Kind, Target};
use anyhow::{Context, Result, bail};
use kvfuse_compose::{Interfaces, Memories, Supply, Wire, compose, flatten};
use std::sync::LazyLock;
use std::time::Duration;
use wasmtime::component::{Accessor, Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, OptLevel, RegallocAlgorithm, Store};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2, p3};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// An engine whose epochs are seconds: a case that does not end is stopped.
static ENGINE: LazyLock<Result<Engine, String>> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Compiling takes longer than running the cases.
    config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    let clock = engine.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            clock.increment_epoch();
        }
    });
    Ok(engine)
});

/// A guest fused with a provider, and what it is granted.
#[derive(Clone)]
pub struct Fused {
    component: Component,
    engine: Engine,
    linker: Linker<State>,
    environment: Vec<(String, String)>,
    grants: Vec<Grant>,
    patience: Duration,
    /// Whether the guest is a command of WASI 0.3.
    third: bool,
}

struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}

impl Fused {
    /// Fuses a guest with a provider and compiles the result. The target says what it is granted.
    ///
    /// # Errors
    /// If the two do not fit together, or the target is a host's command line.
    pub fn new(guest: &[u8], provider: &[u8], target: &Target) -> Result<Self> {
        Self::of(&compose(guest, provider)?, target)
    }

    /// The same, fused into a flat component with so many memories in a module of its adapter.
    ///
    /// # Errors
    /// A [`NotFlat`](kvfuse_compose::NotFlat) if that is not possible, and those of [`Fused::new`].
    pub fn flat(guest: &[u8], provider: &[u8], memories: Memories, target: &Target) -> Result<Self> {
        let exports = Interfaces::of(provider)?.exports;
        let wires = Interfaces::of(guest)?.imports.into_iter().filter(|name| exports.contains(name));
        let wires = wires.map(|name| Wire { import: name.clone(), export: name }).collect();
        let supply = Supply { provider, wires, ..Supply::default() };
        Self::of(&flatten(guest, &[supply], memories)?, target)
    }

    /// A component that has a provider inside.
    ///
    /// # Errors
    /// If it cannot be compiled, or the target is a host's command line.
    pub fn of(fused: &[u8], target: &Target) -> Result<Self> {
        let Kind::Component { environment, grants, .. } = &target.kind else {
            bail!("the target {} is a host, not a provider component", target.name)
        };
        let engine = ENGINE.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.clone();
        let exports = Interfaces::of(fused)?.exports;
        let third = exports.iter().any(|name| name.starts_with("wasi:cli/run@0.3."));
        let mut linker = Linker::new(&engine);
        p2::add_to_linker_async(&mut linker)?;
        p3::add_to_linker(&mut linker)?;
        if grants.contains(&Grant::Http) {
            wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
            wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        }
        let environment = environment.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let (component, grants) = (Component::new(&engine, fused)?, grants.clone());
        Ok(Self { component, engine, linker, environment, grants, patience: PATIENCE, third })
    }

    /// The same with one more environment variable and another time limit for each case, in whole seconds.
    pub fn with(&self, variable: (&str, &str), patience: Duration) -> Self {
        let mut this = Self { patience, ..self.clone() };
        this.environment.push((variable.0.into(), variable.1.into()));
        this
    }
}

impl Fused {
    /// What the command gives in the end.
    async fn ended(&self, mut store: Store<State>) -> wasmtime::Result<Result<(), ()>> {
        if self.third {
            let command = p3::bindings::Command::instantiate_async(&mut store, &self.component, &self.linker).await?;
            let run = async |store: &Accessor<State>| command.wasi_cli_run().call_run(store).await;
            return store.run_concurrent(run).await.flatten();
        }
        let command = p2::bindings::Command::instantiate_async(&mut store, &self.component, &self.linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    }
}

impl Runner for Fused {
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let (stdout, stderr) = (MemoryOutputPipe::new(1 << 20), MemoryOutputPipe::new(1 << 20));
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg("guest")
            .args(arguments)
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .allow_blocking_current_thread(true);
        // The first argument is the case's bucket, which is unique where the target says so.
        let case = arguments.first().copied().unwrap_or_default();
        for (name, value) in &self.environment {
            wasi.env(name, value.replace("{case}", case));
        }
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        if self.grants.contains(&Grant::Directory) {
            wasi.preopened_dir(folder.path(), "/", FsPerms::ReadWrite)?;
        }
        if self.grants.contains(&Grant::Network) {
            wasi.inherit_network().allow_tcp(true).allow_ip_name_lookup(true);
        }
        let state = State { wasi: wasi.build(), http: WasiHttpCtx::new(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(self.patience.as_secs());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(self.ended(store)) {
            Ok(Ok(())) => {}
            Ok(Err(())) => bail!("the guest has no case of this name"),
            Err(trap) => return refused(&stderr.contents()).ok_or_else(|| trap.into()),
        }
        Ok(String::from_utf8_lossy(&stdout.contents()).into_owned())
    }
}

/// What a case prints that is not supported, if the last line on standard error says so: a provider traps if the signature of a call
/// has no place for an error.
fn refused(stderr: &[u8]) -> Option<String> {
    let stderr = String::from_utf8_lossy(stderr);
    let said = stderr.lines().rev().find(|line| line.contains("this generation of the interface has no error for"))?;
    said.contains("not support").then(|| format!("unsupported: {said}\n"))
}
