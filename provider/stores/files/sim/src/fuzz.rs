//! Directories that this store did not write: damaged, or made by an attacker who can read the anchor.
//!
//! An input is a program of changes to a directory, which a store then works in. Whatever the input, no operation
//! panics or runs forever, and unless checksums were forged, no value is returned that was never written to its key.

use crate::director::{Call, Director, Verdict};
use crate::disk::Disk;
use crate::plain::{Plain, mix};
use kvfuse_core::{Bucket, Result, Store, Version};
use kvfuse_files::{Config, FileStore, forge, survey};
use std::cell::Cell;
use std::rc::Rc;

/// Calls that all operations after the changes may make together.
const MOST_CALLS: usize = 20_000;
/// Keys of the bucket, deleted ones included.
pub const KEYS: usize = 12;
const LONG: usize = 4200;
/// Whether inputs may make files of up to a tebibyte. Format 2 reads them to their end.
const HUGE_FILES: bool = false;
/// The operation that does.
const SPARSE: usize = 255;

/// Counts calls, and fails the test when there are too many.
struct Counted {
    calls: Cell<usize>,
    seed: Cell<u64>,
}

impl Director for Counted {
    fn judge(&self, _: Call, path: &str) -> Verdict {
        self.calls.set(self.calls.get() + 1);
        assert!(self.calls.get() < MOST_CALLS, "it does not come to an end, at {path}");
        Verdict::Go
    }

    fn random(&self) -> u64 {
        self.seed.set(self.seed.get() + 1);
        mix(self.seed.get())
    }
}

pub fn config() -> Config {
    Config { segment: 64, split: 500, index: 200, small: 60, blob: 150, ..Config::default() }
}

/// The name of a key, of which some are too long for a record.
pub fn key(n: usize) -> String {
    if n % 7 == 6 { format!("{n}{}", "k".repeat(LONG)) } else { format!("key {n}") }
}

/// Every value that is ever written to a key ends with the key's number.
fn value(n: usize, round: usize) -> Vec<u8> {
    let mut value = vec![b'a' + round as u8; 1 + (n * 37 + round * 53) % 220];
    value.extend_from_slice(format!(" {n}").as_bytes());
    value
}

fn is_value(n: usize, value: &[u8]) -> bool {
    let end = format!(" {n}");
    value.strip_suffix(end.as_bytes()).is_some_and(|rest| rest.iter().all(|byte| Some(byte) == rest.first()))
}

/// A store's directory, with compactions and splits behind it.
pub fn written() -> Disk {
    let disk = Disk::default();
    let store = FileStore::new(Ok(disk.root(Plain::new(7))), config());
    let bucket = store.open("bucket").expect("it opens");
    for round in 0..5 {
        for n in 0..KEYS {
            if (n + round) % 5 == 4 {
                bucket.delete(&key(n)).expect("it deletes");
            } else {
                bucket.set(&key(n), &value(n, round)).expect("it sets");
            }
        }
    }
    disk
}

/// Reads numbers and bytes off an input; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    fn number(&mut self) -> usize {
        self.byte() << 8 | self.byte()
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = (self.byte() % (most + 1)).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

const NAMES: [&str; 16] = [
    "anchor",
    "s.0",
    "s.1",
    "s.18446744073709551615",
    "s0.0",
    "sf.1",
    "s01.0",
    "sfffffffffffffff.0",
    "n",
    "n0",
    "nf",
    "nfffffffffffffff",
    "v/0.0000000000000000",
    "v0/x",
    "unknown",
    "s.00",
];

