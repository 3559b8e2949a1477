//! Watching, by the table's stream (DynamoDB Streams): every change of the last 24 hours, in order for each key.
//!
//! The stream has the changes of the whole table, in shards that come and go; `lineage` says which of them to read. A
//! position names the stream and how far each of these shards was read. If what comes next is not there any more, or the
//! stream is another one, all keys are delivered, and that is reported.
//!
//! Nothing is kept of an answer: what does not fit into the one to the caller is asked for again. DynamoDB does not wait
//! for a change, so a watch asks again after a pause.

use crate::error::{DYNAMODB, Lapse};
use crate::lineage::{self, From as Part, Gap, MOST_SHARDS, Shard};
use crate::position;
use crate::store::DynamoBucket;
use crate::streams::{Name, Records};
use kvfuse_core::watch::{Everything, From, MOST_BYTES, MOST_CHANGES};
use kvfuse_core::{Change, Changes, Error, Result, Watch};
use kvfuse_transport::clock::{Clock, Moment};
use kvfuse_transport::http::HttpClient;
use std::time::Duration;

/// How long records are kept, in seconds.
const KEPT: u64 = 24 * 60 * 60;
/// How far the clock of this machine can be from that of AWS, in seconds: requests that are off by more than five minutes
/// are rejected. The times of records are rounded as well.
const SLACK: u64 = 6 * 60;
/// The pause after all shards were asked and had nothing new: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// The longest pause between two looks for the children of a shard that was read to its end, and the pause between two
/// looks for shards that a description left out.
const LOOK: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

const TRIMMED: &str =
    "DynamoDB keeps changes for 24 hours, and this position is older: deletions since then may be missing";
const STRAY: &str = "DynamoDB writes changes to a part of the stream that does not follow from those that were read: \
                     deletions may be missing";
const OTHER: &str = "the stream of the table was switched off and on again: deletions in between may be missing";

pub struct DynamoWatch<H, C> {
    bucket: DynamoBucket<H, C>,
    prefix: String,
    stream: Name,
    /// What is being read, one shard of each line.
    shards: Vec<Shard>,
    /// The shard to ask next.
    turn: usize,
    /// Why it has to begin again before it goes on.
    gap: Option<Gap>,
    everything: Option<Everything>,
    missed: Option<&'static str>,
    /// A call failed: what answers next may have another table.
    doubt: bool,
    pause: Duration,
    /// When to look next which shards there are, and how long to wait then if there are none to go on with.
    look: (Moment, Duration),
}

impl<H: HttpClient + 'static, C: Clock + 'static> DynamoWatch<H, C> {
    pub fn new(bucket: DynamoBucket<H, C>, prefix: &str, from: From<'_>) -> Result<Self> {
        let stream = bucket.stream()?;
        let look = (bucket.shared.client.clock.now(), PAUSE.0);
        let mut watch = Self {
            bucket,
            prefix: prefix.to_string(),
            stream,
            shards: Vec::new(),
            turn: 0,
            gap: None,
            everything: None,
            missed: None,
            doubt: false,
            pause: PAUSE.0,
            look,
        };
        match from {
            From::Now => watch.begin()?,
            From::Beginning => {
                watch.begin()?;
                watch.everything = Some(Everything::default());
            }
            From::Position(text) => watch.resume(text)?,
        }
        Ok(watch)
    }

    /// Goes on with what is written from now on.
    fn begin(&mut self) -> Result<()> {
        let now = self.second();
        let Some(listed) = self.bucket.shards(&self.stream)? else {
            let setting = self.bucket.shared.client.config.streams.setting;
            return Err(self.unavailable(&format!("it does not know the stream of the table; check {setting}")));
        };
        let mut shards = lineage::current(&listed, now);
        self.check_number(&shards)?;
        for shard in shards.iter_mut().filter(|shard| !shard.ended) {
            match self.bucket.iterator(&self.stream, shard, "LATEST")? {
                Ok(iterator) => shard.iterator = Some(iterator),
                Err(_) => return Err(self.unavailable("a part of the stream went away while it was asked for")),
            }
        }
        self.shards = shards;
        self.look = (self.bucket.shared.client.clock.now() + self.regularly(), PAUSE.0);
        Ok(())
    }

