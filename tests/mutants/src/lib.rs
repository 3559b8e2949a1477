//! The file provider with one thing broken: `KVFUSE_MUTANT` names it, as in [`names::ALL`].

mod bucket;
mod names;

use bucket::Broken;
use kvfuse_core::{Body, Bucket, Error, Result, Store};
use kvfuse_facade::{Caching, Provider};
use kvfuse_transport::environment;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use wasip2::io::poll::Pollable;

thread_local! {
    static MUTANT: OnceCell<Mutant> = const { OnceCell::new() };
    static OPENED: Cell<u32> = const { Cell::new(0) };
}

/// What is broken; an empty name breaks nothing.
#[derive(Clone, Copy, Debug)]
struct Mutant(&'static str);

impl Mutant {
    /// The mutant that this instance was asked to be. An unknown name breaks nothing, which the test notices.
    fn get() -> Self {
        let chosen = || {
            let settings = environment::settings();
            let name = settings.get("KVFUSE_MUTANT").unwrap_or_default();
            Self(names::ALL.iter().copied().find(|known| *known == name).unwrap_or_default())
        };
        MUTANT.with(|cell| *cell.get_or_init(chosen))
    }

    fn is(self, name: &str) -> bool {
        self.0 == name
    }
}

kvfuse_artefacts::provider!(struct Files: kvfuse_files);

struct Provided;

impl Provider for Provided {
    fn with_store<T>(f: impl FnOnce(&dyn Store) -> T) -> T {
        Files::with_store(|store| f(&BrokenStore(store, Mutant::get())))
    }

    fn trap(reason: &str) -> ! {
        Files::trap(reason)
    }

    fn say(line: &str) {
        Files::say(line);
    }
}

impl Caching for Provided {
    fn now() -> u64 {
        if Mutant::get().is("the clock stands still") { 1 } else { Files::now() }
    }

    fn timer(milliseconds: u64) -> Pollable {
        Files::timer(milliseconds)
    }
}

struct BrokenStore<'a>(&'a dyn Store, Mutant);

impl Store for BrokenStore<'_> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        let Self(store, mutant) = *self;
        if mutant.is("no bucket opens") {
            return Err(Error::invalid("no bucket opens"));
        }
        if mutant.is("a bucket is made anew by each open") {
            let number = OPENED.replace(OPENED.get() + 1);
            return store.open(&format!("{bucket}-{number}"));
        }
        Ok(Rc::new(Broken::new(store.open(bucket)?, mutant)))
    }

    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        let Self(store, mutant) = *self;
        match mutant {
            _ if mutant.is("the cache is the default bucket") => store.open("bucket"),
            _ if mutant.is("the cache forgets") => {
                let number = OPENED.replace(OPENED.get() + 1);
                store.open(&format!("cache-{number}"))
            }
            _ if mutant.is("the cache makes up entries") => {
                Ok(Rc::new(Broken::new(store.open_cache()?, Mutant("get gives what was never set"))))
            }
            _ => Ok(Rc::new(Broken::new(store.open_cache()?, mutant))),
        }
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        if self.1.is("streams cannot be made") {
            return Err(Error::invalid("no stream today"));
        }
        if self.1.is("streams are refused") {
            return Err(Error::unsupported("this store does not support values as streams"));
        }
        self.0.create_body()
    }
}

kvfuse_facade::export_all!(Provided);
