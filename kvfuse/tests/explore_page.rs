//! The page of `kvfuse explore` in a real browser. `make screenshots` takes the README's pictures from here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis::Redis;
use serde_json::json;
use support::Folder;
use support::browser::Browser;
use support::explorer::Explorer;

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const TAB: &str = "\u{e004}";
const DOWN: &str = "\u{e015}";
const DELETE: &str = "\u{e017}";

/// Of 2 × 2 pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0\xfd\xd4\x9as\0\0\0\x16IDATx\x9cc\xfc\xcf\xc0\xf0\x9f\x81\x81\x81\x89\x81\x81\x81\x81\x81\x01\0\x18\x1b\x02\x01";

/// A store of files with an explorer, and a browser.
struct Page {
    browser: Browser,
    explorer: Explorer,
    folder: Folder,
}

impl Page {
    /// With these keys in the bucket `default`.
    fn with(pairs: &[(&str, &[u8])]) -> Self {
        let folder = Folder::new();
        folder.kvfuse(&["kv", "put", "first", "1"]).ok();
        let explorer = Explorer::start(&folder, &[]);
        for (key, value) in pairs {
            explorer.put("default", key, value);
        }
        let browser = Browser::start(&folder);
        browser.open(&explorer.url());
        Self { browser, explorer, folder }
    }

    /// Opens a key by clicking on it.
    #[track_caller]
    fn show(&self, key: &str) {
        let find = format!("[...document.querySelectorAll('#list li')].find((li) => li.textContent === {})", json!(key));
        self.browser.until("the key is listed", &format!("Boolean({find})"));
        self.browser.value(&format!("{find}.click()"));
        self.browser.until(
            "the key is shown",
            &format!("document.querySelector('#value').checkVisibility() && document.querySelector('#key').textContent === {}", json!(key)),
        );
    }

    fn get(&self, key: &str) -> Option<String> {
        self.explorer.get("default", key).map(|value| String::from_utf8(value).unwrap())
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.browser.value("[...document.querySelectorAll('#list li')].map((li) => li.textContent)");
        serde_json::from_value(keys).unwrap()
    }
}

