//! Calls about the table's stream, and what its records are.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Api, Call, MAX_ANSWER, Repeat};
use crate::error::{DYNAMODB, Failure, Lapse};
use crate::layout;
use crate::lineage::{From, MOST_SHARDS, Shard};
use crate::protocol::{Item, Text};
use crate::store::{DynamoBucket, request};
use crate::streams::{Attribute, Described, Image, Iterated, Iterator, Listed, Name, Record, Records, Shards};
use kvfuse_core::error::quoted;
use kvfuse_core::waiting::at_once;
use kvfuse_core::watch::MOST_CHANGES;
use kvfuse_core::{Change, Error, Kind, Result};
use kvfuse_transport::clock::Clock;
use kvfuse_transport::http::HttpClient;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// The most shards of a stream: those that are open, and those of the last 24 hours.
const MOST_LISTED: usize = 10 * MOST_SHARDS;

const DAMAGED: &str = "an item changed that this store did not write, so its value is not delivered; docs/dynamodb.md has \
                       the layout";
const UNNAMED: &str = "a key of more than 940 bytes was deleted, and the stream does not say which: for that it needs the \
                       view type NEW_AND_OLD_IMAGES";
const PERMISSIONS: &str = "watching needs dynamodb:DescribeTable on the table, and DescribeStream, GetShardIterator and \
                           GetRecords on its stream";

impl<H: HttpClient + 'static, C: Clock + 'static> DynamoBucket<H, C> {
    /// The stream of the table.
    pub(crate) fn stream(&self) -> Result<Name> {
        let client = &self.shared.client;
        let call = Call {
            api: Api::Table,
            operation: "DescribeTable",
            body: &request(&client.config.table, Map::new()),
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        let table = at_once(async { client.call::<Described>(&call).await.map_err(permitted) })?.table;
        let specification = table.specification.unwrap_or_default();
        let switch_on = |view: &str| {
            let table = quoted(&client.config.table);
            format!(
                "aws dynamodb update-table --table-name {table} --stream-specification StreamEnabled=true,StreamViewType={view}"
            )
        };
        match (table.stream, specification.view.as_str()) {
            (Some(stream), "NEW_IMAGE" | "NEW_AND_OLD_IMAGES") if specification.enabled => Ok(stream),
            (Some(_), view) if specification.enabled => Err(Error::unsupported(format!(
                "the stream of the table in DynamoDB does not have the values: its view type is {}; switch it off and on again \
                 with another one: {}",
                quoted(view),
                switch_on("NEW_IMAGE")
            ))),
            _ => Err(Error::unsupported(format!(
                "the table in DynamoDB has no stream, which is what can be watched; switch it on: {}",
                switch_on("NEW_IMAGE")
            ))),
        }
    }

    fn streams<T: DeserializeOwned>(&self, operation: &str, body: &Value) -> Result<Result<T, Lapse>> {
        let client = &self.shared.client;
        let (api, repeat, max_answer, deadline) = (Api::Streams, Repeat::Freely, MAX_ANSWER, client.deadline());
        let call = Call { api, operation, body, repeat, max_answer, deadline };
        at_once(async { client.streamed(&call).await.map_err(permitted) })
    }

    /// All shards of the stream, unless it is gone.
    pub(crate) fn shards(&self, stream: &Name) -> Result<Option<Vec<Listed>>> {
        let wrong = || DYNAMODB.stranger(&self.shared.client.config.streams);
        let (mut listed, mut known) = (Vec::new(), HashSet::new());
        let mut last: Option<Name> = None;
        loop {
            let mut body = json!({ "StreamArn": stream.text() });
            if let (Some(last), Some(fields)) = (&last, body.as_object_mut()) {
                fields.insert("ExclusiveStartShardId".into(), last.text().into());
            }
            let page = match self.streams::<Shards>("DescribeStream", &body)? {
                Ok(shards) => shards.description,
                Err(_) => return Ok(None),
            };
            let before = listed.len();
            listed.extend(page.shards.into_iter().filter(|shard| known.insert(shard.id.clone())));
            last = page.last;
            if last.is_none() {
                return Ok(Some(listed));
            }
            // What makes it end: each page has shards that were not there before.
            if listed.len() == before || listed.len() > MOST_LISTED {
                return Err(wrong());
            }
        }
    }

    pub(crate) fn iterator(&self, stream: &Name, shard: &Shard, kind: &str) -> Result<Result<Iterator, Lapse>> {
        let mut body = Map::new();
        body.insert("StreamArn".into(), stream.text().into());
        body.insert("ShardId".into(), shard.id.text().into());
        body.insert("ShardIteratorType".into(), kind.into());
        if let From::After(sequence) = &shard.from {
            body.insert("SequenceNumber".into(), sequence.text().into());
        }
        Ok(self.streams::<Iterated>("GetShardIterator", &body.into())?.map(|iterated| iterated.iterator))
    }

    /// What comes at an iterator.
    pub(crate) fn records(&self, iterator: &Iterator) -> Result<Result<Records, Lapse>> {
        self.streams("GetRecords", &json!({ "ShardIterator": iterator.0, "Limit": MOST_CHANGES }))
    }

    /// The change that a record is, if it is one of the bucket and the prefix.
    pub(crate) fn change(&self, record: Record, prefix: &str) -> Result<Option<Change>, &'static str> {
        let change = record.change;
        let text = |attribute: &Option<Attribute>| {
            attribute.as_ref().and_then(|attribute| attribute.text()).unwrap_or_default().to_string()
        };
        let sort = text(&change.keys.sk);
        if text(&change.keys.pk) != self.partition || !sort.starts_with(&layout::begins(prefix)) {
            return Ok(None);
        }
        let removed = record.event == "REMOVE";
        let item = match change.new {
            // Only this is known of what was deleted, and of a long key only with the old image.
            _ if removed => {
                let unnamed = change.old.is_none() && layout::is_long_sort(&sort);
                let key = change.old.and_then(Image::key);
                let item = Item { sk: Some(Text(sort)), key, ..Item::default() };
                if unnamed {
                    return Err(UNNAMED);
                }
                item
            }
            Some(image) => image.item(sort).ok_or(DAMAGED)?,
            None => return Err(DAMAGED),
        };
        let key = layout::key_of(&item).map_err(|_| DAMAGED)?;
        if !key.starts_with(prefix) {
            return Ok(None);
        }
        if removed {
            return Ok(Some(Change::Delete { key }));
        }
        // What has ended is deleted, although DynamoDB has not got to it.
        match Self::live(Some(item), self.now()).map_err(|_| DAMAGED)? {
            None => Ok(Some(Change::Delete { key })),
            Some(item) => Ok(Some(Change::Set { key, value: layout::value_of(item).map_err(|_| DAMAGED)? })),
        }
    }
}

/// Says what is needed if that is not permitted.
fn permitted(failure: Failure) -> Error {
    let error = Error::from(failure);
    if error.kind() == Kind::AccessDenied { error.within(PERMISSIONS) } else { error }
}
