//! Runtimes that are a program: kvfuse itself, and the wasmtime command line.

use crate::cell::{Place, Program, Runtime, Store};
use crate::support::node::tool;
use crate::support::server::Server;
use crate::support::{Ran, line, root};
use libtest_mimic::Trial;
use std::process::Command;

/// `kvfuse run`, which takes the fused component as any other.
pub struct Kvfuse;

impl Runtime for Kvfuse {
    fn name(&self) -> String {
        "`kvfuse run`".into()
    }

    fn is_cheap(&self) -> bool {
        true
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        let settings: Vec<_> = place.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let env = settings.iter().flat_map(|setting| ["--env", setting]);
        let words: Vec<_> = ["run"].into_iter().chain(env).chain(["app.fused.wasm", "--"]).collect();
        place.folder.kvfuse(&[&words, arguments].concat())
    }

    fn serve<'a>(&self, place: &'a Place) -> Box<dyn Fn(&str) -> u32 + 'a> {
        let settings: Vec<_> = place.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let env = settings.iter().flat_map(|setting| ["--env", setting]);
        let server = Server::start(&place.folder, &env.chain(["app.fused.wasm"]).collect::<Vec<_>>());
        Box::new(move |path| server.count_at(path))
    }
}

/// The wasmtime command line of one version.
pub struct Wasmtime {
    name: String,
    version: &'static str,
    /// What it is for, if it is for another machine: compiling takes long there, and is done once for all runs.
    machine: Option<&'static str>,
}

impl Wasmtime {
    pub fn all() -> Vec<Self> {
        let lines = include_str!("../../../tools/wasmtime.versions").lines();
        let versions = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split(' ').next());
        versions.map(|version| Self { name: format!("wasmtime {version}"), version, machine: None }).collect()
    }

    /// Those for other machines, with what runs them here.
    pub fn foreign() -> Vec<Self> {
        let machines = [("wasmtime-aarch64", "aarch64 under qemu"), ("wasmtime-windows", "Windows under Wine")];
        let rows = machines.into_iter().flat_map(|(machine, under)| {
            crate::versions(machine).map(move |version| Self {
                name: format!("wasmtime {version}, {under}"),
                version,
                machine: Some(machine),
            })
        });
        rows.collect()
    }

    fn major(&self) -> &'static str {
        self.version.split('.').next().unwrap()
    }

    fn program(&self) -> Command {
        match self.machine {
            Some(machine) => Command::new(tool(&format!("{machine}-{}/start", self.version))),
            None => self.of_this_machine(),
        }
    }

    /// The same version for this machine.
    fn of_this_machine(&self) -> Command {
        let script = root().join("tools/wasmtime.sh");
        let output = Command::new(script).args(["--version", self.major()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Command::new(String::from_utf8(output.stdout).unwrap().trim())
    }

    /// The arguments of the command that `kvfuse inspect` prints for the component in the place, without the component.
    fn options(&self, place: &Place) -> Vec<String> {
        let mut words = line(&place.folder, "app.fused.wasm", &place.variables());
        assert_eq!(words.pop().as_deref(), Some("app.fused.wasm"));
        // As the line says: they need wasmtime 46.
        if self.major().parse::<u32>().unwrap() < 46 {
            for word in &mut words {
                *word = word.replace("p3=n,", "");
            }
            without(&mut words, &["-S", "p3=n"]);
            without(&mut words, &["-W", "concurrency-support=n"]);
        }
        if place.directory().is_none() {
            without(&mut words, &["--dir", "data::/"]);
        }
        words
    }

    /// That command with more options.
    fn command(&self, place: &Place, more: &[&str]) -> Command {
        let mut command = self.program();
        command.args(self.options(place)).args(more).envs(place.variables());
        match self.machine {
            Some(_) => command.args(["--allow-precompiled", "app.cwasm"]),
            None => command.arg("app.fused.wasm"),
        };
        command
    }
}

fn without(words: &mut Vec<String>, option: &[&str]) {
    if let Some(at) = words.windows(option.len()).position(|words| words == option) {
        words.drain(at..at + option.len());
    }
}

impl Runtime for Wasmtime {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn prepare(&self, place: &Place) {
        if self.machine.is_some() {
            let options = self.options(place);
            // Code is compiled for the options that it runs with.
            let wasm = options.windows(2).filter(|pair| pair[0] == "-W").flatten();
            // Compiling under qemu takes minutes.
            let (mut program, target) = match self.machine {
                Some("wasmtime-aarch64") => (self.of_this_machine(), &["--target", "aarch64-unknown-linux-gnu"][..]),
                _ => (self.program(), &[][..]),
            };
            program.arg("compile").args(target).args(wasm).args(["app.fused.wasm", "-o", "app.cwasm"]);
            place.folder.run(&mut program).ok();
        }
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        place.folder.run(self.command(place, &[]).args(arguments))
    }

    fn serve<'a>(&self, place: &'a Place) -> Box<dyn Fn(&str) -> u32 + 'a> {
        let server = Server::spawn(&place.folder, &mut self.command(place, &["--addr", "127.0.0.1:0"]));
        Box::new(move |path| server.count_at(path))
    }
}

/// Appending and locking are different on Windows.
fn eight_processes_at_once_count_exactly(row: &Wasmtime) {
    const PROCESSES: u64 = 8;
    const EACH: u64 = 10;
    let place = Place::new(Program::Command, Store::Files);
    place.fuse(&[]);
    row.prepare(&place);
    let (folder, options) = (&place.folder, &row.options(&place));
    let run = |arguments: &[&str]| {
        let mut command = row.program();
        folder.run(command.args(options).args(["--allow-precompiled", "app.cwasm"]).args(arguments)).ok()
    };
    std::thread::scope(|scope| {
        for _ in 0..PROCESSES {
            scope.spawn(|| (0..EACH).for_each(|_| drop(run(&["incr", "visits"]))));
        }
    });
    assert_eq!(run(&["get", "visits"]), (PROCESSES * EACH).to_string());
}

pub fn trials() -> Vec<Trial> {
    let trial = |row: Wasmtime| {
        let name = format!("{}: eight processes at once count exactly", row.name);
        Trial::test(name, move || {
            eight_processes_at_once_count_exactly(&row);
            Ok(())
        })
    };
    let windows = Wasmtime::foreign().into_iter().filter(|row| row.machine == Some("wasmtime-windows"));
    windows.map(|row| trial(row).with_ignored_flag(true)).collect()
}
