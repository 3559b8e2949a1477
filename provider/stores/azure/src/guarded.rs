//! Writes of one key: sets, swaps and increments.
//!
//! Each write has a mark of its own, which it leaves in the entity. When its answer is lost, the entity is read: if it has the
//! mark, the write happened. If not, a write that expects a certain tag is sent again unchanged, because it can no longer
//! happen once another one has. All others could happen twice, or late, so their outcome is unknown.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, Content, MAX_ANSWER, Repeat};
use crate::error::Failure;
use crate::layout;
use crate::store::{AzureBucket, Found};
use kvfuse_core::{Error, Result, counter};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, Method};
use kvfuse_transport::turns::contended;

/// The condition of a write.
#[derive(Clone, Copy)]
pub enum Expect<'a> {
    Anything,
    /// The key does not exist, or has ended.
    Absent,
    /// The entity has this tag.
    Tag(&'a str),
}

pub enum Guarded {
    Done,
    /// Nothing was written. This is what the key holds now.
    NotMet(Option<Found>),
}

impl<H: AsyncHttpClient, C: AsyncClock> AzureBucket<H, C> {
    pub(crate) async fn put(
        &self,
        key: &str,
        value: &[u8],
        expect: Expect<'_>,
        end: Option<i64>,
        deadline: Moment,
    ) -> Result<Guarded> {
        let (client, mark) = (&self.shared.client, (self.shared.ambient.random)());
        let json = layout::entity(&self.partition, key, value, &mark, end)?;
        let mut lost: Option<Error> = None;
        // The tag of an entity that has ended, and stands in the way.
        let mut ended: Option<String> = None;
        let mut backoff = client.backoff();
        loop {
            let tag = match expect {
                Expect::Tag(tag) => Some(tag),
                Expect::Absent => ended.as_deref(),
                Expect::Anything => None,
            };
            let insert = matches!(expect, Expect::Absent) && tag.is_none();
            match self.send(key, &json, insert, tag, deadline).await {
                Ok(Answer::Done(_)) => return Ok(Guarded::Done),
                Ok(Answer::NotMet | Answer::Missing(_) | Answer::TooLarge) => {
                    let asked = self.now();
                    let now = self.find(key, "", deadline).await;
                    let now = now.map_err(|failure| lost.clone().unwrap_or_else(|| failure.into()))?;
                    if has(now.as_ref(), &mark) {
                        return Ok(Guarded::Done);
                    }
                    if let Some(error) = lost {
                        return Err(error);
                    }
                    ended = match &now {
                        Some(found) if Self::had_ended(&found.entity, asked)? => Some(found.tag.clone()),
                        _ => None,
                    };
                    let replace = ended.is_some() && matches!(expect, Expect::Absent);
                    let now = now.filter(|_| ended.is_none());
                    // It changed again before it was read.
                    let again = match expect {
                        Expect::Anything => true,
                        Expect::Absent => now.is_none(),
                        Expect::Tag(tag) => now.as_ref().is_some_and(|found| found.tag == tag),
                    };
                    if !again {
                        return Ok(Guarded::NotMet(now));
                    }
                    if !replace && !backoff.wait_async(&client.clock, deadline).await {
                        return Err(contended(client.config.time_limit));
                    }
                }
                Err(Failure::Failed(error)) => return Err(lost.unwrap_or(error)),
                Err(Failure::Unknown(error)) => {
                    match self.find(key, "mark", deadline).await {
                        Ok(now) if has(now.as_ref(), &mark) => return Ok(Guarded::Done),
                        Ok(_) if tag.is_some() && backoff.wait_async(&client.clock, deadline).await => {}
                        _ => return Err(error),
                    }
                    lost = Some(error);
                }
            }
        }
    }

    async fn send(
        &self,
        key: &str,
        json: &str,
        insert: bool,
        if_match: Option<&str>,
        deadline: Moment,
    ) -> Result<Answer, Failure> {
        let client = &self.shared.client;
        let (method, path) = if insert {
            (Method::Post, format!("/{}", client.config.table))
        } else {
            (Method::Put, client.entity(&self.partition, &layout::row_key(key)))
        };
        let call = Call {
            method,
            path: &path,
            query: "",
            if_match,
            content: Content::Json(json),
            repeat: Repeat::Never,
            max_answer: MAX_ANSWER,
            deadline,
        };
        client.call(&call).await
    }

    pub(crate) async fn add(&self, key: &str, delta: i64, floor: i64, deadline: Moment) -> Result<i64> {
        let client = &self.shared.client;
        let mut backoff = client.backoff();
        let mut now = self.live(key, "", deadline).await?;
        loop {
            let (tag, left) = match &now {
                Some(found) => (Some(found.tag.clone()), layout::end_of(&found.entity)?),
                None => (None, None),
            };
            let before = now.map(|found| layout::value_of(found.entity)).transpose()?;
            let sum = counter::add(before.as_deref(), delta, floor)?;
            // What is left of its lifetime stays, unless every write begins a new one.
            let end = self.end(client.config.life).or(left);
            let expect = tag.as_deref().map_or(Expect::Absent, Expect::Tag);
            match self.put(key, &counter::format(sum), expect, end, deadline).await? {
                Guarded::Done => return Ok(sum),
                // If it ends meanwhile, the next attempt finds that.
                Guarded::NotMet(found) if backoff.wait_async(&client.clock, deadline).await => now = found,
                Guarded::NotMet(_) => return Err(contended(client.config.time_limit)),
            }
        }
    }
}

/// Whether the entity's last write has this mark.
fn has(found: Option<&Found>, mark: &[u8]) -> bool {
    found.and_then(|found| found.entity.mark.as_ref()).is_some_and(|found| found.0 == mark)
}
