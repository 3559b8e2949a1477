//! wasmtime as a library: the programs in docs/embedding.md.

use crate::cell::{Cell, Place, Program, Runtime, Store};
use crate::support::node::tool;
use crate::support::{Ran, root};
use libtest_mimic::Trial;
use std::process::{Command, ExitCode};

/// The program in the documentation, which the tests run as a process of its own.
#[path = "embed.rs"]
mod embed;

const EMBEDDED: &str = "KVFUSE_TEST_EMBEDDED";

/// What this process does if it was started for the program in the documentation.
pub fn as_the_embedding() -> Option<ExitCode> {
    std::env::var_os(EMBEDDED)?;
    Some(match embed::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e:?}");
            ExitCode::FAILURE
        }
    })
}

/// A program in docs/embedding.md, by its language.
fn program(language: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs/embedding.md")).unwrap();
    let begin = format!("```{language}\n");
    let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no program in {language}"));
    rest.split_once("```\n").unwrap().0.to_string()
}

pub fn documented() -> Vec<Trial> {
    vec![Trial::test("the program in Rust that runs here is the documented one", || {
        assert_eq!(program("rust"), include_str!("embed.rs").replace("pub fn main", "fn main"));
        Ok(())
    })]
}

pub struct Rust;

impl Runtime for Rust {
    fn name(&self) -> String {
        "[wasmtime in Rust](docs/embedding.md)".into()
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn expected(&self, program: Program, _: Store) -> Cell {
        match program {
            Program::Command | Program::Conformance => Cell::Yes,
            Program::Handler => Cell::Nothing("with a server of your own"),
        }
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        let mut command = Command::new(std::env::current_exe().unwrap());
        place.folder.run(command.env(EMBEDDED, "1").envs(place.variables()).args(arguments))
    }
}

pub struct Python;

impl Runtime for Python {
    fn name(&self) -> String {
        format!("[wasmtime {} in Python](docs/embedding.md)", self.version())
    }

    fn expected(&self, program: Program, store: Store) -> Cell {
        match (program, store) {
            (Program::Handler, _) => Cell::Nothing("no server"),
            (_, Store::Redis) => {
                Cell::Fails { says: "the host does not grant this component network access", why: "no network" }
            }
            _ => Cell::Yes,
        }
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        place.folder.write("embed.py", program("python"));
        let mut command = Command::new(tool(&format!("wasmtime-py-{}/bin/python", self.version())));
        place.folder.run(command.arg("embed.py").args(arguments).envs(place.variables()))
    }
}

impl Python {
    fn version(&self) -> &'static str {
        crate::versions("wasmtime-py").next().unwrap()
    }
}
