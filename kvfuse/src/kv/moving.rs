//! `kvfuse copy` and `kvfuse load`, and what they have in common with `kvfuse dump`.

use super::dump::Reader;
use super::feed::{self, Event, Feed, Mark};
use super::following;
use super::place::Place;
use super::resume::Position;
use super::single::named;
use super::sink::{self, Findings, Meter, Moved, Total};
use crate::cli::data::{Buckets, Checks, Copy, Load};
use crate::commands::print;
use crate::commands::store::plural;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Where a store keeps its files unless something else is said.
pub(super) const DATA: &str = "data";

pub async fn copy(options: &Copy) -> Result<ExitCode> {
    let from = Arc::new(Place::parse("--from", &options.from, Path::new(DATA), &options.from_env)?);
    let to = Place::parse("--to", &options.to, Path::new(DATA), &options.to_env)?;
    let alike = from.store.name == to.store.name && from.env == to.env;
    if alike && (!from.keeps_files() || same(&from.data, &to.data)) {
        return Refusal::new("--to", "this is the store that is copied from").err();
    }
    let buckets = chosen(&options.buckets, &from)?;
    let feed = || feed::of_store(from.clone(), buckets.clone(), None);
    if options.checks.dry_run {
        return dry_run(feed(), Some(&to), &to.title, total(&from, &buckets)).await;
    }
    // What changes from here on is followed, so that nothing falls between.
    let followed = match options.follow {
        true => Some(following::begin(&from, &buckets).await?),
        false => None,
    };
    let mut meter = Meter::new("copying", total(&from, &buckets));
    let written = sink::write(feed(), &to, &mut meter, |_| Ok(())).await;
    drop(meter);
    let moved = written.map_err(|refusal| {
        Box::new(refusal.note("not everything was copied").help("run it again: what has been copied is set once more"))
    })?;
    print(&moved.lines(&format!("copied to {}", to.title)))?;
    told_lasting(&moved, &to)?;
    if let Some(followed) = followed {
        return following::follow(followed, &to).await;
    }
    match options.checks.verify {
        true => verify(feed(), &to, total(&from, &buckets)).await,
        false => Ok(ExitCode::SUCCESS),
    }
}

pub async fn load(options: &Load) -> Result<ExitCode> {
    let to = Place::parse("--store", &options.at.store, Path::new(DATA), &options.at.env)?;
    let Checks { verify: verified, dry_run: dry } = options.checks;
    let standard = options.file == Path::new("-");
    if standard && verified {
        return Refusal::new("--verify", "standard input cannot be read twice").help("load a file").err();
    }
    let position = match &options.progress {
        Some(path) => Some(Position::open(path, &to.title)?),
        None => None,
    };
    let begun = position.as_ref().and_then(Position::mark);
    let (feed, bytes) = of_file(&options.file)?;
    let feed = filtered(feed, &options.buckets.names, begun.clone(), named(&options.file));
    let total = || bytes.map_or(Total::Unknown, Total::Bytes);
    if dry {
        return dry_run(feed, Some(&to), &to.title, total()).await;
    }
    let mut meter = Meter::new("loading", total());
    let written = sink::write(feed, &to, &mut meter, |mark| position.as_ref().map_or(Ok(()), |to| to.keep(mark))).await;
    drop(meter);
    let moved = written.map_err(|refusal| {
        let help = match &options.progress {
            Some(_) => "run it again: it goes on where it was",
            None => "run it again: what has been loaded is set once more; with --progress FILE it goes on where it was",
        };
        Box::new(refusal.note("not everything was loaded").help(help))
    })?;
    let counted = moved.lines(&format!("loaded into {}", to.title));
    print(&counted)?;
    told_lasting(&moved, &to)?;
    if let Some(position) = position {
        position.remove()?;
    }
    if !verified {
        return Ok(ExitCode::SUCCESS);
    }
    let (feed, bytes) = of_file(&options.file)?;
    let feed = filtered(feed, &options.buckets.names, None, named(&options.file));
    verify(feed, &to, bytes.map_or(Total::Unknown, Total::Bytes)).await
}

