//! A consumer twice: fused in the ordinary way, and flat.

use anyhow::{Context, Result, bail, ensure};
use kvfuse_compose::{Settings, Supply, World, connect, fit, flatten, is_keyvalue};
use kvfuse_tests::raw::{Misbehaviour, Raw, argument};
use std::path::Path;
use std::sync::LazyLock;
use wasmtime::component::{Component, Func, Instance, InstancePre, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::default);

pub struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Both ways to fuse a consumer with a provider.
pub fn fuse(consumer: &[u8], provider: &[u8]) -> Result<[Vec<u8>; 2]> {
    let (wanted, offered) = (World::of(consumer)?.imports, World::of(provider)?.exports);
    let wanted: Vec<_> = wanted.iter().filter(|item| is_keyvalue(item.interface())).collect();
    let Ok(wires) = fit(&wanted, &offered) else { bail!("they do not fit") };
    let composed = connect(consumer, provider, &wires)?;
    Ok([composed, flatten(consumer, &[Supply { provider, wires, settings: Settings::default() }])?])
}

/// Both, compiled.
pub struct Pair([InstancePre<Host>; 2]);

/// An instance of each.
pub struct Running([One; 2]);

struct One {
    store: Store<Host>,
    instance: Instance,
}

/// How a call ended in both.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Returned(u64),
    Trapped,
}

impl Pair {
    pub fn new(consumer: &[u8], provider: &[u8]) -> Result<Self> {
        let [composed, flat] = fuse(consumer, provider)?;
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        let compiled = |bytes: &[u8]| -> Result<_> { Ok(linker.instantiate_pre(&Component::new(&ENGINE, bytes)?)?) };
        Ok(Self([compiled(&composed)?, compiled(&flat)?]))
    }

    /// A fresh instance of each, with an empty directory of its own where one is given.
    pub fn start(&self, directories: Option<[&Path; 2]>) -> Result<Running> {
        let one = |index: usize| -> Result<One> {
            let mut wasi = WasiCtxBuilder::new();
            if let Some(directories) = directories {
                wasi.preopened_dir(directories[index], "/", FsPerms::ReadWrite)?;
            }
            let mut store = Store::new(&ENGINE, Host { wasi: wasi.build(), table: ResourceTable::new() });
            let instance = self.0[index].instantiate(&mut store)?;
            Ok(One { store, instance })
        };
        Ok(Running([one(0)?, one(1)?]))
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

    /// Eight bytes of the consumer's memory; both have the same.
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

    /// Calls both, and compares what they return and what is then in the consumer's memory.
    pub fn call(&mut self, raw: &Raw, core: &[u64]) -> Result<Ended> {
        let arguments: Vec<Val> = raw.core.iter().zip(core).map(|(wide, value)| argument(*wide, *value)).collect();
        let [composed, flat] = &mut self.0;
        let ended = [composed.call(&raw.export, &arguments, 1)?, flat.call(&raw.export, &arguments, 1)?];
        match ended {
            [Some(Val::U64(one)), Some(Val::U64(other))] => {
                ensure!(one == other, "composed it gives {one}, and flat {other}");
                let digests = [composed.call("digest", &[], 1)?, flat.call("digest", &[], 1)?];
                ensure!(digests[0].is_some() && digests[0] == digests[1], "the memories differ: {digests:?}");
                Ok(Ended::Returned(one))
            }
            [None, None] => {
                // A trap is the end of both.
                ensure!(composed.call("digest", &[], 1)?.is_none(), "composed it lives on after a trap");
                ensure!(flat.call("digest", &[], 1)?.is_none(), "flat it lives on after a trap");
                Ok(Ended::Trapped)
            }
            [one, other] => bail!("composed it ends with {one:?}, and flat with {other:?}"),
        }
    }
}
