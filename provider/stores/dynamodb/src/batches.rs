//! Many keys at once, in requests of the size that DynamoDB accepts. What it did not get to is sent again after a pause.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Api, Call, Client, MAX_BATCH, Repeat};
use crate::error::DYNAMODB;
use crate::layout;
use crate::protocol::{BatchGot, BatchWritten, Item, UnprocessedWrite};
use crate::store::{DynamoBucket, fields, names};
use kvfuse_core::Result;
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::http::AsyncHttpClient;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};

/// The most keys of a BatchGetItem.
const READS: usize = 100;
/// The most items of a BatchWriteItem.
const WRITES: usize = 25;
/// The size of keys and values, in bytes, after which a BatchWriteItem ends. DynamoDB takes 16 MB; this bounds the memory.
const BYTES: usize = 4 << 20;

impl<H: AsyncHttpClient, C: AsyncClock> DynamoBucket<H, C> {
    /// What `of` makes of each key's item; `None` for a key that does not exist. With a projection, it gets only these
    /// attributes, of which the sort key has to be one.
    pub(crate) async fn read_all<T>(
        &self,
        keys: &[&str],
        projection: Option<&str>,
        of: impl Fn(Item) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        let sorts: Vec<String> = keys.iter().map(|key| layout::sort_key(key)).collect();
        let identity = |sort: &str| json!({ "pk": { "S": self.partition }, "sk": { "S": sort } });
        let asked = self.now();
        let of = |item| Self::live(Some(item), asked)?.map(&of).transpose();
        read_each(&self.shared.client, &sorts, projection, identity, of).await
    }

    pub(crate) async fn write_all(&self, pairs: &[(&str, &[u8])]) -> Result<()> {
        let life = self.shared.client.config.life;
        // Nothing is written if one of them cannot be.
        for (key, value) in pairs {
            layout::check_size(&self.partition, key, value, life.is_some())?;
        }
        put_each(&self.shared.client, pairs, |key, value| {
            let mark = (self.shared.ambient.random)();
            let item = layout::item(&self.partition, key, value, &mark, self.end(life))?;
            Ok((layout::sort_key(key), item))
        })
        .await
    }

    pub(crate) async fn delete_all(&self, keys: &[&str]) -> Result<()> {
        let of = |key: &str| (layout::sort_key(key), layout::identity(&self.partition, key));
        delete_each(&self.shared.client, keys, of).await
    }
}

/// What `of` makes of the item with each of these identifiers, `None` where there is none. `identity` makes the attributes of an
/// identifier that DynamoDB finds the item by.
pub async fn read_each<H: AsyncHttpClient, C: AsyncClock, T>(
    client: &Client<H, C>,
    ids: &[String],
    projection: Option<&str>,
    identity: impl Fn(&str) -> Value,
    of: impl Fn(Item) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    // DynamoDB rejects a batch with a key twice.
    let mut uses: HashMap<&str, usize> = HashMap::new();
    let mut rest = Vec::new();
    for id in ids {
        let uses = uses.entry(id).or_default();
        if *uses == 0 {
            rest.push(id.as_str());
        }
        *uses = uses.saturating_add(1);
    }
    let mut found = fetch(client, rest, projection, identity).await?;
    let mut values = Vec::with_capacity(ids.len());
    for id in ids {
        let uses = uses.entry(id).or_default();
        *uses = uses.saturating_sub(1);
        let item = if *uses == 0 { found.remove(id) } else { found.get(id).cloned() };
        values.push(item.map_or(Ok(None), &of)?);
    }
    Ok(values)
}

/// The items with these identifiers, by their identifiers.
async fn fetch<H: AsyncHttpClient, C: AsyncClock>(
    client: &Client<H, C>,
    mut rest: Vec<&str>,
    projection: Option<&str>,
    identity: impl Fn(&str) -> Value,
) -> Result<HashMap<String, Item>> {
    let deadline = client.deadline();
    let mut found = HashMap::new();
    let mut backoff = client.backoff();
    while !rest.is_empty() {
        let after = rest.split_off(READS.min(rest.len()));
        let keys: Vec<Value> = rest.iter().map(|id| identity(id)).collect();
        let mut asked = fields(json!({ "Keys": keys, "ConsistentRead": true }));
        if let Some(projection) = projection {
            asked.insert("ProjectionExpression".into(), projection.into());
            asked.insert("ExpressionAttributeNames".into(), names(&[projection]).into());
        }
        let body = json!({ "RequestItems": { client.config.table.as_str(): asked } });
        let (operation, repeat) = ("BatchGetItem", Repeat::Freely);
        let call = Call { api: Api::Table, operation, body: &body, repeat, max_answer: MAX_BATCH, deadline };
        let got: BatchGot = client.call(&call).await?;
        let mut open: HashSet<&str> = rest.iter().copied().collect();
        for item in got.found.into_values().flat_map(|items| items.0) {
            let Some(id) = item.id().map(str::to_string).filter(|id| open.remove(id.as_str())) else {
                return Err(DYNAMODB.stranger(&client.config.server));
            };
            found.insert(id, item);
        }
        let unprocessed = got.unprocessed.into_values().flat_map(|keys| keys.keys);
        let mut again: HashSet<String> = HashSet::new();
        for key in unprocessed {
            match key.id() {
                Some(id) if open.contains(id) => again.insert(id.to_string()),
                _ => return Err(DYNAMODB.stranger(&client.config.server)),
            };
        }
        rest.retain(|id| again.contains(*id));
        if rest.is_empty() {
            backoff = client.backoff();
        } else if !backoff.wait_async(&client.clock, deadline).await {
            return Err(DYNAMODB.unavailable(&client.config.server, "it did not get to all keys of the batch"));
        }
        rest.extend(after);
    }
    Ok(found)
}

