//! The stores and the generations of the interface, as data. Nothing else lists them: the build, the command line, the
//! conformance suite, the tests and the documentation's tables read this crate, and `make generate` writes the few
//! lines that cargo and rustc want to see in files of their own.
//!
//! | file | what it holds |
//! |---|---|
//! | [`stores`] | one stanza per store |
//! | [`generations`] | one line per generation of the interface |
//! | [`runners`] | what calls a consumer of changes |
//! | [`artefacts`] | derived from these: the provider components that are built |

#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod artefacts;
pub mod generations;
pub mod runners;
pub mod stores;

pub use artefacts::{Artefact, artefacts, shipped};
pub use generations::{GENERATIONS, Generation, Mark};
pub use runners::{RUNNERS, Runner};
pub use stores::{COMMON, COMMON_IMPORTS, Extends, Grant, ROUTING, Role, STORES, Store, TOGETHER, Variable};

/// Its example is a test, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
