//! The runner: a command that calls a consumer for each change of a bucket. `kvfuse fuse --watch` puts it between the
//! consumer, which exports what is called, and its provider, which knows what changes and keeps the position.
//!
//! The consumer's functions return nothing, so the only thing that can go wrong in them is a trap, which ends this
//! instance. When it is started again, it continues after the last changes that were completely handled.

/// What the runners have in common, over the bindings of the module that uses it. `$open` opens a bucket by its name,
/// and `$set` calls the consumer for a value that was set; both return what went wrong as text.
#[macro_export]
macro_rules! runner {
    (open: $open:expr, set: $set:expr, delete: $delete:path) => {
        struct Runner;
        export!(Runner);

        impl exports::wasi::cli::run::Guest for Runner {
            fn run() -> Result<(), ()> {
                run().map_err(|error| subscription::say(&format!("watch: {error}")))
            }
        }

        fn run() -> Result<(), String> {
            let bucket = subscription::start()?;
            loop {
                for change in subscription::next()? {
                    match change {
                        Change::Set((key, value)) => {
                            $crate::insist(subscription::say, subscription::pause, || $set(&bucket, &key, &value))
                        }
                        Change::Delete(key) => $crate::insist(subscription::say, subscription::pause, || {
                            $delete($open(&bucket)?, &key);
                            Ok(())
                        }),
                    }
                }
                subscription::done()?;
            }
        }
    };
}

/// Milliseconds between two attempts: at first, and at most.
const AGAIN: (u32, u32) = (100, 10_000);

/// Repeats an action until it succeeds. Only calls of the provider can fail here; those of the consumer cannot.
pub fn insist(say: impl Fn(&str), pause: impl Fn(u32), action: impl Fn() -> Result<(), String>) {
    let mut wait = AGAIN.0;
    while let Err(error) = action() {
        say(&format!("watch: {error}; trying again"));
        pause(wait);
        wait = wait.saturating_mul(2).min(AGAIN.1);
    }
}
