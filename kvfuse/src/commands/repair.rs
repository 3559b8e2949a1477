//! `kvfuse repair`.

use super::progress::Progress;
use super::store::{Place, plural};
use super::{print, print_json};
use crate::cli::Repair;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use kvfuse_core::Kind;
use kvfuse_files::repair::{self, Repaired};
use kvfuse_files::{Config, FileStore};
use kvfuse_transport::files::native::ReadWrite;
use serde::Serialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How many keys of each kind are listed without `--json`.
const LISTED: usize = 20;
/// Characters of a key that are shown.
const SHOWN: usize = 80;

#[derive(Serialize)]
struct Report {
    directory: String,
    to: String,
    /// Whether everything was copied, and nothing is uncertain.
    whole: bool,
    buckets: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    /// `null` if the name of the directory has only a hash of it.
    bucket: Option<String>,
    directory: String,
    /// Keys that were copied, and bytes of their values.
    keys: u64,
    bytes: u64,
    /// Keys that were copied, and may have been changed or deleted by a record that is damaged.
    uncertain: Vec<String>,
    lost: Vec<Lost>,
    /// The number of keys that exist but whose names cannot be read.
    nameless: u64,
    /// Parts of the key space, from 0 to 1, that cannot be read.
    unreadable: Vec<(f64, f64)>,
    damage: Vec<String>,
}

/// A key whose value cannot be read.
#[derive(Serialize)]
struct Lost {
    key: String,
    cause: String,
}

pub fn repair(options: &Repair) -> Result<ExitCode> {
    let (from, to) = (&options.directory, &options.to);
    let place = Place::open(from, "repair")?;
    let buckets = place.buckets()?;
    let partial = prepare(from, to)?;
    let fail = |e: &std::io::Error| Box::new(Refusal::file(&partial, reason(e)));
    let store = FileStore::new(Ok(ReadWrite::open(&partial).map_err(|e| fail(&e))?), Config::default());
    let mut progress = Progress::new();
    let mut entries = Vec::new();
    for directory in &buckets {
        let name = Place::bucket(directory);
        let told = name.clone().unwrap_or_else(|| directory.clone());
        let repaired = repair::bucket(&place.root, directory, &store, &mut |keys| {
            progress.show(|| format!("{told:?}: {}", plural(keys, "key")));
        })
        .map_err(|e| {
            // Nothing that looks like a store is left.
            let _ = std::fs::remove_dir_all(&partial);
            match e.kind() {
                Kind::Unsupported => place.failed(Some(directory), &e),
                _ => Box::new(Refusal::file(to, "the store cannot be copied").note(e.message())),
            }
        })?;
        entries.push(Entry::new(directory, name, repaired));
    }
    drop(progress);
    finish(&partial, to).map_err(|e| Box::new(Refusal::file(to, reason(&e))))?;
    let whole = entries.iter().all(|entry| entry.whole());
    let report = Report { directory: place.text(), to: to.display().to_string(), whole, buckets: entries };
    if options.json { print_json(&report) } else { print(&text(&report)) }?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(code::DAMAGED) })
}

/// Checks the target of the copy, and creates the directory in which the copy is made: beside the target, so that an
/// incomplete copy is never taken for a complete one.
fn prepare(from: &Path, to: &Path) -> Result<PathBuf> {
    let used = "this directory is not empty";
    let new = |refusal: Refusal| refusal.help("name a new directory: the copy is never made in place").err();
    match std::fs::read_dir(to) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return new(Refusal::new(to.display(), used));
            }
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return new(Refusal::new(to.display(), "this is not a directory"));
        }
        Err(e) => return Refusal::file(to, reason(&e)).err(),
    }
    let above = match to.parent() {
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
        None => return new(Refusal::new(to.display(), used)),
    };
    let full = |path: &Path| path.canonicalize().map_err(|e| Box::new(Refusal::file(path, reason(&e))));
    let (source, target) = (full(from)?, if to.exists() { full(to)? } else { full(above)? });
    if target.starts_with(&source) {
        return new(Refusal::new(to.display(), "this directory is inside the one that is to be repaired"));
    }
    let Some(name) = to.file_name() else {
        return new(Refusal::new(to.display(), "this is not the name of a directory"));
    };
    let mut name = name.to_os_string();
    name.push(".partial");
    let partial = to.with_file_name(name);
    match std::fs::create_dir(&partial) {
        Ok(()) => Ok(partial),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            Refusal::new(partial.display(), "another repair is running here, or one was interrupted")
                .help("if none is running, remove this directory")
                .err()
        }
        Err(e) => Refusal::file(&partial, reason(&e)).err(),
    }
}

