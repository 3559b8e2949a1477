//! Values on the page of `kvfuse explore`, in a real browser: shown, edited, in conflict.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::process::wait_until;
use serde_json::json;
use support::page::{ESCAPE, Page};

/// Of 2 × 2 pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0\xfd\xd4\x9as\0\0\0\x16IDATx\x9cc\xfc\xcf\xc0\xf0\x9f\x81\x81\x81\x89\x81\x81\x81\x81\x81\x01\0\x18\x1b\x02\x01";

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
    let kinds = || {
        if browser.value("document.querySelector('#kinds').hidden") == json!(true) {
            String::new()
        } else {
            browser.text("#kinds").replace('\n', " ")
        }
    };
    page.show("text");
    assert_eq!(
        (kinds(), browser.text("#shown pre").replace('\r', "")),
        ("text hex".into(), "Grüße, 世界\nsecond line".into())
    );
    browser.click("#kinds button[value=hex]");
    assert!(
        browser.text("#shown").starts_with("00000000  47 72 c3 bc c3 9f 65 2c  20 e4 b8 96 e7 95 8c 0d  Gr....e,"),
        "{}",
        browser.text("#shown")
    );

    page.show("json");
    assert_eq!(kinds(), "json text hex");
    // Digits that JavaScript's numbers cannot keep are kept.
    let expected =
        "{\n  \"big\": 12345678901234567890,\n  \"list\": [\n    1,\n    2.50,\n    {}\n  ],\n  \"text\": \"a {b}\"\n}";
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
    let page = Page::with(&[
        ("windows", b"one\r\ntwo\r\n"),
        ("mixed", b"one\r\ntwo\n"),
        ("json", b"{\"a\":1}"),
        ("bytes", b"\0\xff"),
    ]);
    let browser = &page.browser;
    page.show("first");
    browser.click("#edit");
    browser.fill("#text", "two\nlines");
    browser.click("#save");
    browser.says("#shown pre", "two lines");
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
    browser.says("#about", "22 bytes");
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
    // Without a save, theirs stays, and is what is shown.
    browser.click("#cancel");
    browser.click("#ask button[value=yes]");
    browser.says("#shown pre", "theirs again");
    browser.click("#edit");
    browser.fill("#text", "mine");
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
    browser.says("#create-problem", "The key first already exists. It was not changed.");
    browser.fill("#create-key", "second");
    browser.click("#create-save");
    browser.says("#shown pre", "other");
    assert_eq!((page.get("first").as_deref(), page.get("second").as_deref()), (Some("1"), Some("other")));
    assert_eq!(page.keys(), ["first", "second"]);

    browser.click("#delete");
    browser.says("#ask", "Delete this key? second");
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
    let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
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
