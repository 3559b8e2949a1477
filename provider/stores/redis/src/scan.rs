//! Listings, by `SCAN` and `HSCAN`.
//!
//! Redis promises that a scan gives every key that was there all the time, and may give one twice (when its table shrinks
//! meanwhile). So the keys given in a listing are remembered, as fingerprints, by the instance that gave them.
//!
//! A scan's position means something to one server process only: another one hashes keys differently. So a cursor also
//! says which process it is of, and after a restart the scan begins anew; what was given is remembered, so the listing
//! goes on.

use crate::engine::MAIN;
use crate::error::{self, Failure};
use crate::protocol::{Reply, Request};
use crate::store::RedisBucket;
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::{Error, Page, Result};
use kvfuse_transport::clock::Clock;
use kvfuse_transport::sockets::Network;
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the first `SCAN` of a page asks for; from its answer the next ones know how long keys are.
const FIRST_COUNT: usize = 64;
/// A page that lacks no more than this is full. A step gives what was asked for and the rest of a chain of Redis'
/// table, so each asks for this much less than would fit.
const SMALL_REST: usize = 32;
/// Keys of one step by which a page may still exceed [`PAGE_KEYS`]: beyond, the step is repeated in the next page, which
/// only the instance that remembers what it gave can do without giving keys twice.
const EXCESS: usize = 64;
/// Listings under way that an instance remembers.
const RUNS: usize = 8;
/// Keys it remembers of each: 64 MiB of fingerprints. A larger bucket can see a later key twice.
const REMEMBERED: usize = 4 << 20;

/// An HSCAN whose answer has no values in it, for servers that have no NOVALUES.
const HSCAN_KEYS: &[u8] = b"\
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2]) \
local keys = {} \
for i = 1, #page[2], 2 do keys[#keys + 1] = page[2][i] end \
return {page[1], keys}";

/// The listings under way.
pub struct Runs {
    next: Cell<u64>,
    known: RefCell<VecDeque<Run>>,
}

struct Run {
    id: u64,
    given: HashSet<u128>,
}

impl Runs {
    /// The seed keeps the runs of different instances apart.
    pub fn new(seed: u64) -> Self {
        Self { next: Cell::new(fingerprint(&seed.to_le_bytes()) as u64), known: RefCell::default() }
    }

    fn begin(&self) -> Run {
        self.next.set(self.next.get().wrapping_add(1));
        Run { id: self.next.get(), given: HashSet::new() }
    }

    fn take(&self, id: u64) -> Option<Run> {
        let mut known = self.known.borrow_mut();
        let at = known.iter().position(|run| run.id == id)?;
        known.remove(at)
    }

    fn keep(&self, run: Run) {
        let mut known = self.known.borrow_mut();
        if known.len() >= RUNS {
            known.pop_front();
        }
        known.push_back(run);
    }
}

impl Run {
    fn can_remember(&self) -> bool {
        self.given.len() < REMEMBERED
    }

    fn has_given(&self, key: &[u8]) -> bool {
        self.given.contains(&fingerprint(key))
    }

    /// Whether a key has not been given yet; from now on it has.
    fn is_new(&mut self, key: &[u8]) -> bool {
        if self.can_remember() { self.given.insert(fingerprint(key)) } else { !self.has_given(key) }
    }
}

/// 128 bits: of 4 million keys, two share one with a probability of 1 in 10^25.
fn fingerprint(bytes: &[u8]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, bytes).hash(&mut hasher);
        hasher.finish()
    };
    (u128::from(half(1)) << 64) | u128::from(half(2))
}

/// Where a listing stands: `{scan}.{run}.{server}.{check}`, the numbers after the first in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    scan: u64,
    run: u64,
    /// The server process that `scan` is a position of; 0 if it does not tell.
    server: u64,
}

impl Position {
    fn encode(self, base: &[u8]) -> String {
        format!("{}.{:x}.{:x}.{:x}", self.scan, self.run, self.server, self.check(base))
    }

    fn decode(text: &str, base: &[u8]) -> Option<Self> {
        let mut parts = text.split('.');
        let scan = parts.next()?.parse().ok()?;
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let (run, server, check) = (number()?, number()?, number()?);
        let position = Self { scan, run, server };
        (parts.next().is_none() && u64::from(position.check(base)) == check && position.encode(base) == text)
            .then_some(position)
    }

