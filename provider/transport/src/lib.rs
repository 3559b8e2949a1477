//! The only place that calls WASI.

pub mod timers;
