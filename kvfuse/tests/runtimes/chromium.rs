//! Chromium, on what jco makes of a component: in a worker, with its files in OPFS.

use crate::cell::{Cell, Place, Program, Runtime, Store, conformance};
use crate::support::browser::Browser;
use crate::support::node::tool;
use crate::support::pages::serve;
use crate::support::{Folder, Ran, root};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

pub struct Chromium;

/// A browser that shows the page, and the server of the page.
pub struct Page {
    browser: Browser,
    address: SocketAddr,
}

impl Page {
    /// Serves the folder's directory `out`, and opens the page in it.
    fn open(folder: &Folder) -> Self {
        let address = serve(folder.path("out"));
        let page = Self { browser: Browser::start(folder), address };
        page.reload();
        page
    }

    fn reload(&self) {
        self.browser.open(&format!("http://{}/page.html", self.address));
    }

    /// What the worker answers.
    fn ask(&self, message: &Value) -> Value {
        // As text, because WebDriver takes an object with `error` for an error of its own.
        let answer = self.browser.awaited(&format!("ask({message}).then(JSON.stringify)"));
        serde_json::from_str(answer.as_str().unwrap()).unwrap()
    }
}

/// The options of `jco transpile` by which a component imports the shims that are beside it.
fn mapped() -> Vec<String> {
    let shims = ["cli", "clocks", "http", "io", "random", "sockets"];
    let shims = shims.iter().map(|name| (*name, format!("./wasi/{name}.js#*")));
    let all = shims.chain([("filesystem", "./opfs.js#*".to_string())]);
    all.flat_map(|(name, path)| ["--map".to_string(), format!("wasi:{name}/*={path}")]).collect()
}

/// The files of a folder, but not those of folders in it.
fn copy(from: PathBuf, to: PathBuf) {
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Makes the page with `app.fused.wasm` in the folder's directory `out`.
fn make(folder: &Folder) {
    let mut jco = Command::new(tool("node-packages/node_modules/.bin/jco"));
    jco.args(["transpile", "app.fused.wasm", "--name", "app", "--out-dir", "out", "--no-nodejs-compat"]);
    folder.run(jco.args(mapped())).ok();
    copy(root().join("demo-consumer/browser"), folder.path("out"));
    copy(tool("node-packages/node_modules/@bytecodealliance/preview2-shim/dist/browser"), folder.path("out/wasi"));
    folder.write("out/page.html", include_str!("page.html"));
}

impl Runtime for Chromium {
    fn name(&self) -> String {
        "Chromium, through jco".into()
    }

    fn forms(&self) -> [&'static [&'static str]; 2] {
        [&["--single-memory"], &["--composed"]]
    }

    fn expected(&self, _: Program, store: Store) -> Cell {
        match store {
            Store::Files | Store::Memory => Cell::Yes,
            Store::Redis => Cell::Nothing("no sockets"),
            Store::Etcd => Cell::Nothing("cannot wait"),
        }
    }

    fn prepare(&self, place: &Place) {
        make(&place.folder);
        place.page.get_or_init(|| Page::open(&place.folder)).reload();
    }

    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        let folder = place.directory();
        let answer =
            place.page.get().unwrap().ask(&json!({ "module": "app.js", "folder": folder, "arguments": arguments }));
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_string();
        let error = if answer["error"].is_null() { String::new() } else { answer.to_string() };
        let code = answer["code"].as_i64().map(|code| code as i32);
        Ran { code, stdout: text("stdout"), stderr: text("stderr") + &error }
    }

    fn serve<'a>(&self, place: &'a Place) -> Box<dyn Fn(&str) -> u32 + 'a> {
        Box::new(|path| {
            let message = json!({ "module": "app.js", "folder": place.directory(), "path": path });
            let answer = place.page.get().unwrap().ask(&message);
            answer["body"].as_str().and_then(|body| body.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
        })
    }
}