impl Drop for Page {
    /// Whatever a test did: nothing was fetched from elsewhere, and the browser had nothing to forbid.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let url = self.explorer.url();
        let requests = self.browser.requests();
        assert!(requests.iter().any(|asked| asked.starts_with(&url)), "{requests:?}");
        let ours = |asked: &&String| {
            asked.starts_with(&url) || asked.starts_with(&format!("blob:http://{}/", self.explorer.host())) || *asked == "about:blank"
        };
        assert_eq!(requests.iter().filter(|asked| !ours(asked)).collect::<Vec<_>>(), Vec::<&String>::new());
        // That an answer had another status than 200 is one of the browser's messages.
        let messages = self.browser.console();
        let expected = |line: &&String| line.contains("Failed to load resource") || line.contains("beforeunload");
        assert_eq!(messages.iter().filter(|line| !expected(line)).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

#[test]
fn keys_are_listed_by_prefix_and_in_pages() {
    let page = Page::with(&[]);
    let browser = &page.browser;
    let lines: String = (0..2500).map(|n| format!("{{\"key\":\"user/{n:04}\",\"value\":\"\"}}\n")).collect();
    page.folder.write("pairs", lines);
    page.folder.kvfuse(&["kv", "bulk-put", "pairs", "--bucket", "people"]).ok();
    browser.open(&page.explorer.url());
    assert_eq!(page.keys(), ["first"]);
    browser.says("#buckets", "people");
    browser.click("#buckets button[value=people]");
    browser.says("#listed", "more on the next page");

    let mut all = page.keys();
    while browser.value("document.querySelector('#next').disabled") == json!(false) {
        let number = browser.text("#number");
        browser.click("#next");
        browser.until(
            "the next page is there",
            &format!("document.querySelector('#number').innerText !== {} && document.querySelector('#stop').hidden", json!(number)),
        );
        let sorted = page.keys();
        assert!(sorted.is_sorted());
        all.extend(sorted);
    }
    assert!(browser.text("#number") != "page 1" && all.len() == 2500, "{} on {}", all.len(), browser.text("#number"));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 2500);
    browser.click("#previous");
    browser.says("#listed", "more on the next page");

    browser.fill("#prefix", "user/007");
    browser.press(ENTER);
    browser.says("#listed", "10 keys with this prefix");
    let expected: Vec<_> = (70..80).map(|n| format!("user/{n:04}")).collect();
    assert_eq!(page.keys(), expected);
    // Reloading shows the same.
    browser.request("refresh", json!({}));
    browser.says("#listed", "10 keys with this prefix");
    browser.fill("#bucket", "empty");
    browser.fill("#prefix", "");
    browser.press(ENTER);
    browser.says("#listed", "this bucket is empty");
}

#[test]
fn a_value_is_shown_as_what_it_is() {
    let json = br#"{"big":12345678901234567890,"list":[1,2.50,{}],"text":"a {b}"}"#;
    let page = Page::with(&[
        ("text", "Grüße, 世界\r\nsecond line".as_bytes()),
        ("json", json),
        ("binary", b"\0\x01\xfeab"),
        ("picture", PNG),
        ("count", b"41"),
        ("not quite a counter", b"041"),
        ("nothing", b""),
    ]);
    let browser = &page.browser;
    let kinds = || browser.text("#kinds").replace('\n', " ");
    page.show("text");
    assert_eq!((kinds(), browser.text("#shown pre")), ("text hex".into(), "Grüße, 世界\nsecond line".into()));
    browser.click("#kinds button[value=hex]");
    assert!(browser.text("#shown").starts_with("00000000  47 72 c3 bc c3 9f 65 2c  20 e4 b8 96 e7 95 8c 0d  Gr....e,"), "{}", browser.text("#shown"));

    page.show("json");
    assert_eq!(kinds(), "json text hex");
    // Digits that JavaScript's numbers cannot keep are kept.
    let expected = "{\n  \"big\": 12345678901234567890,\n  \"list\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"text\": \"a {b}\"\n}";
    assert_eq!(browser.text("#shown pre"), expected);
    browser.click("#kinds button[value=text]");
    assert_eq!(browser.text("#shown pre").as_bytes(), json);

    page.show("binary");
    assert!(browser.text("#shown pre").contains("00 01 fe 61 62") && browser.text("#shown pre").ends_with("...ab"));
    assert_eq!(kinds(), "", "there is no choice");

    page.show("picture");
    browser.says("#shown figcaption", "image/png, 2 × 2");
    assert_eq!(kinds(), "image hex");

    page.show("count");
    assert_eq!((kinds(), browser.text("#shown")), ("counter text hex".into(), "41".into()));
    page.show("not quite a counter");
    assert_eq!(kinds(), "text hex");
    page.show("nothing");
    browser.says("#about", "0 bytes");
}

#[test]
fn a_value_is_edited_in_place_and_stays_as_it_was_written() {
    let page = Page::with(&[("windows", b"one\r\ntwo\r\n"), ("mixed", b"one\r\ntwo\n"), ("json", b"{\"a\":1}"), ("bytes", b"\0\xff")]);
    let browser = &page.browser;
    page.show("first");
    browser.click("#edit");
    browser.fill("#text", "two\nlines");
    browser.click("#save");
    browser.says("#shown pre", "two\nlines");
    assert_eq!(page.get("first").as_deref(), Some("two\nlines"));

    // Line ends stay those of the value; where they are mixed, a text area would change them.
    page.show("windows");
    browser.click("#edit");
    browser.fill("#text", "one\ntwo\nthree\n");
    browser.click("#save");
    browser.says("#shown pre", "three");
    assert_eq!(page.get("windows").as_deref(), Some("one\r\ntwo\r\nthree\r\n"));
    page.show("mixed");
    assert_eq!(browser.value("document.querySelector('#edit').checkVisibility()"), json!(false));
    browser.click("#kinds button[value=hex]");
    browser.click("#edit");
    browser.fill("#text", "6f 6G");
    browser.click("#save");
    browser.says("#invalid", "“G” is not a hexadecimal digit");
    browser.fill("#text", "6f6e65 0D");
    browser.click("#save");
    browser.says("#about", "4 bytes");
    assert_eq!(page.get("mixed").as_deref(), Some("one\r"));

    page.show("json");
    browser.click("#edit");
    browser.fill("#text", "{\"a\":");
    browser.click("#save");
    browser.says("#ask", "no longer valid JSON");
    browser.click("#ask button[value=no]");
    browser.fill("#text", "{\"a\":[2]}");
    browser.click("#format");
    browser.click("#save");
    browser.says("#about", "23 bytes");
    assert_eq!(page.get("json").as_deref(), Some("{\n  \"a\": [\n    2\n  ]\n}"));

    // What is not saved is not lost without a question.
    browser.click("#edit");
    browser.fill("#text", "draft");
    browser.press(ESCAPE);
    browser.says("#ask", "Discard your changes?");
    browser.click("#ask button[value=no]");
    assert_eq!(browser.value("document.querySelector('#text').value"), json!("draft"));
    browser.click("#cancel");
    browser.click("#ask button[value=yes]");
    browser.says("#shown pre", "[");
}

#[test]
fn two_windows_in_conflict_see_each_other_and_lose_nothing() {
    let page = Page::with(&[("story", b"once upon a time")]);
    let browser = &page.browser;
    page.show("story");
    browser.click("#edit");
    browser.fill("#text", "mine");
    let [first, second] = browser.another();
    browser.open(&page.explorer.url());
    page.show("story");
    browser.click("#edit");
    browser.fill("#text", "theirs");
    browser.click("#save");
    browser.says("#shown pre", "theirs");

    browser.turn(&first);
    browser.click("#save");
    browser.says("#ask", "Somebody else has changed this key");
    assert_eq!(browser.text("#ask .panes").replace("\n\n", "\n"), "Theirs\n6 bytes\ntheirs\nYours\n4 bytes\nmine");
    browser.looks(1100, 760, false);
    browser.picture("explore-conflict.png");
    assert_eq!(page.get("story").as_deref(), Some("theirs"), "nothing was overwritten");
    browser.click("#ask button[value=mine]");
    // And once more, before it is saved again.
    page.explorer.put("default", "story", b"theirs again");
    browser.click("#save");
    browser.says("#ask", "theirs again");
    browser.click("#ask button[value=mine]");
    browser.click("#save");
    browser.says("#shown pre", "mine");
    assert_eq!(page.get("story").as_deref(), Some("mine"));

    browser.turn(&second);
    browser.says("#changed", "Somebody else has changed this key just now.");
    browser.says("#shown pre", "mine");
    browser.click("#edit");
    browser.fill("#text", "draft");
    page.folder.kvfuse(&["kv", "delete", "story"]).ok();
    browser.says("#changed", "Somebody else has deleted this key since you began to edit.");
    browser.click("#save");
    browser.says("#ask", "Somebody else has deleted this key");
    browser.click("#ask button[value=theirs]");
    browser.says("#about", "does not exist");
    assert_eq!(page.get("story"), None);
}

#[test]
fn keys_are_created_and_deleted_and_none_is_overwritten() {
    let page = Page::with(&[]);
    let browser = &page.browser;
    browser.click("#new");
    browser.fill("#create-key", "first");
    browser.fill("#create-text", "other");
    browser.click("#create-save");
    browser.says("#create-problem", "There is a key first already. It was left as it is.");
    browser.fill("#create-key", "second");
    browser.click("#create-save");
    browser.says("#shown pre", "other");
    assert_eq!((page.get("first").as_deref(), page.get("second").as_deref()), (Some("1"), Some("other")));
    assert_eq!(page.keys(), ["first", "second"]);

    browser.click("#delete");
    browser.says("#ask", "Delete this key?\nsecond");
    browser.click("#ask button[value=no]");
    assert!(page.get("second").is_some());
    // Somebody changes it while the question is open.
    browser.click("#delete");
    browser.says("#ask", "Delete this key?");
    page.folder.kvfuse(&["kv", "put", "second", "new"]).ok();
    browser.click("#ask button[value=yes]");
    browser.says("#problem", "it was not deleted");
    assert_eq!(page.get("second").as_deref(), Some("new"));
    browser.click("#delete");
    browser.click("#ask button[value=yes]");
    browser.says("#about", "does not exist");
    browser.until("the list lacks it", "document.querySelectorAll('#list li').length === 1");
    assert_eq!(page.get("second"), None);
}

#[test]
fn counters_count_and_say_when_they_cannot() {
    let page = Page::with(&[("visits", b"9223372036854775800")]);
    let browser = &page.browser;
    page.show("visits");
    browser.click("#more");
    browser.says("#shown output", "9223372036854775801");
    browser.fill("#step", "9223372036854775807");
    browser.click("#less");
    browser.says("#shown output", "-6");
    browser.fill("#step", "-6");
    browser.click("#less");
    browser.until("it counts", "document.querySelector('#shown').innerText === '0'");
    browser.fill("#step", "one");
    browser.click("#more");
    browser.says("#problem", "the step is not a whole number");
    browser.fill("#step", "9223372036854775808");
    browser.click("#more");
    browser.says("#problem", "-2^63");
    assert_eq!(page.get("visits").as_deref(), Some("0"));
}

#[test]
fn files_are_uploaded_and_downloaded_byte_for_byte() {
    let page = Page::with(&[]);
    let browser = &page.browser;
    let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n * n >> 7) as u8).collect();
    page.folder.write("upload.bin", &bytes);
    browser.click("#new");
    browser.fill("#create-key", "files/../report.pdf");
    browser.choose("#create-file", &page.folder.path("upload.bin"));
    browser.click("#create-save");
    browser.says("#about", "4.8 MiB (5,000,000 bytes)");
    browser.says("#shown", "This is the beginning");
    browser.click("#download");
    let there = page.folder.path("downloads/report.pdf");
    wait_until("it is downloaded", || std::fs::metadata(&there).is_ok_and(|there| there.len() == bytes.len() as u64));
    assert!(std::fs::read(&there).unwrap() == bytes);

    page.folder.write("small.txt", "replaced");
    browser.choose("#upload", &page.folder.path("small.txt"));
    browser.says("#shown pre", "replaced");
    // Somebody writes, and the page has not looked yet: the upload is a conflict.
    page.explorer.put("default", "files/../report.pdf", &bytes);
    browser.says("#about", "4.8 MiB");
    page.folder.kvfuse(&["kv", "put", "files/../report.pdf", "theirs"]).ok();
    browser.choose("#upload", &page.folder.path("small.txt"));
    browser.says("#ask", "the file was not stored");
    assert_eq!(page.get("files/../report.pdf").as_deref(), Some("theirs"));
    browser.click("#ask button[value=mine]");
    browser.says("#shown pre", "replaced");
}

