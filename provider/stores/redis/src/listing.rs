//! Listings, by `SCAN` and `HSCAN`. [`Runs`](crate::runs) ensures that no key is returned twice.
//!
//! A position in a scan is only meaningful to the server process that issued it: another process hashes keys
//! differently. So a cursor also says which process it belongs to, and after a restart the scan starts over. The keys
//! that were returned are remembered, so the listing continues.
#![deny(clippy::arithmetic_side_effects)]

mod spread;

use crate::client::Route;
use crate::cluster::own_slots;
use crate::error::{self, Failure};
use crate::node::MAIN;
use crate::protocol::{Reply, Request};
use crate::runs::{Marks, Run, Runs, fingerprint};
use crate::slots::SlotSet;
use crate::store::RedisBucket;
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Error, Page, Result};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::sockets::Network;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// What the first `SCAN` of a page asks for. From its reply the next ones know how long keys are.
const FIRST_COUNT: usize = 64;
/// A page that lacks no more than this is full. A step returns as many keys as were asked for and the rest of a chain
/// of Redis' table, so each one asks for this much less than would fit.
const SMALL_REST: usize = 32;
/// Keys of one step by which a page may exceed [`PAGE_KEYS`]. If there are more, the next page repeats the step, which
/// only the instance that remembers what it returned can do without returning keys twice.
const EXCESS: usize = 64;

/// An HSCAN whose reply leaves the values out, for servers without NOVALUES.
const HSCAN_KEYS: &[u8] = b"\
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2]) \
local keys = {} \
for i = 1, #page[2], 2 do keys[#keys + 1] = page[2][i] end \
return {page[1], keys}";

/// Where a listing stands: `{scan}.{run}.{server}.{check}`, the numbers after the first in hexadecimal. In a cluster, the check
/// follows `{done}.{now}`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position {
    scan: u64,
    run: u64,
    /// The server process that `scan` is a position of; 0 if it is not known.
    server: u64,
    covered: Option<Box<Covered>>,
}

/// Which slots of a cluster a listing has covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Covered {
    done: SlotSet,
    /// Those that the scan at hand will have covered at its end: their keys have been at its node since its beginning.
    now: SlotSet,
}

impl Position {
    fn encode(&self, base: &[u8]) -> String {
        let covered =
            self.covered.as_ref().map(|covered| format!("{}.{}.", covered.done.encode(), covered.now.encode()));
        let covered = covered.unwrap_or_default();
        format!("{}.{:x}.{:x}.{covered}{:x}", self.scan, self.run, self.server, self.check(&covered, base))
    }

    fn decode(text: &str, base: &[u8]) -> Option<Self> {
        let (numbers, _check) = text.rsplit_once('.')?;
        let mut parts = numbers.split('.');
        let scan = parts.next()?.parse().ok()?;
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (run, server) = (number()?, number()?);
        let covered = match (parts.next(), parts.next()) {
            (Some(done), Some(now)) => {
                Some(Box::new(Covered { done: SlotSet::decode(done)?, now: SlotSet::decode(now)? }))
            }
            _ => None,
        };
        let position = Self { scan, run, server, covered };
        (position.encode(base) == text).then_some(position)
    }

    /// A hash of the position and the bucket's place, so that a cursor that was made up or belongs to another bucket is
    /// recognized.
    fn check(&self, covered: &str, base: &[u8]) -> u32 {
        let mut hasher = SipHasher13::new();
        for number in [self.scan, self.run, self.server] {
            hasher.write(&number.to_le_bytes());
        }
        hasher.write(covered.as_bytes());
        hasher.write(base);
        hasher.finish() as u32
    }
}

/// A page that is being filled.
#[derive(Default)]
struct Draft {
    keys: Vec<String>,
    bytes: usize,
    marks: Marks,
}

/// Why a page is finished.
enum End {
    /// It has the last keys of the bucket.
    Bucket,
    /// It is full, or took long.
    Page,
}

