//! How often a call is tried.

use kvfuse_core::Error;
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment};

/// Why one attempt at a call got no answer.
pub enum Step<F> {
    /// The call can be tried again.
    Again(Error),
    /// It cannot.
    Over(F),
}

/// Whether a call may be carried out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing.
    Freely,
    /// Only if it is certain not to have happened.
    Never,
}

/// Makes attempts until one gets an answer or fails for good, or until the deadline, after pauses that become longer. The error
/// is then that of the last attempt.
///
/// # Errors
/// That of the last attempt.
pub async fn repeated<T, F: From<Error>>(
    clock: &impl AsyncClock,
    deadline: Moment,
    mut attempt: impl AsyncFnMut() -> Result<T, Step<F>>,
) -> Result<T, F> {
    let mut backoff = Backoff::new(clock.now().0);
    loop {
        match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(Step::Over(failure)) => return Err(failure),
            Err(Step::Again(last)) if !backoff.wait_async(clock, deadline).await => return Err(last.into()),
            Err(Step::Again(_)) => {}
        }
    }
}
