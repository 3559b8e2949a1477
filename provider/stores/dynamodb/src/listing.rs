//! Listings: queries of the bucket's partition, in pages.
//!
//! A cursor is the sort key at which a page ended, so any instance can continue. Sort keys are in order, so no key that
//! stays is skipped or returned twice, and keys written meanwhile may be returned or not.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Api, Call, MAX_ANSWER, Repeat};
use crate::error::DYNAMODB;
use crate::layout;
use crate::protocol::Queried;
use crate::store::{DynamoBucket, fields, request};
use kvfuse_core::limits::PAGE_KEYS;
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Page, Result};
use kvfuse_http::cursor::{cursor, place};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::http::AsyncHttpClient;
use serde_json::json;

impl<H: AsyncHttpClient, C: AsyncClock> DynamoBucket<H, C> {
    /// Only the keys with the prefix are asked for. A cursor belongs to the bucket and the prefix.
    pub(crate) async fn page(&self, prefix: &str, at: Option<&str>) -> Result<Page> {
        let (client, listing) = (&self.shared.client, [self.partition.as_str(), prefix]);
        let begins = layout::begins(prefix);
        let from = match at {
            None => None,
            Some(text) => Some(place(text, &listing).ok_or_else(foreign_cursor)?),
        };
        let mut query = fields(json!({
            "KeyConditionExpression": "#p = :bucket AND begins_with(#s, :begins)",
            "ExpressionAttributeValues": { ":bucket": { "S": self.partition }, ":begins": { "S": begins } },
            "ProjectionExpression": "#s, #k, #t",
            "ConsistentRead": true,
            "Limit": PAGE_KEYS,
        }));
        if let Some(sort) = &from {
            let start = json!({ "pk": { "S": self.partition }, "sk": { "S": sort } });
            query.insert("ExclusiveStartKey".into(), start);
        }
        let call = Call {
            api: Api::Table,
            operation: "Query",
            body: &request(&client.config.table, query),
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        let asked = self.now();
        let queried: Queried = client.call(&call).await?;
        let wrong = || DYNAMODB.stranger(&client.config.server);
        // That each sort key is larger than the one before is what makes a listing end.
        let any = !queried.items.is_empty();
        let mut last = from;
        let mut page = Page::default();
        for item in queried.items {
            let sort = item.sk.as_ref().map(|sort| sort.0.clone()).ok_or_else(wrong)?;
            if !sort.starts_with(&begins) || last.as_ref().is_some_and(|last| *last >= sort) {
                return Err(wrong());
            }
            last = Some(sort);
            if let Some(item) = Self::live(Some(item), asked)? {
                let key = layout::key_of(&item)?;
                // The sort key of a long key has only a part of the prefix.
                page.keys.extend(key.starts_with(prefix).then_some(key));
            }
        }
        if let Some(key) = queried.last {
            // Usually the one of the last item, and always after the one at which the query began.
            let sort = key.sk.ok_or_else(wrong)?.0;
            let moves_on = match &last {
                Some(last) if any => sort >= *last,
                Some(from) => sort > *from,
                None => true,
            };
            if !moves_on || !sort.starts_with(&begins) {
                return Err(wrong());
            }
            page.cursor = Some(cursor(&sort, &listing));
        }
        Ok(page)
    }
}
