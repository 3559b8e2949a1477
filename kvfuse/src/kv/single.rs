//! `kvfuse kv`.

use super::lines;
use super::out::{Out, Reader, printable};
use super::pairs::{BYTES, KEYS, Pairs, Part};
use super::place::Place;
use super::session::{Missing, Pair, Session, shown};
use super::watching;
use crate::cli::data::{Keys, Kv};
use crate::commands::progress::Progress;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

pub async fn kv(options: &Kv) -> Result<ExitCode> {
    let place = Place::parse("--store", &options.at.store, &options.data, &options.at.env)?;
    let done = Ok(ExitCode::SUCCESS);
    let session = async |missing| Session::open(&place, &options.bucket, missing).await;
    match &options.command {
        Keys::Get { key, output } => get(&mut session(Missing::Refuse).await?, key, output.as_deref()).await,
        Keys::Put { key, value, file, ttl } => {
            // Before the directory is created, or the store is called.
            let value = match value {
                Some(value) => value.clone().into_bytes(),
                None => read(file.as_deref().unwrap_or(Path::new("-")))?,
            };
            let mut session = session(Missing::Create).await?;
            let set = match ttl {
                Some(seconds) => session.set_expiring(key, &value, seconds * 1000).await,
                None => session.set(key, &value).await,
            };
            set.map_err(|e| session.failed(&format!("the key {} cannot be set", shown(key)), &e))?;
            done
        }
        Keys::Delete { keys } => {
            let mut session = session(Missing::Refuse).await?;
            let deleted = session.delete_many(keys).await;
            deleted.map_err(|e| session.failed("the keys cannot be deleted", &e))?;
            done
        }
        Keys::Exists { key } => {
            let mut session = session(Missing::Refuse).await?;
            match session.exists(key).await {
                Ok(true) => done,
                Ok(false) => Ok(ExitCode::from(code::NO_KEY)),
                Err(e) => Err(session.failed(&format!("the key {} cannot be looked up", shown(key)), &e)),
            }
        }
        Keys::List { prefix, limit, json, null } => {
            let end = if *null { '\0' } else { '\n' };
            list(&mut session(Missing::Refuse).await?, prefix, limit.unwrap_or(u64::MAX), *json, end).await
        }
        Keys::Incr { key, delta } => {
            let mut session = session(Missing::Create).await?;
            let sum = session.increment(key, *delta).await;
            let sum = sum.map_err(|e| session.failed(&format!("the counter {} cannot be changed", shown(key)), &e))?;
            crate::commands::print(&format!("{sum}\n"))
        }
        Keys::Watch { prefix, from, limit, json } => {
            let options = watching::Options { prefix, from, limit: limit.unwrap_or(u64::MAX), json: *json };
            watching::watch(session(Missing::Refuse).await?, &options).await
        }
        Keys::Buckets { json } => buckets(&place, *json),
        Keys::BulkPut { file } => {
            let input = open(file)?;
            bulk_put(&mut session(Missing::Create).await?, input, file).await
        }
        Keys::BulkGet { keys, prefix, file } => {
            let keys = match file {
                Some(file) => Some(open(file)?.lines().enumerate().map(key_of(file)).collect::<Result<Vec<_>>>()?),
                None => (!keys.is_empty()).then(|| keys.clone()),
            };
            let mut session = session(Missing::Refuse).await?;
            match keys {
                Some(keys) => bulk_get(&mut session, &keys).await,
                None => bulk_get_all(&mut session, prefix.as_deref().unwrap_or_default()).await,
            }
        }
    }
}