/// Runs an input.
pub fn directory(input: &[u8]) {
    let mut input = Input(input);
    let disk = if input.byte() % 4 == 0 { Disk::default() } else { written() };
    if disk.files().is_empty() {
        disk.put("b-bucket/anchor", &written_anchor());
    }
    let mut forged = false;
    for _ in 0..64 {
        if input.0.is_empty() {
            break;
        }
        let files = disk.files();
        let pick = |n: usize| files.get(n % files.len().max(1)).map_or("b-bucket/s.0", |(path, _)| path.as_str());
        let operation = match input.byte() {
            SPARSE if HUGE_FILES => SPARSE,
            operation => operation % 8,
        };
        match operation {
            SPARSE => {
                // The pattern is given, or the file's own content.
                let (path, size, pattern) = (pick(input.byte()), input.byte() % 41, input.bytes(64));
                let own = files.iter().find(|(other, _)| other == path).map_or(&[][..], |(_, bytes)| bytes);
                disk.sparse(path, 1 << size, if pattern.is_empty() { own } else { pattern });
                forged = true;
            }
            0 => {
                let (path, at, bytes) = (pick(input.byte()), input.number(), input.bytes(32));
                disk.change(path, |file| {
                    let at = at % file.len().max(1);
                    file.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
                });
            }
            1 => {
                let (path, at) = (pick(input.byte()), input.number());
                disk.change(path, |file| file.truncate(at % (file.len() + 1)));
            }
            2 => {
                let (path, at, bytes) = (pick(input.byte()), input.number(), input.bytes(64));
                disk.change(path, |file| {
                    let at = at % (file.len() + 1);
                    drop(file.splice(at..at, bytes.iter().copied()));
                });
            }
            3 => {
                // A copy of a part of one file in another.
                let (from, to, at, length) = (input.byte(), pick(input.byte()), input.number(), input.number());
                let from = files.get(from % files.len().max(1)).map_or(&[][..], |(_, bytes)| bytes);
                let part = from.iter().skip(at % (from.len() + 1)).take(length % 600).copied();
                disk.change(to, |file| file.extend(part));
            }
            4 => disk.remove(pick(input.byte())),
            5 => {
                let (name, bytes) = (NAMES[input.byte() % NAMES.len()], input.bytes(200));
                disk.put(&format!("b-bucket/{name}"), bytes);
            }
            6 => disk.put(&format!("b-bucket/{}/in", NAMES[input.byte() % NAMES.len()]), b"a directory"),
            _ => {
                forged = true;
                let name =
                    ["s.0", "s.1", "s0.0", "n", "n0", "nfffffffffffffff", "sfffffffffffffff.0"][input.byte() % 7];
                let (kind, digits) = name.split_at(1);
                let (node, number) = digits.split_once('.').unwrap_or((digits, "0"));
                let node = (node.len() as u8, u64::from_str_radix(node, 16).unwrap_or(0));
                let anchor = files.iter().find(|(path, _)| path == "b-bucket/anchor").map_or(&[][..], |(_, b)| b);
                let (head, blobs) = (input.bytes(255), input.bytes(64));
                let number = number.parse().unwrap_or(0);
                let frame = forge::frame(anchor, kind.as_bytes()[0], node, number, head, blobs);
                let path = format!("b-bucket/{name}");
                if !files.iter().any(|(other, _)| *other == path) {
                    disk.put(&path, b"");
                }
                disk.change(&path, |file| file.extend(frame));
            }
        }
    }
    work(&disk, forged);
}

fn written_anchor() -> Vec<u8> {
    let files = written().files();
    files.into_iter().find(|(path, _)| path.ends_with("anchor")).map_or(Vec::new(), |(_, bytes)| bytes)
}

/// Uses a store on a directory; errors are fine, wrong answers are not.
pub fn work(disk: &Disk, forged: bool) {
    let director = Rc::new(Counted { calls: Cell::new(0), seed: Cell::new(77) });
    let store = FileStore::new(Ok(disk.root(director.clone())), config());
    let bucket = store.open("bucket").expect("opening looks at nothing");
    for round in 5..7 {
        for n in 0..KEYS {
            let right = |found: &Result<Option<Vec<u8>>>| match found {
                Ok(Some(found)) => forged || is_value(n, found),
                _ => true,
            };
            let found = bucket.get(&key(n));
            assert!(right(&found), "{n}: {found:?} was never written");
            let _ = match n % 4 {
                0 => bucket.set(&key(n), &value(n, round)),
                1 => bucket.delete(&key(n)),
                2 => bucket
                    .snapshot(&key(n))
                    .and_then(|seen| bucket.swap(&key(n), &seen.version, &value(n, round)))
                    .map(drop),
                _ => bucket.swap(&key(n), &Version::Number(n as u64), &value(n, round)).map(drop),
            };
            let _ = bucket.increment("counter", 1, 0);
            let found = bucket.get(&key(n));
            assert!(right(&found), "{n}: {found:?} was never written");
        }
        list(&*bucket, forged);
    }
    // One that only looks gets to an end as well.
    let _ = survey(disk, director);
}

/// What the store's inspector says of the bucket.
pub fn survey(disk: &Disk, director: Rc<dyn Director>) -> Result<survey::Bucket> {
    survey::bucket(&Rc::new(disk.root(director)), "b-bucket")
}

fn list(bucket: &dyn Bucket, forged: bool) {
    let mut cursor = None;
    for _ in 0..1000 {
        let Ok(page) = bucket.list(cursor.as_deref()) else { return };
        for listed in &page.keys {
            let known = listed == "counter" || (0..KEYS).any(|n| *listed == key(n));
            assert!(forged || known, "{listed:.40} was never written");
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return;
        }
    }
    panic!("the listing does not come to an end");
}

/// An input made of another: some bytes changed, put in or taken out.
pub fn mutate(input: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut random = |n: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(state) % n.max(1) as u64) as usize
    };
    let mut out = input.to_vec();
    for _ in 0..1 + random(6) {
        let at = random(out.len() + 1);
        match random(4) {
            0 if at < out.len() => out[at] = random(256) as u8,
            1 => drop(out.splice(at..at, (0..1 + random(24)).map(|_| random(256) as u8).collect::<Vec<_>>())),
            2 if at < out.len() => drop(out.drain(at..(at + 1 + random(8)).min(out.len()))),
            _ if at < out.len() => out[at] ^= 1 << random(8),
            _ => out.push(random(256) as u8),
        }
    }
    out.truncate(4096);
    out
}
