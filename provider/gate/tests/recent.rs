//! Bounded staleness, against an independent model: the history of every key, and what each instance may know of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use kvfuse_core::{
    Body, BodyReader, Bucket, Error, Kind, Page, Result, Settings, Snapshot, Store, Swap, Version, counter,
};
use kvfuse_gate::{Gate, LARGEST};
use kvfuse_memory::MemoryStore;
use kvfuse_transport::clock::{Clock, Moment};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Nanoseconds of the bound in these tests: those of the setting's 5 ms.
const BOUND: u64 = 5_000_000;

#[derive(Clone, Default)]
struct FakeClock(Rc<Cell<u64>>);

impl FakeClock {
    fn advance(&self, nanoseconds: u64) {
        self.0.set(self.0.get() + nanoseconds);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Moment {
        Moment(self.0.get())
    }

    fn sleep_until(&self, _: Moment) {
        panic!("nothing here waits");
    }
}

/// The store that the instances share: it counts calls, takes time before and after each takes effect, and can fail.
#[derive(Clone, Default)]
struct Shared(Rc<SharedState>);

#[derive(Default)]
struct SharedState {
    memory: MemoryStore,
    clock: FakeClock,
    /// How long a call takes, before and after its effect.
    takes: Cell<(u64, u64)>,
    /// When the last call took effect.
    effect: Cell<u64>,
    calls: RefCell<Vec<&'static str>>,
    /// The next call has its effect, or not, and ends with this error.
    fails: Cell<Option<(bool, Kind)>>,
}

struct SharedBucket {
    state: Rc<SharedState>,
    bucket: Rc<dyn Bucket>,
}

impl Store for Shared {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(SharedBucket { state: self.0.clone(), bucket: self.0.memory.open(bucket)? }))
    }
}

impl SharedBucket {
    fn call<T>(&self, name: &'static str, effect: impl FnOnce(&dyn Bucket) -> Result<T>) -> Result<T> {
        let (before, after) = self.state.takes.get();
        self.state.calls.borrow_mut().push(name);
        self.state.clock.advance(before);
        let fails = self.state.fails.take();
        if let Some((false, kind)) = fails {
            return Err(Error::new(kind, "as the test asked"));
        }
        let done = effect(&*self.bucket);
        self.state.effect.set(self.state.clock.0.get());
        self.state.clock.advance(after);
        match fails {
            Some((_, kind)) => Err(Error::new(kind, "as the test asked")),
            None => done,
        }
    }
}

impl Bucket for SharedBucket {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.call("get", |bucket| bucket.get(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.call("set", |bucket| bucket.set(key, value))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.call("delete", |bucket| bucket.delete(key))
    }

    fn exists(&self, key: &str) -> Result<bool> {
        self.call("exists", |bucket| bucket.exists(key))
    }

    fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.call("list", |bucket| bucket.list(cursor))
    }

    fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.call("increment", |bucket| bucket.increment(key, delta, floor))
    }

    fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.call("snapshot", |bucket| bucket.snapshot(key))
    }

    fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        self.call("swap", |bucket| bucket.swap(key, expected, value))
    }

    fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.call("get-many", |bucket| bucket.get_many(keys))
    }

    fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.call("set-many", |bucket| bucket.set_many(pairs))
    }

    fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.call("delete-many", |bucket| bucket.delete_many(keys))
    }

    fn set_body(&self, key: &str, _: &mut dyn Body) -> Result<()> {
        self.call("set-body", |bucket| bucket.set(key, b"streamed"))
    }

    fn get_body(&self, key: &str) -> Result<Option<BodyReader>> {
        self.call("get-body", |bucket| {
            Ok(bucket.get(key)?.map(|value| BodyReader { size: value.len() as u64, stream: Box::new(()) }))
        })
    }
}

struct NoBody;

impl Body for NoBody {
    fn take_stream(&mut self) -> Result<Box<dyn std::any::Any>> {
        Ok(Box::new(()))
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

/// An instance of a provider over the store.
fn instance(shared: &Shared, stale_ms: &str) -> Gate<Shared> {
    let settings = Settings::new([("KEYVALUE_STALE_MS".to_string(), stale_ms.to_string())]);
    Gate::new(&settings, Ok(shared.clone()), shared.0.clock.clone())
}

impl Shared {
    /// The calls since the last time.
    fn calls(&self) -> Vec<&'static str> {
        self.0.calls.take()
    }

    /// Another user of the store.
    fn other(&self) -> Rc<dyn Bucket> {
        self.0.memory.open("b").unwrap()
    }
}

type Call = fn(&dyn Bucket) -> Result<()>;

fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.into())
}