    /// Goes on after a position.
    fn resume(&mut self, text: &str) -> Result<()> {
        let position = position::read(text, &self.bucket.partition).ok_or_else(|| {
            Error::invalid(
                "this position is not from a watch of this bucket in DynamoDB; watch from now on, or from the beginning",
            )
        })?;
        if table_of(&position.stream) != table_of(&self.stream) {
            return Err(Error::invalid(
                "this position is from a watch of another table in DynamoDB; watch from now on, or from the beginning",
            ));
        }
        if position.stream != self.stream {
            self.gap = Some(Gap::Other);
            return Ok(());
        }
        self.shards = position.shards;
        self.everything = position.all.then(Everything::default);
        self.look()
    }

    /// Looks which shards come next.
    fn follow(&mut self) -> Result<()> {
        match lineage::succeed(&self.shards, &self.bucket.shards(&self.stream)?.unwrap_or_default()) {
            Ok(shards) => {
                self.check_number(&shards)?;
                self.shards = shards;
            }
            Err(gap) => self.gap = Some(gap),
        }
        if self.gap.is_none() && self.shards.iter().all(|shard| shard.ended) && self.bucket.stream()? != self.stream {
            self.gap = Some(Gap::Other);
        }
        Ok(())
    }

    /// Begins with all keys, as after a gap.
    fn begin_again(&mut self, gap: Gap) -> Result<()> {
        self.stream = self.bucket.stream()?;
        self.begin()?;
        self.gap = None;
        self.everything = Some(Everything::default());
        self.missed = Some(match gap {
            Gap::Trimmed => TRIMMED,
            Gap::Stray => STRAY,
            Gap::Other => OTHER,
        });
        Ok(())
    }

    /// Looks which shards come next, if it is time.
    fn look(&mut self) -> Result<()> {
        let (now, (at, pause)) = (self.bucket.shared.client.clock.now(), self.look);
        if now < at {
            return Ok(());
        }
        self.look = (now + pause, pause.saturating_mul(2).min(LOOK.0));
        self.follow()?;
        let regularly = self.regularly();
        if !regularly.is_zero() {
            self.look = (now + regularly, PAUSE.0);
        }
        Ok(())
    }

    /// How long to wait for the next look if no shard waits for its children.
    fn regularly(&self) -> Duration {
        let waits = self.shards.is_empty() || self.shards.iter().any(|shard| shard.ended);
        if waits { Duration::ZERO } else { LOOK.1 }
    }

    fn check_number(&self, shards: &[Shard]) -> Result<()> {
        if shards.len() <= MOST_SHARDS {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "the table's stream has more than {MOST_SHARDS} parts at once: it is not watched"
        )))
    }

    fn second(&self) -> u64 {
        u64::try_from(self.bucket.now()).unwrap_or(0)
    }

    fn unavailable(&self, why: &str) -> Error {
        DYNAMODB.unavailable(&self.bucket.shared.client.config.streams, why)
    }

    /// The next records of a shard; nothing if there are none, or none any more, which leaves a gap.
    fn records(&mut self, index: usize) -> Result<Option<Records>> {
        let client = &self.bucket.shared.client;
        let (deadline, mut backoff) = (client.deadline(), client.backoff());
        loop {
            let Some(shard) = self.shards.get(index) else { return Ok(None) };
            let kept = |shard: &Shard| self.second().saturating_sub(shard.since) <= KEPT.saturating_sub(SLACK);
            let iterator = match (&shard.iterator, &shard.from) {
                (Some(iterator), _) => Ok(iterator.clone()),
                // From the oldest record that is left, whichever that is.
                (None, Part::Start | Part::Now) if kept(shard) => {
                    self.bucket.iterator(&self.stream, shard, "TRIM_HORIZON")?
                }
                (None, Part::Start | Part::Now) => Err(Lapse::Trimmed),
                (None, Part::After(_)) => self.bucket.iterator(&self.stream, shard, "AFTER_SEQUENCE_NUMBER")?,
            };
            let answer = match &iterator {
                Ok(iterator) => self.bucket.records(iterator)?,
                Err(lapse) => Err(*lapse),
            };
            match answer {
                Ok(records) => return Ok(Some(records)),
                Err(Lapse::Trimmed | Lapse::Gone) => {
                    self.gap = Some(Gap::Trimmed);
                    return Ok(None);
                }
                Err(Lapse::Expired) => {
                    if let Some(shard) = self.shards.get_mut(index) {
                        shard.iterator = None;
                    }
                    if !backoff.wait(&self.bucket.shared.client.clock, deadline) {
                        return Err(self.unavailable("its iterators expire at once"));
                    }
                }
            }
        }
    }

    /// Takes the next records of a shard.
    fn hear(&mut self, index: usize) -> Result<Heard> {
        let mut heard = Heard::default();
        let Some(Records { records, next }) = self.records(index)? else { return Ok(heard) };
        let Some(mut shard) = self.shards.get(index).cloned() else { return Ok(heard) };
        heard.more = next.is_none() || records.len() >= MOST_CHANGES;
        (shard.ended, shard.iterator) = (next.is_none(), next);
        if !records.is_empty() {
            self.pause = PAUSE.0;
        }
        let mut size = 0usize;
        for record in records {
            if heard.changes.len() >= MOST_CHANGES || size >= MOST_BYTES {
                // The rest is asked for again.
                (shard.ended, shard.iterator) = (false, None);
                break;
            }
            let second = record.change.second();
            let early = second.is_some_and(|second| second.saturating_add(SLACK) < shard.since);
            if shard.from == Part::Now && early {
                continue;
            }
            shard.from = Part::After(record.change.sequence.clone());
            shard.since = second.unwrap_or(0).max(shard.since);
            match self.bucket.change(record, &self.prefix) {
                Ok(Some(change)) => {
                    size = size.saturating_add(change.size());
                    heard.changes.push(change);
                }
                Ok(None) => {}
                Err(why) => self.missed = Some(why),
            }
        }
        if shard.ended {
            self.look = (self.bucket.shared.client.clock.now(), PAUSE.0);
        }
        if let Some(place) = self.shards.get_mut(index) {
            *place = shard;
        }
        Ok(heard)
    }

    fn answer(&mut self, changes: Vec<Change>) -> Changes {
        let all = self.everything.is_some();
        let position = position::write(&self.stream, all, &self.shards, &self.bucket.partition);
        Changes { changes, position: Some(position), missed: self.missed.take().map(str::to_string) }
    }

    /// Asks one shard after the other, until one has changes or there is something to report.
    fn pass(&mut self, deadline: Moment) -> Result<Heard> {
        let mut passed = Heard::default();
        for _ in 0..self.shards.len() {
            let index = self.turn.checked_rem(self.shards.len()).unwrap_or(0);
            self.turn = index.saturating_add(1);
            if self.shards.get(index).is_none_or(|shard| shard.ended) {
                continue;
            }
            let heard = self.hear(index)?;
            passed.more |= heard.more;
            passed.changes = heard.changes;
            let over = self.bucket.shared.client.clock.now() >= deadline;
            if !passed.changes.is_empty() || self.missed.is_some() || self.gap.is_some() || over {
                break;
            }
        }
        Ok(passed)
    }
}

