//! A bound for tests that a bug would make hang.

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Far longer than any test takes, on any machine.
const LIMIT: Duration = Duration::from_secs(600);

/// Ends the test program with a message if it is not dropped in time.
pub struct Watchdog(#[allow(dead_code, reason = "the dog sees it dropped")] Sender<()>);

impl Watchdog {
    /// Watches over the test that calls it, by its name.
    pub fn of_the_test() -> Self {
        Self::of(thread::current().name().unwrap_or("the test"))
    }

    /// Watches over a run of a program with these arguments, in the test that calls it.
    pub fn of_the_run(arguments: &[String]) -> Self {
        Self::of(&format!("{} with the arguments {arguments:?}", thread::current().name().unwrap_or("a program")))
    }

    /// Watches over what has this name.
    pub fn of(name: &str) -> Self {
        Self::with(name, LIMIT, |message| {
            // Unlike `eprintln!`, this is not kept for the end of a test that has none.
            let _ = writeln!(std::io::stderr(), "\n{message}");
            // Nothing can stop the thread that hangs.
            std::process::exit(101);
        })
    }

    fn with(name: &str, limit: Duration, bark: impl FnOnce(&str) + Send + 'static) -> Self {
        let (send, dropped) = mpsc::channel::<()>();
        let message = format!("{name} has run for {} s: it hangs, and is ended", limit.as_secs());
        thread::spawn(move || {
            if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                bark(&message);
            }
        });
        Self(send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_ended_with_its_name_and_what_ends_is_not() {
        let (barks, heard) = mpsc::channel();
        let bark = move |message: &str| barks.send(message.to_string()).unwrap();
        let hanging = Watchdog::with("a case", Duration::ZERO, bark.clone());
        assert!(heard.recv().unwrap().contains("a case has run for"));
        drop(hanging);
        drop(Watchdog::with("another", LIMIT, bark));
        assert!(heard.recv().is_err(), "the dog went without a bark");
    }
}
