//! `kvfuse kv watch`.

use super::extras::{Change, Failure, Start};
use super::lines;
use super::out::{Out, Reader, printable};
use super::session::Session;
use crate::refusal::Result;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use wasmtime::component::ResourceAny;

/// How long the provider waits for a change before it is asked again, in milliseconds.
const PATIENCE: u32 = 60_000;
/// Between two attempts after the store could not be reached: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Characters of a value on a line of text.
const SHOWN: usize = 200;

pub struct Options<'a> {
    pub prefix: &'a str,
    pub from: &'a str,
    pub limit: u64,
    pub json: bool,
}

/// Where `--from` says that it begins.
pub fn start(from: &str) -> Start {
    match from {
        "now" => Start::Now,
        "beginning" => Start::Beginning,
        position => Start::Position(position.into()),
    }
}

pub async fn watch(mut session: Session, options: &Options<'_>) -> Result<ExitCode> {
    let mut out = Out::new();
    let start = start(options.from);
    let watcher = open(&mut session, options.prefix, &start).await?;
    // Behind what was cut off there is none, so it may end where it began.
    let mut position = match start {
        Start::Position(text) => Some(text),
        Start::Now | Start::Beginning => None,
    };
    let ended = tokio::select! {
        ended = print(&mut session, watcher, options, &mut out, &mut position) => ended,
        () = stopped() => Ok(()),
    };
    out.flush()?;
    ended?;
    if let Some(position) = position.filter(|_| !options.json) {
        eprintln!("to go on from here: --from {position}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Begins to watch.
pub async fn open(session: &mut Session, prefix: &str, start: &Start) -> Result<ResourceAny> {
    match session.watch(prefix, start).await {
        Ok(Ok(watcher)) => Ok(watcher),
        Ok(Err(Failure::Refused(text) | Failure::Unavailable(text))) => {
            Err(session.failed("it cannot be watched", &super::session::Failed::Store(super::session::other(text))))
        }
        Err(e) => Err(session.failed("it cannot be watched", &super::session::Failed::Trap(e))),
    }
}

/// Ctrl-C, or a request to end.
pub async fn stopped() {
    let (send, mut told): (_, Receiver<()>) = channel(1);
    let interrupt = send.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = interrupt.send(()).await;
        }
    });
    #[cfg(unix)]
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut signal) = signal(SignalKind::terminate()) {
            signal.recv().await;
            let _ = send.send(()).await;
        }
    });
    told.recv().await;
}

/// The next changes, for as long as it takes. What happens to the server meanwhile is reported on standard error.
pub async fn next(session: &mut Session, watcher: ResourceAny, patience: u32) -> Result<super::extras::Changes> {
    let mut pause = AGAIN.0;
    loop {
        match session.changes(watcher, patience).await {
            Ok(Ok(changes)) => return Ok(changes),
            Ok(Err(Failure::Unavailable(text))) => {
                eprintln!("warning: {text}; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(AGAIN.1);
            }
            Ok(Err(Failure::Refused(text))) => {
                let failed = super::session::Failed::Store(super::session::other(text));
                return Err(session.failed("it cannot be watched any further", &failed));
            }
            Err(e) => {
                return Err(session.failed("it cannot be watched any further", &super::session::Failed::Trap(e)));
            }
        }
    }
}

async fn print(
    session: &mut Session,
    watcher: ResourceAny,
    options: &Options<'_>,
    out: &mut Out,
    position: &mut Option<String>,
) -> Result<()> {
    let mut left = options.limit;
    // The position that it begins at is known at once.
    let mut patience = 0;
    while left > 0 {
        let changes = next(session, watcher, patience).await?;
        patience = PATIENCE;
        let mut text = String::new();
        if let Some(missed) = changes.missed {
            match options.json {
                true => text.push_str(&format!("{}\n", serde_json::json!({ "missed": missed }))),
                false => eprintln!("warning: {missed}"),
            }
        }
        let whole = changes.changes.len() as u64 <= left;
        for change in changes.changes.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            text.push_str(&if options.json { json(change) } else { line(change, out.terminal) });
        }
        // Behind what was cut off there is no position.
        if whole && changes.position != *position {
            *position = changes.position;
            if let (true, Some(position)) = (options.json, &*position) {
                text.push_str(&format!("{}\n", serde_json::json!({ "position": position })));
            }
        }
        if out.write(text.as_bytes())? == Reader::Left || out.flush()? == Reader::Left {
            return Ok(());
        }
    }
    Ok(())
}

fn json(change: &Change) -> String {
    match change {
        Change::Set((key, value)) => {
            // As in the lines of pairs, with the key under the name of what happened.
            lines::line(key, Some(value)).replacen("\"key\":", "\"set\":", 1)
        }
        Change::Delete(key) => format!("{}\n", serde_json::json!({ "delete": key })),
    }
}

fn line(change: &Change, terminal: bool) -> String {
    let colour = |code: &str, text: &str| if terminal { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() };
    match change {
        Change::Set((key, value)) => {
            let text = std::str::from_utf8(value).ok().filter(|text| text.chars().nth(SHOWN).is_none());
            let value = text.map_or_else(|| format!("({} bytes)", value.len()), printable);
            format!("{}\t{}\t{value}\n", colour("32", "set"), printable(key))
        }
        Change::Delete(key) => format!("{}\t{}\n", colour("31", "delete"), printable(key)),
    }
}
