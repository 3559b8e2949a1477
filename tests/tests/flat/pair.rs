//! A consumer fused in the ordinary way, and flat in both forms.

use anyhow::{Context, Result, bail, ensure};
use kvfuse_compose::{Memories, Supply, World, connect, fit, flatten, is_keyvalue};
use kvfuse_tests::engine;
use kvfuse_tests::raw::{Misbehaviour, Raw, argument};
use std::path::Path;
use std::sync::LazyLock;
use wasmtime::component::{Component, Func, Instance, InstancePre, Linker, ResourceTable, Val};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// One with all that it has by default, and one that refuses a module with two memories.
static ENGINES: LazyLock<[Engine; 2]> = LazyLock::new(|| {
    let single = |config: &mut Config| {
        config.wasm_multi_memory(false);
    };
    [engine(|_| {}), engine(single)]
});

pub struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// A consumer and a provider composed, and flat with two memories in a module and with one.
pub fn fuse(consumer: &[u8], provider: &[u8]) -> Result<[Vec<u8>; 3]> {
    let (wanted, offered) = (World::of(consumer)?.imports, World::of(provider)?.exports);
    let wanted: Vec<_> = wanted.iter().filter(|item| is_keyvalue(item.interface())).collect();
    let Ok(wires) = fit(&wanted, &offered) else { bail!("they do not fit") };
    let composed = connect(consumer, provider, &wires)?;
    let supply = [Supply { provider, wires, ..Supply::default() }];
    Ok([composed, flatten(consumer, &supply, Memories::Two)?, flatten(consumer, &supply, Memories::One)?])
}

/// All three, compiled.
pub struct Pair([InstancePre<Host>; 3]);

/// An instance of each.
pub struct Running([One; 3]);

struct One {
    store: Store<Host>,
    instance: Instance,
}

/// How a call ended in all of them.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Returned(u64),
    Trapped,
}

impl Pair {
    pub fn new(consumer: &[u8], provider: &[u8]) -> Result<Self> {
        let [composed, two, one] = fuse(consumer, provider)?;
        let [multi, single] = &*ENGINES;
        let compiled = |engine: &Engine, bytes: &[u8]| -> Result<_> {
            let mut linker = Linker::new(engine);
            wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
            Ok(linker.instantiate_pre(&Component::new(engine, bytes)?)?)
        };
        Ok(Self([compiled(multi, &composed)?, compiled(multi, &two)?, compiled(single, &one)?]))
    }

    /// A fresh instance of each, with an empty directory of its own where one is given.
    pub fn start(&self, directories: Option<[&Path; 3]>) -> Result<Running> {
        let one = |index: usize| -> Result<One> {
            let mut wasi = WasiCtxBuilder::new();
            if let Some(directories) = directories {
                wasi.preopened_dir(directories[index], "/", FsPerms::ReadWrite)?;
            }
            let program = &self.0[index];
            let host = Host { wasi: wasi.build(), table: ResourceTable::new() };
            let mut store = Store::new(program.component().engine(), host);
            let instance = program.instantiate(&mut store)?;
            Ok(One { store, instance })
        };
        Ok(Running([one(0)?, one(1)?, one(2)?]))
    }
}

impl One {
    fn function(&mut self, name: &str) -> Result<Func> {
        self.instance.get_func(&mut self.store, name).with_context(|| name.to_string())
    }

    /// `None` is a trap.
    fn call(&mut self, name: &str, arguments: &[Val], results: usize) -> Result<Option<Val>> {
        let function = self.function(name)?;
        let mut given = vec![Val::Bool(false); results];
        match function.call(&mut self.store, arguments, &mut given) {
            Ok(()) => Ok(Some(given.pop().unwrap_or(Val::U32(0)))),
            Err(_) => Ok(None),
        }
    }
}

impl Running {
    pub fn poke(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        for (word, at) in bytes.chunks(8).zip((at..).step_by(8)) {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            for one in &mut self.0 {
                let arguments = [Val::U32(at), Val::U64(u64::from_le_bytes(whole))];
                ensure!(one.call("poke", &arguments, 0)?.is_some(), "poke {at}");
            }
        }
        Ok(())
    }

    /// Eight bytes of the consumer's memory; all have the same.
    pub fn peek(&mut self, at: u32) -> Result<Option<u64>> {
        match self.0[0].call("peek", &[Val::U32(at)], 1)? {
            Some(Val::U64(bytes)) => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    pub fn misbehave(&mut self, how: Misbehaviour, after: u32) -> Result<()> {
        for one in &mut self.0 {
            one.call("misbehave", &[Val::U32(how as u32), Val::U32(after)], 0)?.context("misbehave")?;
        }
        Ok(())
    }

    /// Calls all, and compares what they return and what is then in the consumer's memory.
    pub fn call(&mut self, raw: &Raw, core: &[u64]) -> Result<Ended> {
        let arguments: Vec<Val> = raw.core.iter().zip(core).map(|(wide, value)| argument(*wide, *value)).collect();
        let [composed, flat @ ..] = &mut self.0;
        let expected = composed.call(&raw.export, &arguments, 1)?;
        let digest = composed.call("digest", &[], 1)?;
        // A trap is the end of it.
        ensure!(expected.is_some() == digest.is_some(), "composed it gives {expected:?}, and then {digest:?}");
        for (flat, memories) in flat.iter_mut().zip(["two memories", "one memory"]) {
            let ended = flat.call(&raw.export, &arguments, 1)?;
            ensure!(ended == expected, "composed it ends with {expected:?}, and flat with {memories} with {ended:?}");
            let memory = flat.call("digest", &[], 1)?;
            ensure!(memory == digest, "what is in memory differs with {memories}: {digest:?}, {memory:?}");
        }
        match expected {
            Some(Val::U64(value)) => Ok(Ended::Returned(value)),
            Some(other) => bail!("it gives {other:?}"),
            None => Ok(Ended::Trapped),
        }
    }
}
