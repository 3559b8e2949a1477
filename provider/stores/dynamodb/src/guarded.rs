//! Writes of one key: sets, swaps and increments.
//!
//! Each write has a mark of its own, which it leaves in the item. When its answer is lost, the item is read: if it has the
//! mark, the write happened. If not, a write that expects a certain mark is sent again unchanged, because it can no longer
//! happen once another one has. All others could happen twice, or late, so their outcome is unknown.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Api, Call, MAX_ANSWER, Repeat};
use crate::error::{DYNAMODB, Failure};
use crate::layout::{self, Mark};
use crate::protocol::{Bytes, Item, Written};
use crate::store::{DynamoBucket, fields, request};
use kvfuse_core::{Error, Result, counter};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::AsyncHttpClient;
use kvfuse_transport::turns::contended;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The condition of a write.
#[derive(Clone, Copy)]
pub enum Expect<'a> {
    Anything,
    /// The key does not exist, or has ended.
    Absent,
    /// The last write of the key has this mark, and the key has not ended.
    Mark(&'a [u8]),
}

pub enum Guarded {
    Done,
    /// Nothing was written. This is what the key holds now.
    NotMet(Option<Item>),
}

const LIVES: &str = "(attribute_not_exists(#t) OR #t > :now)";

impl<H: AsyncHttpClient, C: AsyncClock> DynamoBucket<H, C> {
    pub(crate) async fn put(
        &self,
        key: &str,
        value: &[u8],
        expect: Expect<'_>,
        life: Option<Duration>,
        deadline: Moment,
    ) -> Result<Guarded> {
        let (client, mark) = (&self.shared.client, (self.shared.ambient.random)());
        let item = layout::item(&self.partition, key, value, &mark, self.end(life))?;
        let mut lost: Option<Error> = None;
        let mut backoff = client.backoff();
        loop {
            let asked = self.now();
            let mut put = fields(json!({ "Item": item }));
            self.add_condition(&mut put, expect);
            match self.send::<Written>("PutItem", put, deadline).await {
                Ok(Answer::Done(_)) => return Ok(Guarded::Done),
                Ok(Answer::NotMet(found)) => {
                    // Not every service says what it found, nor that it found nothing.
                    let now = match found {
                        Some(item) => Ok(Some(item)),
                        None => self.find(key, None, deadline).await,
                    };
                    let now = now.map_err(|failure| lost.clone().unwrap_or_else(|| failure.into()))?;
                    if has(now.as_ref(), &mark) {
                        return Ok(Guarded::Done);
                    }
                    if let Some(error) = lost {
                        return Err(error);
                    }
                    let now = Self::live(now, asked)?;
                    // It changed again before it was read.
                    let again = match expect {
                        Expect::Anything => true,
                        Expect::Absent => now.is_none(),
                        Expect::Mark(expected) => has(now.as_ref(), expected),
                    };
                    if !again {
                        return Ok(Guarded::NotMet(now));
                    }
                    if !backoff.wait_async(&client.clock, deadline).await {
                        return Err(contended(client.config.time_limit));
                    }
                }
                Err(Failure::Failed(error)) => return Err(lost.unwrap_or(error)),
                Err(Failure::Unknown(error)) => {
                    match self.find(key, Some("#s, #r"), deadline).await {
                        Ok(now) if has(now.as_ref(), &mark) => return Ok(Guarded::Done),
                        Ok(_)
                            if matches!(expect, Expect::Mark(_))
                                && backoff.wait_async(&client.clock, deadline).await => {}
                        _ => return Err(error),
                    }
                    lost = Some(error);
                }
            }
        }
    }

    fn add_condition(&self, put: &mut Map<String, Value>, expect: Expect<'_>) {
        let now = json!({ "N": self.now().to_string() });
        let (condition, values) = match expect {
            Expect::Anything => return,
            Expect::Absent => ("attribute_not_exists(#s) OR #t <= :now".to_string(), json!({ ":now": now })),
            Expect::Mark(mark) => {
                (format!("#r = :seen AND {LIVES}"), json!({ ":now": now, ":seen": { "B": Bytes::text(mark) } }))
            }
        };
        put.insert("ConditionExpression".into(), condition.into());
        put.insert("ExpressionAttributeValues".into(), values);
        put.insert("ReturnValuesOnConditionCheckFailure".into(), "ALL_OLD".into());
    }

    async fn send<T: serde::de::DeserializeOwned>(
        &self,
        operation: &str,
        write: Map<String, Value>,
        deadline: Moment,
    ) -> Result<Answer<T>, Failure> {
        let client = &self.shared.client;
        let body = request(&client.config.table, write);
        let (api, repeat, max_answer) = (Api::Table, Repeat::Never, MAX_ANSWER);
        client.answer(&Call { api, operation, body: &body, repeat, max_answer, deadline }).await
    }

