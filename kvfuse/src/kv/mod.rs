//! Reading, writing and moving a store's data, by calling its provider in the embedded wasmtime: every store works, without
//! native code of its own.
//!
//! | file | what it does |
//! |---|---|
//! | [`options`] | the command line |
//! | [`place`] | where a store is |
//! | [`session`] | the provider, and calls of it |
//! | [`single`] | `kvfuse kv` |
//! | [`lines`] | pairs as JSON lines |
//! | [`out`] | standard output |
//! | [`pairs`] | the pairs of a bucket, in batches |
//! | [`moving`] | `kvfuse copy`, `kvfuse dump`, `kvfuse load` |
//! | [`feed`], [`sink`] | what is moved, and where it goes |
//! | [`dump`] | the format of dumps |
//! | [`resume`] | the position of a load |

#[cfg_attr(not(feature = "run"), allow(dead_code))] // it is parsed, and refused
pub mod options;

#[cfg(feature = "run")]
mod dump;
#[cfg(feature = "run")]
mod feed;
#[cfg(feature = "run")]
mod lines;
#[cfg(feature = "run")]
mod moving;
#[cfg(feature = "run")]
mod out;
#[cfg(feature = "run")]
mod pairs;
#[cfg(feature = "run")]
mod place;
#[cfg(feature = "run")]
mod resume;
#[cfg(feature = "run")]
mod session;
#[cfg(feature = "run")]
mod single;
#[cfg(feature = "run")]
mod sink;

use crate::refusal::{Refusal, Result};
use options::Data;
use std::process::ExitCode;

#[cfg(feature = "run")]
pub fn start(options: &Data) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Box::new(Refusal::new("", "the runtime does not start").note(e.to_string())))?;
    let result = runtime.block_on(async {
        match options {
            Data::Kv(options) => single::kv(options).await,
            Data::Copy(options) => moving::copy(options).await,
            Data::Dump(options) => moving::dump(options).await,
            Data::Load(options) => moving::load(options).await,
        }
    });
    runtime.shutdown_background();
    result
}

#[cfg(not(feature = "run"))]
pub fn start(_: &Data) -> Result<ExitCode> {
    Refusal::new("", "this kvfuse was built without a runtime")
        .help("build it with the feature `run`, which is on by default")
        .err()
}
