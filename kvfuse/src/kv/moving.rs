//! `kvfuse copy`, `kvfuse dump` and `kvfuse load`.

use super::dump::{Block, Reader, State, Writer};
use super::feed::{self, Event, Feed, Mark};
use super::following;
use super::place::Place;
use super::resume::Position;
use super::single::named;
use super::sink::{self, Findings, Meter, Moved, Total};
use crate::cli::data::{Buckets, Checks, Copy, Dump, Load};
use crate::commands::print;
use crate::commands::store::plural;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Where a store keeps its files unless something else is said.
const DATA: &str = "data";

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
        return dry_run(feed(), &to, total(&from, &buckets)).await;
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
        return dry_run(feed, &to, total()).await;
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

pub async fn dump(options: &Dump) -> Result<ExitCode> {
    let from = Arc::new(Place::parse("--store", &options.at.store, Path::new(DATA), &options.at.env)?);
    let buckets = chosen(&options.buckets, &from)?;
    if options.file == Path::new("-") {
        if std::io::stdout().is_terminal() {
            return Refusal::new("standard output", "a dump is not for a terminal").help("name a file").err();
        }
        if options.resume || options.verify {
            return Refusal::new("standard output", "--resume and --verify take a file").err();
        }
        let out = BufWriter::new(std::io::stdout());
        let place = named_out(&options.file);
        let writer = Writer::new(out).map_err(|e| unwritable(&place, &e))?;
        let feed = feed::of_store(from.clone(), buckets.clone(), None);
        let moved = fill(feed, writer, &place, total(&from, &buckets), None).await?.0;
        eprint!("{}", moved.lines("dumped"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut partial = options.file.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let (file, begun) = begin(&partial, options.resume)?;
    let writer = BufWriter::with_capacity(1 << 20, file);
    let place = partial.display().to_string();
    let failed = |e: std::io::Error| unwritable(&place, &e);
    let (writer, rest, cursor, inside) = match begun {
        None => (Writer::new(writer).map_err(failed)?, buckets.clone(), None, None),
        Some(begun) => {
            // What was begun comes first, from where it was.
            let mut rest: Vec<_> = buckets.iter().filter(|name| !begun.buckets.contains(*name)).cloned().collect();
            if let Some(last) = &begun.last {
                rest.insert(0, last.clone());
            }
            (Writer::resume(writer, begun.state), rest, begun.cursor, begun.last)
        }
    };
    let feed = feed::of_store(from.clone(), rest, cursor);
    let filled = fill(feed, writer, &place, total(&from, &buckets), inside).await;
    let (moved, writer) = filled
        .map_err(|refusal| Box::new(refusal.note("the dump is not whole").help("run it again, with --resume")))?;
    let file = writer.into_inner().map_err(|e| unwritable(&place, e.error()))?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&partial, &options.file).map_err(failed)?;
    print(&moved.lines(&format!("dumped to {}", options.file.display())))?;
    if !options.verify {
        return Ok(ExitCode::SUCCESS);
    }
    let (feed, bytes) = of_file(&options.file)?;
    verify(feed, &from, bytes.map_or(Total::Unknown, Total::Bytes)).await
}

/// Writes everything to a dump. `inside` is the bucket that it is in already.
async fn fill<W: Write>(
    mut feed: Feed,
    mut writer: Writer<W>,
    place: &str,
    total: Total,
    inside: Option<String>,
) -> Result<(Moved, W)> {
    let failed = |e: std::io::Error| unwritable(place, &e);
    let mut meter = Meter::new("dumping", total);
    let mut moved = Moved::default();
    while let Some(event) = feed.recv().await {
        match event? {
            Event::Bucket(name) => {
                if inside.as_ref() != Some(&name) {
                    writer.bucket(&name).map_err(failed)?;
                }
                moved.bucket(&name);
            }
            Event::Pairs(pairs) => {
                writer.pairs(&pairs).map_err(failed)?;
                moved.add(&pairs);
            }
            Event::Expiring(expiring) => {
                writer.expiring(&expiring).map_err(failed)?;
                moved.add(expiring.iter().map(|one| &one.pair));
            }
            Event::Position(cursor) => writer.position(&cursor).map_err(failed)?,
            Event::Mark(_) => {}
        }
        meter.show(&moved, 0);
    }
    Ok((moved, writer.end().map_err(failed)?))
}

/// What a dump that was interrupted has.
struct Begun {
    state: State,
    buckets: HashSet<String>,
    last: Option<String>,
    cursor: Option<String>,
}

/// Opens the file in which a dump is made. What was written behind its last position is cut off.
fn begin(partial: &Path, resume: bool) -> Result<(File, Option<Begun>)> {
    let failed = |e: std::io::Error| Box::new(Refusal::file(partial, reason(&e)));
    let exists = partial.exists();
    if exists && !resume {
        return Refusal::new(partial.display(), "a dump is at work here, or one was interrupted")
            .with_code(code::FILES)
            .help("--resume goes on with it; to start again, remove this file")
            .err();
    }
    let open = File::options().read(true).write(true).create(true).truncate(false).open(partial);
    let mut file = open.map_err(failed)?;
    if file.try_lock().is_err() {
        return Refusal::new(partial.display(), "another dump is at work here").with_code(code::FILES).err();
    }
    if !exists {
        return Ok((file, None));
    }
    let begun = match Reader::new(BufReader::new(&file), partial.display().to_string()) {
        Ok(reader) => begun(reader),
        // It was interrupted before it had its header.
        Err(_) if file.metadata().map_err(failed)?.len() < super::dump::HEADER.len() as u64 => None,
        Err(refusal) => return Err(refusal),
    };
    let end = begun.as_ref().map_or(0, |begun| begun.state.offset());
    file.set_len(end).map_err(failed)?;
    file.seek(SeekFrom::Start(end)).map_err(failed)?;
    Ok((file, begun))
}

/// Up to the last block after which a dump can go on; `None` if there is none.
fn begun<R: Read>(mut reader: Reader<R>) -> Option<Begun> {
    let mut found: Option<Begun> = None;
    // Where it is damaged or cut off, it is written again.
    while let Ok(Some(block)) = reader.next() {
        match (block, &mut found) {
            (Block::Bucket(name), _) => {
                let mut buckets = found.take().map(|found| found.buckets).unwrap_or_default();
                buckets.insert(name.clone());
                found = Some(Begun { state: reader.state.clone(), buckets, last: Some(name), cursor: None });
            }
            (Block::Position(cursor), Some(found)) => {
                found.state = reader.state.clone();
                found.cursor = Some(cursor);
            }
            _ => {}
        }
    }
    found
}

/// Says of how many keys the lifetimes were lost.
fn told_lasting(moved: &Moved, to: &Place) -> Result<ExitCode> {
    match moved.lasting {
        0 => Ok(ExitCode::SUCCESS),
        lost => print(&format!("{} had lifetimes and live on: {} keeps none\n", plural(lost, "key"), to.title)),
    }
}

/// What passes a limit of the target, before anything is written.
async fn dry_run(feed: Feed, to: &Place, total: Total) -> Result<ExitCode> {
    let mut meter = Meter::new("checking", total);
    let (moved, found) = sink::check(feed, to, &mut meter).await?;
    drop(meter);
    let said =
        format!("{}{}{} would not take: {}\n", moved.lines("read"), found.text(), to.title, plural(found.count, "key"));
    print(&said)?;
    Ok(outcome(&found))
}

async fn verify(feed: Feed, with: &Place, total: Total) -> Result<ExitCode> {
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
fn of_file(path: &Path) -> Result<(Feed, Option<u64>)> {
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
fn chosen(options: &Buckets, from: &Place) -> Result<Vec<String>> {
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
fn total(from: &Arc<Place>, buckets: &[String]) -> Total {
    match std::io::stderr().is_terminal() {
        true => Total::Keys(feed::count(from.clone(), buckets.to_vec())),
        false => Total::Unknown,
    }
}

fn same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn named_out(path: &Path) -> String {
    if path == Path::new("-") { "standard output".into() } else { path.display().to_string() }
}

fn unwritable(place: &str, e: &std::io::Error) -> Box<Refusal> {
    Box::new(Refusal::new(place, reason(e)).with_code(code::FILES))
}
