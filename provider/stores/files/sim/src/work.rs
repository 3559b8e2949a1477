//! What the instances of a run do, and what is recorded of it.

use crate::disk::Disk;
use crate::history::{Ask, History, Tell};
use crate::open::SimStream;
use crate::plain::Plain;
use crate::shared::{Random, Shared, Weather};
use crate::steps::list;
use kvfuse_core::{Bucket, Error, Kind, Snapshot, Store, Swap, Version};
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::FileError;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

pub const BUCKET: &str = "bucket";
/// Keys that are there from the beginning and stay.
const FIXED: [&str; 3] = ["fixed 1", "fixed 2", "fixed 3"];

fn key(random: &mut Random) -> String {
    match random.below(16) {
        0..4 => format!("counter {}", random.below(2)),
        4 if random.chance(500) => format!("long {}{}", random.below(2), "x".repeat(5000)),
        _ => format!("key {}", random.below(10)),
    }
}

/// All keys that a run may touch.
fn keys() -> Vec<String> {
    let mut keys: Vec<String> = (0..2).map(|n| format!("counter {n}")).collect();
    keys.extend((0..2).map(|n| format!("long {n}{}", "x".repeat(5000))));
    keys.extend((0..10).map(|n| format!("key {n}")));
    keys.extend(FIXED.map(String::from));
    keys
}

fn value(random: &mut Random, sizes: &[usize]) -> Vec<u8> {
    let length = sizes[random.below(sizes.len())];
    let mut value = format!("v{:015x}", random.draw() >> 4).into_bytes();
    // Of zeros, it looks like what a power cut leaves.
    value.resize(16 + length, if random.chance(2000) { 0 } else { b'.' });
    value
}

/// Sets the keys that stay, with nothing going wrong.
pub fn prepare(disk: &Disk, config: Config, shared: &mut Shared) -> Result<(), String> {
    let store = FileStore::new(Ok(disk.root(Plain::new(shared.random.draw()))), config);
    // Some runs begin with an empty disk, so that the first steps are interleaved too.
    if shared.random.chance(5000) {
        return Ok(());
    }
    let bucket = store.open(BUCKET).map_err(|error| error.to_string())?;
    for key in FIXED {
        let event = shared.history.ask(99, key, Ask::Set(b"fixed".to_vec()));
        bucket.set(key, b"fixed").map_err(|error| error.to_string())?;
        shared.history.tell(event, Tell::Done);
    }
    Ok(())
}

/// Whether the fixed keys were set, and nothing since can have taken them away.
fn is_fixed(history: &History) -> bool {
    history.events.first().is_some_and(|event| event.instance == 99)
}

/// One life of an instance: a fresh store, and operations until `left` is 0.
pub fn live<S: Store>(
    store: &S,
    number: usize,
    (disk, shared): (&Disk, &Rc<RefCell<Shared>>),
    left: &mut usize,
) -> Result<(), String> {
    let bucket = store.open(BUCKET).map_err(|error| error.to_string())?;
    while *left > 0 {
        *left -= 1;
        let mut random = Random::new(shared.borrow_mut().random.draw());
        let (sizes, bodies) = (shared.borrow().sizes, shared.borrow().faults.bodies);
        let agent = Client { store, bucket: &*bucket, number, sizes, disk, shared };
        if shared.borrow().faults.lifetimes && random.chance(2000) {
            agent.lifetime(&mut random)?;
            continue;
        }
        match random.below(if bodies { 27 } else { 24 }) {
            0..5 => agent.set(&key(&mut random), value(&mut random, sizes))?,
            5..9 => drop(agent.get(&key(&mut random))?),
            9..11 => agent.delete(&key(&mut random))?,
            11 => agent.exists(&key(&mut random))?,
            12..17 => agent.increment(&format!("counter {}", random.below(2)))?,
            17..20 => agent.swap(&key(&mut random), &mut random)?,
            20 => agent.set_many(&mut random)?,
            21 => agent.get_many(&mut random)?,
            22 => agent.set(&format!("counter {}", random.below(2)), b"10".to_vec())?,
            23 => agent.list()?,
            24 => agent.get_body(&key(&mut random))?,
            _ => agent.set_body(&key(&mut random), &mut random)?,
        }
    }
    Ok(())
}

