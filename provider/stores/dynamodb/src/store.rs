//! The store and its buckets.

use crate::bucket::TableBucket;
use crate::client::{Api, Call, Client, MAX_ANSWER, Repeat};
use crate::config::{Config, Layout};
use crate::error::{DYNAMODB, Failure};
use crate::guarded::{Expect, Guarded};
use crate::layout;
use crate::protocol::{Got, Item, Written};
use crate::spin::SpinBucket;
use crate::watch::DynamoWatch;
use kvfuse_core::waiting::at_once;
use kvfuse_core::watch::From;
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Page, Result, Settings, Snapshot, Store, Swap, Version, Watch};
use kvfuse_http::ambient::Ambient;
use kvfuse_transport::clock::{AsyncClock, Clock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, HttpClient};
use kvfuse_transport::turns::Turns;
use serde_json::{Map, Value, json};
use std::rc::Rc;
use std::time::Duration;

/// Buckets in a table of DynamoDB. Opening one takes no round trip.
pub struct DynamoStore<H, C> {
    shared: Rc<Shared<H, C>>,
}

/// What all buckets of an instance share.
pub(crate) struct Shared<H, C> {
    pub client: Client<H, C>,
    pub ambient: Ambient,
    pub increments: Turns,
}

impl<H: AsyncHttpClient, C: AsyncClock> DynamoStore<H, C> {
    /// A store with these settings, which `docs/dynamodb.md` lists.
    ///
    /// # Errors
    /// [`Unavailable`](kvfuse_core::Kind::Unavailable) if no endpoint or no access key is configured,
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) for a setting that is not valid.
    pub fn new(settings: &Settings, http: H, clock: C, ambient: Ambient) -> Result<Self> {
        let client = Client::new(Config::from_settings(settings)?, http, clock, ambient.since_1970);
        Ok(Self { shared: Rc::new(Shared { client, ambient, increments: Turns::default() }) })
    }

    fn bucket(&self, bucket: &str) -> Result<TableBucket<H, C>> {
        let shared = self.shared.clone();
        if self.shared.client.config.layout == Layout::Spin {
            return Ok(TableBucket::Spin(SpinBucket { shared }));
        }
        let partition = layout::partition(&self.shared.client.config.prefix, bucket)?;
        Ok(TableBucket::Own(DynamoBucket { shared, partition }))
    }
}

impl<H: HttpClient + 'static, C: Clock + 'static> Store for DynamoStore<H, C> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        Ok(match self.bucket(bucket)? {
            TableBucket::Own(bucket) => Rc::new(bucket),
            TableBucket::Spin(bucket) => Rc::new(bucket),
        })
    }

    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        if self.shared.client.config.layout == Layout::Spin { "" } else { bucket }
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncStore for DynamoStore<H, C> {
    type Bucket = TableBucket<H, C>;

    fn open_async(&self, bucket: &str) -> Result<Self::Bucket> {
        self.bucket(bucket)
    }
}

/// One of its buckets, in the layout of this store.
pub struct DynamoBucket<H, C> {
    pub(crate) shared: Rc<Shared<H, C>>,
    /// The partition key of its items.
    pub(crate) partition: String,
}

/// A request about the table, with the names of the attributes that its expressions have.
pub(crate) fn request(table: &str, mut fields: Map<String, Value>) -> Value {
    fields.insert("TableName".into(), table.into());
    let expressions: Vec<&str> =
        fields.iter().filter(|(name, _)| name.ends_with("Expression")).filter_map(|(_, text)| text.as_str()).collect();
    let names = names(&expressions);
    if !names.is_empty() {
        fields.insert("ExpressionAttributeNames".into(), names.into());
    }
    Value::Object(fields)
}

/// The names of the attributes in expressions. DynamoDB rejects those that are not used.
pub(crate) fn names(expressions: &[&str]) -> Map<String, Value> {
    let used = layout::NAMES.iter().filter(|(sign, _)| expressions.iter().any(|text| text.contains(sign)));
    used.map(|(sign, name)| (sign.to_string(), Value::from(*name))).collect()
}