impl Draft {
    /// Adds the keys of one step of the scan that were not returned before. Returns whether all of them fit; otherwise
    /// the next page has to repeat the step.
    fn add(&mut self, keys: impl Iterator<Item = String>, runs: &Runs, run: &mut Run) -> bool {
        let mut fits = true;
        for key in keys {
            let is_full = self.keys.len() >= PAGE_KEYS.saturating_add(EXCESS) || self.bytes >= PAGE_BYTES;
            if is_full && self.marks.can_remember(runs, run) {
                fits = fits && self.marks.has_returned(run, key.as_bytes());
            } else if self.marks.insert(runs, run, key.as_bytes()) {
                self.bytes = self.bytes.saturating_add(key.len());
                self.keys.push(key);
            }
        }
        fits
    }

    /// How many more keys fit, if they are as long as those so far.
    fn room(&self) -> usize {
        let average = self.bytes.checked_div(self.keys.len()).unwrap_or(1).max(1);
        let keys = PAGE_KEYS.saturating_sub(self.keys.len().saturating_add(SMALL_REST));
        keys.min(PAGE_BYTES.saturating_sub(self.bytes).checked_div(average).unwrap_or(0))
    }
}

impl<N: Network + 'static, C: AsyncClock + 'static> RedisBucket<N, C> {
    /// A cursor belongs to the bucket and the prefix.
    pub(crate) async fn page(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        let base = &[self.space.base(), prefix.as_bytes()].concat();
        let (mut position, mut run) = match cursor {
            None => {
                let run = self.runs.begin();
                let covered = self.space.is_spread().then(Box::default);
                (Position { scan: 0, run: run.id, server: 0, covered }, run)
            }
            Some(text) => {
                let position = Position::decode(text, base);
                let position = position.filter(|position| position.covered.is_some() == self.space.is_spread());
                let position = position.ok_or_else(foreign_cursor)?;
                let run = self.runs.resume(position.run);
                (position, run)
            }
        };
        let mut draft = Draft::default();
        let end = match position.covered.take() {
            None => self.fill(&mut draft, prefix, &mut position, &mut run).await,
            Some(mut covered) => {
                let end = self.fill_spread(&mut draft, prefix, &mut position, &mut covered, &mut run).await;
                position.covered = Some(covered);
                end
            }
        };
        if end.is_ok() {
            draft.marks.commit(&mut run);
        }
        if !matches!(end, Ok(End::Bucket)) {
            self.runs.keep(run);
        }
        let cursor = match end? {
            End::Bucket => None,
            End::Page => Some(position.encode(base)),
        };
        Ok(Page { keys: draft.keys, cursor })
    }

    /// Scans from a position until the page is full or the bucket ends, and moves the position along.
    async fn fill(&self, draft: &mut Draft, prefix: &str, position: &mut Position, run: &mut Run) -> Result<End> {
        let begun = self.client.clock.now();
        // After half of the time limit.
        let is_late = || self.client.clock.now().since(begun).saturating_mul(2) > self.client.config.time_limit;
        let mut count = FIRST_COUNT;
        loop {
            let scanned = self.scan(self.space.route(""), position.scan, prefix, count).await?;
            let has_moved = position.scan != 0 && scanned.server != position.server;
            position.server = scanned.server;
            if has_moved {
                if !run.is_complete {
                    return Err(restarted());
                }
                position.scan = 0;
                if is_late() {
                    return Ok(End::Page);
                }
                continue;
            }
            let keys = scanned.names.into_iter().filter_map(|name| self.space.key_of(name));
            if !draft.add(keys.filter(|key| key.starts_with(prefix)), &self.runs, run) {
                return Ok(End::Page);
            }
            position.scan = scanned.next;
            if position.scan == 0 {
                return Ok(End::Bucket);
            }
            count = draft.room();
            if count < SMALL_REST || is_late() {
                return Ok(End::Page);
            }
        }
    }