#[test]
fn what_others_write_shows_by_itself() {
    let page = Page::with(&[]);
    let browser = &page.browser;
    page.show("first");
    page.folder.kvfuse(&["kv", "put", "second", "new"]).ok();
    page.folder.kvfuse(&["kv", "put", "first", "changed"]).ok();
    page.folder.kvfuse(&["kv", "put", "--bucket", "another", "a", "1"]).ok();
    browser.says("#list li.fresh", "second");
    browser.says("#changed", "Somebody else has changed this key just now.");
    assert_eq!(browser.text("#shown pre"), "changed");
    browser.says("#buckets", "another");
    page.folder.kvfuse(&["kv", "delete", "first"]).ok();
    browser.says("#changed", "Somebody else has deleted this key just now.");
    browser.until("the list lacks it", "document.querySelector('#list').innerText === 'second'");
}

#[test]
fn hostile_keys_and_values_are_text() {
    let markup = "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 1</script>";
    let long = format!("{}<b>", "k".repeat((1 << 20) - 3));
    let hidden = "a\u{202e}b\nc\u{0}d\u{200b}";
    let json = format!("{{\"{}\": [\"</pre>\", \"{}\"]}}", "__proto__", markup.replace('"', "'"));
    let page = Page::with(&[
        (markup, markup.as_bytes()),
        (&long, b"long"),
        (hidden, b"hidden"),
        ("", b"the empty key"),
        ("../../etc/passwd?x#y%2f", b"path"),
        ("json", json.as_bytes()),
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked = 1'/>"),
        ("image that is none", b"\x89PNG\r\n\x1a\n<script>window.hacked = 1</script>"),
        ("deep", "[".repeat(100_000).as_bytes()),
    ]);
    let browser = &page.browser;
    page.explorer.put("<b>bucket</b>", "a", b"1");
    browser.open(&page.explorer.url());
    page.show(markup);
    assert_eq!(browser.text("#shown pre"), markup);
    assert_eq!(browser.value("document.querySelectorAll('#list img, #value img, #list script').length"), json!(0));
    browser.says("#buckets", "<b>bucket</b>");

    let shown = format!("{}…", "k".repeat(300));
    page.show(&shown);
    assert_eq!(browser.text("#shown pre"), "long");
    browser.click("#edit");
    browser.fill("#text", "longer");
    browser.click("#save");
    browser.says("#shown pre", "longer");
    assert_eq!(page.get(&long).as_deref(), Some("longer"));

    page.show("a\\u{202e}b\\u{a}c\\u{0}d\\u{200b}");
    assert_eq!(browser.text("#shown pre"), "hidden");
    page.show("empty");
    assert_eq!(browser.text("#shown pre"), "the empty key");
    page.show("../../etc/passwd?x#y%2f");
    assert_eq!(browser.text("#shown pre"), "path");
    browser.request("refresh", json!({}));
    browser.says("#shown pre", "path");
    page.show("json");
    assert!(browser.text("#shown pre").contains("\"</pre>\""));
    page.show("svg");
    assert!(browser.text("#shown pre").starts_with("<svg"));
    page.show("image that is none");
    browser.says("#shown figcaption", "this is not a valid image/png");
    page.show("deep");
    assert!(browser.text("#shown pre").starts_with("[[["));

    browser.click("#delete");
    browser.click("#ask button[value=yes]");
    browser.says("#about", "does not exist");
    browser.click("#buckets button[value='<b>bucket</b>']");
    browser.says("#listed", "1 key");
    browser.click("#new");
    browser.fill("#create-key", "bad");
    browser.value("document.querySelector('#create-key').value = 'half a pair: \\ud800'");
    browser.click("#create-save");
    browser.says("#create-problem", "not JSON");
    browser.press(ESCAPE);
    assert_eq!(browser.value("window.hacked ?? null"), json!(null));
}

