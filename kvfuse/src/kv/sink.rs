//! Where what is moved goes: into a store, past a store's limits, or beside what a store has.

use super::feed::{Event, Expiring, Feed, Mark, now};
use super::place::Place;
use super::session::{Missing, Pair, Session, shown};
use crate::commands::progress::Progress;
use crate::commands::store::plural;
use crate::refusal::Result;
use kvfuse_core::Limits;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lines about keys that are printed; the rest is counted.
const LISTED: u64 = 1000;

/// What has passed.
#[derive(Default)]
pub struct Moved {
    pub keys: u64,
    /// Of values.
    pub bytes: u64,
    /// One for each bucket.
    pub buckets: Vec<(String, u64, u64)>,
    /// Keys that have lifetimes.
    pub expiring: u64,
}

impl Moved {
    pub fn bucket(&mut self, name: &str) {
        self.buckets.push((name.into(), 0, 0));
    }

    pub fn add<'a>(&mut self, pairs: impl IntoIterator<Item = &'a Pair>) {
        let (mut keys, mut bytes) = (0, 0);
        for (_, value) in pairs {
            keys += 1;
            bytes += value.len() as u64;
        }
        self.keys += keys;
        self.bytes += bytes;
        if let Some((_, all, size)) = self.buckets.last_mut() {
            *all += keys;
            *size += bytes;
        }
    }

    pub fn add_expiring(&mut self, expiring: &[Expiring]) {
        self.add(pairs(expiring));
        self.expiring += expiring.len() as u64;
    }

    /// A line for each bucket.
    pub fn lines(&self, done: &str) -> String {
        let line = |(name, keys, bytes): &(String, u64, u64)| {
            format!("bucket {name:?}: {} {done}, {bytes} bytes\n", plural(*keys, "key"))
        };
        self.buckets.iter().map(line).collect()
    }
}

fn pairs(expiring: &[Expiring]) -> impl Iterator<Item = &Pair> {
    expiring.iter().map(|one| &one.pair)
}

/// How much there is to do.
pub enum Total {
    /// Keys, once they have been counted.
    Keys(Arc<AtomicU64>),
    /// Bytes of a dump.
    Bytes(u64),
    Unknown,
}

/// The line that shows how far it is.
pub struct Meter {
    progress: Progress,
    begun: Instant,
    total: Total,
    doing: &'static str,
}

impl Meter {
    pub fn new(doing: &'static str, total: Total) -> Self {
        Self { progress: Progress::new(), begun: Instant::now(), total, doing }
    }

    /// `offset` is that in a dump.
    pub fn show(&mut self, moved: &Moved, offset: u64) {
        let Self { progress, begun, total, doing } = self;
        progress.show(|| {
            let part = match total {
                Total::Keys(keys) => fraction(moved.keys, keys.load(Ordering::Relaxed)),
                Total::Bytes(bytes) => fraction(offset, *bytes),
                Total::Unknown => None,
            };
            line(doing, moved, begun.elapsed(), part)
        });
    }
}

fn fraction(done: u64, all: u64) -> Option<f64> {
    (done > 0 && done <= all).then(|| done as f64 / all as f64)
}

fn line(doing: &str, moved: &Moved, took: Duration, part: Option<f64>) -> String {
    let seconds = took.as_secs_f64().max(0.001);
    let rate = moved.keys as f64 / seconds;
    let mut text =
        format!("{doing}: {}, {:.1} MB, {rate:.0} keys/s", plural(moved.keys, "key"), moved.bytes as f64 / 1e6);
    if let Some(part) = part {
        let left = (seconds / part - seconds).ceil() as u64;
        text.push_str(&format!(", {:.0} %, {}:{:02} left", part * 100.0, left / 60, left % 60));
    }
    text
}

/// Sets everything. After each block of a dump, `passed` is called: everything before it is set.
pub async fn write(
    mut feed: Feed,
    to: &Place,
    meter: &mut Meter,
    mut passed: impl FnMut(&Mark) -> Result<()>,
) -> Result<Moved> {
    let mut moved = Moved::default();
    let mut target = None;
    let mut offset = 0;
    while let Some(event) = feed.recv().await {
        match event? {
            Event::Bucket(name) => {
                target = Some(Session::open(to, &name, Missing::Create).await?);
                moved.bucket(&name);
            }
            Event::Pairs(pairs) => {
                if let Some(target) = &mut target {
                    target.put_all(&pairs).await?;
                    moved.add(&pairs);
                }
            }
            Event::Expiring(expiring) => {
                if let Some(target) = &mut target {
                    match to.store.lifetimes {
                        true => put_expiring(target, &expiring).await?,
                        false => {
                            let all: Vec<Pair> = pairs(&expiring).cloned().collect();
                            target.put_all(&all).await?;
                        }
                    }
                    moved.add_expiring(&expiring);
                }
            }
            Event::Position(_) => {}
            Event::Mark(mark) => {
                passed(&mark)?;
                offset = mark.offset;
            }
        }
        meter.show(&moved, offset);
    }
    Ok(moved)
}

/// Sets pairs for the time that they have left.
async fn put_expiring(target: &mut Session, expiring: &[Expiring]) -> Result<()> {
    for Expiring { pair: (key, value), ends } in expiring {
        // One that has ended meanwhile is no longer in the source.
        let Some(left) = ends.checked_sub(now()).filter(|left| *left > 0) else { continue };
        if let Err(e) = target.set_expiring(key, value, left).await {
            return Err(target.failed(&format!("the key {} cannot be set", shown(key)), &e));
        }
    }
    Ok(())
}

