//! The store and its buckets.

use crate::client::{Answer, Call, Client, Content, MAX_ANSWER, Repeat};
use crate::config::Config;
use crate::error::{AZURE, Failure};
use crate::guarded::{Expect, Guarded};
use crate::layout;
use crate::protocol::{Entity, decode};
use kvfuse_core::waiting::at_once;
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Page, Result, Settings, Snapshot, Store, Swap, Version};
use kvfuse_http::ambient::Ambient;
use kvfuse_http::tag::is_tag;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, HttpClient, Method};
use kvfuse_transport::turns::Turns;
use std::rc::Rc;
use std::time::Duration;

/// Buckets in a table. Opening one takes no round trip.
pub struct AzureStore<H, C> {
    shared: Rc<Shared<H, C>>,
}

/// What all buckets of an instance share.
pub(crate) struct Shared<H, C> {
    pub client: Client<H, C>,
    pub ambient: Ambient,
    pub increments: Turns,
}

impl<H: AsyncHttpClient, C: AsyncClock> AzureStore<H, C> {
    /// A store with these settings, which `docs/azure.md` lists.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no endpoint or no credentials are configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) for a setting that is not valid.
    pub fn new(settings: &Settings, http: H, clock: C, ambient: Ambient) -> Result<Self> {
        let client = Client::new(Config::from_settings(settings)?, http, clock, ambient.since_1970);
        Ok(Self { shared: Rc::new(Shared { client, ambient, increments: Turns::default() }) })
    }

    fn bucket(&self, bucket: &str) -> Result<AzureBucket<H, C>> {
        let partition = layout::partition(&self.shared.client.config.prefix, bucket)?;
        Ok(AzureBucket { shared: self.shared.clone(), partition })
    }
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> Store for AzureStore<H, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(Rc::new(self.bucket(bucket)?))
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncStore for AzureStore<H, C> {
    type Bucket = AzureBucket<H, C>;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        self.bucket(bucket)
    }
}

/// One of its buckets.
pub struct AzureBucket<H, C> {
    pub(crate) shared: Rc<Shared<H, C>>,
    /// The partition key of its entities.
    pub(crate) partition: String,
}

/// An entity, and the tag of this state of it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub entity: Entity,
    pub tag: String,
}

