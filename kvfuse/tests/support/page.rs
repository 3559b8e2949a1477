//! The explorer's page in a browser.

use super::Folder;
use super::browser::Browser;
use super::explorer::Explorer;
use serde_json::json;

// Keys, as WebDriver names them.
pub const ENTER: &str = "\u{e007}";
pub const ESCAPE: &str = "\u{e00c}";
pub const TAB: &str = "\u{e004}";
pub const DOWN: &str = "\u{e015}";
pub const DELETE: &str = "\u{e017}";

/// A store of files with an explorer, and a browser.
pub struct Page {
    pub browser: Browser,
    pub explorer: Explorer,
    pub folder: Folder,
}

impl Page {
    /// With these keys in the bucket `default`.
    pub fn with(pairs: &[(&str, &[u8])]) -> Self {
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
    pub fn show(&self, key: &str) {
        let find =
            format!("[...document.querySelectorAll('#list li')].find((li) => li.textContent === {})", json!(key));
        self.browser.until("the key is listed", &format!("Boolean({find})"));
        self.browser.value(&format!("{find}.click()"));
        self.browser.until(
            "the key is shown",
            &format!("document.querySelector('#value').checkVisibility() && document.querySelector('#key').textContent === {}", json!(key)),
        );
    }

    pub fn get(&self, key: &str) -> Option<String> {
        self.explorer.get("default", key).map(|value| String::from_utf8(value).unwrap())
    }

    pub fn keys(&self) -> Vec<String> {
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
        let requests = self.browser.requests(&url);
        assert!(requests.iter().any(|asked| asked.starts_with(&url)), "{requests:?}");
        let ours = |asked: &&String| {
            asked.starts_with(&url) || asked.starts_with(&format!("blob:http://{}/", self.explorer.host()))
        };
        assert_eq!(requests.iter().filter(|asked| !ours(asked)).collect::<Vec<_>>(), Vec::<&String>::new());
        // That an answer had another status than 200 is one of the browser's messages.
        let messages = self.browser.console();
        let expected = |line: &&String| line.contains("Failed to load resource") || line.contains("beforeunload");
        assert_eq!(messages.iter().filter(|line| !expected(line)).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