    /// FNV-1a over the position and the bucket's place: a cursor typed in, or of another bucket, does not fit.
    fn check(self, base: &[u8]) -> u32 {
        let numbers = [self.scan, self.run, self.server].into_iter().flat_map(u64::to_le_bytes);
        numbers
            .chain(base.iter().copied())
            .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

impl<N: Network, C: Clock> RedisBucket<N, C> {
    pub fn page(&self, cursor: Option<&str>) -> Result<Page> {
        let base = self.space.base();
        let (mut position, mut run, known) = match cursor {
            None => {
                let run = self.runs.begin();
                (Position { scan: 0, run: run.id, server: 0 }, run, true)
            }
            Some(text) => {
                let position = Position::decode(text, base).ok_or_else(foreign)?;
                let run = self.runs.take(position.run);
                let known = run.is_some();
                (position, run.unwrap_or_else(|| Run { id: position.run, given: HashSet::new() }), known)
            }
        };
        let begun = self.engine.clock.now();
        let mut page = Page::default();
        let mut bytes = 0;
        let mut count = FIRST_COUNT;
        loop {
            let scanned = self.scan(position.scan, count).and_then(|scanned| {
                let moved = position.scan != 0 && scanned.server != position.server;
                if moved && !known { Err(restarted()) } else { Ok((scanned, moved)) }
            });
            let (scanned, moved) = match scanned {
                Ok(scanned) => scanned,
                Err(error) => {
                    // The page is not given, so its keys are still to come.
                    page.keys.iter().for_each(|key| {
                        run.given.remove(&fingerprint(key.as_bytes()));
                    });
                    self.runs.keep(run);
                    return Err(error);
                }
            };
            position.server = scanned.server;
            if moved {
                position.scan = 0;
                continue;
            }
            let mut overflows = false;
            for name in scanned.names {
                let Some(key) = self.space.key_of(&name) else { continue };
                if (page.keys.len() >= PAGE_KEYS + EXCESS || bytes >= PAGE_BYTES) && run.can_remember() {
                    overflows = overflows || !run.has_given(key.as_bytes());
                } else if run.is_new(key.as_bytes()) {
                    bytes += key.len();
                    page.keys.push(key);
                }
            }
            if overflows {
                // The next page repeats this step, and leaves out what was given.
                page.cursor = Some(position.encode(base));
                self.runs.keep(run);
                return Ok(page);
            }
            position.scan = scanned.next;
            if position.scan == 0 {
                return Ok(page);
            }
            // Of keys as long as these, as many as still fit.
            let average = bytes.checked_div(page.keys.len()).unwrap_or(1).max(1);
            let rest = PAGE_KEYS.saturating_sub(page.keys.len() + SMALL_REST);
            count = rest.min(PAGE_BYTES.saturating_sub(bytes) / average);
            let late = self.engine.clock.now().since(begun) > self.engine.config.time_limit / 2;
            if count < SMALL_REST || late {
                page.cursor = Some(position.encode(base));
                self.runs.keep(run);
                return Ok(page);
            }
        }
    }

    /// One step of a scan. Which process answers is asked along with the first one on a connection.
    fn scan(&self, from: u64, count: usize) -> Result<Scanned> {
        let deadline = self.engine.deadline();
        loop {
            let scan = self.scan_request(from, count);
            let answer = self.engine.attempt(MAIN, deadline, |link| {
                let asks_server = link.server.is_none();
                let mut request = Request::default();
                if asks_server {
                    request.command(&[b"INFO", b"server"]);
                }
                request.append(&scan);
                let mut replies = link.ask(&request, deadline)?.into_iter();
                if asks_server {
                    link.server = Some(replies.next().and_then(Reply::into_bytes).and_then(|info| process_id(&info)));
                }
                let server = link.server.flatten().unwrap_or(0);
                match replies.next() {
                    Some(Reply::Error(line)) if self.learns_from(&line) => Ok(None),
                    Some(Reply::Error(line)) if error::is_busy(&line) => {
                        Err(Failure::Busy(error::code(&line).to_string()))
                    }
                    Some(Reply::Error(line)) => Err(Failure::Refused(error::from_reply(&line))),
                    Some(reply) => self.scanned(reply, server).map(Some).map_err(Failure::Refused),
                    None => Err(Failure::Refused(error::unexpected("SCAN"))),
                }
            })?;
            if let Some(scanned) = answer {
                return Ok(scanned);
            }
        }
    }

    fn scan_request(&self, from: u64, count: usize) -> Request {
        // With every key comes its value then, however large.
        let count = if self.gives_values() { count.min(FIRST_COUNT) } else { count };
        let (from, count) = (from.to_string(), count.to_string());
        let (from, count) = (from.as_bytes(), count.as_bytes());
        let base = self.space.base();
        let engine = &self.engine;
        if self.is_hash() {
            return match (engine.no_novalues.get(), engine.no_scripts.get()) {
                (false, _) => Request::of(&[b"HSCAN", base, from, b"COUNT", count, b"NOVALUES"]),
                (true, false) => Request::of(&[b"EVAL", HSCAN_KEYS, b"1", base, from, count]),
                (true, true) => Request::of(&[b"HSCAN", base, from, b"COUNT", count]),
            };
        }
        let pattern = self.space.pattern();
        let mut arguments: Vec<&[u8]> = vec![b"SCAN", from, b"COUNT", count];
        if let Some(pattern) = &pattern {
            arguments.extend([&b"MATCH"[..], pattern]);
        }
        if !engine.no_scan_type.get() {
            arguments.extend([&b"TYPE"[..], b"string"]);
        }
        Request::of(&arguments)
    }

    /// Whether a scan cannot be had without the values.
    fn gives_values(&self) -> bool {
        self.is_hash() && self.engine.no_novalues.get() && self.engine.no_scripts.get()
    }

    /// Whether a refusal says that this server or user lacks something to do without: then the next try does.
    fn learns_from(&self, line: &str) -> bool {
        let engine = &self.engine;
        let lacks = if !self.is_hash() {
            &engine.no_scan_type
        } else if !engine.no_novalues.get() {
            &engine.no_novalues
        } else {
            &engine.no_scripts
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
        Ok(Scanned { next, names, server })
    }
}

struct Scanned {
    next: u64,
    names: Vec<Vec<u8>>,
    server: u64,
}

/// A number for the `run_id` in `INFO`'s answer, which differs between processes.
fn process_id(info: &[u8]) -> Option<u64> {
    let line = info.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"run_id:"))?;
    Some((fingerprint(line.trim_ascii_end()) as u64).max(1))
}

fn foreign() -> Error {
    Error::invalid("this cursor is not from a listing of this bucket; start again without one")
}

fn restarted() -> Error {
    Error::invalid(
        "Redis was restarted since this cursor was given by another instance, and keys would be given twice; start the \
         listing again without a cursor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_no_other_does() {
        let position = Position { scan: u64::MAX, run: 7, server: 9 };
        let text = position.encode(b"users:");
        assert_eq!(Position::decode(&text, b"users:"), Some(position));
        assert_eq!(Position::decode(&text, b"others:"), None, "of another bucket");
        for text in ["", "0", "17", "0.0.0.0", "1.7.9", "a.b.c.d", &format!("{text}.1"), &format!("0{text}")] {
            assert_eq!(Position::decode(text, b"users:"), None, "{text}");
        }
    }

    #[test]
    fn a_run_gives_each_key_once_and_old_runs_are_forgotten() {
        let runs = Runs::new(1);
        let mut first = runs.begin();
        assert!(first.is_new(b"a") && first.is_new(b"b") && !first.is_new(b"a"));
        let id = first.id;
        runs.keep(first);
        for _ in 1..RUNS {
            runs.keep(runs.begin());
        }
        assert!(runs.take(id).is_some_and(|mut run| !run.is_new(b"b")));
        runs.keep(runs.begin());
        assert!(runs.take(id).is_none());
    }

    #[test]
    fn the_process_is_known_by_its_run_id() {
        let info = b"# Server\r\nredis_version:7.0.15\r\nrun_id:0123abc\r\ntcp_port:1\r\n";
        let other = b"# Server\r\nredis_version:7.0.15\r\nrun_id:0123abd\r\ntcp_port:1\r\n";
        assert!(process_id(info).is_some() && process_id(info) != process_id(other));
        assert_eq!(process_id(b"# Server\r\n"), None);
    }
}