/// A bucket of an instance with the bound, and the store behind it.
fn bucket() -> (Rc<dyn Bucket>, Shared) {
    let shared = Shared::default();
    (instance(&shared, "5").open("b").unwrap(), shared)
}

#[test]
fn within_the_bound_a_read_asks_nobody_and_after_it_the_store() {
    let (bucket, shared) = bucket();
    shared.other().set("k", b"1").unwrap();
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    assert_eq!((bucket.get("x"), bucket.exists("y")), (Ok(None), Ok(false)));
    assert_eq!(shared.calls(), ["get", "get", "exists"]);
    shared.other().set("k", b"2").unwrap();
    shared.other().set("y", b"").unwrap();
    shared.0.clock.advance(BOUND);
    assert_eq!((bucket.get("k"), bucket.exists("k"), bucket.get("x")), (Ok(bytes("1")), Ok(true), Ok(None)));
    assert_eq!((bucket.exists("x"), bucket.exists("y"), bucket.get("y")), (Ok(false), Ok(false), Ok(None)));
    assert_eq!(bucket.get_many(&["k", "x", "k"]), Ok(vec![bytes("1"), None, bytes("1")]));
    assert_eq!(shared.calls(), [""; 0]);
    shared.0.clock.advance(1);
    assert_eq!((bucket.get("k"), bucket.exists("y")), (Ok(bytes("2")), Ok(true)));
    assert_eq!(shared.calls(), ["get", "exists"]);
    assert_eq!(bucket.get("y"), Ok(bytes("")), "that it exists does not tell its value");
    assert_eq!(shared.calls(), ["get"]);
}

#[test]
fn a_state_is_as_old_as_the_call_that_told_it_and_not_as_its_return() {
    let (bucket, shared) = bucket();
    shared.0.takes.set((0, BOUND));
    assert_eq!(bucket.get("k"), Ok(None));
    shared.0.clock.advance(1);
    assert_eq!(bucket.get("k"), Ok(None));
    assert_eq!(shared.calls(), ["get", "get"]);
}

#[test]
fn without_the_setting_every_read_asks_the_store() {
    for setting in ["", "0"] {
        let shared = Shared::default();
        let bucket = instance(&shared, setting).open("b").unwrap();
        for _ in 0..2 {
            bucket.get("k").unwrap();
        }
        assert_eq!(shared.calls(), ["get", "get"], "{setting:?}");
    }
}

#[test]
fn a_setting_that_is_no_number_of_milliseconds_is_refused_by_name() {
    for text in ["-1", "+5", "1.5", "5s", "3600001", "99999999999999999999"] {
        let error = instance(&Shared::default(), text).open("b").err().unwrap();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("KEYVALUE_STALE_MS"), "{error}");
    }
}

#[test]
fn own_writes_show_at_once_whichever_they_are() {
    let (bucket, shared) = bucket();
    let seen = || (bucket.get("k").unwrap(), bucket.exists("k").unwrap());
    assert_eq!(seen(), (None, false));
    bucket.set("k", b"1").unwrap();
    assert_eq!(seen(), (bytes("1"), true));
    assert_eq!(bucket.increment("k", 41, 0), Ok(42));
    assert_eq!(seen(), (bytes("42"), true));
    let snapshot = bucket.snapshot("k").unwrap();
    assert_eq!(bucket.swap("k", &snapshot.version, b"s"), Ok(Swap::Done));
    assert_eq!(seen(), (bytes("s"), true));
    bucket.delete("k").unwrap();
    assert_eq!(seen(), (None, false));
    bucket.set_many(&[("k", b"1"), ("l", b"2"), ("k", b"3")]).unwrap();
    assert_eq!((seen(), bucket.get("l")), ((bytes("3"), true), Ok(bytes("2"))));
    bucket.delete_many(&["k", "x"]).unwrap();
    assert_eq!(seen(), (None, false));
    let asked = ["get", "set", "increment", "snapshot", "swap", "delete", "set-many", "delete-many"];
    assert_eq!(shared.calls(), asked, "what was written is known");
    // A value that went through a stream is not.
    bucket.set_body("k", &mut NoBody).unwrap();
    assert_eq!(seen(), (bytes("streamed"), true));
    assert_eq!(shared.calls(), ["set-body", "get"]);
}

