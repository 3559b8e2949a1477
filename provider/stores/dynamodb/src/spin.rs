//! The layout of Spin: an item for each key, in a table of its own, whatever the bucket.
//!
//! | attribute | type | what it is |
//! |---|---|---|
//! | `PK` | S | the partition key: the key |
//! | `VAL` | B | the value |
//! | `VER` | N | a version, in items that were swapped |
//!
//! Spin itself adds 1 to `VER` with each swap, and leaves it out when it sets a key. So what it writes may have a version that
//! the key had before. This store gives each of its writes a random `VER`, and a swap expects the value beside it: only a value
//! that Spin has replaced and restored goes unnoticed.
#![deny(clippy::arithmetic_side_effects)]

use crate::batches;
use crate::client::{Answer, Api, Call, MAX_ANSWER, Repeat};
use crate::error::DYNAMODB;
use crate::layout;
use crate::protocol::{Bytes, Got, Item, Queried, Written};
use crate::store::{Shared, fields};
use kvfuse_core::limits::PAGE_KEYS;
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{AsyncBucket, Bucket, Error, Page, Result, Snapshot, Swap, Version, counter};
use kvfuse_transport::clock::{AsyncClock, Clock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, HttpClient};
use kvfuse_transport::turns::contended;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;

/// The longest partition key, in bytes.
const LONGEST_KEY: usize = 2048;
/// The largest item, in bytes.
const LARGEST: usize = 400 << 10;
/// What an item has beside the key and the value, in bytes: the names of the attributes, and a number.
const REST: usize = 2 + 3 + 3 + 21;

/// The whole table.
pub struct SpinBucket<H, C> {
    pub(crate) shared: Rc<Shared<H, C>>,
}

/// The condition of a write.
enum Expect<'a> {
    Anything,
    Absent,
    /// This value, with this `VER` or none.
    Seen(Option<i64>, &'a [u8]),
}

/// What a key was seen with.
struct Seen {
    value: Vec<u8>,
    version: Option<i64>,
}

impl Seen {
    fn of(item: Item) -> Result<Self> {
        let value = item.spin_value.ok_or_else(layout::damaged)?.0.0;
        let version = item.spin_version.map(|number| number.0.ok_or_else(layout::damaged)).transpose()?;
        Ok(Self { value, version })
    }

    /// Its version has the value in it, because `VER` alone does not tell two states of a key apart.
    fn snapshot(self) -> Snapshot {
        let mut tag = match self.version {
            None => vec![0],
            Some(version) => [&[1][..], &version.to_be_bytes()].concat(),
        };
        tag.extend_from_slice(&self.value);
        Snapshot { value: Some(self.value), version: Version::Tag(tag.into()) }
    }
}

impl<'a> Expect<'a> {
    /// What a version says; `None` if it is not one of these.
    fn of(version: &'a Version) -> Option<Self> {
        match version {
            Version::Absent => Some(Self::Absent),
            Version::Tag(tag) => match tag.split_first()? {
                (0, value) => Some(Self::Seen(None, value)),
                (1, rest) => {
                    let (number, value) = rest.split_first_chunk()?;
                    Some(Self::Seen(Some(i64::from_be_bytes(*number)), value))
                }
                _ => None,
            },
            Version::Number(_) => None,
        }
    }
}

fn identity(key: &str) -> Value {
    json!({ "PK": { "S": key } })
}

/// Refuses what cannot be a partition key, in every call alike.
fn check_key(key: &str) -> Result<()> {
    if (1..=LONGEST_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a key of {} bytes: in the layout `spin` keys are partition keys, and DynamoDB does not support those of less than 1 or \
         more than {LONGEST_KEY} bytes",
        key.len()
    )))
}

fn check_size(key: &str, value: &[u8]) -> Result<()> {
    check_key(key)?;
    if key.len().saturating_add(value.len()).saturating_add(REST) <= LARGEST {
        return Ok(());
    }
    Err(layout::too_large(key, value))
}