    pub(crate) async fn add(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let client = &self.shared.client;
        let deadline = client.deadline();
        let mut backoff = client.backoff();
        loop {
            if let Some(sum) = self.try_add(key, delta, floor, deadline).await? {
                return Ok(sum);
            }
            // There is something that does not permit it: another value, a sum out of range, a key that has ended.
            let asked = self.now();
            let now = Self::live(self.find(key, None, deadline).await?, asked)?;
            let mark = now.as_ref().and_then(|item| item.ver.clone());
            let before = now.map(layout::value_of).transpose()?;
            let sum = counter::add(before.as_deref(), delta, floor)?;
            let expect = match (&before, &mark) {
                (None, _) => Expect::Absent,
                (Some(_), Some(mark)) => Expect::Mark(&mark.0.0),
                (Some(_), None) => return Err(layout::damaged()),
            };
            match self.put(key, &counter::format(sum), expect, client.config.life, deadline).await? {
                Guarded::Done => return Ok(sum),
                Guarded::NotMet(_) if backoff.wait_async(&client.clock, deadline).await => {}
                Guarded::NotMet(_) => return Err(contended(client.config.time_limit)),
            }
        }
    }

    /// Lets DynamoDB add, if the key has a counter or nothing and the sum is in range. `None` if that is not so.
    async fn try_add(&self, key: &str, delta: i64, floor: i64, deadline: Moment) -> Result<Option<i64>> {
        let Some((least, most)) = range(delta, floor) else { return Ok(None) };
        let mark: Mark = (self.shared.ambient.random)();
        let number = |number: i64| json!({ "N": number.to_string() });
        let mut set = "SET #n = if_not_exists(#n, :zero) + :delta, #r = :mark".to_string();
        let mut values = fields(json!({
            ":zero": number(0), ":delta": number(delta), ":mark": { "B": Bytes::text(&mark) },
            ":now": number(self.now()), ":least": number(least), ":most": number(most),
        }));
        if layout::is_long(key) {
            set.push_str(", #k = :key");
            values.insert(":key".into(), json!({ "S": key }));
        }
        if let Some(end) = self.end(self.shared.client.config.life) {
            set.push_str(", #t = :end");
            values.insert(":end".into(), number(end));
        }
        let in_range = if least <= 0 && most >= 0 {
            format!(
                "attribute_not_exists(#v) AND (attribute_not_exists(#n) OR #n BETWEEN :least AND :most) AND {LIVES}"
            )
        } else {
            format!("#n BETWEEN :least AND :most AND {LIVES}")
        };
        let update = fields(json!({
            "Key": layout::identity(&self.partition, key),
            "UpdateExpression": set,
            "ConditionExpression": in_range,
            "ExpressionAttributeValues": values,
            "ReturnValues": "UPDATED_NEW",
        }));
        let config = &self.shared.client.config;
        match self.send::<Written>("UpdateItem", update, deadline).await {
            Ok(Answer::Done(written)) => {
                let sum = written.attributes.and_then(|item| item.num).and_then(|number| number.0);
                sum.map(Some).ok_or_else(|| DYNAMODB.unknown(&config.server, "its answer is not one of DynamoDB"))
            }
            Ok(Answer::NotMet(_)) => Ok(None),
            Err(Failure::Failed(error)) => Err(error),
            Err(Failure::Unknown(error)) => match self.find(key, None, deadline).await {
                Ok(Some(item)) if has(Some(&item), &mark) => {
                    item.num.and_then(|number| number.0).map(Some).ok_or_else(layout::damaged)
                }
                _ => Err(error),
            },
        }
    }
}

/// Whether the item's last write has this mark.
fn has(item: Option<&Item>, mark: &[u8]) -> bool {
    item.and_then(|item| item.ver.as_ref()).is_some_and(|ver| ver.0.0 == mark)
}

/// The numbers to which `delta` can be added without leaving the range from `floor` to the largest one.
fn range(delta: i64, floor: i64) -> Option<(i64, i64)> {
    let least = i128::from(floor).saturating_sub(delta.into()).max(i64::MIN.into());
    let most = i128::from(i64::MAX).saturating_sub(delta.into()).min(i64::MAX.into());
    let range = (i64::try_from(least).ok()?, i64::try_from(most).ok()?);
    (range.0 <= range.1).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_the_arithmetic_of_counters() {
        let interesting = [i64::MIN, i64::MIN + 1, -7, -1, 0, 1, 7, i64::MAX - 1, i64::MAX];
        for delta in interesting {
            for floor in [i64::MIN, 0] {
                for before in interesting {
                    let allowed = counter::add(Some(&counter::format(before)), delta, floor).is_ok();
                    let inside = range(delta, floor).is_some_and(|(least, most)| (least..=most).contains(&before));
                    assert_eq!(inside, allowed, "{before} + {delta} from {floor}");
                }
            }
        }
    }
}