/// What a look at all pairs has found, with a line for each.
#[derive(Default)]
pub struct Findings {
    pub count: u64,
    text: String,
}

impl Findings {
    fn add(&mut self, bucket: &str, key: &str, what: &str) {
        self.count += 1;
        if self.count <= LISTED {
            self.text.push_str(&format!("bucket {bucket:?}: key {}: {what}\n", shown(key)));
        }
    }

    /// Finds what a store would not take of a pair.
    fn judge(&mut self, bucket: &str, (key, value): &Pair, to: &Place, limits: &Limits) {
        let checked = limits.check_key(key).and_then(|()| limits.check_value(value));
        let name = (bucket.len() + key.len()) as u64;
        let taken = name + value.len() as u64;
        let found = match (checked, to.store.longest_key, to.store.largest) {
            (Err(e), _, _) => e.message().to_string(),
            (Ok(()), Some(longest), _) if name > longest => format!(
                "{} bytes are more than the store takes as a key: {longest} bytes with the name of its bucket",
                key.len()
            ),
            (Ok(()), _, Some(largest)) if taken > largest => format!(
                "{} bytes are more than the server takes unless it is set otherwise: {largest} bytes for a value with its \
                 key and bucket",
                value.len()
            ),
            _ => return,
        };
        self.add(bucket, key, &found);
    }

    pub fn text(&self) -> String {
        match self.count.checked_sub(LISTED) {
            Some(more) if more > 0 => format!("{}and {}\n", self.text, plural(more, "further key")),
            _ => self.text.clone(),
        }
    }
}

/// Finds what a store would not take; a dump, which is none, takes everything. Writes nothing.
pub async fn check(mut feed: Feed, to: Option<&Place>, meter: &mut Meter) -> Result<(Moved, Findings)> {
    let to = to.map(|to| to.limits().map(|limits| (to, limits))).transpose()?;
    let (mut moved, mut found) = (Moved::default(), Findings::default());
    let mut bucket = String::new();
    let mut offset = 0;
    while let Some(event) = feed.recv().await {
        match event? {
            Event::Bucket(name) => {
                // Opening a bucket shows whether it may be used, and creates nothing.
                if let Some((to, _)) = to.as_ref().filter(|(to, _)| !to.keeps_files() || to.data.is_dir()) {
                    drop(Session::open(to, &name, Missing::Refuse).await?);
                }
                moved.bucket(&name);
                bucket = name;
            }
            Event::Pairs(pairs) => {
                if let Some((to, limits)) = &to {
                    pairs.iter().for_each(|pair| found.judge(&bucket, pair, to, limits));
                }
                moved.add(&pairs);
            }
            Event::Expiring(expiring) => {
                if let Some((to, limits)) = &to {
                    for one in &expiring {
                        found.judge(&bucket, &one.pair, to, limits);
                        if !to.store.lifetimes {
                            let left = one.ends.saturating_sub(now()) / 1000;
                            let what = format!("it ends in {left} s, and would live on: the target keeps no lifetimes");
                            found.add(&bucket, &one.pair.0, &what);
                        }
                    }
                }
                moved.add_expiring(&expiring);
            }
            Event::Position(_) => {}
            Event::Mark(mark) => offset = mark.offset,
        }
        meter.show(&moved, offset);
    }
    Ok((moved, found))
}

/// Finds what a store does not have, or has with another value.
pub async fn compare(mut feed: Feed, with: &Place, meter: &mut Meter) -> Result<(Moved, Findings)> {
    let (mut moved, mut found) = (Moved::default(), Findings::default());
    let mut session = None;
    let mut bucket = String::new();
    let mut offset = 0;
    while let Some(event) = feed.recv().await {
        match event? {
            Event::Bucket(name) => {
                session = Some(Session::open(with, &name, Missing::Refuse).await?);
                moved.bucket(&name);
                bucket = name;
            }
            event @ (Event::Pairs(_) | Event::Expiring(_)) => {
                let pairs = match event {
                    Event::Pairs(pairs) => pairs,
                    Event::Expiring(expiring) => expiring.into_iter().map(|one| one.pair).collect(),
                    _ => continue,
                };
                let Some(session) = &mut session else { continue };
                let keys: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
                let there: HashMap<_, _> = session.get_all(&keys).await?.into_iter().collect();
                for (key, value) in &pairs {
                    match there.get(key).and_then(Option::as_ref) {
                        Some(has) if has == value => {}
                        Some(has) => {
                            let what = format!("a value of {} bytes, not the one of {} bytes", has.len(), value.len());
                            found.add(&bucket, key, &what);
                        }
                        None => found.add(&bucket, key, "missing"),
                    }
                }
                moved.add(&pairs);
            }
            Event::Position(_) => {}
            Event::Mark(mark) => offset = mark.offset,
        }
        meter.show(&moved, offset);
    }
    Ok((moved, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_rate_and_time_left() {
        let moved = Moved { keys: 30_000, bytes: 3_000_000, ..Moved::default() };
        assert_eq!(
            line("copying", &moved, Duration::from_secs(10), Some(0.1)),
            "copying: 30000 keys, 3.0 MB, 3000 keys/s, 10 %, 1:30 left"
        );
        assert_eq!(line("copying", &moved, Duration::from_secs(10), None), "copying: 30000 keys, 3.0 MB, 3000 keys/s");
        assert_eq!((fraction(5, 0), fraction(0, 5), fraction(6, 5)), (None, None, None));
    }
}
