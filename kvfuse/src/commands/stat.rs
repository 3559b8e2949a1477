//! `kvfuse stat`.

use super::{print, print_json};
use crate::cli::Stat;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use kvfuse_core::{Error, Kind};
use kvfuse_files::survey::{self, Bucket, Files, Name};
use kvfuse_transport::files::native::Native;
use serde::Serialize;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

#[derive(Serialize)]
struct Report {
    directory: String,
    damaged: bool,
    buckets: Vec<Entry>,
    /// Values that are arriving as streams, or were left by an instance that crashed.
    arriving: Count,
    /// Entries of the directory that are not the store's.
    foreign: Vec<String>,
}

#[derive(Serialize)]
struct Entry {
    /// `null` if the name of the directory has only a hash of it.
    bucket: Option<String>,
    directory: String,
    #[serde(flatten)]
    sizes: Sizes,
    segments: Vec<Segment>,
    value_files: Count,
    /// Files that nothing refers to any more, or not yet.
    leftover_files: Count,
    damage: Vec<String>,
}

#[derive(Serialize)]
struct Segment {
    file: String,
    #[serde(flatten)]
    sizes: Sizes,
    sealed: bool,
}

/// Of one segment, or of all of a bucket's.
#[derive(Serialize)]
struct Sizes {
    keys: u64,
    bytes: u64,
    live: u64,
    dead: u64,
    torn: u64,
    damaged: u64,
}

#[derive(Serialize)]
struct Count {
    files: u64,
    bytes: u64,
}

impl From<Files> for Count {
    fn from(files: Files) -> Self {
        Self { files: files.count, bytes: files.bytes }
    }
}

pub fn stat(options: &Stat) -> Result<ExitCode> {
    let report = report(&options.directory)?;
    if options.json { print_json(&report) } else { print(&text(&report)) }?;
    if !report.damaged {
        return Ok(ExitCode::SUCCESS);
    }
    let problems = report.buckets.iter().map(|bucket| bucket.damage.len()).sum::<usize>();
    Refusal::new(&report.directory, "this store is damaged")
        .note(match problems {
            1 => "one problem, listed under its bucket".into(),
            n => format!("{n} problems, listed under their buckets"),
        })
        .help(
            "stop everything that uses the store, copy the directory, and restore what is missing from a backup\n\
             undamaged pairs can still be read: with the component that wrote them, or with the demo's list and get",
        )
        .with_code(code::DAMAGED)
        .err()
}

fn report(path: &Path) -> Result<Report> {
    let place = path.display();
    let root = Rc::new(Native::open(path).map_err(|e| {
        let what = match e.kind() {
            ErrorKind::NotFound => "there is no such directory".into(),
            ErrorKind::NotADirectory => "this is not a directory".into(),
            _ => format!("the directory cannot be read: {}", reason(&e)),
        };
        Box::new(Refusal::file(path, what).help(
            "kvfuse stat takes the directory that was granted: data after `kvfuse run app.wasm`, or after \
             `wasmtime run --dir data::/`",
        ))
    })?);
    let failed = |directory: Option<&str>, e: Error| {
        let path = directory.map_or_else(|| path.to_path_buf(), |directory| path.join(directory));
        Box::new(match e.kind() {
            Kind::Unsupported => {
                Refusal::new(path.display(), "this version of kvfuse does not know the format of this store")
                    .note(e.message())
                    .help("use the version of kvfuse whose provider wrote it")
            }
            _ => Refusal::file(&path, "the store cannot be read").note(e.message()),
        })
    };
    let store = survey::store(&*root).map_err(|e| failed(None, e))?;
    if store.buckets.is_empty() {
        let refusal = Refusal::new(place, "there is no store in this directory");
        return match store.foreign.first() {
            _ if store.foreign.iter().any(|entry| entry == "anchor") => {
                refusal.note("this is one bucket of a store").help("name the directory above it")
            }
            None => refusal.note("it is empty").help("a bucket is created by its first write: run the component first"),
            Some(first) => refusal
                .note(format!(
                    "it contains no bucket, that is, no directory called b-…; it contains {first:?}, among other things"
                ))
                .help("name the directory that was granted, or the one in it that KEYVALUE_DIR names"),
        }
        .err();
    }
    let entry = |directory: &String| {
        survey::bucket(&root, directory)
            .map(|found| Entry::new(directory, found))
            .map_err(|e| failed(Some(directory), e))
    };
    let buckets = store.buckets.iter().map(entry).collect::<Result<Vec<_>>>()?;
    Ok(Report {
        directory: place.to_string(),
        damaged: buckets.iter().any(|bucket| !bucket.damage.is_empty()),
        buckets,
        arriving: store.arriving.into(),
        foreign: store.foreign,
    })
}

