//! Golden directories: what each format version wrote, kept in the repository for good. `golden/README.md` has what is
//! in them and how one is made.

use crate::disk::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a bucket has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub values: BTreeMap<String, Vec<u8>>,
    /// Decimal text that was made by increments.
    pub counters: BTreeMap<String, i64>,
    /// Keys that were deleted.
    pub absent: BTreeSet<String>,
}

impl Expected {
    /// All keys with their values, those of counters included.
    pub fn pairs(&self) -> BTreeMap<String, Vec<u8>> {
        let counters = self.counters.iter().map(|(key, number)| (key.clone(), number.to_string().into_bytes()));
        self.values.clone().into_iter().chain(counters).collect()
    }
}

/// By the names of the buckets.
pub type Buckets = BTreeMap<String, Expected>;

/// The folder of all golden directories.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden")
}

/// The golden directories, one for each format version, in order of their names.
///
/// # Panics
/// If there is no such folder.
pub fn all() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).expect("the folder of golden directories can be listed");
    let mut out: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    out.sort();
    out
}

/// A golden directory's store, and what it has to hold.
///
/// # Panics
/// If it cannot be read.
pub fn load(path: &Path) -> (Disk, Buckets) {
    let disk = Disk::default();
    put(&disk, &store(path), "");
    let text = std::fs::read_to_string(path.join("expected.txt")).expect("expected.txt can be read");
    (disk, parse(&text))
}

/// The directory of a golden directory's store.
pub fn store(path: &Path) -> PathBuf {
    path.join("store")
}

fn put(disk: &Disk, folder: &Path, prefix: &str) {
    for entry in std::fs::read_dir(folder).expect("the directory can be listed") {
        let entry = entry.expect("the directory can be listed");
        let name = entry.file_name().into_string().expect("a name of this store is Unicode");
        let path = entry.path();
        if path.is_dir() {
            put(disk, &path, &format!("{prefix}{name}/"));
        } else {
            disk.put(&format!("{prefix}{name}"), &std::fs::read(&path).expect("the file can be read"));
        }
    }
}

/// Reads the text of [`format`].
///
/// # Panics
/// If it is anything else.
pub fn parse(text: &str) -> Buckets {
    let mut buckets = Buckets::new();
    let mut bucket = None;
    let string = |text: &str| String::from_utf8(decode(text)).expect("names and keys are Unicode");
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<_> = line.split('\t').collect();
        if let ["bucket", name] = fields[..] {
            bucket = Some(buckets.entry(string(name)).or_default());
            continue;
        }
        let bucket = bucket.as_deref_mut().expect("a bucket comes first");
        match fields[..] {
            ["value", key, value] => {
                bucket.values.insert(string(key), decode(value));
            }
            ["counter", key, number] => {
                bucket.counters.insert(string(key), number.parse().expect("a counter is a number"));
            }
            ["absent", key] => {
                bucket.absent.insert(string(key));
            }
            _ => panic!("{line:?}"),
        }
    }
    buckets
}

/// What `expected.txt` says of buckets.
pub fn format(buckets: &Buckets) -> String {
    let mut out = String::from(
        "# What the store beside this file holds. Fields are separated by tabs; names, keys and values are percent-encoded.\n\
         # 3*ab+c stands for abababc.\n",
    );
    for (name, bucket) in buckets {
        let _ = writeln!(out, "bucket\t{}", encode(name.as_bytes()));
        for (key, value) in &bucket.values {
            let _ = writeln!(out, "value\t{}\t{}", encode(key.as_bytes()), encode(value));
        }
        for (key, number) in &bucket.counters {
            let _ = writeln!(out, "counter\t{}\t{number}", encode(key.as_bytes()));
        }
        for key in &bucket.absent {
            let _ = writeln!(out, "absent\t{}", encode(key.as_bytes()));
        }
    }
    out
}

fn encode(bytes: &[u8]) -> String {
    // Repetitions are written once.
    let repeats = |unit: &usize| bytes.len() >= 8 * unit && bytes.get(*unit..) == bytes.get(..bytes.len() - unit);
    match (1..64).find(repeats).filter(|_| bytes.len() >= 100) {
        Some(unit) => {
            let (unit, rest) = (&bytes[..unit], &bytes[bytes.len() - bytes.len() % unit..]);
            format!("{}*{}+{}", bytes.len() / unit.len(), percent(unit), percent(rest))
        }
        None => percent(bytes),
    }
}

fn percent(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn decode(text: &str) -> Vec<u8> {
    let Some((count, rest)) = text.split_once('*') else { return unpercent(text) };
    let (unit, rest) = rest.split_once('+').expect("a rest follows what repeats itself");
    let mut out = unpercent(unit).repeat(count.parse().expect("a number of times"));
    out.extend(unpercent(rest));
    out
}

fn unpercent(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let number = digit().zip(digit()).map(|(high, low)| high << 4 | low);
                number.expect("two hexadecimal digits follow %") as u8
            }
            byte => byte,
        });
    }
    out
}
