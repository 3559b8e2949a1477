//! `kvfuse`: one command to give any component a key-value store.
//!
//! | file | what it does |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`input`] | reads a file that should be a component, and explains what it is if not |
//! | [`subject`] | the user's component: its kind, its imports, the provider inside |
//! | [`catalogue`] | the providers that are embedded; the stores as data are in [`kvfuse_table`] |
//! | [`choice`] | the stores that the command line names |
//! | [`plan`] | the providers that fit, by the shape of the imports |
//! | [`misfit`] | why none does |
//! | [`generation`] | the published generations in words |
//! | [`host`] | what wasmtime provides |
//! | [`needs`] | the grants that follow, and the `wasmtime` line |
//! | [`summary`] | what `inspect` prints |
//! | [`commands`] | one file per command |
//! | [`run`] | the embedded wasmtime |
//! | [`kv`] | reading, writing and moving a store's data |
//! | [`refusal`] | the errors that users see |
//!
//! For wasm, without the feature `run`, it is the program behind the page to try it: it fuses and inspects, and has no commands for
//! the directory of a store.

mod catalogue;
mod choice;
mod cli;
mod commands;
mod form;
mod generation;
mod host;
mod input;
#[cfg(feature = "run")]
mod kv;
mod labels;
mod misfit;
mod needs;
mod plan;
mod refusal;
#[cfg(feature = "run")]
mod run;
mod subject;
mod summary;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
use kvfuse_table as table;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Fuse(options) => commands::fuse::fuse(&options),
        Command::Inspect(options) => commands::inspect::inspect(&options),
        Command::Run(options) => commands::run::run(&options),
        Command::Stores(options) => commands::stores::stores(&options),
        #[cfg(not(target_family = "wasm"))]
        Command::Stat(options) => commands::stat::stat(&options),
        #[cfg(not(target_family = "wasm"))]
        Command::Repair(options) => commands::repair::repair(&options),
        #[cfg(not(target_family = "wasm"))]
        Command::Upgrade(options) => commands::upgrade::upgrade(&options),
        Command::Data(options) => commands::data::data(&options),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kvfuse", &mut script);
            commands::print(&String::from_utf8_lossy(&script))
        }
    };
    match outcome {
        Ok(code) => code,
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::from(refusal.code())
        }
    }
}
