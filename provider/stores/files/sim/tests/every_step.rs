//! One workload of each operation, hit at every single file operation: killed there, or told of an error there.

use kvfuse_core::{Bucket, Error, Kind, Store, Swap};
use kvfuse_files::{Config, Durability, FileStore};
use kvfuse_files_sim::director::{Call, Director, Killed, Verdict};
use kvfuse_files_sim::disk::Disk;
use kvfuse_files_sim::plain::{Plain, mix};
use kvfuse_transport::files::FileError;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Does one thing at one call, and counts.
struct At {
    place: usize,
    hit: Hit,
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
        match (self.hit, call) {
            (Hit::Kill, _) => Verdict::Kill,
            (Hit::Fail(error), _) => Verdict::Fail(error),
            (Hit::KillAfter(part), Call::Append(length) | Call::Write(length)) => Verdict::KillAfter(part.of(length)),
            (Hit::Tear(part, error), Call::Append(length) | Call::Write(length)) => {
                Verdict::Tear(part.of(length), error)
            }
            (Hit::Cut, Call::Append(length)) => Verdict::Cut(length / 2),
            _ => Verdict::Go,
        }
    }

    fn random(&self) -> u64 {
        self.seed.set(self.seed.get() + 1);
        mix(self.seed.get())
    }
}

type Model = BTreeMap<String, Vec<u8>>;

/// An operation: on the store, and on the model.
struct Step {
    name: &'static str,
    act: fn(&dyn Bucket) -> Result<(), Error>,
    model: fn(&mut Model),
}

fn put(model: &mut Model, key: &str, value: &[u8]) {
    model.insert(key.to_string(), value.to_vec());
}

fn long() -> String {
    "long".repeat(2000)
}

const STEPS: [Step; 16] = [
    Step { name: "set", act: |b| b.set("a", b"1"), model: |m| put(m, "a", b"1") },
    Step { name: "replace", act: |b| b.set("a", b"22"), model: |m| put(m, "a", b"22") },
    Step { name: "blob", act: |b| b.set("b", &[7; 150]), model: |m| put(m, "b", &[7; 150]) },
    Step { name: "file", act: |b| b.set("c", &[8; 500]), model: |m| put(m, "c", &[8; 500]) },
    Step { name: "long key", act: |b| b.set(&long(), b"x"), model: |m| put(m, &long(), b"x") },
    Step {
        name: "increment",
        act: |b| b.increment("n", 5, i64::MIN).map(|n| assert_eq!(n, 5)),
        model: |m| put(m, "n", b"5"),
    },
    Step {
        name: "swap",
        act: |b| {
            let seen = b.snapshot("a")?;
            assert_eq!(b.swap("a", &seen.version, b"swapped")?, Swap::Done);
            Ok(())
        },
        model: |m| put(m, "a", b"swapped"),
    },
    Step { name: "delete", act: |b| b.delete("b"), model: |m| drop(m.remove("b")) },
    Step { name: "replace file", act: |b| b.set("c", &[9; 600]), model: |m| put(m, "c", &[9; 600]) },
    Step { name: "delete long key", act: |b| b.delete(&long()), model: |m| drop(m.remove(&long())) },
    Step { name: "grow 1", act: |b| b.set("g1", &[1; 90]), model: |m| put(m, "g1", &[1; 90]) },
    Step { name: "grow 2", act: |b| b.set("g2", &[2; 90]), model: |m| put(m, "g2", &[2; 90]) },
    Step { name: "grow 3", act: |b| b.set("g3", &[3; 90]), model: |m| put(m, "g3", &[3; 90]) },
    Step { name: "grow 4", act: |b| b.set("g4", &[4; 90]), model: |m| put(m, "g4", &[4; 90]) },
    Step {
        name: "increment again",
        act: |b| b.increment("n", 5, i64::MIN).map(|n| assert_eq!(n, 10)),
        model: |m| put(m, "n", b"10"),
    },
    Step { name: "grow 5", act: |b| b.set("g5", &[5; 90]), model: |m| put(m, "g5", &[5; 90]) },
];

fn config(durability: Durability) -> Config {
    Config { segment: 48, split: 400, index: 200, small: 100, blob: 200, durability, ..Config::default() }
}

fn fresh(disk: &Disk, config: Config, seed: u64) -> Rc<dyn Bucket> {
    FileStore::new(Ok(disk.root(Plain::new(seed))), config).open("bucket").unwrap()
}

/// Everything that a fresh instance finds.
fn contents(disk: &Disk, config: Config) -> Model {
    let bucket = fresh(disk, config, 999);
    let (mut model, mut cursor) = (Model::new(), None);
    loop {
        let page = bucket.list(cursor.as_deref()).unwrap();
        for key in page.keys {
            let value = bucket.get(&key).unwrap().unwrap();
            assert!(model.insert(key, value).is_none());
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return model;
        }
    }
}

/// Runs all steps with one hit; gives the number of calls made.
fn run(place: usize, hit: Hit, config: Config) -> usize {
    let disk = Disk::default();
    let director = Rc::new(At { place, hit, calls: Cell::new(0), seed: Cell::new(1) });
    let mut bucket = FileStore::new(Ok(disk.root(director.clone())), config).open("bucket").unwrap();
    let mut model = Model::new();
    let told = |step: &Step| format!("{hit:?} at call {place}, in {}", step.name);
    for step in &STEPS {
        let mut after = model.clone();
        (step.model)(&mut after);
        match catch_unwind(AssertUnwindSafe(|| (step.act)(&*bucket))) {
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
                // The same instance goes on, and the second time it works.
                if found == model {
                    (step.act)(&*bucket).unwrap_or_else(|error| panic!("{}: again: {error:?}", told(step)));
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
                    (step.act)(&*bucket).unwrap_or_else(|error| panic!("{}: another: {error:?}", told(step)));
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
    let director = Rc::new(At { place, hit: Hit::Kill, calls: Cell::new(0), seed: Cell::new(1) });
    let bucket = FileStore::new(Ok(disk.root(director.clone())), config).open("bucket").unwrap();
    let mut models = vec![Model::new()];
    for step in &STEPS {
        let mut after = models.last().unwrap().clone();
        (step.model)(&mut after);
        models.push(after);
        if catch_unwind(AssertUnwindSafe(|| (step.act)(&*bucket).unwrap())).is_err() {
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
