//! `kvfuse:provider`: what providers export beside the generations of `wasi:keyvalue`, for kvfuse itself and for the
//! runner that it fuses into consumers of changes.

wit_bindgen::generate!({
    path: "../../wit/provider",
    world: "kvfuse:provider/extras@0.1.0",
    pub_export_macro: true,
    default_bindings_module: "kvfuse_facade::extras",
});

use crate::Caching;
use exports::kvfuse::provider::{lifetimes, subscription, watch};
use kvfuse_core::settings::{WATCH, WATCH_NAME};
use kvfuse_core::watch::From;
use kvfuse_core::{Bucket, Change, Changes, Error, Kind, Result, Settings, Watch};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

/// A provider that can run a watch by itself.
pub trait Watching: Caching {
    /// The environment variables of the instance.
    fn settings() -> Settings;
}

/// The extras over a provider's store.
pub struct Facade<P>(PhantomData<P>);

/// How long a store that answers at once is left alone between two questions, in milliseconds: at first, and at most.
const PAUSE: (u64, u64) = (5, 100);
/// How long a watch that failed is left alone, in milliseconds: at first, and at most.
const AGAIN: (u64, u64) = (100, 10_000);
/// How long a subscription waits before it looks whether all is well, in milliseconds.
const PATIENCE: u64 = 60_000;

fn failure(error: Error) -> watch::Failure {
    match is_passing(&error) {
        true => watch::Failure::Unavailable(error.message().to_string()),
        false => watch::Failure::Refused(error.message().to_string()),
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::Timeout | Kind::QuotaExceeded | Kind::OutcomeUnknown)
}

fn text(error: Error) -> String {
    error.message().to_string()
}

fn out(change: Change) -> watch::Change {
    match change {
        Change::Set { key, value } => watch::Change::Set((key, value)),
        Change::Delete { key } => watch::Change::Delete(key),
    }
}

