//! How a case reports what it found.

use std::fmt::Debug;

pub enum Failure {
    Failed(String),
    /// The implementation says that it does not support this.
    Unsupported(String),
}

pub type Verdict = Result<(), Failure>;

/// A call that must succeed: its result, or a failure that names the call.
pub fn ok<T>(what: &str, result: Result<T, String>) -> Result<T, Failure> {
    result.map_err(|error| Failure::Failed(format!("{what} gave the error: {error}")))
}

/// The error of an operation that an implementation need not support. It counts as not supported only if its text says
/// so: any other error is a failure.
pub fn not_supported(what: &str, error: String) -> Failure {
    let text = error.to_lowercase();
    if ["not support", "unsupported", "not implement", "unimplemented"].iter().any(|words| text.contains(words)) {
        return Failure::Unsupported(error);
    }
    Failure::Failed(format!("{what} gave the error: {error}"))
}

/// A listing: an engine need not be able to list its keys, and says so.
pub fn listed<T>(what: &str, result: Result<T, String>) -> Result<T, Failure> {
    result.map_err(|error| not_supported(what, error))
}

/// A call that must be refused with an error: the error's text.
pub fn refused<T: Debug>(what: &str, result: Result<T, String>) -> Result<String, Failure> {
    match result {
        Err(error) => Ok(error),
        Ok(value) => Err(Failure::Failed(format!("{what} should be an error and gave {}", short(&value)))),
    }
}

pub fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Verdict {
    if got == wanted {
        return Ok(());
    }
    Err(Failure::Failed(format!("{what}: {} instead of {}", short(&got), short(&wanted))))
}

pub fn holds(what: &str, truth: bool) -> Verdict {
    if truth { Ok(()) } else { Err(Failure::Failed(what.to_string())) }
}

fn short(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", text.split_at(end).0),
        None => text,
    }
}