#[test]
fn own_writes_show_through_every_handle_of_the_bucket_and_of_its_name_space() {
    /// A store whose buckets are all one, as in the layout `raw` of Redis.
    struct Raw(Shared);
    impl Store for Raw {
        fn open(&self, _: &str) -> Result<Rc<dyn Bucket>> {
            self.0.open("one")
        }

        fn space<'a>(&'a self, _: &'a str) -> &'a str {
            ""
        }
    }
    let shared = Shared::default();
    let settings = Settings::new([("KEYVALUE_STALE_MS".to_string(), "5".to_string())]);
    let raw = Gate::new(&settings, Ok(Raw(shared.clone())), shared.0.clock.clone());
    let apart = instance(&shared, "5");
    for (store, other) in [(&raw as &dyn Store, "c"), (&apart, "b")] {
        let (one, same) = (store.open("b").unwrap(), store.open(other).unwrap());
        assert_eq!(same.get("k").unwrap(), None);
        one.set("k", b"1").unwrap();
        assert_eq!(same.get("k").unwrap(), bytes("1"));
    }
    // Other buckets have other keys.
    assert_eq!(apart.open("c").unwrap().get("k"), Ok(None));
}

#[test]
fn a_write_that_failed_leaves_nothing_of_the_key_to_be_answered() {
    let writes: [(&str, Call); 8] = [
        ("set", |bucket| bucket.set("k", b"2")),
        ("delete", |bucket| bucket.delete("k")),
        ("increment", |bucket| bucket.increment("k", 1, 0).map(drop)),
        ("swap", |bucket| bucket.swap("k", &Version::Number(1), b"2").map(drop)),
        ("set-many", |bucket| bucket.set_many(&[("l", b"2"), ("k", b"2")])),
        ("delete-many", |bucket| bucket.delete_many(&["l", "k"])),
        ("set-body", |bucket| bucket.set_body("k", &mut NoBody)),
        ("snapshot and swap", |bucket| bucket.swap("k", &Version::Absent, b"2").map(drop)),
    ];
    for (name, write) in writes {
        for happened in [false, true] {
            let (bucket, shared) = bucket();
            bucket.set_many(&[("k", b"1"), ("l", b"1"), ("m", b"1")]).unwrap();
            shared.0.fails.set(Some((happened, Kind::OutcomeUnknown)));
            assert_eq!(write(&*bucket).unwrap_err().kind(), Kind::OutcomeUnknown);
            shared.calls();
            assert_eq!(bucket.get("k"), shared.other().get("k"), "{name}");
            assert_eq!(bucket.get("m"), Ok(bytes("1")));
            assert_eq!(shared.calls(), ["get"], "{name}: the other key is still known");
        }
    }
}

#[test]
fn a_read_that_failed_changes_nothing() {
    let (bucket, shared) = bucket();
    bucket.set("k", b"1").unwrap();
    let reads: [Call; 3] = [
        |bucket| bucket.snapshot("k").map(drop),
        |bucket| bucket.get_body("k").map(drop),
        |bucket| bucket.list(None).map(drop),
    ];
    for read in reads {
        shared.0.fails.set(Some((false, Kind::Unsupported)));
        read(&*bucket).unwrap_err();
    }
    shared.calls();
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    assert_eq!(shared.calls(), [""; 0]);
}

#[test]
fn a_swap_is_never_decided_by_what_is_kept() {
    let (bucket, shared) = bucket();
    bucket.set("k", b"1").unwrap();
    shared.other().set("k", b"2").unwrap();
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    let snapshot = bucket.snapshot("k").unwrap();
    assert_eq!(snapshot.value, bytes("2"));
    assert_eq!(bucket.get("k"), Ok(bytes("2")), "what the instance returned is not taken back");
    shared.other().set("k", b"3").unwrap();
    let Ok(Swap::Conflict(now)) = bucket.swap("k", &snapshot.version, b"mine") else { panic!("it is not the latest") };
    assert_eq!((now.value, bucket.get("k")), (bytes("3"), Ok(bytes("3"))));
    shared.other().set("k", b"10").unwrap();
    assert_eq!(bucket.increment("k", 1, 0), Ok(11));
}

