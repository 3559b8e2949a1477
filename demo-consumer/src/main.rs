//! A component that uses `wasi:keyvalue` and does not know where its data is stored.
//!
//! Without arguments it gives a guided tour of the interface ([`tour`]). With arguments it is a small tool to inspect
//! any store ([`tool`]).

mod describe;
mod tool;
mod tour;

mod bindings {
    wit_bindgen::generate!({ path: "../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });
}

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let outcome = if arguments.is_empty() { tour::run() } else { tool::run(arguments) };
    match outcome {
        Ok(code) => code,
        Err(message) => {
            eprintln!("kv_demo: {message}");
            ExitCode::FAILURE
        }
    }
}
