//! Listings: queries of the bucket's partition, in pages.
//!
//! A cursor is the `RowKey` at which a page ended, so any instance can continue. They are in order, so no key that
//! stays is skipped or returned twice, and keys written meanwhile may be returned or not.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, Content, MAX_ANSWER, Repeat};
use crate::error::{AZURE, Failure};
use crate::layout;
use crate::protocol::{Entity, Queried, decode};
use crate::store::AzureBucket;
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Page, Result};
use kvfuse_http::cursor::{cursor, place};
use kvfuse_http::escape::escaped;
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::http::{AsyncHttpClient, Method};
use std::fmt::Write;

/// A query of a bucket's partition.
pub struct Query<'a> {
    /// The condition on the `RowKey`.
    pub rows: &'a str,
    /// All properties if it is empty.
    pub select: &'a str,
    pub most: usize,
    /// In bytes.
    pub max_answer: usize,
    pub deadline: Moment,
}

/// What a query found, in the order of the `RowKey`s.
pub enum Asked {
    /// If that is not all, with the place at which the query goes on, which only the service understands.
    Found(Vec<Entity>, Option<Token>),
    /// More than is accepted.
    TooLarge,
}

/// A part of a URL.
#[derive(PartialEq, Eq)]
pub struct Token(String);

impl<H: AsyncHttpClient, C: AsyncClock> AzureBucket<H, C> {
    pub(crate) async fn ask(&self, query: &Query<'_>, from: Option<&Token>) -> Result<Asked, Failure> {
        let client = &self.shared.client;
        let filter = format!("PartitionKey eq '{}' and {}", self.partition, query.rows);
        let mut text = format!("$filter={}&$top={}", escaped(&filter, false), query.most);
        if !query.select.is_empty() {
            let _ = write!(text, "&$select={}", query.select);
        }
        text.extend(from.map(|token| token.0.as_str()));
        let call = Call {
            method: Method::Get,
            path: &format!("/{}()", client.config.table),
            query: &text,
            if_match: None,
            content: Content::None,
            repeat: Repeat::Freely,
            max_answer: query.max_answer,
            deadline: query.deadline,
        };
        let wrong = || AZURE.stranger(&client.config.server);
        let response = match client.call(&call).await? {
            Answer::Done(response) => response,
            Answer::TooLarge => return Ok(Asked::TooLarge),
            Answer::Missing(_) | Answer::NotMet => return Err(wrong().into()),
        };
        let queried: Queried = decode(&response.body).ok_or_else(wrong)?;
        let header = |name: &str| response.headers.get(name).filter(|value| !value.is_empty());
        let token = header("x-ms-continuation-nextpartitionkey").map(|partition| {
            let mut token = format!("&NextPartitionKey={}", escaped(partition, false));
            if let Some(row) = header("x-ms-continuation-nextrowkey") {
                let _ = write!(token, "&NextRowKey={}", escaped(row, false));
            }
            Token(token)
        });
        if token.as_ref().is_some_and(|token| from == Some(token)) {
            return Err(wrong().into());
        }
        Ok(Asked::Found(queried.entities, token))
    }

    /// Only the keys with the prefix are asked for. A cursor belongs to the bucket and the prefix.
    pub(crate) async fn page(&self, prefix: &str, at: Option<&str>) -> Result<Page> {
        let (client, listing) = (&self.shared.client, [self.partition.as_str(), prefix]);
        let begins = layout::begins(prefix);
        let from = match at {
            None => None,
            Some(text) => Some(place(text, &listing).ok_or_else(foreign_cursor)?),
        };
        let after = layout::after(&begins);
        let rows = match &from {
            None => format!("RowKey ge '{begins}' and RowKey lt '{after}'"),
            // A cursor has its check, and is not a secret: the row is escaped like any other.
            Some(row) if layout::is_name(row) => format!("RowKey gt '{row}' and RowKey lt '{after}'"),
            Some(_) => return Err(foreign_cursor()),
        };
        let properties: Vec<String> = layout::key_properties().collect();
        let select = format!("RowKey,end,{}", properties.join(","));
        let deadline = client.deadline();
        let mut most = PAGE_KEYS;
        let mut token = None;
        let asked = self.now();
        let (entities, more) = loop {
            let query = Query { rows: &rows, select: &select, most, max_answer: MAX_ANSWER, deadline };
            match self.ask(&query, token.as_ref()).await? {
                // The service may have looked for a while and found nothing yet.
                Asked::Found(entities, Some(next)) if entities.is_empty() => token = Some(next),
                Asked::Found(entities, next) => break (entities, next.is_some()),
                // Long keys.
                Asked::TooLarge if most > 1 => most = most.div_ceil(8),
                Asked::TooLarge => return Err(AZURE.stranger(&client.config.server)),
            }
        };
        let mut page = Page::default();
        let (mut last, mut bytes, mut left) = (from, 0, entities.len());
        for entity in entities {
            if bytes >= PAGE_BYTES {
                break;
            }
            left = left.saturating_sub(1);
            // That each row is larger than the one before is what makes a listing end.
            let row = entity
                .row
                .clone()
                .filter(|row| row.starts_with(&begins) && last.as_ref().is_none_or(|last| last < row));
            last = Some(row.ok_or_else(|| AZURE.stranger(&client.config.server))?);
            if !Self::had_ended(&entity, asked)? {
                let key = layout::key_of(&entity)?;
                // The row of a long key has only a part of the prefix.
                if key.starts_with(prefix) {
                    bytes = bytes.saturating_add(key.len());
                    page.keys.push(key);
                }
            }
        }
        if more || left > 0 {
            page.cursor = last.map(|row| cursor(&row, &listing));
        }
        Ok(page)
    }
}
