//! The page of `kvfuse explore` in a real browser: its list of keys, what others write, hostile data, and its use by keyboard, in
//! the dark, on a phone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::redis::Redis;
use serde_json::json;
use support::Folder;
use support::browser::Browser;
use support::explorer::Explorer;
use support::page::{DELETE, DOWN, ENTER, ESCAPE, Page, TAB};

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
            &format!(
                "document.querySelector('#number').innerText !== {} && document.querySelector('#stop').hidden",
                json!(number)
            ),
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
#[ignore = "long: make test-long"]
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
        ("not really an image", b"\x89PNG\r\n\x1a\n<script>window.hacked = 1</script>"),
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
    page.show("not really an image");
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
    browser.value("void (document.querySelector('#create-key').value = 'half a pair: \\ud800')");
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
    assert_eq!(
        browser.value(
            "document.getElementById(document.querySelector('#list').getAttribute('aria-activedescendant')).innerText"
        ),
        json!("b")
    );
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
#[ignore = "long: make test-long"]
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
        let texts = [
            "h1",
            "h1 span",
            "#listed",
            "#list li",
            "#list li.open",
            "#key",
            "#about",
            "#shown pre",
            "#edit",
            "#delete",
            "#download",
            "#next",
            "#buckets button[aria-pressed=true]",
            "#buckets button[aria-pressed=false]",
            "label",
        ];
        for text in texts {
            let contrast = browser.value(&format!("{CONTRAST}({})", json!(text))).as_f64().unwrap();
            assert!(
                contrast >= 4.5 || text == "#next",
                "{text} in {}: {contrast}",
                if dark { "dark" } else { "light" }
            );
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
#[ignore = "long: make test-long"]
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
    browser.says("#report .bad", "is not as it was written");
    browser.looks(1100, 640, false);
    browser.picture("explore-statistics.png");
    browser.click("#verify");
    browser.says("#verdict", "No damage found.");
    browser.click("#show-keys");
    browser.says("#list", "first");
}

#[test]
#[ignore = "long: make test-long"]
fn a_store_on_a_server_has_no_files_and_its_buckets_are_typed_in() {
    let folder = Folder::new();
    let mut redis = Redis::start(&[]);
    redis.command(&["SET", "sessions:a", "1"]);
    let explorer = Explorer::start(&folder, &["--store", &redis.url()]);
    let browser = Browser::start(&folder);
    browser.open(&explorer.url());
    assert_eq!(
        browser.value("['#show-statistics', '#buckets'].some((s) => document.querySelector(s).checkVisibility())"),
        json!(false)
    );
    browser.says("h1", "redis at 127.0.0.1:");
    browser.fill("#bucket", "sessions");
    browser.press(ENTER);
    browser.says("#list", "a");
    redis.kill();
    browser.says("#problem", "127.0.0.1");
    redis.restart();
    browser.until("it recovers", "document.querySelector('#problem').hidden");
}
