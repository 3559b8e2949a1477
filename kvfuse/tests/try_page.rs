//! The page to try kvfuse, in a browser: kvfuse and the demo as components there. `make page` makes it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use std::path::PathBuf;
use support::browser::Browser;
use support::pages::serve;
use support::{Folder, built, component, root};

/// The page, and a browser that shows it.
struct Page {
    browser: Browser,
    folder: Folder,
    address: String,
}

impl Page {
    fn open() -> Self {
        let made = std::env::var_os("KVFUSE_PAGE").map_or_else(|| root().join("target/page"), PathBuf::from);
        assert!(made.join("kvfuse.js").exists(), "{} is missing; make page makes it", made.display());
        let folder = Folder::new();
        std::fs::create_dir(folder.path("downloads")).unwrap();
        let browser = Browser::start(&folder);
        let address = format!("http://{}/", serve(made));
        browser.open(&format!("{address}index.html"));
        Self { browser, folder, address }
    }

    /// Gives the page a file.
    fn choose(&self, name: &str, bytes: &[u8]) {
        self.folder.write(name, bytes);
        self.browser.choose("#file", &self.folder.path(name));
    }

    /// What was downloaded under this name, once it is whole.
    fn downloaded(&self, name: &str) -> Vec<u8> {
        let path = self.folder.path("downloads").join(name);
        kvfuse_servers::process::wait_until("the download is there", || path.exists());
        std::fs::read(path).unwrap()
    }
}

impl Drop for Page {
    /// Whatever a test did: nothing was sent or fetched elsewhere, and the browser had nothing to forbid.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let requests = self.browser.requests(&self.address);
        assert!(requests.iter().any(|asked| asked.ends_with("page.js")), "{requests:?}");
        let ours = |asked: &&String| {
            [&self.address, &format!("blob:{}", self.address), "data:"].iter().any(|ours| asked.starts_with(*ours))
        };
        assert_eq!(requests.iter().filter(|asked| !ours(asked)).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(self.browser.console(), Vec::<String>::new());
    }
}

#[test]
#[ignore = "needs Node: make test-runtimes"]
fn a_component_is_fused_on_the_page_into_the_same_bytes_as_by_the_program() {
    let page = Page::open();
    page.choose("app.wasm", &built("kv_demo.wasm"));
    page.browser.says("#inspected", "app.wasm: a command of ");
    page.browser.says("#inspected", "key-value wasi:keyvalue@0.2.0-draft2");
    for (form, options) in [("", &[][..]), ("--single-memory", &["--single-memory"]), ("--composed", &["--composed"])] {
        page.browser.value(&format!("document.querySelector('#form').value = {form:?}"));
        page.browser.click("#fuse");
        page.browser.says("#fused", "fused app.wasm with the store files (keyvalue.wasm) into app.fused.wasm");
        page.browser.click("#download");
        let fused = page.downloaded("app.fused.wasm");
        page.folder.kvfuse(&[&["fuse", "app.wasm"], options].concat()).ok();
        assert!(fused == page.folder.read("app.fused.wasm"), "{form}");
        std::fs::remove_file(page.folder.path("downloads/app.fused.wasm")).unwrap();
    }
    page.browser.value("document.querySelector('#store').value = 'redis'");
    page.browser.click("#fuse");
    page.browser.says("#fused", "with the store redis (keyvalue-redis.wasm)");
    page.browser.picture("try.png");
}

#[test]
#[ignore = "needs Node: make test-runtimes"]
fn what_is_no_component_and_what_imports_no_store_is_said_as_by_the_program() {
    let page = Page::open();
    let good = built("kv_demo.wasm");
    let foreign = component("package test:it; world w { import other: func(); export run: func(); }");
    let module = wat::parse_str("(module)").unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("cut.wasm", &good[..good.len() / 2], "error: "),
        ("text.wasm", b"nothing of the kind", "error: "),
        ("module.wasm", &module, "error: "),
        ("empty.wasm", b"", "error: "),
    ];
    for (name, bytes, begins) in cases {
        page.choose(name, bytes);
        page.browser.says("#error", name);
        let said = page.browser.text("#error");
        let program = page.folder.kvfuse(&["inspect", name]);
        assert_ne!(program.code, Some(0), "{name}");
        assert_eq!(said.trim(), program.stderr.trim(), "{name}");
        assert!(said.starts_with(begins), "{said}");
        assert_eq!(page.browser.value("document.querySelector('#choice').hidden"), true, "{name}");
    }
    // It can be looked at, and there is nothing to fuse.
    page.choose("foreign.wasm", &foreign);
    page.browser.says("#inspected", "foreign.wasm: ");
    page.browser.click("#fuse");
    page.browser.says("#error", "foreign.wasm");
    let program = page.folder.kvfuse(&["fuse", "foreign.wasm"]);
    assert_eq!(page.browser.text("#error").trim(), program.stderr.trim());
    // And the page goes on.
    page.choose("good.wasm", &good);
    page.browser.says("#inspected", "good.wasm: a command of ");
    assert_eq!(page.browser.value("document.querySelector('#error').hidden"), true);
}

#[test]
#[ignore = "needs Node: make test-runtimes"]
fn the_demo_runs_on_the_page_and_its_data_stays_in_the_browser() {
    let page = Page::open();
    page.browser.click("#tour");
    page.browser.says("#said", "This tour has run 1 time on this store.");
    page.browser.open(&format!("{}index.html", page.address));
    page.browser.click("#tour");
    page.browser.says("#said", "This tour has run 2 times on this store.");
    page.browser.click("#memory");
    page.browser.says("#said", "uses the bucket \":memory:\"");
}