#[test]
fn everything_is_done_by_keyboard() {
    let page = Page::with(&[("a", b"1st"), ("b", b"2nd"), ("c", b"3rd")]);
    let browser = &page.browser;
    let focus = || browser.value("document.activeElement.id");
    browser.press("/");
    assert_eq!(focus(), json!("prefix"));
    browser.press("b");
    browser.press(ENTER);
    browser.says("#listed", "1 key with this prefix");
    browser.fill("#prefix", "");
    browser.press(ENTER);
    browser.says("#listed", "4 keys");
    // From the prefix on: the button, the buckets, the list.
    browser.until("the list is reached", "document.querySelector('#prefix').focus() || true");
    for _ in 0..10 {
        if focus() == json!("list") {
            break;
        }
        browser.press(TAB);
    }
    assert_eq!(focus(), json!("list"));
    browser.press(DOWN);
    assert_eq!(browser.value("document.getElementById(document.querySelector('#list').getAttribute('aria-activedescendant')).innerText"), json!("b"));
    browser.press(ENTER);
    browser.says("#shown pre", "2nd");
    assert_eq!(focus(), json!("key"));
    browser.press("e");
    browser.until("the editor has the focus", "document.activeElement.id === 'text'");
    browser.fill("#text", "by keyboard");
    browser.control('s');
    browser.says("#shown pre", "by keyboard");
    assert_eq!(page.get("b").as_deref(), Some("by keyboard"));
    browser.until("the focus is on the button", "document.activeElement.id === 'edit'");
    browser.press(DELETE);
    browser.says("#ask", "Delete this key?");
    browser.press(ENTER);
    browser.says("#about", "does not exist");
    assert_eq!(page.get("b"), None);
    browser.press(ESCAPE);
    browser.until("the focus is on the list", "document.activeElement.id === 'list'");
    browser.press("n");
    browser.says("#create", "New key");
    browser.press("typed");
    browser.press(TAB);
    browser.press("value");
    browser.press(TAB);
    browser.press(TAB);
    browser.press(ENTER);
    browser.says("#key", "typed");
    assert_eq!(page.get("typed").as_deref(), Some("value"));
    browser.press("?");
    browser.says("#shortcuts", "Keyboard shortcuts");
    // Everything that can be used has a name.
    let nameless = "[...document.querySelectorAll('button, input, textarea')].filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map((e) => e.outerHTML)";
    assert_eq!(browser.value(nameless), json!([]));
}

