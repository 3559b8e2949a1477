//! Fused components in the real wasmtime, as a library ([`Command`]) and as the command line ([`command_line`]).

mod eager;
pub mod lean;
pub mod raw;
pub mod session;
mod tls;

use anyhow::{Context, Result, ensure};
use kvfuse_servers::watchdog::Watchdog;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, OptLevel, RegallocAlgorithm, ResourceLimiter, Store};
use wasmtime_wasi::p2::bindings::sync::Command as WasiCommand;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi::{FsPerms, HostWallClock, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The repository's top folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A component that `make` has built, by the name of its file without the extension.
pub fn component(name: &str) -> Result<Vec<u8>> {
    let path = root().join("components").join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is missing; make providers build makes it", path.display()))
}

/// A guest of the tests, by its name.
pub fn guest(name: &str) -> Result<Vec<u8>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("wasm32-wasip2/guest").join(format!("{name}.wasm"));
    std::fs::read(&path).with_context(|| format!("{} is missing; make test-guests makes it", path.display()))
}

/// A guest fused with the file provider.
pub fn fused(name: &str) -> Result<Vec<u8>> {
    fused_with(name, "keyvalue")
}

/// A guest fused with another provider.
pub fn fused_with(name: &str, provider: &str) -> Result<Vec<u8>> {
    Ok(kvfuse_compose::compose(&guest(name)?, &component(provider)?)?)
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine(|_| {}));

/// An engine that compiles fast: tests spend more time in compiling components than in running them.
pub fn engine(configure: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    configure(&mut config);
    Engine::new(&config).expect("an engine for this machine")
}

/// A compiled command component.
pub struct Program(Component);

/// How to run it.
#[derive(Clone, Default)]
pub struct Command {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    directories: Vec<(PathBuf, String, bool)>,
    network: bool,
    roots: Option<Arc<rustls::RootCertStore>>,
    time: Option<Duration>,
    input: Vec<u8>,
    eager: bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The exit status; `None` after a trap.
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// The largest total size of its linear memories, in bytes.
    pub peak_memory: usize,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn succeeded(&self) -> Result<()> {
        ensure!(self.status == Some(0), "status {:?}\n{}", self.status, self.stderr);
        Ok(())
    }
}

struct Host {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: tls::Hooks,
    table: ResourceTable,
    memory: Memory,
}

/// Counts what linear memories grow to, and stops them at 2 GiB.
#[derive(Default)]
struct Memory {
    now: usize,
}

/// A wall clock that always says this time since 1970.
struct Stopped(Duration);

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // Memories of a component never shrink, so the sum is also its peak.
        self.now += desired - current;
        Ok(self.now <= 2 << 30)
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

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl Program {
    pub fn new(component: &[u8]) -> Result<Self> {
        Ok(Self(Component::new(&ENGINE, component)?))
    }

    /// The cases that a guest of the tests lists.
    pub fn cases(&self) -> Result<Vec<String>> {
        let listed = self.run(&Command::new(&["--list"]))?;
        listed.succeeded()?;
        ensure!(!listed.stdout.is_empty(), "it lists no cases: {}", listed.stderr);
        Ok(listed.text().lines().map(str::to_string).collect())
    }

    /// Runs it to its end. What takes too long ends the test program.
    pub fn run(&self, command: &Command) -> Result<Outcome> {
        let _watchdog = Watchdog::of_the_run(&command.arguments);
        let (stdout, stderr) = (MemoryOutputPipe::new(1 << 30), MemoryOutputPipe::new(1 << 20));
        let mut wasi = WasiCtxBuilder::new();
        wasi.arg("guest").args(&command.arguments).envs(&command.environment);
        wasi.stdin(MemoryInputPipe::new(command.input.clone())).stdout(stdout.clone()).stderr(stderr.clone());
        for (host, guest, writable) in &command.directories {
            let permissions = if *writable { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            wasi.preopened_dir(host, guest, permissions)?;
        }
        if command.network {
            wasi.inherit_network().allow_tcp(true).allow_ip_name_lookup(true);
        }
        if let Some(time) = command.time {
            wasi.wall_clock(Stopped(time));
        }
        let host = Host {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            hooks: tls::Hooks::new(command.roots.clone()),
            table: ResourceTable::new(),
            memory: Memory::default(),
        };
        let mut store = Store::new(&ENGINE, host);
        store.limiter(|host| &mut host.memory);
        let mut linker = Linker::new(&ENGINE);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker)?;
        if command.eager {
            eager::add_to_linker(&mut linker)?;
        }
        let ended = WasiCommand::instantiate(&mut store, &self.0, &linker)
            .and_then(|instance| instance.wasi_cli_run().call_run(&mut store));
        let peak_memory = store.data().memory.now;
        drop(store);
        let mut stderr = String::from_utf8_lossy(&stderr.contents()).into_owned();
        let status = match ended {
            Ok(Ok(())) => Some(0),
            Ok(Err(())) => Some(1),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => Some(exit.0),
                None => {
                    stderr.push_str(&format!("{error:?}"));
                    None
                }
            },
        };
        Ok(Outcome { status, stdout: stdout.contents().to_vec(), stderr, peak_memory })
    }
}

impl Command {
    pub fn new(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_string(), value.to_string()));
        self
    }

    /// Grants a directory under the name `guest`.
    pub fn dir(mut self, host: &Path, guest: &str) -> Self {
        self.directories.push((host.to_path_buf(), guest.to_string(), true));
        self
    }

    pub fn read_only_dir(mut self, host: &Path, guest: &str) -> Self {
        self.directories.push((host.to_path_buf(), guest.to_string(), false));
        self
    }

    /// Lets it use the network through sockets. (Every guest may use `wasi:http`.)
    pub fn network(mut self) -> Self {
        self.network = true;
        self
    }

    /// Lets its host trust only these issuers of certificates; by default it trusts those that wasmtime does.
    pub fn trust(mut self, roots: rustls::RootCertStore) -> Self {
        self.roots = Some(Arc::new(roots));
        self
    }

    /// Stops its host's wall clock at this time since 1970.
    pub fn at(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    /// Runs it on a host on which all that it waits for has come whenever it looks.
    pub fn eager(mut self) -> Self {
        self.eager = true;
        self
    }
}

/// The wasmtime command line: `$WASMTIME`, which `make test` sets, or what `tools/wasmtime.sh` finds.
pub fn command_line() -> Result<std::process::Command> {
    let path = match std::env::var_os("WASMTIME") {
        Some(path) => PathBuf::from(path),
        None => {
            let found = std::process::Command::new(root().join("tools/wasmtime.sh")).output()?;
            ensure!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
            PathBuf::from(String::from_utf8(found.stdout)?.trim())
        }
    };
    let mut command = std::process::Command::new(path);
    // The runtime makes errors on its way that nobody sees, each with a backtrace: tens of microseconds for a call of WASI 0.3.
    command.env_remove("RUST_BACKTRACE");
    Ok(command)
}
