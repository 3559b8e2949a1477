//! Counts a guest's host calls by the spans that the host's bindings trace.
//!
//! Guests read the clock before and after what they time, so only calls between the two are counted. Dropping a
//! resource is not traced.

use anyhow::Result;
use kvfuse_curve::contender::Counts;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// A span of a call, named in fields as `module` and `function`.
const SPAN: &str = "wit-bindgen import";

static ON: AtomicBool = AtomicBool::new(false);
static STATE: Mutex<State> = Mutex::new(State { timing: false, counts: Counts::new() });

struct State {
    /// Whether the guest has read the clock an odd number of times.
    timing: bool,
    /// Of the last pair.
    counts: Counts,
}

/// Once for the process, before the first call.
///
/// # Errors
/// If the process already has a tracing subscriber.
pub fn install() -> Result<()> {
    Ok(tracing::subscriber::set_global_default(Counter)?)
}

/// The calls that `run` makes between the last two readings of the clock.
pub fn count<T>(run: impl FnOnce() -> Result<T>) -> Result<(T, Counts)> {
    let state = || STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *state() = State { timing: false, counts: Counts::new() };
    ON.store(true, Ordering::Relaxed);
    let result = run();
    ON.store(false, Ordering::Relaxed);
    Ok((result?, std::mem::take(&mut state().counts)))
}

struct Counter;

impl Subscriber for Counter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.name() == SPAN { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ON.load(Ordering::Relaxed) && metadata.name() == SPAN
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut call = Call::default();
        span.values().record(&mut call);
        let mut state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if call.module == "monotonic-clock" && call.function == "now" {
            state.timing = !state.timing;
            if state.timing {
                state.counts.clear();
            }
        } else if state.timing {
            let name = call.function.rsplit('.').next().unwrap_or_default().to_string();
            *state.counts.entry(name).or_default() += 1.0;
        }
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Call {
    module: String,
    function: String,
}

impl Visit for Call {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "module" => self.module = value.to_string(),
            "function" => self.function = value.to_string(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Traced as the bindings do it.
    macro_rules! call {
        ($module:literal, $function:literal) => {
            tracing::span!(tracing::Level::TRACE, "wit-bindgen import", module = $module, function = $function)
                .in_scope(|| ())
        };
    }

    #[test]
    fn only_calls_between_the_last_two_readings_of_the_clock_are_counted() {
        install().expect("nothing else traces");
        let work = || {
            call!("types", "[method]descriptor.open-at");
            for _ in 0..2 {
                call!("monotonic-clock", "now");
                call!("types", "[method]descriptor.read");
                call!("types", "[method]descriptor.read");
                call!("streams", "[method]output-stream.blocking-write-and-flush");
                call!("monotonic-clock", "now");
                call!("types", "[method]descriptor.stat");
            }
            Ok::<_, anyhow::Error>(7)
        };
        let expected = Counts::from([("read".to_string(), 2.0), ("blocking-write-and-flush".to_string(), 1.0)]);
        assert_eq!(count(work).expect("counts"), (7, expected.clone()));
        // Nothing is counted in between.
        work().expect("works");
        assert_eq!(count(work).expect("counts"), (7, expected));
    }
}
