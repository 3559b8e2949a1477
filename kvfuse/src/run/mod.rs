//! The embedded wasmtime.
//!
//! | file | what it does |
//! |---|---|
//! | [`grants`] | what the component may reach: from the store's configuration and the user's flags |
//! | [`serve`] | an HTTP handler behind a server |
//! | [`invoke`] | a call of a library's function |

mod grants;
mod invoke;
mod serve;

pub use grants::{Flags, Grants};

use crate::host::{Provided, provided};
use crate::kv::Front;
use crate::refusal::{Refusal, Result, code};
use crate::subject::{Kind, Subject};
use kvfuse_compose::World;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wasmtime::component::{Accessor, Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView, p2, p3};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};
use wasmtime_wasi_tls::{WasiTlsCtx, WasiTlsCtxView, WasiTlsView};

/// The host's state for one instance.
pub struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: grants::Endpoints,
    config: WasiConfigVariables,
    tls: WasiTlsCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl WasiTlsView for Host {
    fn tls(&mut self) -> WasiTlsCtxView<'_> {
        WasiTlsCtxView { ctx: &mut self.tls, table: &mut self.table }
    }
}

/// How to run.
pub struct Options {
    /// Where an HTTP handler is served.
    pub address: SocketAddr,
    /// Whether to use the cache of compiled components, which is that of the wasmtime command line.
    pub keep: bool,
    /// Whether it has something of WASI 0.3 or something asynchronous, or is served.
    pub concurrent: bool,
    /// How many requests an instance of a handler answers; `None` for the default.
    pub reuse: Option<u32>,
    /// The call of a library's function.
    pub call: Option<String>,
    /// What processes requests before the handler.
    pub front: Option<Front>,
    /// Whether it is started again after a trap: a component that watches continues where it was.
    pub again: bool,
}

/// The pause after a trap: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Runs a fused component to its end, or serves it until the process is stopped.
pub fn run(subject: &Subject, component: &[u8], grants: Grants, options: &Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| not_run(subject, "the runtime does not start").note(e.to_string()))?;
    let result = runtime.block_on(start(subject, component, grants, options));
    // A guest that is waiting for standard input leaves a thread that never ends.
    runtime.shutdown_background();
    result
}

/// The same, on an existing runtime.
pub async fn start(subject: &Subject, component: &[u8], grants: Grants, options: &Options) -> Result<ExitCode> {
    let failed = |what: &str, e: wasmtime::Error| Box::new(not_run(subject, what).note(reasons(&e)));
    let mut config = Config::new();
    config.wasm_component_model_implements(true);
    // Without the machinery for asynchronous calls, a call between the parts costs half.
    config.concurrency_support(options.concurrent);
    if options.keep {
        // A component that contains an interpreter takes ten seconds to compile. Without a cache, it does so each time.
        config.cache(Cache::new(CacheConfig::new()).ok());
    }
    let engine = Engine::new(&config).map_err(|e| failed("the runtime does not start", e))?;
    let compiled = Component::new(&engine, component).map_err(|e| failed("this component cannot be compiled", e))?;
    let linker = linker(&engine, options.concurrent).map_err(|e| failed("the runtime does not start", e))?;
    let ready = linker.instantiate_pre(&compiled).map_err(|e| unlinked(subject, &missing(subject, component), &e))?;

    if subject.kind == Kind::Handler {
        return serve::serve(subject, ready, grants, options).await;
    }
    if let Some(call) = &options.call {
        let store = Store::new(&engine, grants.host(&subject.path)?);
        return invoke::invoke(subject, &ready, store, call, options.concurrent).await;
    }
    let mut pause = AGAIN.0;
    loop {
        let begun = Instant::now();
        let store = Store::new(&engine, grants.host(&subject.path)?);
        match command(subject, ready.clone(), store, options).await {
            Err(refusal) if options.again && refusal.code() == code::TRAP => {
                if begun.elapsed() > AGAIN.1 {
                    pause = AGAIN.0;
                }
                eprintln!("{refusal}\n  = help: it is called again in {:.1} s", pause.as_secs_f64());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(AGAIN.1);
            }
            other => return other,
        }
    }
}

