//! `wasi:cli/environment`.

use kvfuse_core::Settings;

/// The environment variables of the instance.
pub fn settings() -> Settings {
    Settings::new(wasip2::cli::environment::get_environment())
}
