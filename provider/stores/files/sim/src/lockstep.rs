//! Instances that take turns, one file operation each, so that those that start together stay together.

use crate::director::{Call, Director, Verdict};
use crate::disk::Disk;
use crate::open::SimDirectory;
use crate::plain::Plain;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use kvfuse_files::{Config, FileStore};
use std::cell::Cell;
use std::rc::Rc;

struct Turns {
    yielder: Cell<*const Yielder<(), ()>>,
    /// Bytes that the host appends in one piece.
    piece: usize,
    plain: Rc<Plain>,
}

impl Director for Turns {
    fn judge(&self, _: Call, _: &str) -> Verdict {
        self.pause();
        Verdict::Go
    }

    fn pause(&self) {
        // SAFETY: set at the beginning of the coroutine that this is called in, whose yielder outlives its body.
        if let Some(yielder) = unsafe { self.yielder.get().as_ref() } {
            yielder.suspend(());
        }
    }

    fn piece(&self) -> usize {
        self.piece
    }

    fn random(&self) -> u64 {
        self.plain.random()
    }
}

/// Runs `act` in so many instances, each with its number, on a host that appends `piece` bytes at once.
///
/// # Panics
/// If they do not come to an end.
pub fn run<T: 'static>(
    disk: &Disk,
    config: Config,
    piece: usize,
    instances: u64,
    act: fn(&FileStore<SimDirectory>, u64) -> T,
) -> Vec<T> {
    let mut running: Vec<_> = (0..instances)
        .map(|number| {
            let disk = disk.clone();
            Coroutine::new(move |yielder: &Yielder<(), ()>, (): ()| {
                let plain = Plain::new(1000 * (number + 1));
                let director = Rc::new(Turns { yielder: Cell::new(yielder), piece, plain });
                act(&FileStore::new(Ok(disk.root(director)), config), number)
            })
        })
        .collect();
    let mut results: Vec<_> = running.iter().map(|_| None).collect();
    for _ in 0..1_000_000 {
        for (coroutine, result) in running.iter_mut().zip(&mut results).filter(|(_, result)| result.is_none()) {
            if let CoroutineResult::Return(value) = coroutine.resume(()) {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            return results.into_iter().flatten().collect();
        }
    }
    panic!("they do not come to an end");
}
