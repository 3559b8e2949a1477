//! `wasi:cli/environment`.

use kvfuse_core::Settings;

/// The variables that the instance was given.
pub fn settings() -> Settings {
    Settings::new(wasip2::cli::environment::get_environment())
}
