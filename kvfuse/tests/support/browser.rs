//! A headless Chromium, driven through ChromeDriver (W3C WebDriver, with Chromium's extensions for what that lacks).

use super::Folder;
use kvfuse_servers::process::program;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far longer than anything here takes; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// The name of a reference to an element in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window, which ends when dropped.
pub struct Browser {
    driver: Child,
    /// The address of the session.
    session: String,
}

/// A program that Debian and others name differently.
fn either(names: &[&str], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| program(names[0], package))
}

/// The driver, and its port.
fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new(either(&["chromedriver"], "chromium-driver"))
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let started = "was started successfully on port ";
    let port = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once(started).map(|(_, port)| port.trim_end_matches('.').to_string()));
    if port.is_none() {
        let _ = driver.wait();
    }
    Some((driver, port?))
}

impl Browser {
    /// Starts a browser whose profile is in this folder, and whose downloads are in `downloads` there.
    pub fn start(folder: &Folder) -> Self {
        // It chooses a port that is free for one version of IP, and ends if it is not free for the other.
        let (driver, port) = (0..10).find_map(|_| start_driver()).expect("ChromeDriver says on which port it is");
        let arguments = [
            "--headless=new",
            // Root has no sandbox, and the page is ours.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--force-device-scale-factor=1",
            "--hide-scrollbars",
            "--window-size=1100,760",
            &format!("--user-data-dir={}", folder.path("profile").display()),
        ];
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}/session") };
        let made = browser.request(
            "",
            json!({ "capabilities": { "alwaysMatch": {
                "goog:chromeOptions": {
                    "binary": either(&["chromium", "chromium-browser", "google-chrome"], "chromium"),
                    "args": arguments,
                    "prefs": {
                        "download.default_directory": folder.path("downloads"),
                        "download.prompt_for_download": false,
                    },
                },
                "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
                "unhandledPromptBehavior": "accept",
            } } }),
        );
        browser.session = format!("{}/{}", browser.session, made["sessionId"].as_str().unwrap());
        browser
    }

    /// Sends a command of the session.
    #[track_caller]
    pub fn request(&self, command: &str, body: Value) -> Value {
        self.try_request(command, &body).unwrap_or_else(|error| panic!("{command} {body:.300}: {error:.2000}"))
    }

    fn try_request(&self, command: &str, body: &Value) -> Result<Value, String> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let agent = ureq::Agent::new_with_config(agent.build());
        let url = format!("{}{}{command}", self.session, if command.is_empty() { "" } else { "/" });
        let answer = agent.post(&url).send(body.to_string()).map_err(|e| e.to_string())?;
        let text = answer.into_body().with_config().limit(64 << 20).read_to_string().map_err(|e| e.to_string())?;
        let mut answer: Value = serde_json::from_str(&text).map_err(|e| format!("{e}: {text}"))?;
        match answer["value"]["error"].as_str() {
            Some(_) => Err(answer["value"].to_string()),
            None => Ok(answer["value"].take()),
        }
    }

    /// Opens a page of the explorer, and waits until it is complete.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.request("url", json!({ "url": "about:blank" }));
        self.request("url", json!({ "url": url }));
        self.until("the page is there", "'ready' in document.documentElement.dataset");
    }

    /// The value of an expression on the page.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Value {
        self.request("execute/sync", json!({ "script": format!("return ({expression})"), "args": [] }))
    }

    /// The value of a promise on the page.
    #[track_caller]
    pub fn awaited(&self, expression: &str) -> Value {
        let script = format!("const done = arguments[0]; ({expression}).then(done, (e) => done('failed: ' + e))");
        self.request("execute/async", json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&self, what: &str, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.value(expression) != json!(true) {
            let page = || self.value("document.body.innerText");
            assert!(Instant::now() < end, "{what}: {expression} does not become true on this page: {}", page());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until an element has this text, among others; line breaks count as blanks.
    #[track_caller]
    pub fn says(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.until(
            "it says this",
            &format!("document.querySelector({selector})?.checkVisibility() && document.querySelector({selector}).innerText.replace(/\\s+/g, ' ').includes({text})"),
        );
    }

    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.value(&format!("document.querySelector({}).innerText", json!(selector))).as_str().unwrap().to_string()
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.request("element", json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().unwrap().to_string()
    }

    /// Clicks on an element as soon as it can be seen.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.until(
            "it can be seen",
            &format!("document.querySelector({})?.checkVisibility() ?? false", json!(selector)),
        );
        self.request(&format!("element/{}/click", self.element(selector)), json!({}));
    }

    /// Types into an element, in place of what it has.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.request(&format!("element/{element}/clear"), json!({}));
        self.request(&format!("element/{element}/value"), json!({ "text": text }));
    }

    /// Chooses a file.
    #[track_caller]
    pub fn choose(&self, selector: &str, path: &Path) {
        self.request(&format!("element/{}/value", self.element(selector)), json!({ "text": path }));
    }

    /// Presses keys, one after the other, wherever the focus is. `\u{e0xx}` are those of WebDriver's table.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let down_up =
            |key: char| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })];
        let actions: Vec<_> = keys.chars().flat_map(down_up).collect();
        self.request("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Presses a key while Control is held.
    #[track_caller]
    pub fn control(&self, key: char) {
        let steps = [("keyDown", '\u{e009}'), ("keyDown", key), ("keyUp", key), ("keyUp", '\u{e009}')];
        let actions: Vec<_> = steps.iter().map(|(kind, key)| json!({ "type": kind, "value": key })).collect();
        self.request("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Opens another window and turns to it. Returns the names of the old one and of the new one.
    pub fn another(&self) -> [String; 2] {
        let old = self.get("window").as_str().unwrap().to_string();
        let new = self.request("window/new", json!({ "type": "window" }))["handle"].as_str().unwrap().to_string();
        self.turn(&new);
        [old, new]
    }

    pub fn turn(&self, window: &str) {
        self.request("window", json!({ "handle": window }));
    }

    /// Closes the window.
    pub fn close(&self) {
        ureq::delete(format!("{}/window", self.session)).call().unwrap();
    }

    #[track_caller]
    fn get(&self, command: &str) -> Value {
        let answer = ureq::get(format!("{}/{command}", self.session)).call().unwrap();
        let text = answer.into_body().with_config().limit(64 << 20).read_to_string().unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["value"].take()
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    pub fn chromium(&self, command: &str, parameters: Value) -> Value {
        self.request("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    /// The size of the page, and whether it prefers dark colours.
    pub fn looks(&self, width: u32, height: u32, dark: bool) {
        self.chromium(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.chromium("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Writes what can be seen to the folder that `KVFUSE_SCREENSHOTS` names, or else to that of temporary files.
    pub fn picture(&self, name: &str) {
        use base64::Engine;
        let folder = std::env::var_os("KVFUSE_SCREENSHOTS").unwrap_or(env!("CARGO_TARGET_TMPDIR").into());
        let encoded = self.get("screenshot");
        let bytes = base64::prelude::BASE64_STANDARD.decode(encoded.as_str().unwrap()).unwrap();
        std::fs::write(super::root().join(folder).join(name), bytes).unwrap();
    }

    /// What the page has written to the console since, errors of the browser among it.
    pub fn console(&self) -> Vec<String> {
        let lines = self.request("se/log", json!({ "type": "browser" }));
        lines.as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap().to_string()).collect()
    }

    /// The addresses that pages with an address of this beginning have asked for since.
    pub fn requests(&self, page: &str) -> Vec<String> {
        let events = self.request("se/log", json!({ "type": "performance" }));
        let events = events.as_array().unwrap().iter();
        let events = events.map(|event| serde_json::from_str::<Value>(event["message"].as_str().unwrap()).unwrap());
        let sent = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        let sent = sent.map(|mut event| event["message"]["params"].take());
        let asked = sent.filter(|sent| sent["documentURL"].as_str().unwrap().starts_with(page));
        asked.map(|sent| sent["request"]["url"].as_str().unwrap().to_string()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        drop(ureq::delete(&self.session).call());
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}
