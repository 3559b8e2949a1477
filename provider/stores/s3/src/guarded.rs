//! Writes of one key: sets, swaps and increments.
//!
//! Each write has a mark of its own, which it leaves in the object's metadata. When its answer is lost, the object is read: if it
//! has the mark, the write happened. If not, the outcome is unknown, and nothing is sent again, not even with a condition: a tag
//! is that of a content, so what was lost on the way could still arrive when the content is once more the expected one.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, MARK, MAX_ANSWER, Repeat};
use crate::error::{Failure, S3};
use crate::store::{Found, S3Bucket, State};
use kvfuse_core::{Result, counter};
use kvfuse_http::keyed::hex;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, Method};
use kvfuse_transport::turns::contended;

/// The condition of a write.
#[derive(Clone, Copy)]
pub enum Expect<'a> {
    Anything,
    /// The object does not exist.
    Absent,
    /// The object is in this state, or at least its content is.
    State(&'a State),
}

pub enum Guarded {
    Done,
    /// Nothing was written. This is what the key holds now.
    NotMet(Option<Found>),
}

impl<H: AsyncHttpClient, C: AsyncClock> S3Bucket<H, C> {
    pub(crate) async fn put(&self, name: &str, value: &[u8], expect: Expect<'_>, deadline: Moment) -> Result<Guarded> {
        let client = &self.shared.client;
        let mark = hex(&(self.shared.ambient.random)());
        let mut headers = vec![("content-type", "application/octet-stream"), (MARK, mark.as_str())];
        headers.extend(match expect {
            Expect::Anything => None,
            Expect::Absent => Some(("if-none-match", "*")),
            Expect::State(state) => Some(("if-match", state.tag.as_str())),
        });
        let call = Call {
            method: Method::Put,
            name,
            query: "",
            headers: &headers,
            body: value,
            repeat: Repeat::Never,
            max_answer: MAX_ANSWER,
            deadline,
        };
        let mut backoff = client.backoff();
        loop {
            match client.call(&call).await {
                Ok(Answer::Done(_)) => return Ok(Guarded::Done),
                Ok(_) if matches!(expect, Expect::Anything) => return Err(S3.stranger(&client.config.server)),
                Ok(Answer::NotMet | Answer::Missing | Answer::Empty | Answer::TooLarge) => {
                    let now = self.find(name, deadline).await?;
                    if now.as_ref().is_some_and(|found| found.state.write == mark) {
                        return Ok(Guarded::Done);
                    }
                    // Another write was on its way, or it changed again before it was read.
                    let again = match expect {
                        Expect::Anything => true,
                        Expect::Absent => now.is_none(),
                        Expect::State(state) => now.as_ref().is_some_and(|found| found.state == *state),
                    };
                    if !again {
                        return Ok(Guarded::NotMet(now));
                    }
                    if !backoff.wait_async(&client.clock, deadline).await {
                        return Err(contended(client.config.time_limit));
                    }
                }
                Err(Failure::Failed(error)) => return Err(error),
                Err(Failure::Unknown(error)) => {
                    let now = self.state(name, deadline).await.ok().flatten();
                    return if now.is_some_and(|now| now.write == mark) { Ok(Guarded::Done) } else { Err(error) };
                }
            }
        }
    }

    pub(crate) async fn add(&self, name: &str, delta: i64, floor: i64, deadline: Moment) -> Result<i64> {
        let client = &self.shared.client;
        let mut backoff = client.backoff();
        let mut now = self.find(name, deadline).await?;
        loop {
            let sum = counter::add(now.as_ref().map(|found| found.value.as_slice()), delta, floor)?;
            let expect = now.as_ref().map_or(Expect::Absent, |found| Expect::State(&found.state));
            match self.put(name, &counter::format(sum), expect, deadline).await? {
                Guarded::Done => return Ok(sum),
                Guarded::NotMet(found) if backoff.wait_async(&client.clock, deadline).await => now = found,
                Guarded::NotMet(_) => return Err(contended(client.config.time_limit)),
            }
        }
    }
}
