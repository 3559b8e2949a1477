//! `wasi:cli/environment`.

use kvfuse_core::Settings;

/// The environment variables of the instance, with those for its label, if it has one, in place of those for all.
pub fn settings() -> Settings {
    variables().for_its_label()
}

/// The environment variables as they are.
pub fn variables() -> Settings {
    Settings::new(wasip2::cli::environment::get_environment())
}