/// The fields of an object.
pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> DynamoBucket<H, C> {
    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        i64::try_from((self.shared.ambient.since_1970)().as_secs()).unwrap_or(i64::MAX)
    }

    /// When a key ends that is written now, in seconds since 1970. Rounded up: it may not end early.
    pub(crate) fn end(&self, life: Option<Duration>) -> Option<i64> {
        let end = (self.shared.ambient.since_1970)().saturating_add(life?);
        let seconds = end.as_secs().saturating_add(u64::from(end.subsec_nanos() > 0));
        Some(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// The item, if the key had not ended when it was asked for. One that ended since may have been set again before that. DynamoDB
    /// deletes those that have ended within days.
    pub(crate) fn live(item: Option<Item>, asked: i64) -> Result<Option<Item>> {
        let Some(item) = item else { return Ok(None) };
        let ended = layout::end_of(&item)?.is_some_and(|end| end <= asked);
        Ok((!ended).then_some(item))
    }

    /// The item of a key, ended or not. With a projection, only those attributes of it.
    pub(crate) async fn find(
        &self,
        key: &str,
        projection: Option<&str>,
        deadline: Moment,
    ) -> Result<Option<Item>, Failure> {
        let client = &self.shared.client;
        let mut get = fields(json!({ "Key": layout::identity(&self.partition, key), "ConsistentRead": true }));
        if let Some(projection) = projection {
            get.insert("ProjectionExpression".into(), projection.into());
        }
        let call = Call {
            api: Api::Table,
            operation: "GetItem",
            body: &request(&client.config.table, get),
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline,
        };
        Ok(client.call::<Got>(&call).await?.item)
    }

    pub(crate) async fn read(&self, key: &str, projection: Option<&str>) -> Result<Option<Item>> {
        let asked = self.now();
        Self::live(self.find(key, projection, self.shared.client.deadline()).await?, asked)
    }

    /// Sets the value of a key without a condition.
    async fn write(&self, key: &str, value: &[u8], life: Option<Duration>) -> Result<()> {
        match self.put(key, value, Expect::Anything, life, self.shared.client.deadline()).await? {
            Guarded::Done => Ok(()),
            Guarded::NotMet(_) => Err(DYNAMODB.stranger(&self.shared.client.config.server)),
        }
    }

    /// What is left of the lifetimes of keys.
    pub(crate) async fn left(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        let since_1970 = (self.shared.ambient.since_1970)();
        let left = |item: Item| {
            let end = layout::end_of(&item)?.and_then(|end| u64::try_from(end).ok());
            Ok(end.map(|end| Duration::from_secs(end).saturating_sub(since_1970)))
        };
        Ok(self.read_all(keys, Some("#s, #t"), left).await?.into_iter().map(Option::flatten).collect())
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> AsyncBucket for DynamoBucket<H, C> {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.read(key, None).await?.map(layout::value_of).transpose()
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        self.write(key, value, self.shared.client.config.life).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let client = &self.shared.client;
        let delete = fields(json!({ "Key": layout::identity(&self.partition, key) }));
        let call = Call {
            api: Api::Table,
            operation: "DeleteItem",
            body: &request(&client.config.table, delete),
            repeat: Repeat::Never,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        client.call::<Written>(&call).await?;
        Ok(())
    }

    async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.read(key, Some("#s, #t")).await?.is_some())
    }

    async fn list(&self, cursor: Option<&str>) -> Result<Page> {
        self.page("", cursor).await
    }

    async fn list_prefix(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        self.page(prefix, cursor).await
    }

    async fn increment(&self, key: &str, delta: i64, floor: i64) -> Result<i64> {
        self.add(key, delta, floor).await
    }

    async fn snapshot(&self, key: &str) -> Result<Snapshot> {
        self.read(key, None).await?.map_or(Ok(Snapshot::ABSENT), snapshot)
    }

    async fn swap(&self, key: &str, expected: &Version, value: &[u8]) -> Result<Swap> {
        let client = &self.shared.client;
        let expect = match expected {
            Version::Absent => Expect::Absent,
            Version::Tag(mark) if mark.len() == 16 => Expect::Mark(mark),
            // No version of this store's.
            _ => {
                let now = self.read(key, None).await?;
                return Ok(Swap::Conflict(now.map_or(Ok(Snapshot::ABSENT), snapshot)?));
            }
        };
        match self.put(key, value, expect, client.config.life, client.deadline()).await? {
            Guarded::Done => Ok(Swap::Done),
            Guarded::NotMet(now) => Ok(Swap::Conflict(now.map_or(Ok(Snapshot::ABSENT), snapshot)?)),
        }
    }

    async fn create(&self, key: &str, value: &[u8], lifetime: Option<Duration>) -> Result<bool> {
        let client = &self.shared.client;
        let life = lifetime.or(client.config.life);
        Ok(matches!(self.put(key, value, Expect::Absent, life, client.deadline()).await?, Guarded::Done))
    }

    async fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>> {
        self.read_all(keys, None, layout::value_of).await
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

impl<H: HttpClient + 'static, C: Clock + 'static> Bucket for DynamoBucket<H, C> {
    kvfuse_core::bucket_at_once!();

    fn watch(&self, prefix: &str, from: From<'_>) -> Result<Box<dyn Watch>> {
        let bucket = DynamoBucket { shared: self.shared.clone(), partition: self.partition.clone() };
        Ok(Box::new(DynamoWatch::new(bucket, prefix, from)?))
    }

    fn lifetimes(&self, keys: &[&str]) -> Result<Vec<Option<Duration>>> {
        at_once(self.left(keys))
    }
}

/// The state of a key. Its version is the mark of its last write.
pub(crate) fn snapshot(item: Item) -> Result<Snapshot> {
    let mark = item.ver.clone().ok_or_else(layout::damaged)?;
    Ok(Snapshot { value: Some(layout::value_of(item)?), version: Version::Tag(mark.0.0.into()) })
}