async fn command(
    subject: &Subject,
    ready: InstancePre<Host>,
    mut store: Store<Host>,
    options: &Options,
) -> Result<ExitCode> {
    let ran = match p3::bindings::CommandPre::new(ready.clone()) {
        Ok(command) if options.concurrent => {
            let command = entered(subject, command.instantiate_async(&mut store).await)?;
            let run = async |store: &Accessor<Host>| command.wasi_cli_run().call_run(store).await;
            store.run_concurrent(run).await.flatten()
        }
        _ => {
            let command = p2::bindings::CommandPre::new(ready).map_err(|e| unlinked(subject, &[], &e))?;
            let command = entered(subject, command.instantiate_async(&mut store).await)?;
            command.wasi_cli_run().call_run(&mut store).await
        }
    };
    match ran {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(())) => Ok(ExitCode::FAILURE),
        Err(e) => match ended(subject, &e) {
            // As wasmtime does: a code that a shell cannot represent is still a failure.
            Ended::Exit(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
            Ended::Trap(refusal) => Err(refusal),
        },
    }
}

/// Everything that is provided. [`Host`] decides what it may access.
pub fn linker(engine: &Engine, concurrent: bool) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::<Host>::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    if concurrent {
        p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    }
    let mut tls = wasmtime_wasi_tls::p2::LinkOptions::default();
    tls.tls(true);
    wasmtime_wasi_tls::p2::add_to_linker(&mut linker, &tls)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, |host| WasiConfig::from(&host.config))?;
    Ok(linker)
}

/// The result of code of the component that runs outside its program.
fn entered<T>(subject: &Subject, outcome: wasmtime::Result<T>) -> Result<T> {
    outcome.map_err(|e| match ended(subject, &e) {
        Ended::Exit(code) => Box::new(not_run(subject, format!("it exited with code {code} before it ran"))),
        Ended::Trap(refusal) => refusal,
    })
}

enum Ended {
    Exit(i32),
    Trap(Box<Refusal>),
}

fn ended(subject: &Subject, e: &wasmtime::Error) -> Ended {
    match e.downcast_ref::<I32Exit>() {
        Some(exit) => Ended::Exit(exit.0),
        None => Ended::Trap(Box::new(
            Refusal::new(subject.path.display(), "the component trapped").note(reasons(e)).with_code(code::TRAP),
        )),
    }
}

/// The imports that are not provided.
fn missing(subject: &Subject, component: &[u8]) -> Vec<String> {
    let imports = World::of(component).unwrap_or_default().imports;
    let serve = subject.kind == Kind::Handler;
    imports.into_iter().filter(|item| provided(item, serve) == Provided::Never).map(|item| item.name).collect()
}

fn unlinked(subject: &Subject, missing: &[String], e: &wasmtime::Error) -> Box<Refusal> {
    let refusal = not_run(subject, "this component cannot be started").note(reasons(e));
    let provides = "kvfuse run provides WASI 0.2 and 0.3 with wasi:http, wasi:config and wasi:tls";
    Box::new(match missing.is_empty() {
        true => refusal.help(provides),
        false => refusal
            .note(format!("what is not provided: {}", missing.join(", ")))
            .help(provides)
            .help("if it never calls the others: --unknown-imports-trap puts functions that trap in their place"),
    })
}

fn not_run(subject: &Subject, what: impl Into<String>) -> Refusal {
    Refusal::new(subject.path.display(), what).with_code(code::NOT_RUN)
}

pub fn reasons(e: &wasmtime::Error) -> String {
    e.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;
    use crate::host::PACKAGES;
    use wasmtime::component::ResourceType;

    #[test]
    fn what_inspect_takes_for_provided_is_provided() {
        let mut linker = linker(&Engine::default(), true).unwrap();
        // A name that is defined cannot be defined once more.
        let mut defined = |name: &str| linker.root().resource(name, ResourceType::host::<()>(), |_, _| Ok(())).is_err();
        for package in PACKAGES.iter().filter(|package| package.embedded) {
            // The releases that this wasmtime was made with.
            let version = match package.version {
                "0.2" => "0.2.12",
                "0.3" => "0.3.0",
                exact => exact,
            };
            for interface in package.interfaces {
                let name = format!("{}/{interface}@{version}", package.name);
                assert!(defined(&name), "{name}");
            }
        }
        assert!(!defined("wasi:config/store@0.2.0-draft"));
    }
}
