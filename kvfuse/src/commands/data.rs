//! `kvfuse kv`, `copy`, `dump`, `load` and `explore`, which call a store's provider.

use crate::cli::data::Data;
use crate::refusal::Result;
use std::process::ExitCode;

#[cfg(feature = "run")]
pub fn data(options: &Data) -> Result<ExitCode> {
    crate::kv::start(options)
}

#[cfg(not(feature = "run"))]
pub fn data(_: &Data) -> Result<ExitCode> {
    crate::refusal::Refusal::new("", "this kvfuse was built without a runtime")
        .help("build it with the feature `run`, which is on by default")
        .err()
}
