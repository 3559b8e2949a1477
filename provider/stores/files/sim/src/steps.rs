//! One instance's operations, for what happens at each call of each of them.

use crate::director::Director;
use crate::disk::Disk;
use crate::open::{SimDirectory, SimStream};
use crate::plain::Plain;
use kvfuse_core::{Bucket, Error, Kind, Store, Swap};
use kvfuse_files::{Config, FileStore};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

/// A bucket that was opened, with its store.
pub struct Opened {
    store: FileStore<SimDirectory>,
    bucket: Rc<dyn Bucket>,
    disk: Disk,
}

impl Opened {
    /// # Panics
    /// If it cannot be opened, for which no file is looked at.
    pub fn new(disk: &Disk, director: Rc<dyn Director>, config: Config) -> Self {
        let store = FileStore::new(Ok(disk.root(director)), config);
        let bucket = store.open("bucket").expect("opening looks at nothing");
        Self { store, bucket, disk: disk.clone() }
    }

    /// Lets more time pass than keys live in these steps.
    pub fn pass(&self) {
        self.disk.pass(2 * WHILE);
    }

    /// Sets a key to what passes as a stream, in two pieces.
    ///
    /// # Errors
    /// Of the store. Nothing was changed if a piece could not be written.
    pub fn stream(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        let mut body = self.store.create_body()?;
        let Ok(mut stream) = body.take_stream()?.downcast::<SimStream>() else { panic!("a stream of another sort") };
        let (front, back) = value.split_at(value.len() / 2);
        stream
            .write(front)
            .and_then(|()| stream.write(back))
            .map_err(|error| Error::new(Kind::Unavailable, error.to_string()))?;
        self.bucket.set_body(key, &mut *body)
    }
}

impl Deref for Opened {
    type Target = dyn Bucket;

    fn deref(&self) -> &Self::Target {
        &*self.bucket
    }
}

/// How long keys live.
const WHILE: Duration = Duration::from_secs(10);

/// A store that has just been opened, with nothing going wrong.
pub fn fresh(disk: &Disk, config: Config, seed: u64) -> Opened {
    Opened::new(disk, Plain::new(seed), config)
}

/// All keys of a bucket.
///
/// # Errors
/// Of the store.
pub fn list(bucket: &dyn Bucket) -> Result<Vec<String>, Error> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = bucket.list(cursor.as_deref())?;
        keys.extend(page.keys);
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(keys);
        }
    }
}

/// Everything that a fresh instance finds.
///
/// # Errors
/// Of the store.
///
/// # Panics
/// If a key is listed twice, or listed and not there.
pub fn contents(disk: &Disk, config: Config) -> Result<Model, Error> {
    let bucket = fresh(disk, config, 999);
    let mut model = Model::new();
    for key in list(&*bucket)? {
        let value = bucket.get(&key)?.expect("a key that is listed is there");
        assert!(model.insert(key, value).is_none(), "a key was listed twice");
    }
    Ok(model)
}

/// What a bucket holds.
pub type Model = BTreeMap<String, Vec<u8>>;

/// An operation: on the store, and on the model.
pub struct Step {
    pub name: &'static str,
    pub act: fn(&Opened) -> Result<(), Error>,
    pub model: fn(&mut Model),
}

fn put(model: &mut Model, key: &str, value: &[u8]) {
    model.insert(key.to_string(), value.to_vec());
}

/// A key that is too long for a record.
pub fn long() -> String {
    "long".repeat(2000)
}

/// One after the other; together they compact, split and use every sort of file.
pub const STEPS: [Step; 18] = [
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
    Step { name: "stream", act: |b| b.stream("streamed", &[6; 300]), model: |m| put(m, "streamed", &[6; 300]) },
    Step { name: "grow 1", act: |b| b.set("g1", &[1; 90]), model: |m| put(m, "g1", &[1; 90]) },
    Step { name: "grow 2", act: |b| b.set("g2", &[2; 90]), model: |m| put(m, "g2", &[2; 90]) },
    Step { name: "grow 3", act: |b| b.set("g3", &[3; 90]), model: |m| put(m, "g3", &[3; 90]) },
    Step { name: "grow 4", act: |b| b.set("g4", &[4; 90]), model: |m| put(m, "g4", &[4; 90]) },
    Step {
        name: "increment again",
        act: |b| b.increment("n", 5, i64::MIN).map(|n| assert_eq!(n, 10)),
        model: |m| put(m, "n", b"10"),
    },
    Step { name: "replace with a stream", act: |b| b.stream("c", &[5; 700]), model: |m| put(m, "c", &[5; 700]) },
    Step { name: "grow 5", act: |b| b.set("g5", &[5; 90]), model: |m| put(m, "g5", &[5; 90]) },
];

/// With lifetimes, to come after [`STEPS`].
pub const FOR_A_WHILE: [Step; 8] = [
    Step { name: "set for a while", act: |b| b.set_expiring("w", &[4; 300], WHILE), model: |m| put(m, "w", &[4; 300]) },
    Step {
        name: "create for a while",
        // The second time, it may have been there.
        act: |b| b.create("n2", b"30", Some(WHILE)).map(drop),
        model: |m| put(m, "n2", b"30"),
    },
    Step {
        name: "increment what lives for a while",
        act: |b| b.increment("n2", 5, i64::MIN).map(|n| assert_eq!(n, 35)),
        model: |m| put(m, "n2", b"35"),
    },
    Step {
        name: "time passes",
        act: |b| {
            b.pass();
            Ok(())
        },
        model: |m| m.retain(|key, _| key != "w" && key != "n2"),
    },
    Step {
        name: "increment what has ended",
        act: |b| b.increment("n2", 2, i64::MIN).map(|n| assert_eq!(n, 2)),
        model: |m| put(m, "n2", b"2"),
    },
    Step {
        name: "create what has ended",
        act: |b| b.create("w", &[3; 150], None).map(|created| assert!(created)),
        model: |m| put(m, "w", &[3; 150]),
    },
    Step { name: "grow 6", act: |b| b.set("g6", &[6; 90]), model: |m| put(m, "g6", &[6; 90]) },
    Step { name: "grow 7", act: |b| b.set("g7", &[7; 90]), model: |m| put(m, "g7", &[7; 90]) },
];
