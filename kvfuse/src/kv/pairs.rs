//! The pairs of a bucket, in batches that take a bounded amount of memory.

use super::feed::{Event, Expiring, now};
use super::session::{Failed, KeyResponse, Pair, Session, shown};
use crate::refusal::Result;
use std::collections::VecDeque;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// The most keys of a batch.
pub const KEYS: usize = 500;
/// The intended number of bytes of values in a batch. A batch with more makes the next one smaller.
pub const BYTES: usize = 4 << 20;

/// A listing with the values. The keys are listed ahead, by an instance of their own.
pub struct Pairs<'a> {
    session: &'a mut Session,
    prefix: &'a str,
    pages: Receiver<Result<KeyResponse>>,
    /// Of the page.
    keys: VecDeque<String>,
    /// After the page, while there is another one.
    cursor: Option<String>,
    /// Keys of the next batch.
    next: usize,
}

/// A part of a bucket.
pub enum Part {
    Pairs(Vec<Pair>),
    /// All pairs before this cursor have been given.
    Position(String),
}

impl<'a> Pairs<'a> {
    pub async fn new(session: &'a mut Session, prefix: &'a str, cursor: Option<String>) -> Result<Self> {
        let (send, pages) = channel(1);
        tokio::spawn(list(session.another().await?, cursor, send));
        Ok(Self { session, prefix, pages, keys: VecDeque::new(), cursor: None, next: KEYS / 8 })
    }

    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Part>> {
        loop {
            if !self.keys.is_empty() {
                let pairs = self.batch().await?;
                if pairs.is_empty() {
                    continue;
                }
                return Ok(Some(Part::Pairs(pairs)));
            }
            if let Some(position) = self.cursor.take() {
                return Ok(Some(Part::Position(position)));
            }
            let Some(page) = self.pages.recv().await else { return Ok(None) };
            let page = page?;
            self.cursor = page.cursor;
            self.keys.extend(page.keys.into_iter().filter(|key| key.starts_with(self.prefix)));
        }
    }

    /// The pairs of a batch, with those that expire separate.
    pub async fn sorted(&mut self, pairs: Vec<Pair>) -> Result<Vec<Event>> {
        let keys: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
        let asked = now();
        let left = self.session.left(&keys).await;
        let left = left.map_err(|e| self.session.failed("the lifetimes of its keys cannot be read", &e))?;
        let (mut lasting, mut expiring) = (Vec::new(), Vec::new());
        for (pair, left) in pairs.into_iter().zip(left) {
            match left {
                Some(left) => expiring.push(Expiring { pair, ends: asked.saturating_add(left) }),
                None => lasting.push(pair),
            }
        }
        let events = [
            (!lasting.is_empty()).then_some(Event::Pairs(lasting)),
            (!expiring.is_empty()).then_some(Event::Expiring(expiring)),
        ];
        Ok(events.into_iter().flatten().collect())
    }

    /// Some of the page's keys with their values. A key that was deleted meanwhile is left out.
    async fn batch(&mut self) -> Result<Vec<Pair>> {
        let keys: Vec<String> = self.keys.drain(..self.next.clamp(1, KEYS).min(self.keys.len())).collect();
        match self.session.get_many(&keys).await {
            Ok(found) => {
                let pairs: Vec<Pair> =
                    found.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect();
                let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
                let fitting = BYTES / (bytes / keys.len().max(1)).max(1);
                self.next = fitting.min(keys.len() * 2).clamp(1, KEYS);
                Ok(pairs)
            }
            // Values that are too many for one answer or for the provider's memory are read one by one, and the error
            // names a value that cannot be read.
            Err(e) => {
                if let Failed::Trap(_) = e {
                    self.session.renew().await?;
                }
                let [key] = keys.as_slice() else {
                    keys.into_iter().rev().for_each(|key| self.keys.push_front(key));
                    self.next = 1;
                    return Ok(Vec::new());
                };
                Err(self.session.failed(&format!("the value of the key {} cannot be read", shown(key)), &e))
            }
        }
    }
}

/// Lists all keys, until the receiver is gone.
async fn list(mut session: Session, mut cursor: Option<String>, send: Sender<Result<KeyResponse>>) {
    loop {
        let page = session.list(cursor.as_deref()).await;
        let page = page.map_err(|e| session.failed("its keys cannot be listed", &e));
        cursor = page.as_ref().ok().and_then(|page| page.cursor.clone());
        if send.send(page).await.is_err() || cursor.is_none() {
            return;
        }
    }
}