/// What shards had.
#[derive(Default)]
struct Heard {
    changes: Vec<Change>,
    /// There is probably more, perhaps of other buckets.
    more: bool,
}

impl<H: HttpClient + 'static, C: Clock + 'static> Watch for DynamoWatch<H, C> {
    fn next(&mut self, patience: Duration) -> Result<Changes> {
        let deadline = self.bucket.shared.client.clock.now() + patience;
        if self.doubt && self.gap.is_none() && self.bucket.stream()? != self.stream {
            self.gap = Some(Gap::Other);
        }
        self.doubt = true;
        let next = self.until(deadline)?;
        self.doubt = false;
        Ok(next)
    }
}

impl<H: HttpClient + 'static, C: Clock + 'static> DynamoWatch<H, C> {
    fn until(&mut self, deadline: Moment) -> Result<Changes> {
        loop {
            if let Some(gap) = self.gap {
                self.begin_again(gap)?;
            }
            if let Some(everything) = &mut self.everything {
                // The position before all that is delivered here: a caller that continues from it gets all keys again.
                if let Some(changes) = everything.next(&self.bucket, &self.prefix)? {
                    return Ok(self.answer(changes));
                }
                self.everything = None;
            }
            if self.missed.is_some() {
                return Ok(self.answer(Vec::new()));
            }
            let passed = self.pass(deadline)?;
            if !passed.changes.is_empty() || self.missed.is_some() {
                return Ok(self.answer(passed.changes));
            }
            if self.gap.is_none() {
                self.look()?;
            }
            let clock = &self.bucket.shared.client.clock;
            let now = clock.now();
            if self.gap.is_some() || passed.more && now < deadline {
                continue;
            }
            if now >= deadline {
                return Ok(self.answer(Vec::new()));
            }
            clock.sleep_until((now + self.pause).min(deadline));
            self.pause = self.pause.saturating_mul(2).min(PAUSE.1);
        }
    }
}

/// The table in the name of a stream: what comes before the label of the stream.
fn table_of(stream: &Name) -> &str {
    stream.text().rsplit_once("/stream/").map_or(stream.text(), |(table, _)| table)
}