impl Entry {
    fn new(directory: &str, found: Bucket) -> Self {
        let segments: Vec<_> = found
            .segments
            .into_iter()
            .map(|part| Segment {
                sizes: Sizes {
                    keys: part.keys,
                    bytes: part.bytes,
                    live: part.live,
                    dead: part.dead(),
                    torn: part.torn,
                    damaged: part.damaged,
                },
                file: part.name,
                sealed: part.sealed,
            })
            .collect();
        let sum = |of: fn(&Sizes) -> u64| segments.iter().map(|segment| of(&segment.sizes)).sum();
        let sizes = Sizes {
            keys: sum(|s| s.keys),
            bytes: sum(|s| s.bytes),
            live: sum(|s| s.live),
            dead: sum(|s| s.dead),
            torn: sum(|s| s.torn),
            damaged: sum(|s| s.damaged),
        };
        Self {
            bucket: match survey::bucket_name(directory) {
                Some(Name::Plain(name)) => Some(name),
                Some(Name::Hashed) | None => None,
            },
            directory: directory.into(),
            sizes,
            segments,
            value_files: found.values.into(),
            leftover_files: found.leftover.into(),
            damage: found.damage,
        }
    }
}

impl Sizes {
    fn cells(&self) -> [&dyn Display; 6] {
        [&self.keys, &self.bytes, &self.live, &self.dead, &self.torn, &self.damaged]
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for bucket in &report.buckets {
        let name = bucket.bucket.as_ref().map_or_else(|| bucket.directory.clone(), |name| format!("{name:?}"));
        out.push_str(&format!("bucket {name}\n"));
        let mut row = |name: &str, cells: [&dyn Display; 6], end: &str| {
            let [keys, bytes, live, dead, torn, damaged] = cells;
            out.push_str(&format!(
                "  {name:<16} {keys:>9} {bytes:>11} {live:>11} {dead:>11} {torn:>9} {damaged:>9}{end}\n"
            ));
        };
        row("segment", [&"keys", &"bytes", &"live", &"dead", &"torn", &"damaged"], "");
        for segment in &bucket.segments {
            row(&segment.file, segment.sizes.cells(), if segment.sealed { "  sealed" } else { "" });
        }
        if bucket.segments.len() != 1 {
            row(&format!("{} in all", bucket.segments.len()), bucket.sizes.cells(), "");
        }
        for (what, files) in [("value files", &bucket.value_files), ("leftover files", &bucket.leftover_files)] {
            if files.files > 0 {
                out.push_str(&format!("  {what:<16} {:>9} {:>11}\n", files.files, files.bytes));
            }
        }
        for line in &bucket.damage {
            out.push_str(&format!("  damage: {line}\n"));
        }
        out.push('\n');
    }
    let count = |n: usize, one: &str| if n == 1 { format!("one {one}") } else { format!("{n} {one}s") };
    out.push_str(&format!("{}: {}", report.directory, count(report.buckets.len(), "bucket")));
    if report.arriving.files > 0 {
        out.push_str(&format!(
            "; values still arriving, or left by an instance that crashed: {} with {} bytes",
            report.arriving.files, report.arriving.bytes
        ));
    }
    if !report.foreign.is_empty() {
        out.push_str(&format!(
            "; not the store's: {}",
            count(report.foreign.len(), "entry").replace("entrys", "entries")
        ));
    }
    let torn: u64 = report.buckets.iter().map(|bucket| bucket.sizes.torn).sum();
    if torn > 0 {
        out.push_str(&format!("; {torn} bytes torn, as after a crash"));
    }
    out.push_str(if report.damaged { "; damaged\n" } else { "; no damage found\n" });
    out
}