struct Client<'a> {
    store: &'a dyn Store,
    bucket: &'a dyn Bucket,
    number: usize,
    sizes: &'static [usize],
    disk: &'a Disk,
    shared: &'a Rc<RefCell<Shared>>,
}

impl Client<'_> {
    fn ask(&self, key: &str, ask: Ask) -> usize {
        self.shared.borrow_mut().history.ask(self.number, key, ask)
    }

    fn tell(&self, event: usize, tell: Tell) {
        if self.counts() {
            self.shared.borrow_mut().history.tell(event, tell);
        }
    }

    /// Whether the answers that this instance gets last: in relaxed durability a power cut may take it back, so that it may
    /// have happened or not.
    fn counts(&self) -> bool {
        self.shared.borrow().weather != Weather::PowerMixed || self.number == 0
    }

    /// What an error says about events. Without faults there must be none, except for a lifetime that is shorter than a call.
    fn failed(&self, events: &[usize], error: &Error, atomic: bool) -> Result<(), String> {
        let mut shared = self.shared.borrow_mut();
        let short = error.kind() == Kind::OutcomeUnknown && error.message().contains("began and ended meanwhile");
        if !(shared.weather.is_faulty() || shared.faults.lifetimes && short) {
            return Err(format!("instance {} was told {error:?} though nothing failed", self.number));
        }
        if error.kind() == Kind::Damaged {
            return Err(format!("instance {} was told of damage, and there is none: {error:?}", self.number));
        }
        if error.kind() != Kind::OutcomeUnknown && atomic {
            events.iter().for_each(|event| shared.history.forget(*event));
        }
        Ok(())
    }

    fn end<T>(&self, event: usize, result: Result<T, Error>, tell: impl FnOnce(T) -> Tell) -> Result<(), String> {
        match result {
            Ok(value) => self.tell(event, tell(value)),
            Err(error) => self.failed(&[event], &error, true)?,
        }
        Ok(())
    }

    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), String> {
        let event = self.ask(key, Ask::Set(value.clone()));
        self.end(event, self.bucket.set(key, &value), |()| Tell::Done)
    }

    /// Sets or creates a key, for a while or for good.
    fn lifetime(&self, random: &mut Random) -> Result<(), String> {
        let counter = random.chance(4000);
        let key = if counter { format!("counter {}", random.below(2)) } else { key(random) };
        let value = if counter { b"20".to_vec() } else { value(random, self.sizes) };
        let lifetime = Duration::from_micros([100, 3_000, 20_000, 80_000][random.below(4)]);
        self.shared.borrow_mut().counts.lifetimes += 1;
        let now = self.disk.now();
        // It is rounded up.
        let end = (now + lifetime).as_millis() as u64 + 1;
        if random.chance(5000) {
            let event = self.ask(&key, Ask::SetFor(value.clone(), end));
            return self.end(event, self.bucket.set_expiring(&key, &value, lifetime), |()| Tell::Done);
        }
        let lifetime = random.chance(6000).then_some(lifetime);
        let event = self.ask(&key, Ask::Create(value.clone(), lifetime.map(|_| end)));
        self.end(event, self.bucket.create(&key, &value, lifetime), Tell::There)
    }

    fn get(&self, key: &str) -> Result<(), String> {
        let event = self.ask(key, Ask::Get);
        self.end(event, self.bucket.get(key), Tell::Value)
    }

    fn exists(&self, key: &str) -> Result<(), String> {
        let event = self.ask(key, Ask::Exists);
        self.end(event, self.bucket.exists(key), Tell::There)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        let event = self.ask(key, Ask::Delete);
        self.end(event, self.bucket.delete(key), |()| Tell::Done)
    }

    fn increment(&self, key: &str) -> Result<(), String> {
        let event = self.ask(key, Ask::Increment(1));
        match self.bucket.increment(key, 1, i64::MIN) {
            Err(error) if error.kind() == Kind::InvalidArgument => self.tell(event, Tell::Refused),
            result => self.end(event, result, Tell::Number)?,
        }
        Ok(())
    }

    fn swap(&self, key: &str, random: &mut Random) -> Result<(), String> {
        let event = self.ask(key, Ask::Snapshot);
        let snapshot = match self.bucket.snapshot(key) {
            Ok(snapshot) => snapshot,
            Err(error) => return self.failed(&[event], &error, true),
        };
        self.tell(event, Tell::Seen(seen(&snapshot)));
        let expected = match snapshot.version {
            Version::Number(number) => Some(number),
            _ => None,
        };
        let value = value(random, self.sizes);
        // Nobody knows which value had a version that does not count.
        let ask = if self.counts() { Ask::Swap(expected, value.clone()) } else { Ask::Set(value.clone()) };
        let event = self.ask(key, ask);
        let look = self.ask(key, Ask::Snapshot);
        match self.bucket.swap(key, &snapshot.version, &value) {
            Ok(Swap::Done) => self.tell(event, Tell::Done),
            Ok(Swap::Conflict(now)) => {
                self.tell(event, Tell::Conflict);
                self.tell(look, Tell::Seen(seen(&now)));
            }
            Err(error) => self.failed(&[event], &error, true)?,
        }
        Ok(())
    }

    fn set_many(&self, random: &mut Random) -> Result<(), String> {
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for _ in 0..1 + random.below(5) {
            let key = key(random);
            // Two values for one key in a batch would be two operations in a set order.
            if !pairs.iter().any(|(other, _)| *other == key) {
                pairs.push((key, value(random, self.sizes)));
            }
        }
        let events: Vec<_> = pairs.iter().map(|(key, value)| self.ask(key, Ask::Set(value.clone()))).collect();
        let borrowed: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        match self.bucket.set_many(&borrowed) {
            Ok(()) => events.iter().for_each(|event| self.tell(*event, Tell::Done)),
            Err(error) => self.failed(&events, &error, false)?,
        }
        Ok(())
    }

    fn get_many(&self, random: &mut Random) -> Result<(), String> {
        let keys: Vec<_> = (0..1 + random.below(5)).map(|_| key(random)).collect();
        let events: Vec<_> = keys.iter().map(|key| self.ask(key, Ask::Get)).collect();
        let borrowed: Vec<_> = keys.iter().map(String::as_str).collect();
        match self.bucket.get_many(&borrowed) {
            Ok(values) => events.iter().zip(values).for_each(|(event, value)| self.tell(*event, Tell::Value(value))),
            Err(error) => self.failed(&events, &error, true)?,
        }
        Ok(())
    }

    fn set_body(&self, key: &str, random: &mut Random) -> Result<(), String> {
        self.shared.borrow_mut().counts.bodies += 1;
        let begun = self.store.create_body().and_then(|mut body| body.take_stream().map(|stream| (body, stream)));
        let (mut body, stream) = match begun {
            Ok(begun) => begun,
            Err(error) => return self.failed(&[], &error, true),
        };
        let mut stream = stream.downcast::<SimStream>().map_err(|_| "a stream of another sort")?;
        let value = value(random, self.sizes);
        for piece in value.chunks(1 + random.below(value.len())) {
            if let Err(error) = stream.write(piece) {
                let faulty = self.shared.borrow().weather.is_faulty();
                return if faulty { Ok(()) } else { Err(format!("a stream failed though nothing else did: {error}")) };
            }
        }
        if random.chance(1000) {
            // It is dropped, and nothing came of it.
            return Ok(());
        }
        // An error that says that nothing was changed leaves the body as it was.
        for _ in 0..2 {
            let event = self.ask(key, Ask::Set(value.clone()));
            match self.bucket.set_body(key, &mut *body) {
                Ok(()) => {
                    self.tell(event, Tell::Done);
                    break;
                }
                Err(error) => {
                    self.failed(&[event], &error, true)?;
                    if error.kind() == Kind::OutcomeUnknown {
                        break;
                    }
                }
            }
        }
        if random.chance(2000) {
            // What comes late is not part of the value.
            let _ = stream.write(b"late");
        }
        Ok(())
    }

    fn get_body(&self, key: &str) -> Result<(), String> {
        let event = self.ask(key, Ask::Get);
        match stream_of(self.bucket, key) {
            Ok(Ok(value)) => self.tell(event, Tell::Value(value)),
            Ok(Err(_)) if self.shared.borrow().weather.is_faulty() => {}
            Ok(Err(error)) => return Err(format!("a stream failed though nothing else did: {error}")),
            Err(error) => self.failed(&[event], &error, true)?,
        }
        Ok(())
    }

    fn list(&self) -> Result<(), String> {
        match list(self.bucket) {
            Ok(keys) => {
                let set: HashSet<_> = keys.iter().cloned().collect();
                if set.len() != keys.len() {
                    return Err(format!("a listing gave a key twice: {keys:?}"));
                }
                let fixed = is_fixed(&self.shared.borrow().history);
                if fixed && !FIXED.iter().all(|key| set.contains(*key)) {
                    return Err(format!("a listing missed a key that was there all the time: {keys:?}"));
                }
            }
            Err(error) => self.failed(&[], &error, true)?,
        }
        Ok(())
    }
}