impl<H: AsyncHttpClient, C: AsyncClock> AzureBucket<H, C> {
    /// Milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from((self.shared.ambient.since_1970)().as_millis()).unwrap_or(i64::MAX)
    }

    /// When a key ends that is written now, in milliseconds since 1970. Rounded up: it may not end early.
    pub(crate) fn end(&self, life: Option<Duration>) -> Option<i64> {
        let end = (self.shared.ambient.since_1970)().saturating_add(life?);
        let milliseconds = end.as_nanos().div_ceil(1_000_000);
        Some(i64::try_from(milliseconds).unwrap_or(i64::MAX))
    }

    /// Whether the entity was still there although its key had ended when it was asked for. A key that ended since may have been set
    /// again before that.
    pub(crate) fn had_ended(entity: &Entity, asked: i64) -> Result<bool> {
        Ok(layout::end_of(entity)?.is_some_and(|end| end <= asked))
    }

    /// The entity of a key, if the key had not ended when it was asked for.
    pub(crate) async fn live(&self, key: &str, select: &str, deadline: Moment) -> Result<Option<Found>, Failure> {
        let asked = self.now();
        let Some(found) = self.find(key, select, deadline).await? else { return Ok(None) };
        Ok((!Self::had_ended(&found.entity, asked)?).then_some(found))
    }

    /// The entity of a key, ended or not; of its properties only those in `select`, unless it is empty.
    pub(crate) async fn find(&self, key: &str, select: &str, deadline: Moment) -> Result<Option<Found>, Failure> {
        let client = &self.shared.client;
        let path = client.entity(&self.partition, &layout::row_key(key));
        let query = if select.is_empty() { String::new() } else { format!("$select={select}") };
        let call = Call {
            method: Method::Get,
            path: &path,
            query: &query,
            if_match: None,
            content: Content::None,
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline,
        };
        let wrong = || AZURE.stranger(&client.config.server);
        match client.call(&call).await? {
            Answer::Missing(_) => Ok(None),
            Answer::NotMet | Answer::TooLarge => Err(wrong().into()),
            Answer::Done(response) => {
                let tag = response.headers.get("etag").filter(|tag| is_tag(tag)).ok_or_else(wrong)?.to_string();
                Ok(Some(Found { entity: decode(&response.body).ok_or_else(wrong)?, tag }))
            }
        }
    }

    pub(crate) async fn read(&self, key: &str, select: &str) -> Result<Option<Found>> {
        Ok(self.live(key, select, self.shared.client.deadline()).await?)
    }

    /// Sets the value of a key without a condition.
    async fn write(&self, key: &str, value: &[u8], life: Option<Duration>) -> Result<()> {
        match self.put(key, value, Expect::Anything, self.end(life), self.shared.client.deadline()).await? {
            Guarded::Done => Ok(()),
            Guarded::NotMet(_) => Err(AZURE.stranger(&self.shared.client.config.server)),
        }
    }

    /// What is left of the lifetimes of keys.
    async fn left(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        let since_1970 = (self.shared.ambient.since_1970)();
        let left = |entity: Entity| {
            let end = layout::end_of(&entity)?.and_then(|end| u64::try_from(end).ok());
            Ok(end.map(|end| Duration::from_millis(end).saturating_sub(since_1970)))
        };
        Ok(self.read_all(keys, "RowKey,end", left).await?.into_iter().map(Option::flatten).collect())
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncBucket for AzureBucket<H, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.read(key, "").await?.map(|found| layout::value_of(found.entity)).transpose()
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.write(key, value, self.shared.client.config.life).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let client = &self.shared.client;
        let call = Call {
            method: Method::Delete,
            path: &client.entity(&self.partition, &layout::row_key(key)),
            query: "",
            if_match: Some("*"),
            content: Content::None,
            repeat: Repeat::Never,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        match client.call(&call).await? {
            Answer::Done(_) | Answer::Missing(_) => Ok(()),
            Answer::NotMet | Answer::TooLarge => {
                Err(AZURE.unknown(&client.config.server, "its answer is not one of Azure Tables"))
            }
        }
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.read(key, "RowKey,end").await?.is_some())
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.page("", cursor).await
    }

    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.page(prefix, cursor).await
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        let Shared { client, increments, .. } = &*self.shared;
        let what = [self.partition.as_bytes(), &[0], key.as_bytes()].concat();
        let add = async |deadline| self.add(key, delta, floor, deadline).await;
        increments.take(&what, &client.clock, client.config.time_limit, add).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        snapshot(self.read(key, "").await?)
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let client = &self.shared.client;
        let tag = match expected {
            Version::Absent => None,
            Version::Tag(version) => match tag_in(version) {
                Some((tag, end)) if end.is_none_or(|end| end > self.now()) => Some(tag),
                // No version of this store's, or one that has ended.
                _ => return Ok(Swap::Conflict(self.snapshot(key).await?)),
            },
            Version::Number(_) => return Ok(Swap::Conflict(self.snapshot(key).await?)),
        };
        let expect = tag.map_or(Expect::Absent, Expect::Tag);
        match self.put(key, value, expect, self.end(client.config.life), client.deadline()).await? {
            Guarded::Done => Ok(Swap::Done),
            Guarded::NotMet(now) => Ok(Swap::Conflict(snapshot(now)?)),
        }
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        let client = &self.shared.client;
        let end = self.end(lifetime.or(client.config.life));
        Ok(matches!(self.put(key, value, Expect::Absent, end, client.deadline()).await?, Guarded::Done))
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.read_all(keys, "", layout::value_of).await
    }

    async fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        self.write_all(pairs).await
    }

    async fn delete_many(&self, keys: &[&str]) -> Result<()> {
        self.delete_all(keys).await
    }

    async fn set_expiring(&self, key: &str, value: &[u8], lifetime: Duration) -> Result<()> {
        self.write(key, value, Some(lifetime)).await
    }
}

impl<H: HttpClient + 'static, C: AsyncClock + 'static> Bucket for AzureBucket<H, C> {
    kvfuse_core::bucket_at_once!();

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        at_once(self.left(keys))
    }
}

/// The state of a key. Its version is the entity's tag, after the time at which the key ends.
fn snapshot(found: Option<Found>) -> Result<Snapshot> {
    let Some(Found { entity, tag }) = found else { return Ok(Snapshot::ABSENT) };
    let end = layout::end_of(&entity)?.map_or_else(|| "-".to_string(), |end| end.to_string());
    let version = format!("{end} {tag}").into_bytes();
    Ok(Snapshot { value: Some(layout::value_of(entity)?), version: Version::Tag(version.into()) })
}

/// The tag in a version, and when the key ends.
fn tag_in(version: &[u8]) -> Option<(&str, Option<i64>)> {
    let (end, tag) = std::str::from_utf8(version).ok()?.split_once(' ')?;
    let end = if end == "-" { None } else { Some(end.parse().ok()?) };
    is_tag(tag).then_some((tag, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tag_of_one_state_is_one() {
        let tag = r#"W/"datetime'2013-08-22T00%3A20%3A16.3134645Z'""#;
        assert_eq!(tag_in(format!("- {tag}").as_bytes()), Some((tag, None)));
        assert_eq!(tag_in(format!("17 {tag}").as_bytes()), Some((tag, Some(17))));
        for version in [
            "",
            "-",
            "- ",
            "- *",
            "- W/*",
            r#"- "a", "b""#,
            "- \"a\r\nx: y\"",
            r#"x "a""#,
            r#"-"a""#,
            r#"- ""#,
            r#"- ""#,
        ] {
            assert_eq!(tag_in(version.as_bytes()), None, "{version:?}");
        }
        assert_eq!(tag_in(b"- \"\xff\""), None);
    }
}
