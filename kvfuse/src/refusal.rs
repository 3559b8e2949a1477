//! The errors that users see: what went wrong, where, and what to do.

use std::fmt;
use std::path::Path;

/// Exit codes, as `kvfuse --help` lists them.
pub mod code {
    pub const REFUSED: u8 = 1;
    pub const FILES: u8 = 3;
    #[cfg(not(target_family = "wasm"))]
    pub const DAMAGED: u8 = 4;
    #[cfg(feature = "run")]
    pub const NO_KEY: u8 = 5;
    /// `run` exits with the component's own code, except for these two.
    pub const NOT_RUN: u8 = 125;
    #[cfg(feature = "run")]
    pub const TRAP: u8 = 134;
}

pub type Result<T, E = Box<Refusal>> = std::result::Result<T, E>;

#[derive(Debug, Default)]
pub struct Refusal {
    what: String,
    place: String,
    remarks: Vec<(&'static str, String)>,
    code: u8,
}

impl Refusal {
    /// The input is not what the command needs.
    pub fn new(place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { what: what.into(), place: place.to_string(), remarks: Vec::new(), code: code::REFUSED }
    }

    /// A file cannot be read or written.
    pub fn file(path: &Path, what: impl Into<String>) -> Self {
        Self { code: code::FILES, ..Self::new(path.display(), what) }
    }

    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    pub fn at_least(self, code: u8) -> Self {
        Self { code: self.code.max(code), ..self }
    }

    /// A fact that explains the error. May have several lines.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.remarks.push(("note", text.into()));
        self
    }

    /// What the user can do.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.remarks.push(("help", text.into()));
        self
    }

    pub fn code(&self) -> u8 {
        self.code
    }

    pub fn err<T>(self) -> Result<T> {
        Err(Box::new(self))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if !self.place.is_empty() {
            write!(f, "\n  --> {}", self.place)?;
        }
        for (kind, text) in &self.remarks {
            write!(f, "\n   = {kind}: {}", text.replace('\n', "\n           "))?;
        }
        Ok(())
    }
}

/// The reasons behind an error of a library, outermost first, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut reasons = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        reasons.push(error.to_string());
        source = error.source();
    }
    reasons.join(": ")
}