fn seen(snapshot: &Snapshot) -> Option<(Vec<u8>, u64)> {
    match (&snapshot.value, &snapshot.version) {
        (Some(value), Version::Number(number)) => Some((value.clone(), *number)),
        _ => None,
    }
}

/// What a key has, read as a stream.
///
/// # Errors
/// Of the store, and inside of the stream.
///
/// # Panics
/// If the stream is shorter than the store said.
pub fn stream_of(bucket: &dyn Bucket, key: &str) -> Result<Result<Option<Vec<u8>>, FileError>, Error> {
    let Some(body) = bucket.get_body(key)? else { return Ok(Ok(None)) };
    let Ok(mut stream) = body.stream.downcast::<SimStream>() else { panic!("a stream of another sort") };
    let mut value = match stream.read_all() {
        Ok(value) => value,
        Err(error) => return Ok(Err(error)),
    };
    // Its writer may go on: the size says where the value ends.
    assert!(value.len() as u64 >= body.size, "a stream ends before the value does");
    value.truncate(body.size as usize);
    Ok(Ok(Some(value)))
}

/// A fresh instance looks at everything, and writes once.
///
/// # Errors
/// What was not as it has to be.
pub fn look(store: &dyn Store, shared: &mut Shared) -> Result<(), String> {
    let say = |error: Error| format!("a fresh instance was told {error:?}");
    let bucket = store.open(BUCKET).map_err(say)?;
    let mut there = HashSet::new();
    for key in keys() {
        let event = shared.history.ask(98, &key, Ask::Snapshot);
        let snapshot = bucket.snapshot(&key).map_err(say)?;
        shared.history.tell(event, Tell::Seen(seen(&snapshot)));
        if shared.faults.bodies {
            let stream = stream_of(&*bucket, &key).map_err(say)?;
            if stream.as_ref() != Ok(&snapshot.value) {
                return Err(format!("the stream of {key:.20} has not what the key has"));
            }
        }
        if snapshot.value.is_some() {
            there.insert(key);
        }
    }
    let listed: HashSet<_> = list(&*bucket).map_err(say)?.into_iter().collect();
    if listed != there {
        return Err(format!("what is listed is not what is there: {listed:?} {there:?}"));
    }
    let event = shared.history.ask(98, "key 0", Ask::Set(b"after".to_vec()));
    bucket.set("key 0", b"after").map_err(say)?;
    shared.history.tell(event, Tell::Done);
    Ok(())
}

/// After a power cut in relaxed durability: each key must have what a first part of its history gives. The history begins
/// anew with these values.
///
/// # Errors
/// What was not as it has to be.
pub fn restart(store: &dyn Store, shared: &mut Shared) -> Result<(), String> {
    let say = |error: Error| format!("after a power cut a fresh instance was told {error:?}");
    let bucket = store.open(BUCKET).map_err(say)?;
    let before = std::mem::take(&mut shared.history);
    let mut found = BTreeMap::new();
    for key in keys() {
        if let Some(value) = bucket.get(&key).map_err(say)? {
            found.insert(key, value);
        }
    }
    shared.counts.undecided += before.check_lost(&found)?;
    if let Some(key) = found.keys().find(|key| !before.knows(key)) {
        return Err(format!("after a power cut the key {key:.20} was there, which nobody ever wrote"));
    }
    shared.history.initial = found;
    look(store, shared)
}