/// The contrast of an element's text with what is behind it, as WCAG 2.2 defines it.
const CONTRAST: &str = "((selector) => {
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const clear = (color) => channels(color).length === 4 && channels(color)[3] === 0;
    const light = (color) => {
        const [r, g, b] = channels(color).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const element = document.querySelector(selector);
    let behind = element;
    while (behind && clear(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
    const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a);
    return (a + 0.05) / (b + 0.05);
})";

#[test]
fn it_can_be_read_in_dark_and_light_and_used_at_the_width_of_a_phone() {
    let orders: Vec<_> = (1041..1063).map(|n| (format!("order/{n}"), format!("{{\"id\":{n},\"customer\":\"ann\",\"items\":[{{\"sku\":\"tea\",\"count\":2}},{{\"sku\":\"cup\",\"count\":1}}],\"total\":\"23.50\"}}"))).collect();
    let pairs: Vec<_> = orders.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
    let page = Page::with(&pairs);
    let browser = &page.browser;
    page.explorer.put("sessions", "7c1", b"{}");
    browser.open(&page.explorer.url());
    page.show("order/1048");
    for dark in [false, true] {
        browser.looks(1100, 640, dark);
        browser.picture(if dark { "explore-dark.png" } else { "explore.png" });
        let texts = ["h1", "h1 span", "#listed", "#list li", "#list li.open", "#key", "#about", "#shown pre", "#edit", "#delete", "#download", "#next", "#buckets button[aria-pressed=true]", "#buckets button[aria-pressed=false]", "label"];
        for text in texts {
            let contrast = browser.value(&format!("{CONTRAST}({})", json!(text))).as_f64().unwrap();
            assert!(contrast >= 4.5 || text == "#next", "{text} in {}: {contrast}", if dark { "dark" } else { "light" });
        }
    }
    browser.looks(360, 640, false);
    let wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
    let narrow = |what: &str| {
        assert_eq!(browser.value(wide), json!(false), "{what}");
        let small = "[...document.querySelectorAll('button')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth).map((e) => e.id)";
        assert_eq!(browser.value(small), json!([]), "{what}");
    };
    narrow("the value");
    assert_eq!(browser.value("document.querySelector('#list').checkVisibility()"), json!(false));
    browser.picture("explore-phone.png");
    browser.click("#back");
    browser.says("#list", "order/1048");
    narrow("the list");
    browser.request("back", json!({}));
    browser.says("#key", "order/1048");
    browser.click("#edit");
    narrow("the editor");
    browser.click("#cancel");
    browser.click("#show-statistics");
    browser.says("#report", "segment");
    narrow("the statistics");
}

