//! Listings of the objects whose names begin with that of the bucket, in pages.
//!
//! A cursor is the name at which a page ended, so any instance can continue. They are in an order that does not depend on what
//! else there is, so no key that stays is skipped or returned twice, and keys written meanwhile may be returned or not.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, MAX_ANSWER, Repeat};
use crate::error::S3;
use crate::layout;
use crate::protocol;
use crate::store::S3Bucket;
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Page, Result};
use kvfuse_http::cursor::{cursor, place};
use kvfuse_http::escape::escaped;
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::http::{AsyncHttpClient, Method};

impl<H: AsyncHttpClient, C: AsyncClock> S3Bucket<H, C> {
    /// Only the keys with the prefix are asked for. A cursor belongs to the bucket and the prefix.
    pub(crate) async fn page(&self, prefix: &str, at: Option<&str>) -> Result<Page> {
        let (client, listing) = (&self.shared.client, [self.space.as_str(), prefix]);
        let wrong = || S3.stranger(&client.config.server);
        let begins = layout::begins(&self.space, prefix);
        let from = at.map(|text| place(text, &listing).ok_or_else(foreign_cursor)).transpose()?;
        // No name is as long as that.
        if begins.len() > layout::MAX_NAME {
            return Ok(Page::default());
        }
        let mut query = format!("list-type=2&max-keys={PAGE_KEYS}&prefix={}", escaped(&begins, false));
        if let Some(from) = &from {
            query.push_str("&start-after=");
            query.push_str(&escaped(from, false));
        }
        let call = Call {
            method: Method::Get,
            name: "",
            query: &query,
            headers: &[],
            body: b"",
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline: client.deadline(),
        };
        let Answer::Done(response) = client.call(&call).await? else { return Err(wrong()) };
        let listed = protocol::listed(&response.body).ok_or_else(wrong)?;
        let mut page = Page::default();
        let (mut last, mut bytes, mut left) = (from.clone(), 0_usize, listed.names.len());
        if listed.more && left == 0 {
            return Err(wrong());
        }
        for name in listed.names {
            if bytes >= PAGE_BYTES {
                break;
            }
            left = left.saturating_sub(1);
            // A listing that begins where it already was would never end. The names are in order in S3, but not in every server
            // that has directories.
            if !name.starts_with(&begins) || from.as_ref() == Some(&name) || last.as_ref() == Some(&name) {
                return Err(wrong());
            }
            // What the layout would name otherwise, something else has put there.
            if let Some(key) = layout::key_of(&self.space, &name) {
                bytes = bytes.saturating_add(key.len());
                page.keys.push(key);
            }
            last = Some(name);
        }
        if listed.more || left > 0 {
            page.cursor = last.map(|name| cursor(&name, &listing));
        }
        Ok(page)
    }
}
