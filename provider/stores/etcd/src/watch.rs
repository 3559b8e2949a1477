//! Watching, by etcd's watch stream: every change since a revision, in order.
//!
//! A position is a revision of a cluster: everything up to it was delivered. etcd keeps the revisions since its last
//! compaction. If the position is older, or from another cluster, all keys are delivered, and that is reported.

use crate::client::{Answer, Call, MAX_ANSWER, Repeat};
use crate::error;
use crate::protocol::{self, Bytes, KeyValue, Number, Range};
use crate::store::EtcdBucket;
use kvfuse_core::waiting::at_once;
use kvfuse_core::watch::{Everything, From, MOST_BYTES, MOST_CHANGES};
use kvfuse_core::{Change, Changes, Error, Result, Watch};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::http::{HttpClient, Pieces};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

const COMPACTED: &str = "etcd has compacted the revisions after this position: deletions since then may be missing";
const OTHER: &str = "this position is from another etcd cluster, or the cluster was restored from a backup: it is not \
                     known which keys were deleted";

#[derive(Serialize)]
struct Create {
    create_request: Created,
}

#[derive(Serialize)]
struct Created {
    key: Bytes,
    range_end: Bytes,
    start_revision: Number,
    /// Also report revisions without a change here from time to time.
    progress_notify: bool,
    /// Split large messages.
    fragment: bool,
}

