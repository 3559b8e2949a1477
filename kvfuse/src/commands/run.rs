//! `kvfuse run`.

use crate::cli::Run;
use crate::refusal::{Refusal, Result, code};
use std::process::ExitCode;

pub fn run(options: &Run) -> Result<ExitCode> {
    Refusal::new(options.component.display(), "not yet").with_code(code::NOT_RUN).err()
}