/// Says of how many keys the lifetimes were lost.
fn told_lasting(moved: &Moved, to: &Place) -> Result<ExitCode> {
    match moved.expiring {
        lost if lost > 0 && !to.store.lifetimes => {
            print(&format!("{} had lifetimes and live on: {} keeps none\n", plural(lost, "key"), to.title))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What the target would not take, before anything is written. Without a store, it is a dump.
pub(super) async fn dry_run(feed: Feed, to: Option<&Place>, title: &str, total: Total) -> Result<ExitCode> {
    let mut meter = Meter::new("checking", total);
    let (moved, found) = sink::check(feed, to, &mut meter).await?;
    drop(meter);
    let mut said = moved.lines("read");
    if moved.expiring > 0 && to.is_none_or(|to| to.store.lifetimes) {
        said.push_str(&format!("with lifetimes, which are kept: {}\n", plural(moved.expiring, "key")));
    }
    said.push_str(&format!("{}{title} would not take: {}\n", found.text(), plural(found.count, "key")));
    print(&said)?;
    Ok(outcome(&found))
}

pub(super) async fn verify(feed: Feed, with: &Place, total: Total) -> Result<ExitCode> {
    let mut meter = Meter::new("verifying", total);
    let (moved, found) = sink::compare(feed, with, &mut meter).await?;
    drop(meter);
    let said = match found.count {
        0 => format!("verified: {} are the same in {}\n", plural(moved.keys, "key"), with.title),
        count => {
            format!("{}of {}, {count} are not the same in {}\n", found.text(), plural(moved.keys, "key"), with.title)
        }
    };
    print(&said)?;
    Ok(outcome(&found))
}

fn outcome(found: &Findings) -> ExitCode {
    if found.count == 0 { ExitCode::SUCCESS } else { ExitCode::from(code::DAMAGED) }
}

/// The events of some buckets, from a position on. What comes before is read and checked as well.
fn filtered(mut from: Feed, names: &[String], begun: Option<Mark>, name: String) -> Feed {
    let names = names.to_vec();
    if names.is_empty() && begun.is_none() {
        return from;
    }
    let (send, feed) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        let (mut wanted, mut waiting) = (false, begun);
        let mut missing = names.clone();
        let other = |name: &str| {
            let refusal = Refusal::new(name, "the file of --progress is about another dump");
            Box::new(refusal.help("remove it to load this dump from its beginning"))
        };
        while let Some(event) = from.recv().await {
            let event = match (event, &waiting) {
                (Ok(Event::Mark(mark)), Some(until)) if mark.blocks >= until.blocks => {
                    let same = mark.blocks == until.blocks && mark.check == until.check;
                    waiting = None;
                    if same { Ok(Event::Mark(mark)) } else { Err(other(&name)) }
                }
                (Ok(Event::Pairs(_) | Event::Expiring(_)), Some(_)) => continue,
                (event, _) => event,
            };
            match &event {
                Ok(Event::Bucket(bucket)) => {
                    wanted = names.is_empty() || names.contains(bucket);
                    missing.retain(|name| name != bucket);
                }
                // After an error nothing comes that counts.
                Err(_) => {
                    let _ = send.send(event).await;
                    return;
                }
                _ => {}
            }
            let passes = wanted || matches!(event, Ok(Event::Mark(_)));
            if passes && send.send(event).await.is_err() {
                return;
            }
        }
        let last = match missing.first() {
            _ if waiting.is_some() => other(&name),
            Some(bucket) => Box::new(Refusal::new(&name, format!("this dump has no bucket {bucket:?}"))),
            None => return,
        };
        let _ = send.send(Err(last)).await;
    });
    feed
}

/// A dump, and its size where that is known.
pub(super) fn of_file(path: &Path) -> Result<(Feed, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((feed::of_dump(Reader::new(BufReader::new(std::io::stdin()), named(path))?), None));
    }
    let failed = |e: std::io::Error| Box::new(Refusal::file(path, reason(&e)));
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let reader = Reader::new(BufReader::with_capacity(1 << 20, file), named(path))?;
    Ok((feed::of_dump(reader), Some(bytes)))
}

/// The buckets that were named, or all that there are.
pub(super) fn chosen(options: &Buckets, from: &Place) -> Result<Vec<String>> {
    let mut names = match options.names.as_slice() {
        [] => from.buckets()?,
        names => names.to_vec(),
    };
    if names.is_empty() {
        return Refusal::new(&from.title, "there is no bucket in this store")
            .help("a bucket is created by its first write; --bucket names one that is to be taken as empty")
            .err();
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// Keys are counted on the side, if somebody looks.
pub(super) fn total(from: &Arc<Place>, buckets: &[String]) -> Total {
    match std::io::stderr().is_terminal() {
        true => Total::Keys(feed::count(from.clone(), buckets.to_vec())),
        false => Total::Unknown,
    }
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
