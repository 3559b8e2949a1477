//! The only place that calls WASI.

#[cfg(target_arch = "wasm32")]
pub mod environment;
pub mod files;
