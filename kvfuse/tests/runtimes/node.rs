//! Node, on what jco makes of a component.

use crate::cell::{Place, Program, Runtime};
use crate::support::node::{tool, transpile_as};
use crate::support::server::Server;
use crate::support::{Ran, root};
use std::process::Command;

pub struct Node {
    version: &'static str,
}

impl Node {
    pub fn all() -> Vec<Self> {
        crate::versions("node").map(|version| Self { version }).collect()
    }

    fn command(&self) -> Command {
        Command::new(tool(&format!("node-{}/node", self.version)))
    }
}

impl Runtime for Node {
    fn name(&self) -> String {
        format!("Node {}, through jco", self.version)
    }

    fn forms(&self) -> [&'static [&'static str]; 2] {
        [&["--single-memory"], &["--composed"]]
    }

    fn prepare(&self, place: &Place) {
        let out = place.folder.path("out");
        if out.exists() {
            std::fs::remove_dir_all(&out).unwrap();
        }
        // A documented script, beside what it imports.
        let (name, script) = match place.program {
            Program::Command | Program::Conformance => ("kv_demo", "node.js"),
            Program::Handler => ("handler", "serve.js"),
        };
        transpile_as(name, &place.folder, "app.fused.wasm", "out").unwrap();
        std::fs::copy(root().join("demo-consumer/javascript").join(script), out.join(script)).unwrap();
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        let mut command = self.command();
        place.folder.run(command.args(["out/node.js", "data"]).args(arguments).envs(place.variables()))
    }

    fn serve<'a>(&self, place: &'a Place) -> Box<dyn Fn(&str) -> u32 + 'a> {
        let mut command = self.command();
        command.args(["out/serve.js", "0"]).args(place.directory()).envs(place.variables());
        let server = Server::spawn(&place.folder, &mut command);
        Box::new(move |path| server.count_at(path))
    }
}