async fn get(session: &mut Session, key: &str, output: Option<&Path>) -> Result<ExitCode> {
    let found = session.get(key).await;
    let found = found.map_err(|e| session.failed(&format!("the key {} cannot be read", shown(key)), &e))?;
    let Some(value) = found else {
        eprintln!("there is no key {}", shown(key));
        return Ok(ExitCode::from(code::NO_KEY));
    };
    if let Some(path) = output {
        return match std::fs::write(path, value) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(e) => Refusal::file(path, reason(&e)).err(),
        };
    }
    let mut out = Out::new();
    let text =
        std::str::from_utf8(&value).ok().filter(|text| !text.chars().any(|c| c.is_control() && !"\t\r\n".contains(c)));
    if out.terminal && text.is_none() {
        return Refusal::new("standard output", format!("this value of {} bytes is not text", value.len()))
            .help("write it to a file with --output, or pipe it to another program")
            .err();
    }
    out.write(&value)?;
    if out.terminal && !value.ends_with(b"\n") {
        out.write(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn list(session: &mut Session, prefix: &str, limit: u64, json: bool, end: char) -> Result<ExitCode> {
    let mut out = Out::new();
    let mut progress = Progress::new();
    let (mut cursor, mut listed, mut seen) = (None, 0, 0);
    while listed < limit {
        let page =
            session.list(cursor.as_deref()).await.map_err(|e| session.failed("its keys cannot be listed", &e))?;
        seen += page.keys.len();
        for key in page.keys.iter().filter(|key| key.starts_with(prefix)) {
            let text = match json {
                true => serde_json::json!({ "key": key }).to_string(),
                false if out.terminal => printable(key),
                false => key.clone(),
            };
            if out.write(format!("{text}{end}").as_bytes())? == Reader::Left {
                return Ok(ExitCode::SUCCESS);
            }
            listed += 1;
            if listed == limit {
                break;
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
        if !out.terminal {
            progress.show(|| format!("{seen} keys read, {listed} listed"));
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn buckets(place: &Place, json: bool) -> Result<ExitCode> {
    let mut out = Out::new();
    for bucket in place.buckets()? {
        let text = match json {
            true => serde_json::json!({ "bucket": bucket }).to_string(),
            false if out.terminal => printable(&bucket),
            false => bucket,
        };
        out.write(format!("{text}\n").as_bytes())?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn bulk_put(session: &mut Session, input: impl BufRead, file: &Path) -> Result<ExitCode> {
    let mut progress = Progress::new();
    let (mut batch, mut bytes, mut total) = (Vec::<Pair>::new(), 0, 0u64);
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|e| unreadable(file, &e))?;
        if line.trim().is_empty() {
            continue;
        }
        let pair = match lines::pair(&line) {
            Ok(pair) => pair,
            Err(what) => {
                session.put_all(&batch).await?;
                return wrong_line(file, index, &what).note("the lines before it were set").err();
            }
        };
        bytes += pair.0.len() + pair.1.len();
        batch.push(pair);
        if batch.len() >= KEYS || bytes >= BYTES {
            session.put_all(&batch).await?;
            total += batch.len() as u64;
            batch.clear();
            bytes = 0;
            progress.show(|| format!("{total} keys set"));
        }
    }
    session.put_all(&batch).await?;
    Ok(ExitCode::SUCCESS)
}

async fn bulk_get(session: &mut Session, keys: &[String]) -> Result<ExitCode> {
    let mut out = Out::new();
    let mut missing = false;
    for keys in keys.chunks(KEYS / 8) {
        let found = session.get_all(keys).await?;
        for (key, value) in found {
            missing |= value.is_none();
            if out.write(lines::line(&key, value.as_deref()).as_bytes())? == Reader::Left {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    out.flush()?;
    Ok(if missing { ExitCode::from(code::NO_KEY) } else { ExitCode::SUCCESS })
}

async fn bulk_get_all(session: &mut Session, prefix: &str) -> Result<ExitCode> {
    let mut out = Out::new();
    let mut progress = Progress::new();
    let mut total = 0u64;
    let mut pairs = Pairs::new(session, prefix, None).await?;
    while let Some(part) = pairs.next().await? {
        let Part::Pairs(pairs) = part else { continue };
        for (key, value) in pairs {
            if out.write(lines::line(&key, Some(&value)).as_bytes())? == Reader::Left {
                return Ok(ExitCode::SUCCESS);
            }
            total += 1;
        }
        if !out.terminal {
            progress.show(|| format!("{total} keys"));
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The whole content of a file, or of standard input for `-`.
fn read(path: &Path) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    open(path)?.read_to_end(&mut value).map_err(|e| unreadable(path, &e))?;
    Ok(value)
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = std::fs::File::open(path).map_err(|e| unreadable(path, &e))?;
    Ok(Box::new(BufReader::new(file)))
}

fn key_of(file: &Path) -> impl Fn((usize, std::io::Result<String>)) -> Result<String> {
    |(index, line)| {
        let line = line.map_err(|e| unreadable(file, &e))?;
        lines::key(&line).map_err(|what| Box::new(wrong_line(file, index, &what)))
    }
}

fn wrong_line(file: &Path, index: usize, what: &str) -> Refusal {
    Refusal::new(format!("{}:{}", named(file), index + 1), "this line is not a pair")
        .note(what)
        .help("a line is {\"key\":\"…\",\"value\":\"…\"}, or has \"base64\" in place of \"value\"")
}

fn unreadable(path: &Path, e: &std::io::Error) -> Box<Refusal> {
    Box::new(Refusal::new(named(path), reason(e)).with_code(code::FILES))
}

pub fn named(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}
