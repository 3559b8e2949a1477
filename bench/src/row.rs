//! One figure and its target.

/// The names of the contenders in the picture.
pub const KVFUSE: &str = "kvfuse";
pub const FLOOR: &str = "floor or bare calls";
pub const HOST: &str = "wasmtime's own host (memory)";
pub const WAL: &str = "SQLite, WAL";
pub const SQLITE: &str = "SQLite, defaults";
pub const FILES: &str = "one file per key";
pub const CLIENT: &str = "native client";

/// One figure.
pub struct Row {
    pub figure: String,
    /// What was measured, in words.
    pub measured: String,
    /// The figure as a ratio to its target: at most 1 is reached.
    pub ratio: f64,
    pub target: &'static str,
    /// The times in nanoseconds that the picture puts side by side.
    pub times: Vec<(&'static str, f64)>,
}

impl Row {
    /// A figure that has to be at most `limit`.
    pub fn at_most(figure: impl Into<String>, measured: String, value: f64, limit: f64, target: &'static str) -> Self {
        Self { figure: figure.into(), measured, ratio: value / limit, target, times: Vec::new() }
    }

    /// A figure that has to be at least `limit`.
    pub fn at_least(figure: impl Into<String>, measured: String, value: f64, limit: f64, target: &'static str) -> Self {
        Self { figure: figure.into(), measured, ratio: limit / value, target, times: Vec::new() }
    }

    /// Puts it into the picture.
    pub fn pictured(mut self, times: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        self.times.extend(times);
        self
    }

    pub fn verdict(&self) -> &'static str {
        if self.ratio <= 1.0 { "reached" } else { "missed" }
    }
}

pub fn us(ns: f64) -> String {
    if ns < 100_000.0 { format!("{:.2} µs", ns / 1000.0) } else { format!("{:.0} µs", ns / 1000.0) }
}

pub use kvfuse_curve::drive::step;