    /// One step of a scan. The first one on a connection also asks which process answers. In a bucket that is spread over a
    /// cluster, each one also asks which slots are at the node, and the first one of a node asks that before as well.
    async fn scan(&self, route: Route, from: u64, prefix: &str, count: usize) -> Result<Scanned> {
        let deadline = self.client.deadline();
        let slots: &[&[u8]] = &[b"CLUSTER", b"NODES"];
        let (asks_before, asks_after) = (self.space.is_spread() && from == 0, self.space.is_spread());
        loop {
            let scan = self.scan_request(from, prefix, count);
            let answer = self.client.attempt(
                route,
                |_| MAIN,
                deadline,
                async |link| {
                    let asks_server = link.server.is_none();
                    let mut request = Request::default();
                    if asks_server {
                        request.command(&[b"INFO", b"server"]);
                    }
                    if asks_before {
                        request.command(slots);
                    }
                    request.append(&scan);
                    if asks_after {
                        request.command(slots);
                    }
                    let mut replies = link.ask(&request, deadline).await?.into_iter();
                    if asks_server {
                        link.server =
                            Some(replies.next().and_then(Reply::into_bytes).and_then(|info| process_id(&info)));
                    }
                    let server = link.server.flatten().unwrap_or(0);
                    let before = if asks_before { Some(own(replies.next())?.1) } else { None };
                    let reply = match replies.next() {
                        Some(Reply::Error(line)) if self.learns_from(&line) => return Ok(None),
                        Some(Reply::Error(line)) => return Err(error::refusal(&line)),
                        Some(reply) => reply,
                        None => return Err(Failure::Refused(error::unexpected("SCAN"))),
                    };
                    let mut scanned = self.scanned(reply, server).map_err(Failure::Refused)?;
                    if asks_after {
                        let (id, own) = own(replies.next())?;
                        // Where it is not known which process it is, at least nodes differ.
                        scanned.server ^= id;
                        scanned.own = own;
                    }
                    if let Some(before) = before {
                        scanned.own.keep(&before);
                    }
                    Ok(Some(scanned))
                },
            );
            if let Some(scanned) = answer.await? {
                return Ok(scanned);
            }
        }
    }

    fn scan_request(&self, from: u64, prefix: &str, count: usize) -> Request {
        // Every key comes with its value in that case, however large.
        let count = if self.gives_values() { count.min(FIRST_COUNT) } else { count };
        let (from, count) = (from.to_string(), count.to_string());
        let (from, count) = (from.as_bytes(), count.as_bytes());
        let base = self.space.base();
        let client = &self.client;
        if self.is_hash() {
            return match (client.no_novalues.get(), client.no_scripts.get()) {
                (false, _) => Request::of(&[b"HSCAN", base, from, b"COUNT", count, b"NOVALUES"]),
                (true, false) => Request::of(&[b"EVAL", HSCAN_KEYS, b"1", base, from, count]),
                (true, true) => Request::of(&[b"HSCAN", base, from, b"COUNT", count]),
            };
        }
        let pattern = self.space.pattern(prefix);
        let mut arguments: Vec<&[u8]> = vec![b"SCAN", from, b"COUNT", count];
        if let Some(pattern) = &pattern {
            arguments.extend([&b"MATCH"[..], pattern]);
        }
        if !client.no_scan_type.get() {
            arguments.extend([&b"TYPE"[..], b"string"]);
        }
        Request::of(&arguments)
    }

    /// Whether a scan of this bucket can only return the keys with their values.
    fn gives_values(&self) -> bool {
        self.is_hash() && self.client.no_novalues.get() && self.client.no_scripts.get()
    }

    /// Whether an error means that the server or the user lacks a feature that the next attempt can do without. If so,
    /// it is remembered.
    fn learns_from(&self, line: &str) -> bool {
        let client = &self.client;
        let lacks = if !self.is_hash() {
            &client.no_scan_type
        } else if !client.no_novalues.get() {
            &client.no_novalues
        } else {
            &client.no_scripts
        };
        let says_so = line.starts_with("ERR syntax error") || error::denies_command(line);
        says_so && !lacks.replace(true)
    }

