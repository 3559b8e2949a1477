//! `kvfuse copy --follow`: what changed since the copy began, and what changes from there on.

use super::extras::{Change, Changes, Start};
use super::place::Place;
use super::session::{Missing, Pair, Session};
use super::watching;
use crate::commands::print;
use crate::commands::progress::Progress;
use crate::commands::store::plural;
use crate::refusal::Result;
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use wasmtime::component::ResourceAny;

/// How long the provider waits for a change before it is asked again, in milliseconds.
const PATIENCE: u32 = 10_000;
/// Between two attempts after the target could not be reached: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// A bucket of the source, watched from before it is copied.
pub struct Followed {
    bucket: String,
    session: Session,
    watcher: ResourceAny,
}

pub async fn begin(from: &Place, buckets: &[String]) -> Result<Vec<Followed>> {
    let mut followed = Vec::new();
    for bucket in buckets {
        let mut session = Session::open(from, bucket, Missing::Refuse).await?;
        let watcher = watching::open(&mut session, "", &Start::Now).await?;
        followed.push(Followed { bucket: bucket.clone(), session, watcher });
    }
    Ok(followed)
}

pub async fn follow(all: Vec<Followed>, to: &Place) -> Result<ExitCode> {
    let (mut work, mut counted) = (JoinSet::new(), Vec::new());
    for followed in all {
        let target = Session::open(to, &followed.bucket, Missing::Create).await?;
        let count = Arc::new(AtomicU64::new(0));
        counted.push((followed.bucket.clone(), count.clone()));
        work.spawn(one(followed, target, count));
    }
    eprintln!("following what changes, until Ctrl-C");
    let mut progress = Progress::new();
    let total = || counted.iter().map(|(_, count)| count.load(Ordering::Relaxed)).sum::<u64>();
    let stopped = watching::stopped();
    tokio::pin!(stopped);
    let ended = loop {
        tokio::select! {
            () = &mut stopped => break Ok(()),
            ended = work.join_next() => match ended {
                Some(Ok(Err(refusal))) => break Err(refusal),
                Some(_) => {}
                None => break Ok(()),
            },
            () = tokio::time::sleep(Duration::from_millis(250)) => {
                progress.show(|| format!("following: {}", plural(total(), "change")));
            }
        }
    };
    drop(progress);
    let line = |(bucket, count): &(String, Arc<AtomicU64>)| {
        format!("bucket {bucket:?}: {} followed\n", plural(count.load(Ordering::Relaxed), "change"))
    };
    print(&counted.iter().map(line).collect::<String>())?;
    ended.map(|()| ExitCode::SUCCESS)
}

async fn one(mut from: Followed, mut target: Session, count: Arc<AtomicU64>) -> Result<()> {
    loop {
        let Changes { changes, missed, .. } = watching::next(&mut from.session, from.watcher, PATIENCE).await?;
        if let Some(missed) = missed {
            eprintln!("warning: bucket {:?}: {missed}", from.bucket);
        }
        let number = changes.len() as u64;
        apply(&mut target, changes).await?;
        count.fetch_add(number, Ordering::Relaxed);
    }
}

/// Of several changes of a key, the last one counts. They can be made twice, so they are until it works.
async fn apply(target: &mut Session, changes: Vec<Change>) -> Result<()> {
    let mut last: HashMap<String, Option<Vec<u8>>> = HashMap::new();
    for change in changes {
        match change {
            Change::Set((key, value)) => last.insert(key, Some(value)),
            Change::Delete(key) => last.insert(key, None),
        };
    }
    let (mut pairs, mut gone) = (Vec::<Pair>::new(), Vec::new());
    for (key, value) in last {
        match value {
            Some(value) => pairs.push((key, value)),
            None => gone.push(key),
        }
    }
    let mut pause = AGAIN.0;
    loop {
        match set(target, &pairs, &gone).await {
            Ok(()) => return Ok(()),
            Err(refusal) if pause < AGAIN.1 => {
                eprintln!("{refusal}  = help: trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(AGAIN.1);
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

async fn set(target: &mut Session, pairs: &[Pair], gone: &[String]) -> Result<()> {
    if !pairs.is_empty() {
        target.put_all(pairs).await?;
    }
    if !gone.is_empty() {
        let deleted = target.delete_many(gone).await;
        deleted.map_err(|e| target.failed("the keys cannot be deleted", &e))?;
    }
    Ok(())
}
