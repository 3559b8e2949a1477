//! A line that shows how far long work is.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_millis(200);

/// The line: on standard error, and only if that is a terminal. It is removed at the end.
pub struct Progress {
    terminal: bool,
    shown: Option<Instant>,
    begun: Instant,
}

impl Progress {
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: None, begun: Instant::now() }
    }

    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.terminal && now.duration_since(self.shown.unwrap_or(self.begun)) >= PAUSE {
            self.shown = Some(now);
            // Whether it is seen changes nothing.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
