//! The command line.

#[cfg_attr(not(feature = "run"), allow(dead_code, reason = "it is parsed, and refused"))]
pub mod data;

use clap::{Args, Parser, Subcommand, ValueHint};
use std::path::PathBuf;

const CODES: &str = "\
Exit codes: 0 success; 1 kvfuse cannot work with the component or the store; 2 invalid command line; 3 a file cannot be read or
written; 4 a store or a dump is damaged, or not all of it could be read or kept; 5 there is no such key. `kvfuse run` exits with
the component's own code; 125 if it could not be run, 134 if it trapped.";

/// Gives any WebAssembly component a key-value store.
#[derive(Parser)]
#[command(name = "kvfuse", version, after_help = CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Put a store into a component that imports wasi:keyvalue.
    Fuse(Fuse),
    /// Show what a component is, which key-value interfaces it imports, and how to run it.
    Inspect(Inspect),
    /// Run a component, granting what its store needs and nothing more. It is fused in memory first if needed.
    Run(Run),
    /// List the stores: what each one needs, and which generations of wasi:keyvalue it supports.
    Stores(Stores),
    /// Show what the files of the store `files` contain, and whether they are damaged. Changes nothing.
    #[cfg(not(target_family = "wasm"))]
    Stat(Stat),
    /// Copy everything that can be read of a damaged directory of the store `files` to a new one. Changes nothing in
    /// the damaged one.
    #[cfg(not(target_family = "wasm"))]
    Repair(Repair),
    /// Upgrade a directory of the store `files` to the current format, in place. The first write to each part does the
    /// same; this does it at once.
    #[cfg(not(target_family = "wasm"))]
    Upgrade(Upgrade),
    #[command(flatten)]
    Data(data::Data),
    /// Print a completion script for a shell.
    #[command(after_help = "For example: kvfuse completions bash > ~/.local/share/bash-completion/completions/kvfuse")]
    Completions { shell: clap_complete::Shell },
}

#[derive(Args, Clone)]
pub struct Chosen {
    /// The store to use, one of those that `kvfuse stores` lists; or that of a labelled import: --store sessions=redis.
    /// May be repeated. [default: files]
    #[arg(long, value_name = "[LABEL=]STORE", conflicts_with = "provider")]
    pub store: Vec<String>,
    /// The store of one bucket, besides the store of the others: --bucket sessions=redis. May be repeated.
    #[arg(long, value_name = "BUCKET=STORE", conflicts_with = "provider")]
    pub bucket: Vec<String>,
    /// A provider component to use instead of a built-in store.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub provider: Option<PathBuf>,
    /// Fuse the component as `wasm-tools compose` does, with the store as a component inside. Otherwise it is made flat
    /// where that is possible, and calls of the store are several times faster.
    #[arg(long)]
    pub composed: bool,
    /// Make it flat for hosts that refuse a module with two memories: jco without options, and Node.js before version 22.
    #[arg(long, conflicts_with = "composed")]
    pub single_memory: bool,
    /// Satisfy imports that wasmtime does not provide inside the component, by functions that trap. For components that import
    /// more than they call, as those of Spin's SDK for Python.
    #[arg(long)]
    pub unknown_imports_trap: bool,
}

#[derive(Args)]
pub struct Fuse {
    /// The component.
    #[arg(value_hint = ValueHint::FilePath)]
    pub component: PathBuf,
    #[command(flatten)]
    pub chosen: Chosen,
    /// Make a command that calls the component for each change of a bucket, or of its keys that begin with a prefix.
    /// The component must export wasi:keyvalue/watcher or handle-watch, or wasmcloud:keyvalue/watcher.
    #[arg(long, value_name = "BUCKET[/PREFIX]")]
    pub watch: Option<String>,
    /// Where to write the fused component. [default: app.fused.wasm for app.wasm]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Print one line only.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args)]
pub struct Inspect {
    /// The component.
    #[arg(value_hint = ValueHint::FilePath)]
    pub component: PathBuf,
    #[command(flatten)]
    pub chosen: Chosen,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
    /// Print every import and export, and the producers metadata of all parts.
    #[arg(long, conflicts_with = "json")]
    pub verbose: bool,
}

#[derive(Args)]
pub struct Stores {
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

#[cfg(not(target_family = "wasm"))]
#[derive(Args)]
pub struct Stat {
    /// The store's directory, as it was granted to the component.
    #[arg(value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// Read value files as well, and check their contents.
    #[arg(long)]
    pub verify: bool,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Stop everything that uses the store first. Exit codes: 0 everything was copied; 4 something could not be
read, and the report says what.")]
pub struct Repair {
    /// The store's directory, as it was granted to the component.
    #[arg(value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// The directory of the copy: a new one, or one that is empty.
    #[arg(long, value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub to: PathBuf,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(after_help = "\
It may be interrupted at any time, and the store may be in use. Versions of kvfuse that know only the
older format cannot use the store afterwards.")]
pub struct Upgrade {
    /// The store's directory, as it was granted to the component.
    #[arg(value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Run {
    /// The component, fused or not.
    #[arg(value_hint = ValueHint::FilePath)]
    pub component: PathBuf,
    #[command(flatten)]
    pub chosen: Chosen,
    /// The directory in which the store `files` keeps its data; created if it does not exist.
    #[arg(long, value_name = "DIRECTORY", default_value = "data", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// Call the component for each change of a bucket, or of its keys that begin with a prefix, instead of running it.
    /// Not needed for a component that was fused with --watch.
    #[arg(long, value_name = "BUCKET[/PREFIX]", conflicts_with = "invoke")]
    pub watch: Option<String>,
    /// The address on which an HTTP handler is served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub addr: std::net::SocketAddr,
    /// How many requests an instance of an HTTP handler answers before it is replaced. With more than 1, its memory and
    /// the store's connection are kept between requests. [default: 1 for a handler of WASI 0.2, 128 for one of 0.3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub reuse: Option<u32>,
    /// Call one of a library's functions, with arguments in WAVE: 'count("visits", 3)'. Prints the result.
    #[arg(long, value_name = "CALL")]
    pub invoke: Option<String>,
    /// Set an environment variable, or pass on one of your own.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Grant the component access to a directory.
    #[arg(long, value_name = "HOST[::GUEST]")]
    pub dir: Vec<String>,
    /// Allow connections to this address, in addition to those in the store's configuration.
    #[arg(long, value_name = "HOST:PORT")]
    pub net: Vec<String>,
    /// Do not use the cache of compiled components.
    #[arg(long)]
    pub no_cache: bool,
    /// Print the wasmtime command that does the same, without running it.
    #[arg(long)]
    pub explain: bool,
    /// The component's arguments.
    #[arg(last = true)]
    pub arguments: Vec<String>,
}