#[test]
fn after_a_page_or_a_stream_reads_are_not_older_than_those() {
    let (bucket, shared) = bucket();
    assert_eq!((bucket.get("k"), bucket.get("l")), (Ok(None), Ok(None)));
    shared.other().set("k", b"1").unwrap();
    assert_eq!(bucket.list(None).unwrap().keys, ["k"]);
    assert_eq!(bucket.get("k"), Ok(bytes("1")));
    shared.other().set("k", b"2").unwrap();
    assert_eq!(bucket.get_body("k").unwrap().unwrap().size, 1);
    assert_eq!(bucket.get("k"), Ok(bytes("2")));
    shared.other().delete("k").unwrap();
    assert!(bucket.get_body("k").unwrap().is_none());
    assert_eq!(bucket.get("k"), Ok(None));
}

#[test]
fn a_batch_asks_for_what_is_not_known_and_a_large_value_never_is() {
    let (bucket, shared) = bucket();
    let large = vec![7; LARGEST];
    bucket.set_many(&[("a", b"1"), ("large", &large)]).unwrap();
    shared.other().set("b", b"2").unwrap();
    let all = vec![bytes("2"), bytes("1"), Some(large), None, bytes("2")];
    assert_eq!(bucket.get_many(&["b", "a", "large", "x", "b"]), Ok(all.clone()));
    shared.other().set("a", b"other").unwrap();
    assert_eq!(bucket.get_many(&["b", "a", "large", "x", "b"]), Ok(all));
    assert_eq!(shared.calls(), ["set-many", "get-many", "get-many"]);
    assert_eq!(bucket.get_many(&["b", "a"]), Ok(vec![bytes("2"), bytes("1")]));
    assert_eq!(shared.calls(), [""; 0]);
}

mod contract {
    use super::{Gate, Shared, instance};
    use kvfuse_core::{Bucket, Result, Store};
    use std::rc::Rc;

    /// One instance, alone.
    struct Alone(Gate<Shared>);

    impl Store for Alone {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.0.open(bucket)
        }
    }

    kvfuse_suite::contract!(|| Alone(instance(&Shared::default(), "5")));
}

/// A small deterministic generator (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// A state of a key, and since when.
type State = (u64, Option<Vec<u8>>);

