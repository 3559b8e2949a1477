//! Reading, writing and moving a store's data, by calling its provider in the embedded wasmtime: every store works, without
//! native code of its own.
//!
//! | file | what it does |
//! |---|---|
//! | [`place`] | where a store is |
//! | [`session`], [`extras`] | the provider, and calls of it |
//! | [`single`] | `kvfuse kv` |
//! | [`watching`] | `kvfuse kv watch` |
//! | [`lines`] | pairs as JSON lines |
//! | [`out`] | standard output |
//! | [`pairs`] | the pairs of a bucket, in batches |
//! | [`moving`], [`dumping`] | `kvfuse copy`, `kvfuse load`; `kvfuse dump` |
//! | [`feed`], [`sink`] | what is moved, and where it goes |
//! | [`following`] | `kvfuse copy --follow` |
//! | [`dump`] | the format of dumps |
//! | [`resume`] | the position of a load |
//! | [`explore`], [`changes`] | `kvfuse explore`, and how its page learns of changes |

mod changes;
mod dump;
mod dumping;
mod explore;
mod extras;
mod feed;
mod following;
mod lines;
mod moving;
mod out;
mod pairs;
mod place;
mod resume;
mod session;
mod single;
mod sink;
mod watching;

pub use explore::Front;

use crate::cli::data::Data;
use crate::refusal::{Refusal, Result};
use std::process::ExitCode;

pub fn start(options: &Data) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Box::new(Refusal::new("", "the runtime does not start").note(e.to_string())))?;
    let result = runtime.block_on(async {
        match options {
            Data::Kv(options) => single::kv(options).await,
            Data::Copy(options) => moving::copy(options).await,
            Data::Dump(options) => dumping::dump(options).await,
            Data::Load(options) => moving::load(options).await,
            Data::Explore(options) => explore::explore(options).await,
        }
    });
    runtime.shutdown_background();
    result
}