/// The next changes, within a time.
fn next<P: Caching>(watch: &mut dyn Watch, patience: u64) -> Result<Changes> {
    let until = P::now().saturating_add(patience);
    let mut pause = PAUSE.0;
    loop {
        let left = until.saturating_sub(P::now());
        let changes = watch.next(Duration::from_millis(left.min(patience)))?;
        let left = until.saturating_sub(P::now());
        if !changes.changes.is_empty() || changes.missed.is_some() || left == 0 {
            return Ok(changes);
        }
        P::timer(pause.min(left)).block();
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// A watch in the hands of a caller.
pub struct Watcher<P>(RefCell<Box<dyn Watch>>, PhantomData<P>);

impl<P: Watching> watch::Guest for Facade<P> {
    type Watcher = Watcher<P>;

    fn open(bucket: String, prefix: String, start: watch::Start) -> Result<watch::Watcher, watch::Failure> {
        let from = match &start {
            watch::Start::Now => From::Now,
            watch::Start::Beginning => From::Beginning,
            watch::Start::Position(text) => From::Position(text),
        };
        let opened = P::with_store(|store| store.open(&bucket)).and_then(|bucket| bucket.watch(&prefix, from));
        Ok(watch::Watcher::new(Watcher::<P>(RefCell::new(opened.map_err(failure)?), PhantomData)))
    }
}

impl<P: Watching> watch::GuestWatcher for Watcher<P> {
    fn next(&self, patience: u32) -> Result<watch::Changes, watch::Failure> {
        let Changes { changes, position, missed } =
            next::<P>(&mut **self.0.borrow_mut(), u64::from(patience)).map_err(failure)?;
        Ok(watch::Changes { changes: changes.into_iter().map(out).collect(), position, missed })
    }
}

impl<P: Watching> lifetimes::Guest for Facade<P> {
    fn set_expiring(bucket: String, key: String, value: Vec<u8>, lifetime: u64) -> Result<(), String> {
        let bucket = P::with_store(|store| store.open(&bucket)).map_err(text)?;
        bucket.set_expiring(&key, &value, Duration::from_millis(lifetime)).map_err(text)
    }

    fn left(bucket: String, keys: Vec<String>) -> Result<Vec<Option<u64>>, String> {
        let bucket = P::with_store(|store| store.open(&bucket)).map_err(text)?;
        let lifetimes = bucket.lifetimes(&crate::shared::strs(&keys)).map_err(text)?;
        let milliseconds = |left: Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Ok(lifetimes.into_iter().map(|left| left.map(milliseconds)).collect())
    }
}

/// The subscription of this instance.
struct Running {
    bucket: Rc<dyn Bucket>,
    prefix: String,
    /// Where its position is kept, and under which key.
    kept_in: Rc<dyn Bucket>,
    key: String,
    watch: Option<Box<dyn Watch>>,
    /// Changes that arrived while the first position was being determined.
    first: Option<Changes>,
    /// The position after the changes returned last.
    position: Option<String>,
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Repeats an action until it succeeds, or fails for a permanent reason.
fn insist<P: Watching, T>(mut action: impl FnMut() -> Result<T>) -> Result<T> {
    let mut pause = AGAIN.0;
    loop {
        match action() {
            Err(error) if is_passing(&error) => {
                P::say(&format!("watch: {}; trying again", error.message()));
                P::timer(pause).block();
                pause = (pause * 2).min(AGAIN.1);
            }
            other => return other,
        }
    }
}

impl Running {
    fn new<P: Watching>() -> Result<(String, Self)> {
        let settings = P::settings();
        let target = settings
            .get(WATCH)
            .ok_or_else(|| Error::invalid(format!("{WATCH} does not say what to watch: a bucket, or bucket/prefix")))?;
        let (name, prefix) = target.split_once('/').unwrap_or((target, ""));
        let key = format!("{}/{target}", settings.get(WATCH_NAME).unwrap_or_default());
        let bucket = P::with_store(|store| store.open(name))?;
        let kept_in = P::with_store(|store| store.open_positions())?;
        let prefix = prefix.to_string();
        Ok((name.to_string(), Self { bucket, prefix, kept_in, key, watch: None, first: None, position: None }))
    }

    /// A position that was kept. One that cannot be read is an error: starting over would skip changes.
    fn text(&self, bytes: Vec<u8>) -> Result<String> {
        String::from_utf8(bytes).map_err(|_| {
            let message = format!("the position kept for the watch {} is not as it was written", self.key);
            Error::new(Kind::Damaged, message)
        })
    }

    fn begin<P: Watching>(&mut self) -> Result<Box<dyn Watch>> {
        let kept = match &self.position {
            Some(position) => Some(position.clone()),
            None => self.kept_in.get(&self.key)?.map(|bytes| self.text(bytes)).transpose()?,
        };
        let Some(kept) = kept else {
            let mut watch = self.bucket.watch(&self.prefix, From::Now)?;
            let first = watch.next(Duration::ZERO)?;
            if first.position.is_none() {
                // The changes since the last run are not known.
                P::say("watch: this store keeps no log of changes, so all existing keys come first");
                return self.bucket.watch(&self.prefix, From::Beginning);
            }
            if first.changes.is_empty() {
                // A restart before the first change begins here as well.
                self.position = first.position;
                self.keep()?;
            } else {
                self.first = Some(first);
            }
            return Ok(watch);
        };
        match self.bucket.watch(&self.prefix, From::Position(&kept)) {
            Err(error) if error.kind() == Kind::InvalidArgument => {
                P::say(&format!("watch: {}; all existing keys come first", error.message()));
                self.bucket.watch(&self.prefix, From::Beginning)
            }
            other => other,
        }
    }

    fn next<P: Watching>(&mut self) -> Result<Vec<Change>> {
        loop {
            let mut watch = match self.watch.take() {
                Some(watch) => watch,
                None => self.begin::<P>()?,
            };
            // Kept even if this fails: the next call continues there.
            let answer = match self.first.take() {
                Some(first) => Ok(first),
                None => next::<P>(&mut *watch, PATIENCE),
            };
            self.watch = Some(watch);
            let changes = answer?;
            if let Some(missed) = changes.missed {
                P::say(&format!("watch: {missed}"));
            }
            self.position = changes.position;
            if !changes.changes.is_empty() {
                return Ok(changes.changes);
            }
        }
    }

    fn keep(&self) -> Result<()> {
        match &self.position {
            Some(position) => self.kept_in.set(&self.key, position.as_bytes()),
            None => Ok(()),
        }
    }
}

fn running<T>(action: impl FnOnce(&mut Running) -> Result<T>) -> Result<T> {
    RUNNING.with_borrow_mut(|running| match running {
        Some(running) => action(running),
        None => Err(Error::invalid("the watch was not started")),
    })
}

impl<P: Watching> subscription::Guest for Facade<P> {
    fn start() -> Result<String, String> {
        let (name, new) = Running::new::<P>().map_err(text)?;
        RUNNING.set(Some(new));
        let begun = insist::<P, _>(|| {
            running(|running| {
                running.watch = Some(running.begin::<P>()?);
                Ok(())
            })
        });
        begun.map(|()| name).map_err(text)
    }

    fn next() -> Result<Vec<watch::Change>, String> {
        let changes = insist::<P, _>(|| running(Running::next::<P>)).map_err(text)?;
        Ok(changes.into_iter().map(out).collect())
    }

    fn done() -> Result<(), String> {
        insist::<P, _>(|| running(|running| running.keep())).map_err(text)
    }

    fn say(line: String) {
        P::say(&line);
    }

    fn pause(milliseconds: u32) {
        P::timer(u64::from(milliseconds)).block();
    }
}
