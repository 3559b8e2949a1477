//! Running the program, and components made for one test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
#![allow(dead_code)] // each test file takes what it needs

pub mod browser;
#[cfg(unix)]
pub mod data;
pub mod explorer;
pub mod node;
pub mod page;
pub mod pages;
pub mod server;

use kvfuse_servers::watchdog::Watchdog;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// A folder of its own, in which the program runs, so that messages show plain file names. A test that hangs while it has
/// one is ended.
pub struct Folder(tempfile::TempDir, Watchdog);

pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), Watchdog::of_the_test())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn kvfuse(&self, arguments: &[&str]) -> Ran {
        self.run(Command::new(env!("CARGO_BIN_EXE_kvfuse")).args(arguments))
    }

    /// Runs a program in this folder, without the environment's settings of stores.
    pub fn run(&self, command: &mut Command) -> Ran {
        let given: Vec<_> = command.get_envs().map(|(name, _)| name.to_os_string()).collect();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KEYVALUE_") && !given.contains(&name) {
                command.env_remove(name);
            }
        }
        if !given.iter().any(|name| name == "XDG_CACHE_HOME") {
            command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        }
        Ran::new(command.current_dir(self.0.path()).output().unwrap())
    }

    /// Checks that the program fails with exactly this message, and leaves no file behind.
    #[track_caller]
    pub fn refuses(&self, arguments: &[&str], code: i32, message: &str) {
        let before = self.names();
        let ran = self.kvfuse(arguments);
        assert_eq!(ran.stderr, message);
        assert_eq!(ran.code, Some(code));
        assert_eq!(ran.stdout, "");
        assert_eq!(self.names(), before);
    }
}

impl Ran {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A component that `make` has built.
#[track_caller]
pub fn built(file: &str) -> Vec<u8> {
    let path = root().join("components").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; make and make languages build it", path.display()))
}

/// A consumer of the tests, by its name.
#[track_caller]
pub fn consumer(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("wasm32-unknown-unknown/guest/examples").join(format!("{name}.wasm"));
    let module = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; make consumers builds it", path.display()));
    let about = kvfuse_compose::About {
        name: name.into(),
        version: "0.1.0".into(),
        licenses: "Apache-2.0".into(),
        ..Default::default()
    };
    kvfuse_compose::componentize(&module, &about).unwrap()
}

/// The command line of wasmtime.
pub fn wasmtime() -> Command {
    let output = Command::new(root().join("tools/wasmtime.sh")).output().unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Command::new(path.trim())
}

/// The arguments of the wasmtime command that `inspect` prints for a component, with these settings in the environment.
#[track_caller]
pub fn line(folder: &Folder, file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
    let said = folder.run(inspect.args(["inspect", "--json", file]).envs(variables.iter().copied())).ok();
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let line = json["run"].as_str().unwrap_or_else(|| panic!("no line runs it: {said}"));
    // The values are in the environment; the line passes them on by their names.
    assert!(variables.iter().all(|(_, value)| value.is_empty() || !line.contains(value)), "{line}");
    line.strip_prefix("wasmtime ").unwrap().split(' ').map(|word| word.trim_matches('\'').to_string()).collect()
}

/// An example of the tests' consumers, as a component.
pub fn example(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
    let path = target.join("wasm32-unknown-unknown/guest/examples").join(format!("{name}.wasm"));
    let module = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; make consumers builds it", path.display()));
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// A component of this world whose functions do nothing. The text may have several packages; the world is `w` of the
/// first, which has to be called `test:it`.
pub fn component(wit: &str) -> Vec<u8> {
    let module = module(wit);
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The core module behind it.
pub fn module(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// A small consumer of draft2, which imports only its store.
pub fn draft2_consumer() -> Vec<u8> {
    component(&format!(
        "package test:it; {} world w {{ import wasi:keyvalue/store@0.2.0-draft2; export run: func(); }}",
        store_wit("@0.2.0-draft2", "string")
    ))
}

/// A consumer of everything in these generations, which are folders of wit/. Its functions do nothing.
pub fn consumer_of(generations: &[&str]) -> Vec<u8> {
    consumer_with_io(generations, "0.2.12")
}

/// The same, built against this version of wasi:io.
pub fn consumer_with_io(generations: &[&str], io: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut world = String::from("package test:it; world w { export run: func();");
    for folder in ["io"].iter().chain(generations) {
        let mut text = String::new();
        let mut files: Vec<_> = std::fs::read_dir(root().join("wit").join(folder)).unwrap().collect();
        files.sort_by_key(|file| file.as_ref().unwrap().path());
        for file in files {
            let file = std::fs::read_to_string(file.unwrap().path()).unwrap();
            // One text may name its package once.
            match file.lines().find(|line| line.starts_with("package ")) {
                Some(package) if text.contains(package) => text.push_str(&file.replace(package, "")),
                Some(package) => text = format!("{package}\n{text}{}", file.replace(package, "")),
                None => text.push_str(&file),
            }
        }
        let package = resolve.push_str(format!("{folder}.wit"), &text.replace("@0.2.12", &format!("@{io}"))).unwrap();
        if *folder == "io" {
            continue;
        }
        let name = resolve.packages[package].name.clone();
        if resolve.packages[package].worlds.contains_key("imports") {
            world.push_str(&format!(" include {};", name.interface_id("imports")));
        } else {
            for interface in resolve.packages[package].interfaces.keys() {
                world.push_str(&format!(" import {};", name.interface_id(interface)));
            }
        }
    }
    let package = resolve.push_str("test.wit", &format!("{world} }}")).unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// The WIT of one published generation, as a nested package with its imports in one world.
pub fn store_wit(version: &str, cursor: &str) -> String {
    format!(
        "package wasi:keyvalue{version} {{
            interface store {{
                variant error {{ no-such-store, access-denied, other(string) }}
                record key-response {{ keys: list<string>, cursor: option<{cursor}> }}
                resource bucket {{
                    get: func(key: string) -> result<option<list<u8>>, error>;
                    set: func(key: string, value: list<u8>) -> result<_, error>;
                    delete: func(key: string) -> result<_, error>;
                    exists: func(key: string) -> result<bool, error>;
                    list-keys: func(cursor: option<{cursor}>) -> result<key-response, error>;
                }}
                open: func(identifier: string) -> result<bucket, error>;
            }}
        }}"
    )
}
