//! A page in the browser that shows and edits any wasi:keyvalue store.
//!
//! It is a component: a handler of `wasi:http` that imports `wasi:keyvalue` and is fused with a store like any other
//! consumer. `kvfuse explore` does that and serves it; `docs/explore.md` says how to do it by hand.
//!
//! | module | what it does |
//! |---|---|
//! | [`guard`] | who may ask: the token, the host, the origin |
//! | [`message`] | what the page asks and what it is answered |
//! | [`page`] | the page's files |
//! | `handler` | requests of `wasi:http`; for wasm only |
//! | `store` | the calls of `wasi:keyvalue`; for wasm only |
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod guard;
#[cfg(target_arch = "wasm32")]
mod handler;
pub mod message;
pub mod page;
#[cfg(target_arch = "wasm32")]
mod store;