/// The counter of visitors on a page, with its files in OPFS.
struct Visitors {
    place: Place,
}

impl Visitors {
    fn new() -> Self {
        let place = Place::new(Program::Handler, Store::Files);
        place.fuse(&["--single-memory"]);
        Chromium.prepare(&place);
        Self { place }
    }

    fn page(&self) -> &Page {
        self.place.page.get().unwrap()
    }

    /// Asks once more, which opens the files if this page has not yet done so.
    fn visit(&self) -> Value {
        self.page().ask(&json!({ "module": "app.js", "folder": "data", "path": "/" }))
    }

    fn count(&self) -> u32 {
        let answer = self.visit();
        answer["body"].as_str().and_then(|body| body.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }
}

fn data_is_there_after_a_reload_and_in_another_browser_on_the_same_profile() {
    let mut visitors = Visitors::new();
    assert_eq!((visitors.count(), visitors.count()), (1, 2));
    visitors.page().reload();
    assert_eq!(visitors.count(), 3);
    let mut page = visitors.place.page.take().unwrap();
    drop(page.browser);
    page.browser = Browser::start(&visitors.place.folder);
    page.reload();
    visitors.place.page.set(page).ok().unwrap();
    assert_eq!(visitors.count(), 4);
}

fn a_second_tab_is_told_that_the_first_one_has_the_files_and_gets_them_when_it_is_closed() {
    let visitors = Visitors::new();
    assert_eq!(visitors.count(), 1);
    let browser = &visitors.page().browser;
    let [first, second] = browser.another();
    visitors.page().reload();
    let said = "\"data\" is open in another tab of this site: close that one, or use another name";
    assert_eq!(visitors.visit(), json!({ "error": said }));
    browser.turn(&first);
    assert_eq!(visitors.count(), 2);
    browser.close();
    browser.turn(&second);
    assert_eq!(visitors.count(), 3);
}

fn what_a_worker_acknowledged_is_there_when_it_is_ended_in_the_middle_of_the_next_request() {
    let visitors = Visitors::new();
    let mut acknowledged = 0;
    for round in 1..=6 {
        // More requests than it can answer until it is ended.
        let ended = visitors.page().browser.awaited(&format!(
            "new Promise((done) => {{
                let last = 0;
                for (let n = 0; n < 20000; n++) {{
                    ask({{ module: 'app.js', folder: 'data', path: '/' }}).then((answer) => {{
                        last = Number(answer.body);
                        if (n === {}) {{ worker.terminate(); done(last); }}
                    }});
                }}
            }})",
            round * 40
        ));
        let ended = ended.as_u64().unwrap_or_else(|| panic!("{ended}"));
        assert!(ended > acknowledged, "{ended} after {acknowledged}");
        visitors.page().reload();
        // It handles one after the other, so some were counted and not answered, but none that was answered is missing.
        acknowledged = u64::from(visitors.count());
        assert!(acknowledged > ended, "{acknowledged} after {ended}");
    }
}

pub fn trials() -> Vec<Trial> {
    let all: [(&str, fn()); 4] = [
        ("it runs the conformance suite on :memory:", || conformance(&Chromium, Store::Memory)),
        (
            "data is there after a reload, and in another browser on the same profile",
            data_is_there_after_a_reload_and_in_another_browser_on_the_same_profile,
        ),
        (
            "a second tab is told that the first one has the files, and gets them when it is closed",
            a_second_tab_is_told_that_the_first_one_has_the_files_and_gets_them_when_it_is_closed,
        ),
        (
            "what a worker acknowledged is there when it is ended in the middle of the next request",
            what_a_worker_acknowledged_is_there_when_it_is_ended_in_the_middle_of_the_next_request,
        ),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(format!("Chromium: {name}"), move || {
            test();
            Ok(())
        })
    };
    all.map(|each| trial(each).with_ignored_flag(true)).into()
}