    fn scanned(&self, reply: Reply, server: u64) -> Result<Scanned> {
        let shape = || error::unexpected("SCAN");
        let Reply::Array(parts) = reply else { return Err(shape()) };
        let mut parts = parts.into_iter();
        let next = parts.next().and_then(Reply::into_bytes).ok_or_else(shape)?;
        let next = std::str::from_utf8(&next).ok().and_then(|text| text.parse().ok()).ok_or_else(shape)?;
        let Some(Reply::Array(names)) = parts.next() else { return Err(shape()) };
        let names = names.into_iter().map(|name| name.into_bytes().ok_or_else(shape));
        let with_values = self.gives_values();
        let names: Vec<Vec<u8>> =
            if with_values { names.step_by(2).collect::<Result<_>>()? } else { names.collect::<Result<_>>()? };
        Ok(Scanned { next, names, server, own: SlotSet::default() })
    }
}

struct Scanned {
    next: u64,
    names: Vec<Vec<u8>>,
    server: u64,
    /// The slots all of whose keys are at the node, if it was asked.
    own: SlotSet,
}

/// The number of a node, and the slots all of whose keys it has.
fn own(reply: Option<Reply>) -> Result<(u64, SlotSet), Failure> {
    let own = match reply {
        Some(Reply::Error(line)) => {
            return Err(match error::refusal(&line) {
                Failure::Refused(error) => Failure::Refused(error.within("listing a cluster needs CLUSTER NODES")),
                other => other,
            });
        }
        Some(Reply::Bulk(nodes)) => own_slots(&nodes).map(|(id, own)| (fingerprint(id.as_bytes()) as u64, own)),
        _ => None,
    };
    own.ok_or_else(|| Failure::Refused(error::unexpected("CLUSTER NODES")))
}

/// The `run_id` in the reply to `INFO` as a number. It is different for each process.
fn process_id(info: &[u8]) -> Option<u64> {
    let line = info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"run_id:"))?;
    Some((fingerprint(line.trim_ascii_end()) as u64).max(1))
}

fn restarted() -> Error {
    Error::invalid(
        "Redis was restarted after another instance returned this cursor, so keys might be returned twice; start the \
         listing again without a cursor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_no_other_does() {
        let position = Position { scan: u64::MAX, run: 7, server: 9, covered: None };
        let sets = Covered { done: SlotSet::decode("0-1fff").unwrap(), now: SlotSet::default() };
        let in_cluster = Position { covered: Some(Box::new(sets)), ..position.clone() };
        let spread = in_cluster.encode(b"users:");
        assert_eq!(Position::decode(&spread, b"users:"), Some(in_cluster));
        assert_eq!(Position::decode(&spread.replace("0-1fff", "0-2fff"), b"users:"), None, "changed");
        let text = position.encode(b"users:");
        assert_eq!(Position::decode(&text, b"users:"), Some(position));
        assert_eq!(Position::decode(&text, b"others:"), None, "of another bucket");
        for text in ["", "0", "17", "0.0.0.0", "1.7.9", "a.b.c.d", &format!("{text}.1"), &format!("0{text}")] {
            assert_eq!(Position::decode(text, b"users:"), None, "{text}");
        }
    }

    #[test]
    fn the_process_is_known_by_its_run_id() {
        let info = b"# Server\r\nredis_version:7.0.15\r\nrun_id:0123abc\r\ntcp_port:1\r\n";
        let other = b"# Server\r\nredis_version:7.0.15\r\nrun_id:0123abd\r\ntcp_port:1\r\n";
        assert!(process_id(info).is_some() && process_id(info) != process_id(other));
        assert_eq!(process_id(b"# Server\r\n"), None);
    }
}