#[test]
fn statistics_and_damage_of_the_files_are_shown() {
    let page = Page::with(&[("a", b"1"), ("b", &[b'b'; 300_000])]);
    let browser = &page.browser;
    browser.click("#show-statistics");
    browser.says("#verdict", "No damage found.");
    browser.says("#report", "value files: 1, 300,000 bytes");
    assert_eq!(browser.text("#report tbody tr").split_whitespace().take(2).collect::<Vec<_>>(), ["s.0", "3"]);
    browser.click("#verify");
    browser.says("#report", "of them verified: 1, 300,000 bytes");
    // A byte of a value file changes: only reading it shows that.
    let values = page.folder.path("data/b-default/v");
    let file = std::fs::read_dir(&values).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    browser.click("#again");
    browser.says("#verdict", "This store is damaged.");
    browser.says("#report .bad", "\"b\"");
    browser.looks(1100, 640, false);
    browser.picture("explore-statistics.png");
    browser.click("#verify");
    browser.says("#verdict", "No damage found.");
    browser.click("#show-keys");
    browser.says("#list", "first");
}

#[test]
fn a_store_on_a_server_has_no_files_and_its_buckets_are_typed_in() {
    let folder = Folder::new();
    let mut redis = Redis::start(&[]);
    redis.command(&["SET", "sessions:a", "1"]);
    let explorer = Explorer::start(&folder, &["--store", &redis.url()]);
    let browser = Browser::start(&folder);
    browser.open(&explorer.url());
    assert_eq!(browser.value("['#show-statistics', '#buckets'].some((s) => document.querySelector(s).checkVisibility())"), json!(false));
    browser.says("h1", "redis at 127.0.0.1:");
    browser.fill("#bucket", "sessions");
    browser.press(ENTER);
    browser.says("#list", "a");
    redis.kill();
    browser.says("#problem", "127.0.0.1");
    redis.restart();
    browser.until("it recovers", "document.querySelector('#problem').hidden");
}
