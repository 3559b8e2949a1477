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

/// The same for a consumer for wasmCloud, whose functions are asynchronous, in a command of WASI 0.3. The module has `Bucket`,
/// `Error`, `store` and `watcher` of its generation in scope. While this waits for the next change, nothing else of the
/// fused component runs: that call of the provider is synchronous.
#[macro_export]
macro_rules! wasmcloud_runner {
    () => {
        struct Runner;
        export!(Runner);

        impl exports::wasi::cli::run::Guest for Runner {
            async fn run() -> Result<(), ()> {
                run().await.map_err(|error| subscription::say(&format!("watch: {error}")))
            }
        }

        async fn run() -> Result<(), String> {
            let bucket = subscription::start()?;
            loop {
                for change in subscription::next()? {
                    match change {
                        Change::Set((key, value)) => watcher::on_set(open(&bucket).await, key, value).await,
                        Change::Delete(key) => watcher::on_delete(open(&bucket).await, key).await,
                    }
                }
                subscription::done()?;
            }
        }

        async fn open(name: &str) -> Bucket {
            let mut again = $crate::Again::default();
            loop {
                let error = match store::open(name.to_string()).await {
                    Ok(bucket) => return bucket,
                    Err(Error::NoSuchStore) => format!("there is no bucket {name:?}"),
                    Err(Error::AccessDenied) => format!("access to the bucket {name:?} is denied"),
                    Err(Error::Other(text)) => text,
                    Err(other) => format!("the bucket {name:?} cannot be opened: {other:?}"),
                };
                again.wait(subscription::say, subscription::pause, &error);
            }
        }
    };
}

/// Repeats an action until it succeeds. Only calls of the provider can fail here; those of the consumer cannot.
pub fn insist(say: impl Fn(&str), pause: impl Fn(u32), action: impl Fn() -> Result<(), String>) {
    let mut again = Again::default();
    while let Err(error) = action() {
        again.wait(&say, &pause, &error);
    }
}

/// Milliseconds between two attempts: at first, and at most.
const AGAIN: (u32, u32) = (100, 10_000);

/// How long to wait before the next attempt.
pub struct Again(u32);

impl Default for Again {
    fn default() -> Self {
        Self(AGAIN.0)
    }
}

impl Again {
    /// Says what went wrong, and waits.
    pub fn wait(&mut self, say: impl Fn(&str), pause: impl Fn(u32), error: &str) {
        say(&format!("watch: {error}; trying again"));
        pause(self.0);
        self.0 = self.0.saturating_mul(2).min(AGAIN.1);
    }
}
