//! The command line.

use clap::{Args, Parser, Subcommand, ValueHint};
use std::path::PathBuf;

const CODES: &str = "\
Exit codes: 0 done; 1 the component is not one that kvfuse can work with; 2 wrong use of the command line;
3 a file cannot be read or written; 4 a store is damaged. `kvfuse run` exits as the component does; 125 if it
could not be run, 134 if it trapped.";

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
    /// Say what a component is, what it imports of key-value, and how to run it.
    Inspect(Inspect),
    /// Run a component with what its store needs and nothing more. One that is not fused yet is fused in memory.
    Run(Run),
    /// List the stores, what each one needs and the generations of wasi:keyvalue that it has.
    Stores(Stores),
    /// Say what the files of a store on files hold, and whether they are damaged. Changes nothing.
    Stat(Stat),
    /// Print a completion script for a shell.
    #[command(after_help = "For example: kvfuse completions bash > ~/.local/share/bash-completion/completions/kvfuse")]
    Completions { shell: clap_complete::Shell },
}

#[derive(Args)]
pub struct Chosen {
    /// The store to put in; `kvfuse stores` lists them.
    #[arg(long, value_name = "STORE", default_value = "files", conflicts_with = "provider")]
    pub store: String,
    /// A provider component to use in place of a store that kvfuse carries.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub provider: Option<PathBuf>,
}

#[derive(Args)]
pub struct Fuse {
    /// The component.
    #[arg(value_hint = ValueHint::FilePath)]
    pub component: PathBuf,
    #[command(flatten)]
    pub chosen: Chosen,
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

#[derive(Args)]
pub struct Stat {
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
    /// The directory in which a store on files keeps its data; made if it is not there.
    #[arg(long, value_name = "DIRECTORY", default_value = "data", value_hint = ValueHint::DirPath)]
    pub data: PathBuf,
    /// The address on which an HTTP handler is served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub addr: std::net::SocketAddr,
    /// Set an environment variable, or pass one on.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Grant the component a directory of its own.
    #[arg(long, value_name = "HOST[::GUEST]")]
    pub dir: Vec<String>,
    /// Allow connections to this address, beside those that the store is configured for.
    #[arg(long, value_name = "HOST:PORT")]
    pub net: Vec<String>,
    /// Compile the component anew, and do not keep what was compiled.
    #[arg(long)]
    pub no_cache: bool,
    /// Print the wasmtime line that does the same, and do not run.
    #[arg(long)]
    pub explain: bool,
    /// The component's arguments.
    #[arg(last = true)]
    pub arguments: Vec<String>,
}