impl<H: AsyncHttpClient, C: AsyncClock> SpinBucket<H, C> {
    async fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        mut body: Value,
        repeat: Repeat,
        deadline: Moment,
    ) -> Result<Answer<T>> {
        let client = &self.shared.client;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("TableName".into(), client.config.table.as_str().into());
        }
        let call = Call { api: Api::Table, operation, body: &body, repeat, max_answer: MAX_ANSWER, deadline };
        Ok(client.answer(&call).await?)
    }

    /// A call without a condition.
    async fn plain<T: DeserializeOwned>(&self, operation: &str, body: Value, repeat: Repeat) -> Result<T> {
        match self.call(operation, body, repeat, self.shared.client.deadline()).await? {
            Answer::Done(done) => Ok(done),
            Answer::NotMet(_) => Err(DYNAMODB.stranger(&self.shared.client.config.server)),
        }
    }

    async fn find(&self, key: &str, attributes: Option<&str>) -> Result<Option<Item>> {
        check_key(key)?;
        let mut get = json!({ "Key": identity(key), "ConsistentRead": true });
        if let (Some(fields), Some(attributes)) = (get.as_object_mut(), attributes) {
            fields.insert("ProjectionExpression".into(), attributes.into());
        }
        Ok(self.plain::<Got>("GetItem", get, Repeat::Freely).await?.item)
    }

    async fn see(&self, key: &str) -> Result<Option<Seen>> {
        self.find(key, None).await?.map(Seen::of).transpose()
    }

    /// A whole item, with a version that it has not had.
    fn item(&self, key: &str, value: &[u8]) -> Value {
        // Of 62 bits, so that Spin can add 1 to it for a long time.
        let version = (u128::from_le_bytes((self.shared.ambient.random)()) as u64) >> 2;
        json!({ "PK": { "S": key }, "VAL": { "B": Bytes::text(value) }, "VER": { "N": version.to_string() } })
    }

    /// Returns whether the condition was met.
    async fn put(&self, key: &str, value: &[u8], expect: &Expect<'_>, deadline: Moment) -> Result<bool> {
        check_size(key, value)?;
        let mut put = fields(json!({ "Item": self.item(key, value) }));
        let (condition, values) = match expect {
            Expect::Anything => (None, None),
            Expect::Absent => (Some("attribute_not_exists(PK)"), None),
            Expect::Seen(None, value) => (
                Some("attribute_not_exists(VER) AND VAL = :value"),
                Some(json!({ ":value": { "B": Bytes::text(value) } })),
            ),
            Expect::Seen(Some(version), value) => (
                Some("VER = :version AND VAL = :value"),
                Some(json!({ ":value": { "B": Bytes::text(value) }, ":version": { "N": version.to_string() } })),
            ),
        };
        put.extend(condition.map(|condition| ("ConditionExpression".to_string(), condition.into())));
        put.extend(values.map(|values| ("ExpressionAttributeValues".to_string(), values)));
        Ok(matches!(self.call::<Written>("PutItem", put.into(), Repeat::Never, deadline).await?, Answer::Done(_)))
    }

    async fn add(&self, key: &str, delta: i64, floor: i64, deadline: Moment) -> Result<i64> {
        let client = &self.shared.client;
        let mut backoff = client.backoff();
        loop {
            let seen = self.see(key).await?;
            let sum = counter::add(seen.as_ref().map(|seen| seen.value.as_slice()), delta, floor)?;
            let expect = seen.as_ref().map_or(Expect::Absent, |seen| Expect::Seen(seen.version, &seen.value));
            if self.put(key, &counter::format(sum), &expect, deadline).await? {
                return Ok(sum);
            }
            if !backoff.wait_async(&client.clock, deadline).await {
                return Err(contended(client.config.time_limit));
            }
        }
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncBucket for SpinBucket<H, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.see(key).await?.map(|seen| seen.value))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        match self.put(key, value, &Expect::Anything, self.shared.client.deadline()).await? {
            true => Ok(()),
            false => Err(DYNAMODB.stranger(&self.shared.client.config.server)),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        check_key(key)?;
        self.plain::<Written>("DeleteItem", json!({ "Key": identity(key) }), Repeat::Never).await.map(drop)
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.find(key, Some("PK")).await?.is_some())
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.list_prefix("", cursor).await
    }

    /// DynamoDB looks at every item of the table, and leaves out those without the prefix.
    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        let client = &self.shared.client;
        let listing = ["spin", prefix];
        let mut scan = fields(json!({ "ProjectionExpression": "PK", "ConsistentRead": true, "Limit": PAGE_KEYS }));
        if !prefix.is_empty() {
            scan.insert("FilterExpression".into(), "begins_with(PK, :prefix)".into());
            scan.insert("ExpressionAttributeValues".into(), json!({ ":prefix": { "S": prefix } }));
        }
        let from =
            cursor.map(|text| kvfuse_http::cursor::place(text, &listing).ok_or_else(foreign_cursor)).transpose()?;
        if let Some(from) = &from {
            scan.insert("ExclusiveStartKey".into(), identity(from));
        }
        let scanned: Queried = self.plain("Scan", scan.into(), Repeat::Freely).await?;
        let wrong = || DYNAMODB.stranger(&client.config.server);
        let mut page = Page::default();
        for item in scanned.items {
            let key = item.spin_key.ok_or_else(wrong)?.0;
            if !key.starts_with(prefix) {
                return Err(wrong());
            }
            page.keys.push(key);
        }
        if let Some(last) = scanned.last {
            let last = last.spin_key.ok_or_else(wrong)?.0;
            if from.as_ref() == Some(&last) {
                return Err(wrong());
            }
            page.cursor = Some(kvfuse_http::cursor::cursor(&last, &listing));
        }
        Ok(page)
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let Shared { client, increments, .. } = &*self.shared;
        let add = async |deadline| self.add(key, delta, floor, deadline).await;
        increments.take(key.as_bytes(), &client.clock, client.config.time_limit, add).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        Ok(self.see(key).await?.map_or(Snapshot::ABSENT, Seen::snapshot))
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let done = match Expect::of(expected) {
            Some(expect) => self.put(key, value, &expect, self.shared.client.deadline()).await?,
            None => false,
        };
        if done { Ok(Swap::Done) } else { self.snapshot(key).await.map(Swap::Conflict) }
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        keys.iter().try_for_each(|key| check_key(key))?;
        let ids: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let value = |item| Seen::of(item).map(|seen| Some(seen.value));
        batches::read_each(&self.shared.client, &ids, None, identity, value).await
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| check_size(key, value))?;
        batches::put_each(&self.shared.client, pairs, |key, value| Ok((key.to_string(), self.item(key, value)))).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        keys.iter().try_for_each(|key| check_key(key))?;
        batches::delete_each(&self.shared.client, keys, |key| (key.to_string(), identity(key))).await
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        if lifetime.is_some() {
            return Err(no_lifetimes());
        }
        self.put(key, value, &Expect::Absent, self.shared.client.deadline()).await
    }

    async fn set_expiring(&self, _key: &str, _value: &[u8], _lifetime: Duration) -> Result<()> {
        Err(no_lifetimes())
    }
}

impl<H: HttpClient + 'static, C: Clock + 'static> Bucket for SpinBucket<H, C> {
    kvfuse_core::bucket_at_once!();
}

fn no_lifetimes() -> Error {
    Error::unsupported("in the layout `spin`, lifetimes of keys are not supported; the layout `own` has them")
}
