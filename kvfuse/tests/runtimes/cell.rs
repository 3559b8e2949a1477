//! What a cell of the table claims, and the check of it.

use crate::chromium::Page;
use crate::support::{Folder, Ran, built, example};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Program {
    /// The demo: a command.
    Command,
    /// The counter of visitors: an HTTP handler.
    Handler,
    /// The cases of the conformance suite for draft2: a command that runs one at a time.
    Conformance,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Store {
    Files,
    /// The bucket in the instance's own memory, which every provider has.
    Memory,
    Redis,
    Etcd,
}

pub fn columns() -> impl Iterator<Item = (Program, Store)> {
    let stores = [Store::Files, Store::Memory, Store::Redis, Store::Etcd];
    let programs = [Program::Command, Program::Handler];
    let columns = programs.into_iter().flat_map(move |program| stores.map(|store| (program, store)));
    columns.chain([(Program::Conformance, Store::Files)])
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Self::Command => "a command",
            Self::Handler => "a handler",
            Self::Conformance => "the conformance suite",
        }
    }
}

impl Store {
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Memory => ":memory:",
            Self::Redis => "redis",
            Self::Etcd => "etcd",
        }
    }
}

/// What the table says of a runtime with a program and a store.
pub enum Cell {
    Yes,
    /// It does not work, for the reason that the table has. If it is tried, the outcome contains `says`.
    Fails {
        says: &'static str,
        why: &'static str,
    },
    /// There is nothing to try.
    Nothing(&'static str),
}

pub trait Runtime: Send + Sync {
    fn name(&self) -> String;

    /// Whether it is there without fetching anything.
    fn is_cheap(&self) -> bool {
        false
    }

    /// The options of `kvfuse fuse` for the two forms, flat and composed.
    fn forms(&self) -> [&'static [&'static str]; 2] {
        [&[], &["--composed"]]
    }

    fn expected(&self, _program: Program, _store: Store) -> Cell {
        Cell::Yes
    }

    /// Makes what is needed to run `app.fused.wasm` in the place.
    fn prepare(&self, _place: &Place) {}

    /// Runs the command in the place.
    fn run(&self, place: &Place, arguments: &[&str]) -> Ran;

    /// Serves the handler in the place: what the result is called with is the path of a request, and what it gives is the
    /// number in the answer.
    fn serve<'a>(&self, _place: &'a Place) -> Box<dyn Fn(&str) -> u32 + 'a> {
        panic!("{} serves nothing", self.name())
    }
}

/// A folder with a component and what its store needs.
pub struct Place {
    pub folder: Folder,
    pub program: Program,
    pub store: Store,
    /// The setting that names the store's server.
    pub variable: Option<(&'static str, String)>,
    /// The browser, for a runtime that is one.
    pub page: OnceCell<Page>,
    _server: Box<dyn Send>,
}

impl Place {
    pub fn new(program: Program, store: Store) -> Self {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("data")).unwrap();
        folder.write(
            "app.wasm",
            match program {
                Program::Command => built("kv_demo.wasm"),
                Program::Handler => example("visitors"),
                Program::Conformance => built("conformance/draft2.wasm"),
            },
        );
        let (variable, server): (_, Box<dyn Send>) = match store {
            Store::Files | Store::Memory => (None, Box::new(())),
            Store::Redis => {
                let redis = Redis::start(&[]);
                (Some(("KEYVALUE_REDIS_URL", redis.url())), Box::new(redis))
            }
            Store::Etcd => {
                let etcd = Etcd::start(1, &[]);
                (Some(("KEYVALUE_ETCD_ENDPOINTS", etcd.endpoints())), Box::new(etcd))
            }
        };
        Self { folder, program, store, variable, page: OnceCell::new(), _server: server }
    }

    pub fn fuse(&self, form: &[&str]) {
        let store = match self.store {
            Store::Memory => "files",
            store => store.name(),
        };
        self.folder.kvfuse(&[&["fuse", "app.wasm", "--store", store], form].concat()).ok();
    }

