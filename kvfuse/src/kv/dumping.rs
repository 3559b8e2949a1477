//! `kvfuse dump`.

use super::dump::{Block, HEADER, Reader, State, Writer};
use super::feed::{self, Event, Feed};
use super::moving::{DATA, chosen, dry_run, of_file, total, verify};
use super::place::Place;
use super::sink::{Meter, Moved, Total};
use crate::cli::data::Dump;
use crate::commands::print;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub async fn dump(options: &Dump) -> Result<ExitCode> {
    let from = Arc::new(Place::parse("--store", &options.at.store, Path::new(DATA), &options.at.env)?);
    let buckets = chosen(&options.buckets, &from)?;
    if options.dry_run {
        return dry_dump(&from, buckets, &options.file).await;
    }
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
    let partial = partial(&options.file);
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

/// What a dump would have, and whether it could be begun.
async fn dry_dump(from: &Arc<Place>, buckets: Vec<String>, file: &Path) -> Result<ExitCode> {
    if file != Path::new("-") {
        let partial = partial(file);
        if partial.exists() {
            return interrupted(&partial).err();
        }
        let folder = partial.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Refusal::file(folder, "there is no such directory").err();
        }
    }
    let total = total(from, &buckets);
    let feed = feed::of_store(from.clone(), buckets, None);
    dry_run(feed, None, &named_out(file), total).await
}

/// The file in which a dump is made.
fn partial(file: &Path) -> PathBuf {
    let mut partial = file.to_path_buf().into_os_string();
    partial.push(".partial");
    partial.into()
}

fn interrupted(partial: &Path) -> Refusal {
    Refusal::new(partial.display(), "a dump is at work here, or one was interrupted")
        .with_code(code::FILES)
        .help("--resume goes on with it; to start again, remove this file")
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
                moved.add_expiring(&expiring);
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
        return interrupted(partial).err();
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
        Err(_) if file.metadata().map_err(failed)?.len() < HEADER.len() as u64 => None,
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

fn named_out(path: &Path) -> String {
    if path == Path::new("-") { "standard output".into() } else { path.display().to_string() }
}

fn unwritable(place: &str, e: &std::io::Error) -> Box<Refusal> {
    Box::new(Refusal::new(place, reason(e)).with_code(code::FILES))
}
