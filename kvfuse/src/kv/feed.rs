//! What is moved, as a stream: from a store or from a dump. It is read while what came before it is being written, and takes
//! a bounded amount of memory.

use super::dump::{Block, Reader};
use super::pairs::{Pairs, Part};
use super::place::Place;
use super::session::{Missing, Pair, Session};
use crate::refusal::Result;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Batches that are read ahead.
const AHEAD: usize = 2;

pub enum Event {
    /// What follows is in this bucket.
    Bucket(String),
    Pairs(Vec<Pair>),
    /// Pairs that end by themselves.
    Expiring(Vec<Expiring>),
    /// All before it has passed: a cursor of the listing.
    Position(String),
    /// All before it has passed: a block of the dump.
    Mark(Mark),
}

/// A pair that ends by itself.
pub struct Expiring {
    pub pair: Pair,
    /// When it ends, in milliseconds since 1970.
    pub ends: u64,
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A place in a dump.
#[derive(Clone)]
pub struct Mark {
    /// Blocks before it.
    pub blocks: u64,
    /// The check of the last one.
    pub check: [u8; 32],
    /// Where the next one begins.
    pub offset: u64,
}

pub type Feed = Receiver<Result<Event>>;

/// Some buckets of a store, the first one from a cursor.
pub fn of_store(place: Arc<Place>, buckets: Vec<String>, cursor: Option<String>) -> Feed {
    let (send, feed) = channel(AHEAD);
    tokio::spawn(async move {
        if let Err(refusal) = send_store(&place, buckets, cursor, &send).await {
            // Nobody is left to tell if this fails.
            let _ = send.send(Err(refusal)).await;
        }
    });
    feed
}

async fn send_store(
    place: &Place,
    buckets: Vec<String>,
    mut cursor: Option<String>,
    send: &Sender<Result<Event>>,
) -> Result<()> {
    for bucket in buckets {
        let mut session = Session::open(place, &bucket, Missing::Refuse).await?;
        if send.send(Ok(Event::Bucket(bucket))).await.is_err() {
            return Ok(());
        }
        let mut pairs = Pairs::new(&mut session, "", cursor.take()).await?;
        while let Some(part) = pairs.next().await? {
            let events = match part {
                Part::Pairs(all) if place.store.lifetimes => pairs.sorted(all).await?,
                Part::Pairs(pairs) => vec![Event::Pairs(pairs)],
                Part::Position(cursor) => vec![Event::Position(cursor)],
            };
            for event in events {
                if send.send(Ok(event)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// What a dump has.
pub fn of_dump<R: Read + Send + 'static>(mut reader: Reader<R>) -> Feed {
    let (send, feed) = channel(AHEAD);
    // It waits for a file or a pipe.
    tokio::task::spawn_blocking(move || {
        loop {
            let event = match reader.next() {
                Ok(Some(Block::Bucket(name))) => Ok(Event::Bucket(name)),
                Ok(Some(Block::Pairs(pairs))) => Ok(Event::Pairs(pairs)),
                Ok(Some(Block::Expiring(expiring))) => Ok(Event::Expiring(expiring)),
                Ok(Some(Block::Position(_))) => continue,
                Ok(None) => return,
                Err(refusal) => Err(refusal),
            };
            let marked = matches!(event, Ok(Event::Pairs(_) | Event::Expiring(_)));
            let last = event.is_err();
            if send.blocking_send(event).is_err() || last {
                return;
            }
            if marked && send.blocking_send(Ok(Event::Mark(reader.mark()))).is_err() {
                return;
            }
        }
    });
    feed
}

/// Counts the keys of some buckets on the side, for the time that is left. 0 until it has counted all.
pub fn count(place: Arc<Place>, buckets: Vec<String>) -> Arc<AtomicU64> {
    let counted = Arc::new(AtomicU64::new(0));
    let told = counted.clone();
    tokio::spawn(async move {
        if let Ok(total) = count_all(&place, &buckets).await {
            told.store(total, Ordering::Relaxed);
        }
    });
    counted
}

async fn count_all(place: &Place, buckets: &[String]) -> Result<u64> {
    let mut total = 0;
    for bucket in buckets {
        let mut session = Session::open(place, bucket, Missing::Refuse).await?;
        let mut cursor: Option<String> = None;
        loop {
            let page = session.list(cursor.as_deref()).await;
            let page = page.map_err(|e| session.failed("its keys cannot be counted", &e))?;
            total += page.keys.len() as u64;
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(total)
}
