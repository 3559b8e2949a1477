//! One workload of each operation, hit at every single file operation: killed there, or told of an error there.

use kvfuse_core::Kind;
use kvfuse_files::{Config, Durability};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::mix;
use kvfuse_files_sim::steps::{self, FOR_A_WHILE, Model, Opened, STEPS, Step, fresh};
use kvfuse_transport::files::FileError;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Does one thing at one call, and counts.
struct At {
    place: usize,
    hit: Hit,
    struck: Cell<Option<Call>>,
    calls: Cell<usize>,
    seed: Cell<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hit {
    Kill,
    /// In the middle of what is written, or after it.
    KillAfter(Part),
    Fail(FileError),
    Tear(Part, FileError),
    Cut,
    /// A read gives so many bytes at most.
    Short(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Half,
    AllButOne,
    All,
}

impl Part {
    fn of(self, length: usize) -> usize {
        match self {
            Self::Half => length / 2,
            Self::AllButOne => length.saturating_sub(1),
            Self::All => length,
        }
    }
}

impl Director for At {
    fn judge(&self, call: Call, _: &str) -> Verdict {
        let place = self.calls.get();
        self.calls.set(place + 1);
        if place != self.place {
            return Verdict::Go;
        }
        self.struck.set(Some(call));
        match (self.hit, call) {
            (Hit::Kill, _) => Verdict::Kill,
            (Hit::Fail(error), _) => Verdict::Fail(error),
            (Hit::KillAfter(part), Call::Append(length) | Call::Write(length)) => Verdict::KillAfter(part.of(length)),
            (Hit::Tear(part, error), Call::Append(length) | Call::Write(length)) => {
                Verdict::Tear(part.of(length), error)
            }
            (Hit::Short(most), Call::Read) => Verdict::Short(most),
            (Hit::Cut, Call::Append(length)) => Verdict::Cut(length / 2),
            _ => Verdict::Go,
        }
    }

    fn random(&self) -> u64 {
        self.seed.set(self.seed.get() + 1);
        mix(self.seed.get())
    }
}

fn config(durability: Durability) -> Config {
    Config { segment: 48, split: 400, index: 200, small: 100, blob: 200, durability, ..Config::default() }
}

fn contents(disk: &Disk, config: Config) -> Model {
    steps::contents(disk, config).unwrap()
}

/// Runs all steps with one hit; gives the number of calls made.
fn run(place: usize, hit: Hit, config: Config) -> usize {
    let disk = Disk::default();
    let director = Rc::new(At { place, hit, struck: Cell::new(None), calls: Cell::new(0), seed: Cell::new(1) });
    let mut bucket = Opened::new(&disk, director.clone(), config);
    let mut model = Model::new();
    let told = |step: &Step| format!("{hit:?} at call {place}, in {}", step.name);
    for step in STEPS.iter().chain(&FOR_A_WHILE) {
        let mut after = model.clone();
        (step.model)(&mut after);
        match catch_unwind(AssertUnwindSafe(|| (step.act)(&bucket))) {
            Ok(Ok(())) => model = after,
            Ok(Err(error)) => {
                assert!(matches!(hit, Hit::Fail(_) | Hit::Tear(..)), "{}: {error:?}", told(step));
                assert!(!matches!(error.kind(), Kind::Damaged | Kind::Other), "{}: {error:?}", told(step));
                let found = contents(&disk, config);
                if error.kind() == Kind::OutcomeUnknown {
                    assert!(found == model || found == after, "{}: {error:?}", told(step));
                } else {
                    assert_eq!(found, model, "{}: {error:?} although it happened", told(step));
                }
                // The same instance goes on, and the second time it works; but no sync of a directory is believed any more
                // once one has failed.
                if director.struck.get() == Some(Call::SyncDirectory) {
                    bucket = fresh(&disk, config, place as u64 + 5000);
                }
                if found == model {
                    (step.act)(&bucket).unwrap_or_else(|error| panic!("{}: again: {error:?}", told(step)));
                }
                model = after;
            }
            Err(payload) => {
                assert!(payload.is::<Killed>(), "{}", told(step));
                let found = contents(&disk, config);
                assert!(found == model || found == after, "{}: neither before nor after", told(step));
                // Another instance goes on at once.
                bucket = fresh(&disk, config, place as u64 + 5000);
                if found == model {
                    (step.act)(&bucket).unwrap_or_else(|error| panic!("{}: another: {error:?}", told(step)));
                }
                model = after;
            }
        }
    }
    assert_eq!(contents(&disk, config), model, "{hit:?} at call {place}: in the end");
    director.calls.get()
}

/// Kills the only instance at a call, cuts the power, and looks.
fn cut_power(place: usize, config: Config, keep: fn(usize) -> usize) -> usize {
    let disk = Disk::default();
    let director =
        Rc::new(At { place, hit: Hit::Kill, struck: Cell::new(None), calls: Cell::new(0), seed: Cell::new(1) });
    let bucket = Opened::new(&disk, director.clone(), config);
    let mut models = vec![Model::new()];
    for step in STEPS.iter().chain(&FOR_A_WHILE) {
        let mut after = models.last().unwrap().clone();
        (step.model)(&mut after);
        models.push(after);
        if catch_unwind(AssertUnwindSafe(|| (step.act)(&bucket).unwrap())).is_err() {
            break;
        }
    }
    disk.power_cut(&mut |n| keep(n));
    let found = contents(&disk, config);
    let (acknowledged, begun) = (&models[models.len() - 2], &models[models.len() - 1]);
    let told = format!("at call {place} of step {}: {found:?}", models.len() - 2);
    if config.durability == Durability::Full {
        assert!(found == *acknowledged || found == *begun || director.calls.get() <= place, "{told}");
    }
    for (key, value) in &found {
        assert!(models.iter().any(|model| model.get(key) == Some(value)), "{told}: {key:.20}");
    }
    // The next instance goes on.
    fresh(&disk, config, 31).set("after", b"1").unwrap();
    director.calls.get()
}

#[test]
fn the_power_cut_at_every_call_leaves_a_store_that_keeps_its_promise() {
    for durability in [Durability::Relaxed, Durability::Full] {
        let config = config(durability);
        let calls = cut_power(usize::MAX, config, |n| n);
        for keep in [|_| 0, |n| n, |n| n / 2, |n: usize| n.saturating_sub(1)] {
            (0..calls).for_each(|place| assert!(cut_power(place, config, keep) > 0));
        }
    }
}

fn at_every_call(hits: &[Hit]) {
    for durability in [Durability::Relaxed, Durability::Full] {
        let config = config(durability);
        let calls = run(usize::MAX, Hit::Kill, config);
        assert!(calls > 150, "only {calls} calls");
        for hit in hits {
            (0..calls).for_each(|place| assert!(run(place, *hit, config) > 0));
        }
    }
}

#[test]
fn killed_at_every_call_the_next_instance_goes_on() {
    at_every_call(&[Hit::Kill, Hit::KillAfter(Part::Half), Hit::KillAfter(Part::AllButOne), Hit::KillAfter(Part::All)]);
}

#[test]
fn after_an_error_at_every_call_what_was_told_is_true() {
    for error in [FileError::Io, FileError::NoSpace, FileError::TooManyOpen, FileError::Access, FileError::ReadOnly] {
        at_every_call(&[Hit::Fail(error)]);
    }
}

#[test]
fn after_a_torn_write_at_every_call_what_was_told_is_true() {
    for part in [Part::Half, Part::AllButOne, Part::All] {
        at_every_call(&[Hit::Tear(part, FileError::NoSpace), Hit::Tear(part, FileError::Io)]);
    }
}

#[test]
fn an_append_cut_in_two_at_every_call_is_written_again() {
    at_every_call(&[Hit::Cut]);
}

#[test]
fn a_read_that_comes_short_at_every_call_changes_nothing() {
    at_every_call(&[Hit::Short(1), Hit::Short(10), Hit::Short(40), Hit::Short(100)]);
}