    pub fn variables(&self) -> Vec<(&'static str, &str)> {
        self.variable.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    /// The folder's directory that the component gets, if it is to get one.
    pub fn directory(&self) -> Option<&'static str> {
        (self.store == Store::Files).then_some("data")
    }
}

/// Whether the cell is what it claims to be.
pub fn check(runtime: &dyn Runtime, program: Program, store: Store) -> Result<(), String> {
    let tried = |runtime: &dyn Runtime| match program {
        Program::Command => command(runtime, store),
        Program::Handler => handler(runtime, store),
        Program::Conformance => conformance(runtime, store),
    };
    match runtime.expected(program, store) {
        Cell::Nothing(_) => Err(String::from("there is nothing to try")),
        Cell::Yes => {
            tried(runtime);
            Ok(())
        }
        Cell::Fails { says, .. } => {
            let Err(panic) = catch_unwind(AssertUnwindSafe(|| tried(runtime))) else {
                return Err(String::from("it works, and the table says that it does not"));
            };
            let said = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
            said.contains(says).then_some(()).ok_or_else(|| format!("it fails, but not with {says:?}: {said}"))
        }
    }
}

/// The demo in both forms, the second one with the data of the first.
fn command(runtime: &dyn Runtime, store: Store) {
    let place = Place::new(Program::Command, store);
    for (before, form) in runtime.forms().into_iter().enumerate() {
        place.fuse(form);
        runtime.prepare(&place);
        let run = |arguments: &[&str]| runtime.run(&place, arguments).ok();
        if store == Store::Memory {
            assert_eq!(run(&["--bucket", ":memory:", "incr", "visits", "41"]), "41\n", "{form:?}");
            assert!(
                std::fs::read_dir(place.folder.path("data")).unwrap().next().is_none(),
                "it wrote to the directory"
            );
            continue;
        }
        let times = if before == 0 { "1 time ".to_string() } else { format!("{} times ", before + 1) };
        let tour = run(&[]);
        assert!(tour.contains(&format!("This tour has run {times}on this store.")), "{form:?}: {tour}");
        if before > 0 {
            assert_eq!(run(&["get", "greeting"]), "Grüße", "{form:?}");
        }
        run(&["set", "greeting", "Grüße"]);
        assert_eq!(run(&["get", "greeting"]), "Grüße", "{form:?}");
        assert_eq!(run(&["incr", "visits", "20"]), format!("{}\n", 20 * (before + 1)), "{form:?}");
    }
}

/// The counter in both forms, the second one with the data of the first.
fn handler(runtime: &dyn Runtime, store: Store) {
    let place = Place::new(Program::Handler, store);
    for (before, form) in runtime.forms().into_iter().enumerate() {
        place.fuse(form);
        runtime.prepare(&place);
        let count = runtime.serve(&place);
        if store == Store::Memory {
            // The next request may get a fresh instance, or not.
            assert_eq!(count("/:memory:"), 1, "{form:?}");
            continue;
        }
        for visitor in 1..=3 {
            assert_eq!(count("/"), 3 * before as u32 + visitor, "{form:?}");
        }
    }
}

/// Every case of the suite, each in a bucket of its own: in memory, each run has a new one. The flat form is enough: that of
/// composed components is in the table of the conformance suite.
pub fn conformance(runtime: &dyn Runtime, store: Store) {
    let place = Place::new(Program::Conformance, store);
    place.fuse(runtime.forms()[0]);
    runtime.prepare(&place);
    let cases = runtime.run(&place, &["--list"]).ok();
    assert!(cases.lines().count() > 1, "{cases}");
    for (number, case) in cases.lines().enumerate() {
        let bucket = if store == Store::Memory { ":memory:" } else { &format!("b{number}") };
        let ran = runtime.run(&place, &[bucket, case]);
        assert!(ran.stdout.ends_with("passed\n"), "{case}: {}{}", ran.stdout, ran.stderr);
    }
}