/// A line of the stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    result: Option<Watched>,
    error: Option<protocol::Refusal>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Watched {
    header: Header,
    created: bool,
    canceled: bool,
    compact_revision: Number,
    cancel_reason: String,
    fragment: bool,
    #[serde(deserialize_with = "protocol::bounded_events")]
    events: Vec<Event>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    /// `DELETE`; a put has none.
    r#type: String,
    kv: KeyValue,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Header {
    revision: Number,
    cluster_id: Cluster,
}

/// A cluster's number, as text: it uses all 64 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Cluster(String);

/// The answer to a range, as far as it has the cluster and its revision.
#[derive(Debug, Default, Deserialize)]
struct Anchored {
    header: Header,
}

pub struct EtcdWatch<H, C> {
    bucket: EtcdBucket<H, C>,
    prefix: String,
    cluster: Cluster,
    /// Everything up to this revision is delivered, or in `events`.
    complete: i64,
    /// Changes that were read and not delivered yet, with their revisions.
    events: VecDeque<(i64, Change)>,
    stream: Option<Box<dyn Pieces>>,
    /// The beginning of a line, and how much of it was searched for its end.
    line: Vec<u8>,
    searched: usize,
    everything: Option<Everything>,
    missed: Option<String>,
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> EtcdWatch<H, C> {
    pub fn new(bucket: EtcdBucket<H, C>, prefix: &str, from: From<'_>) -> Result<Self> {
        let header = anchor(&bucket)?;
        let mut watch = Self {
            bucket,
            prefix: prefix.to_string(),
            cluster: header.cluster_id,
            complete: header.revision.0,
            events: VecDeque::new(),
            stream: None,
            line: Vec::new(),
            searched: 0,
            everything: None,
            missed: None,
        };
        match from {
            From::Now => {}
            From::Beginning => watch.everything = Some(Everything::default()),
            From::Position(text) => {
                let (revision, cluster) = parse(text).ok_or_else(|| {
                    Error::invalid(
                        "this position is not from a watch of etcd; watch from now on, or from the beginning",
                    )
                })?;
                if cluster != watch.cluster || revision > watch.complete {
                    watch.begin_again(OTHER);
                } else {
                    watch.complete = revision;
                }
            }
        }
        Ok(watch)
    }

    /// Delivers all keys as of the current revision.
    fn begin_again(&mut self, why: &str) {
        self.missed = Some(why.to_string());
        self.everything = Some(Everything::default());
        self.events.clear();
    }

    /// Opens the stream after the last complete revision.
    fn connect(&mut self) -> Result<Box<dyn Pieces>> {
        let header = anchor(&self.bucket)?;
        if header.cluster_id != self.cluster || header.revision.0 < self.complete {
            (self.cluster, self.complete) = (header.cluster_id, header.revision.0);
            self.begin_again(OTHER);
        }
        (self.line, self.searched) = (Vec::new(), 0);
        let mut end = [self.bucket.base.as_bytes(), self.prefix.as_bytes()].concat();
        let key = Bytes(end.clone());
        // UTF-8 has no byte 255, so every byte has a next greater one.
        if let Some(last) = end.last_mut() {
            *last = last.saturating_add(1);
        }
        let create = Created {
            key,
            range_end: Bytes(end),
            start_revision: Number(self.complete.saturating_add(1)),
            progress_notify: true,
            fragment: true,
        };
        let body = protocol::encode(&Create { create_request: create });
        let client = &self.bucket.shared.client;
        let call = Call {
            path: protocol::WATCH,
            body: &body,
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        at_once(async { Ok(client.stream(&call).await?) })
    }

    /// The next line of the stream; `None` if there was none before the deadline.
    fn line(&mut self, deadline: Moment) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            let rest = self.line.get(self.searched..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let rest = self.line.split_off(self.searched.saturating_add(end).saturating_add(1));
                self.searched = 0;
                return Ok(Some(std::mem::replace(&mut self.line, rest)));
            }
            self.searched = self.line.len();
            let Some(stream) = &mut self.stream else { return Ok(None) };
            match stream.next()? {
                Some(piece) if piece.is_empty() => {
                    if !stream.wait(deadline) {
                        return Ok(None);
                    }
                }
                Some(piece) => {
                    if self.line.len().saturating_add(piece.len()) > MAX_ANSWER {
                        return Err(Fault::new(Cause::TooLarge, "a message of the watch is larger than the limit"));
                    }
                    self.line
                        .try_reserve(piece.len())
                        .map_err(|_| Fault::new(Cause::TooLarge, "a message of the watch does not fit into memory"))?;
                    self.line.extend_from_slice(&piece);
                }
                None => return Err(Fault::closed()),
            }
        }
    }

    /// Takes one message, if there is one before the deadline. False if there is none.
    fn listen(&mut self, deadline: Moment) -> Result<bool> {
        if self.stream.is_none() {
            let stream = self.connect()?;
            self.stream = Some(stream);
            if self.everything.is_some() {
                return Ok(true);
            }
        }
        let (member, authority) = self.bucket.shared.client.current();
        let authority = authority.to_string();
        let line = match self.line(deadline) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(false),
            Err(fault) => {
                self.stream = None;
                let client = &self.bucket.shared.client;
                client.after(member);
                return Err(error::unreachable(&client.config, &authority, &fault));
            }
        };
        let Some(message) = protocol::decode::<Message>(&line) else {
            self.stream = None;
            return Err(error::not_etcd(&authority));
        };
        let Some(watched) = message.result else {
            self.stream = None;
            let refusal = message.error.unwrap_or_default();
            return Err(error::unavailable(&authority, refusal.text()));
        };
        if watched.canceled {
            self.stream = None;
            return self.canceled(&watched, &authority);
        }
        self.take(watched);
        Ok(true)
    }

    fn canceled(&mut self, watched: &Watched, authority: &str) -> Result<bool> {
        if watched.compact_revision > Number(0) {
            let header = anchor(&self.bucket)?;
            (self.cluster, self.complete) = (header.cluster_id, header.revision.0);
            self.begin_again(COMPACTED);
            return Ok(true);
        }
        let refusal = protocol::Refusal { message: watched.cancel_reason.clone(), ..protocol::Refusal::default() };
        match error::meaning(403, &refusal) {
            error::Meaning::Refused(error) => Err(error),
            _ => Err(error::unavailable(authority, &format!("it ended the watch: {}", watched.cancel_reason))),
        }
    }

    fn take(&mut self, watched: Watched) {
        if watched.created {
            return;
        }
        let last = watched.events.last().map(|event| event.kv.mod_revision.0);
        for event in watched.events {
            let Some(key) = event.kv.key.0.strip_prefix(self.bucket.base.as_bytes()) else { continue };
            // Keys that are not UTF-8 belong to other users of the cluster.
            let Ok(key) = std::str::from_utf8(key) else { continue };
            let key = key.to_string();
            let change = match event.r#type.as_str() {
                "DELETE" => Change::Delete { key },
                _ => Change::Set { key, value: event.kv.value.0 },
            };
            self.events.push_back((event.kv.mod_revision.0, change));
        }
        // The last revision of a fragment may continue in the next one. A message without events reports progress.
        let complete = match (watched.fragment, last) {
            (true, last) => last.map_or(0, |last| last.saturating_sub(1)),
            (false, last) => last.unwrap_or(watched.header.revision.0),
        };
        self.complete = self.complete.max(complete);
    }

    fn position(&self, revision: i64) -> Option<String> {
        Some(format!("{revision}.{}", self.cluster.0))
    }

    /// The changes that were read, up to the bounds of an answer.
    fn deliver(&mut self) -> Changes {
        let (mut changes, mut size) = (Vec::new(), 0usize);
        while changes.len() < MOST_CHANGES && size < MOST_BYTES {
            let Some((_, change)) = self.events.pop_front() else { break };
            size = size.saturating_add(change.size());
            changes.push(change);
        }
        // The changes of a revision may be in two answers.
        let next = self.events.front().map(|(revision, _)| revision.saturating_sub(1));
        let position = self.position(next.map_or(self.complete, |next| next.min(self.complete)));
        Changes { changes, position, missed: self.missed.take() }
    }
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> Watch for EtcdWatch<H, C> {
    fn next(&mut self, patience: Duration) -> Result<Changes> {
        let deadline = self.bucket.shared.client.clock.now() + patience;
        loop {
            if let Some(everything) = &mut self.everything {
                match everything.next(&self.bucket, &self.prefix)? {
                    // A caller that continues from here gets the rest as well: the position comes only after all of it.
                    Some(changes) => {
                        let position = self.position(0);
                        return Ok(Changes { changes, position, missed: self.missed.take() });
                    }
                    None => self.everything = None,
                }
            }
            if !self.events.is_empty() {
                return Ok(self.deliver());
            }
            if !self.listen(deadline)? || self.missed.is_some() && self.everything.is_none() {
                return Ok(self.deliver());
            }
        }
    }
}

/// The cluster and its revision.
fn anchor<H: HttpClient + 'static, C: AsyncClock + 'static>(bucket: &EtcdBucket<H, C>) -> Result<Header> {
    let range =
        Range { key: Bytes(bucket.base.clone().into_bytes()), limit: Number(1), keys_only: true, ..Range::default() };
    let body = protocol::encode(&range);
    let client = &bucket.shared.client;
    let call = Call {
        path: protocol::RANGE,
        body: &body,
        repeat: Repeat::Freely,
        max_answer: MAX_ANSWER,
        deadline: client.deadline(),
    };
    at_once(async {
        match client.answer::<Anchored>(&call).await? {
            (Answer::Done(anchored), _) => Ok(anchored.header),
            (_, from) => Err(error::not_etcd(from)),
        }
    })
}

fn parse(text: &str) -> Option<(i64, Cluster)> {
    let (revision, cluster) = text.split_once('.')?;
    let number = revision.parse::<i64>().ok().filter(|number| *number >= 0 && number.to_string() == revision)?;
    cluster.bytes().all(|byte| byte.is_ascii_digit()).then(|| (number, Cluster(cluster.to_string())))
}