fn finish(partial: &Path, to: &Path) -> std::io::Result<()> {
    // The directory of values that were being written; it is empty.
    let _ = std::fs::remove_dir(partial.join("bodies"));
    if to.exists() {
        std::fs::remove_dir(to)?;
    }
    std::fs::rename(partial, to)
}

impl Entry {
    fn new(directory: &str, bucket: Option<String>, found: Repaired) -> Self {
        Self {
            bucket,
            directory: directory.into(),
            keys: found.keys,
            bytes: found.bytes,
            uncertain: found.uncertain,
            lost: found.lost.into_iter().map(|(key, cause)| Lost { key, cause }).collect(),
            nameless: found.nameless,
            unreadable: found.parts,
            damage: found.damage,
        }
    }

    fn whole(&self) -> bool {
        self.uncertain.is_empty()
            && self.lost.is_empty()
            && self.nameless == 0
            && self.unreadable.is_empty()
            && self.damage.is_empty()
    }
}

/// A key for people.
fn shown(key: &str) -> String {
    match key.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}… ({} bytes)", key.get(..end).unwrap_or_default(), key.len()),
        None => format!("{key:?}"),
    }
}

fn text(report: &Report) -> String {
    let mut out = String::new();
    for entry in &report.buckets {
        let name = entry.bucket.as_ref().map_or_else(|| entry.directory.clone(), |name| format!("{name:?}"));
        out.push_str(&format!("bucket {name}: {} copied, {} bytes\n", plural(entry.keys, "key"), entry.bytes));
        for line in &entry.damage {
            out.push_str(&format!("  damage: {line}\n"));
        }
        for (from, to) in &entry.unreadable {
            out.push_str(&format!(
                "  unreadable: {:.2} % of the key space, from {:.2} % on\n",
                (to - from) * 100.0,
                from * 100.0
            ));
        }
        if entry.nameless > 0 {
            out.push_str(&format!("  lost: {} whose names cannot be read\n", plural(entry.nameless, "key")));
        }
        let lost = entry.lost.iter().map(|lost| format!("  lost: {}: {}\n", shown(&lost.key), lost.cause));
        list(&mut out, lost, entry.lost.len(), "lost");
        let uncertain = entry.uncertain.iter().map(|key| format!("  uncertain: {}\n", shown(key)));
        list(&mut out, uncertain, entry.uncertain.len(), "uncertain");
    }
    let (keys, uncertain) = report
        .buckets
        .iter()
        .fold((0, 0), |(keys, uncertain), entry| (keys + entry.keys, uncertain + entry.uncertain.len() as u64));
    out.push_str(&format!("\n{}: {} copied to {}", report.directory, plural(keys, "key"), report.to));
    if uncertain > 0 {
        out.push_str(&format!(
            "; of {uncertain} of them, the value may be out of date, because a record that may have changed it is damaged"
        ));
    }
    out.push_str(if report.whole { "; everything could be read\n" } else { "; not everything could be read\n" });
    out
}

fn list(out: &mut String, lines: impl Iterator<Item = String>, count: usize, what: &str) {
    lines.take(LISTED).for_each(|line| out.push_str(&line));
    if count > LISTED {
        out.push_str(&format!("  {what}: {} more; --json lists them\n", count - LISTED));
    }
}
