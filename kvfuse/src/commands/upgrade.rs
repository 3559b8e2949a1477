//! `kvfuse upgrade`.

use super::progress::Progress;
use super::store::{Place, plural};
use super::{print, print_json};
use crate::cli::Upgrade;
use crate::refusal::Result;
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::ReadWrite;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Report {
    directory: String,
    buckets: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    /// `null` if the name of the directory has only a hash of it.
    bucket: Option<String>,
    directory: String,
    /// Segments that were in an older format, and their bytes.
    upgraded: u64,
    bytes: u64,
}

pub fn upgrade(options: &Upgrade) -> Result<ExitCode> {
    let place = Place::open(&options.directory, "upgrade")?;
    let buckets = place.buckets()?;
    let store =
        FileStore::new(Ok(ReadWrite::open(&options.directory).map_err(|e| place.unreadable(&e))?), Config::default());
    let mut progress = Progress::new();
    let mut report = Report { directory: place.text(), buckets: Vec::new() };
    for directory in buckets {
        let name = Place::bucket(&directory);
        let told = name.clone().unwrap_or_else(|| directory.clone());
        let done = store
            .upgrade(&directory, &mut |part| progress.show(|| format!("{told:?}: {:.0} %", part * 100.0)))
            .map_err(|e| place.failed(Some(&directory), &e))?;
        report.buckets.push(Entry { bucket: name, directory, upgraded: done.segments, bytes: done.bytes });
    }
    drop(progress);
    if options.json { print_json(&report) } else { print(&text(&report)) }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for entry in report.buckets.iter().filter(|entry| entry.upgraded > 0) {
        let name = entry.bucket.as_ref().map_or_else(|| entry.directory.clone(), |name| format!("{name:?}"));
        let segments = plural(entry.upgraded, "segment");
        out.push_str(&format!("bucket {name}: {segments} upgraded, {} bytes\n", entry.bytes));
    }
    if out.is_empty() {
        return format!("{}: nothing to upgrade\n", report.directory);
    }
    out + &format!("{}: upgraded\n", report.directory)
}