/// The model: the states that each key has had, each from some moment on, and for each instance and key the first of them
/// that it may still return.
struct Model {
    history: HashMap<&'static str, Vec<State>>,
    floors: HashMap<(usize, &'static str), usize>,
}

impl Model {
    fn of(keys: &[&'static str]) -> Self {
        Self { history: keys.iter().map(|key| (*key, vec![(0, None)])).collect(), floors: HashMap::new() }
    }

    /// The state before any other operation, for a write that depends on it.
    fn now(&self, key: &str) -> Option<Vec<u8>> {
        self.history[key].last().unwrap().1.clone()
    }

    /// An instance wrote a key, at this moment.
    fn wrote(&mut self, instance: usize, key: &'static str, at: u64, state: Option<Vec<u8>>) {
        let states = self.history.get_mut(key).unwrap();
        states.push((at, state));
        self.floors.insert((instance, key), states.len() - 1);
    }

    /// An instance was told the present state of a key.
    fn was_told(&mut self, instance: usize, key: &'static str) {
        self.floors.insert((instance, key), self.history[key].len() - 1);
    }

    /// An instance read a key, in a call that began at this moment. `is` says which states that may have been.
    fn read(&mut self, instance: usize, key: &'static str, began: u64, is: impl Fn(&Option<Vec<u8>>) -> bool) {
        let states = &self.history[key];
        let floor = self.floors.get(&(instance, key)).copied().unwrap_or(0);
        // A state lasts until the next one. It may have been seen if it lasted to within the bound, or still does.
        let until = |n: usize| states.get(n + 1).map_or(u64::MAX, |(at, _)| *at);
        let found = (floor..states.len()).find(|n| until(*n) >= began.saturating_sub(BOUND) && is(&states[*n].1));
        let found = found.unwrap_or_else(|| {
            panic!("{key} in instance {instance} at {began} is none of {:?}", &states[floor..]);
        });
        self.floors.insert((instance, key), found);
    }
}

/// Two instances with the bound and a third without, at random.
#[test]
fn no_read_is_older_than_the_bound_the_own_last_write_or_the_read_before() {
    let keys = ["a", "b", "c"];
    let mut answered = 0;
    for seed in 0..300 {
        let mut random = Random(seed);
        let shared = Shared::default();
        let buckets: Vec<Rc<dyn Bucket>> =
            ["5", "5", ""].iter().map(|setting| instance(&shared, setting).open("b").unwrap()).collect();
        let mut model = Model::of(&keys);
        for step in 0..400 {
            shared.0.clock.advance([0, 1, BOUND / 10, BOUND / 2, BOUND - 1][random.below(5) as usize]);
            shared.0.takes.set((random.below(BOUND / 4), random.below(BOUND / 4)));
            let instance = random.below(3) as usize;
            let (bucket, key) = (&buckets[instance], keys[random.below(3) as usize]);
            let began = shared.0.clock.0.get();
            let effect = || shared.0.effect.get();
            // Values are counters, and nearly all different.
            let value = counter::format(1_000_000 + step * 1000);
            match random.below(15) {
                0..=3 => {
                    let found = bucket.get(key).unwrap();
                    answered += usize::from(shared.calls().is_empty());
                    model.read(instance, key, began, |state| *state == found);
                }
                4 => {
                    let exists = bucket.exists(key).unwrap();
                    answered += usize::from(shared.calls().is_empty());
                    model.read(instance, key, began, |state| state.is_some() == exists);
                }
                5 => {
                    let found = bucket.get_many(&keys).unwrap();
                    for (key, found) in keys.iter().zip(found) {
                        model.read(instance, key, began, |state| *state == found);
                    }
                }
                6 | 7 => {
                    bucket.set(key, &value).unwrap();
                    model.wrote(instance, key, effect(), Some(value));
                }
                8 => {
                    bucket.delete(key).unwrap();
                    model.wrote(instance, key, effect(), None);
                }
                9 => {
                    let sum = bucket.increment(key, 1, 0).unwrap();
                    let before = model.now(key).map_or(0, |value| counter::parse(&value).unwrap());
                    assert_eq!(sum, before + 1, "an increment is of the present counter");
                    model.wrote(instance, key, effect(), Some(counter::format(sum)));
                }
                10 => {
                    let snapshot = bucket.snapshot(key).unwrap();
                    assert_eq!(snapshot.value, model.now(key), "a snapshot is of the present state");
                    model.was_told(instance, key);
                    // Another instance may come in between.
                    if random.below(2) == 0 {
                        let (other, written) = ((instance + 1) % 3, counter::format(1_000_500 + step * 1000));
                        buckets[other].set(key, &written).unwrap();
                        model.wrote(other, key, effect(), Some(written));
                    }
                    match bucket.swap(key, &snapshot.version, &value).unwrap() {
                        Swap::Done => model.wrote(instance, key, effect(), Some(value)),
                        Swap::Conflict(now) => {
                            assert_eq!(now.value, model.now(key));
                            model.was_told(instance, key);
                        }
                    }
                }
                11 => {
                    bucket.set_many(&[(keys[0], &value), (keys[1], b"7")]).unwrap();
                    model.wrote(instance, keys[0], effect(), Some(value));
                    model.wrote(instance, keys[1], effect(), bytes("7"));
                }
                12 => {
                    bucket.delete_many(&keys[1..]).unwrap();
                    model.wrote(instance, keys[1], effect(), None);
                    model.wrote(instance, keys[2], effect(), None);
                }
                13 => {
                    bucket.list(None).unwrap();
                    keys.iter().for_each(|key| model.was_told(instance, key));
                }
                _ => {
                    shared.0.fails.set(Some((random.below(2) == 0, Kind::OutcomeUnknown)));
                    let happens = shared.0.fails.get().unwrap().0;
                    bucket.set(key, &value).unwrap_err();
                    if happens {
                        // It may show or not: it counts as one of somebody else.
                        let (at, states) = (effect(), model.history.get_mut(key).unwrap());
                        states.push((at, Some(value)));
                    }
                }
            }
            shared.calls();
        }
    }
    assert!(answered > 1000, "{answered} reads were answered from what was kept");
}