/// Puts the items that `item` makes of the pairs, which come with their identifiers.
pub async fn put_each<H: AsyncHttpClient, C: AsyncClock>(
    client: &Client<H, C>,
    pairs: &[(&str, &[u8])],
    item: impl Fn(&str, &[u8]) -> Result<(String, Value)>,
) -> Result<()> {
    // DynamoDB rejects a batch with a key twice. The last pair counts.
    let mut seen = HashSet::new();
    let mut unique: Vec<_> = pairs.iter().rev().filter(|(key, _)| seen.insert(*key)).copied().collect();
    unique.reverse();
    let size = |(key, value): &(&str, &[u8])| key.len().saturating_add(value.len());
    in_parts(client, &unique, size, |(key, value)| {
        let (id, item) = item(key, value)?;
        Ok((id, json!({ "PutRequest": { "Item": item } })))
    })
    .await
}

/// Deletes items. `of` makes the identifier of a key, and the attributes that DynamoDB finds the item by.
pub async fn delete_each<H: AsyncHttpClient, C: AsyncClock>(
    client: &Client<H, C>,
    keys: &[&str],
    of: impl Fn(&str) -> (String, Value),
) -> Result<()> {
    let mut seen = HashSet::new();
    let unique: Vec<&str> = keys.iter().filter(|key| seen.insert(**key)).copied().collect();
    in_parts(
        client,
        &unique,
        |key| key.len(),
        |key| {
            let (id, identity) = of(key);
            Ok((id, json!({ "DeleteRequest": { "Key": identity } })))
        },
    )
    .await
}

/// Carries out a write for each item, in as few requests as the limits allow. `write` gives its identifier and its part of the
/// request.
async fn in_parts<H: AsyncHttpClient, C: AsyncClock, T>(
    client: &Client<H, C>,
    items: &[T],
    size: impl Fn(&T) -> usize,
    write: impl Fn(&T) -> Result<(String, Value)>,
) -> Result<()> {
    let deadline = client.deadline();
    let mut rest = items;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(WRITES).take_while(|item| {
            bytes = usize::saturating_add(bytes, size(item));
            bytes <= BYTES
        });
        let (part, after) = rest.split_at_checked(fitting.count().max(1)).unwrap_or((rest, &[]));
        let mut writes = part.iter().map(&write).collect::<Result<Vec<_>>>()?;
        let mut backoff = client.backoff();
        loop {
            let requests: Vec<Value> = writes.iter().map(|(_, request)| request.clone()).collect();
            let body = json!({ "RequestItems": { client.config.table.as_str(): requests } });
            let (operation, repeat) = ("BatchWriteItem", Repeat::Never);
            let call = Call { api: Api::Table, operation, body: &body, repeat, max_answer: MAX_BATCH, deadline };
            let written: BatchWritten = client.call(&call).await?;
            let again = written.unprocessed.into_values().flat_map(|writes| writes.0);
            let again: Option<HashSet<String>> = again.map(UnprocessedWrite::id).collect();
            let Some(again) = again.filter(|again| again.iter().all(|id| writes.iter().any(|(known, _)| known == id)))
            else {
                return Err(DYNAMODB.unknown(&client.config.server, "its answer is not one of DynamoDB"));
            };
            writes.retain(|(id, _)| again.contains(id));
            if writes.is_empty() {
                break;
            }
            if !backoff.wait_async(&client.clock, deadline).await {
                return Err(DYNAMODB.unavailable(&client.config.server, "it did not get to all keys of the batch"));
            }
        }
        rest = after;
    }
    Ok(())
}
