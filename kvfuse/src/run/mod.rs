//! The embedded wasmtime.
