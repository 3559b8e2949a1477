//! `kvfuse stat`.

use super::store::Place;
use super::{print, print_json};
use crate::cli::Stat;
use crate::refusal::{Refusal, Result, code};
use kvfuse_files::survey::{self, Bucket, Files};
use serde::Serialize;
use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

#[derive(Serialize)]
pub struct Report {
    directory: String,
    damaged: bool,
    buckets: Vec<Entry>,
    /// Values that are arriving as streams, or were left by an instance that crashed.
    arriving: Count,
    /// Entries of the directory that do not belong to the store.
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
    /// Value files that were read and found undamaged, and those without a check, whose values came as streams.
    /// Only with `--verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_files: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified_files: Option<Count>,
    /// Files that nothing refers to, no longer or not yet.
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
    let report = report(&options.directory, options.verify)?;
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
            "stop everything that uses the store; `kvfuse repair` copies what can be read to a new directory, and lists \
             what cannot\n\
             undamaged pairs can still be read: with the component that wrote them, or with the demo's list and get",
        )
        .with_code(code::DAMAGED)
        .err()
}

/// Inspects a directory of the store; with `verify`, also the contents of value files.
pub fn report(directory: &Path, verify: bool) -> Result<Report> {
    let place = Place::open(directory, "stat")?;
    let store = place.store()?;
    let entry = |directory: &String| {
        let look = if verify { survey::verify } else { survey::bucket };
        look(&place.root, directory)
            .map(|found| Entry::new(directory, found, verify))
            .map_err(|e| place.failed(Some(directory), &e))
    };
    let buckets = store.buckets.iter().map(entry).collect::<Result<Vec<_>>>()?;
    Ok(Report {
        directory: place.text(),
        damaged: buckets.iter().any(|bucket| !bucket.damage.is_empty()),
        buckets,
        arriving: store.arriving.into(),
        foreign: store.foreign,
    })
}

impl Entry {
    fn new(directory: &str, found: Bucket, verify: bool) -> Self {
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
            bucket: Place::bucket(directory),
            directory: directory.into(),
            sizes,
            segments,
            value_files: found.values.into(),
            verified_files: verify.then(|| found.verified.into()),
            unverified_files: verify.then(|| found.unchecked.into()),
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
        let files = [
            ("value files", Some(&bucket.value_files)),
            ("  verified", bucket.verified_files.as_ref()),
            ("  have no check", bucket.unverified_files.as_ref()),
            ("leftover files", Some(&bucket.leftover_files)),
        ];
        for (what, files) in files {
            if let Some(files) = files.filter(|files| files.files > 0) {
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
