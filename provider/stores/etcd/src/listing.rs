//! Listings: key ranges in pages, all at the revision of the first page.
//!
//! A cursor consists of that revision and the last key returned, so any instance can continue, and what others write
//! meanwhile is not visible. If etcd has compacted the revision, the listing continues at the current one, from the
//! same key. Keys are listed in order, so none that stays is skipped or returned twice.
#![deny(clippy::arithmetic_side_effects)]

use crate::client::{Answer, Call, Repeat};
use crate::error;
use crate::protocol::{self, Bytes, Number, Range, Ranged};
use crate::store::EtcdBucket;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kvfuse_core::limits::{PAGE_BYTES, PAGE_KEYS};
use kvfuse_core::page::foreign_cursor;
use kvfuse_core::{Page, Result};
use kvfuse_transport::clock::AsyncClock;
use kvfuse_transport::http::AsyncHttpClient;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The largest answer to accept, in bytes: a page of keys of about 4 KiB each. Longer keys make the page smaller.
const MAX_ANSWER: usize = 8 << 20;

/// `{revision}.{last key, base64url}.{check, hexadecimal}`.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    revision: Number,
    /// The last key returned, without the bucket's base.
    last: Vec<u8>,
}

impl Position {
    fn encode(&self, base: &str) -> String {
        format!("{}.{}.{:x}", self.revision.0, URL_SAFE_NO_PAD.encode(&self.last), self.check(base))
    }

    fn decode(text: &str, base: &str) -> Option<Self> {
        let (revision, rest) = text.split_once('.')?;
        let (last, _) = rest.split_once('.')?;
        let revision = Number(revision.parse().ok().filter(|revision| *revision > 0)?);
        let position = Self { revision, last: URL_SAFE_NO_PAD.decode(last).ok()? };
        (position.encode(base) == text).then_some(position)
    }

    /// A hash of the position and the bucket's base, so that a cursor that was made up or belongs to another bucket is
    /// recognized.
    fn check(&self, base: &str) -> u32 {
        let mut hasher = SipHasher13::new();
        hasher.write(&self.revision.0.to_le_bytes());
        hasher.write(&self.last);
        hasher.write(base.as_bytes());
        hasher.finish() as u32
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> EtcdBucket<H, C> {
    /// Only the range of the prefix is asked for. A cursor belongs to the bucket and the prefix.
    pub(crate) async fn page(&self, prefix: &str, cursor: Option<&str>) -> Result<Page> {
        let begin = format!("{}{prefix}", self.base);
        let position = match cursor {
            None => None,
            Some(text) => Some(Position::decode(text, &begin).ok_or_else(foreign_cursor)?),
        };
        let mut range = Range { keys_only: true, range_end: end(&begin), ..Range::default() };
        let mut from = begin.clone().into_bytes();
        if let Some(position) = &position {
            // The smallest key after the last one.
            from.truncate(self.base.len());
            from.extend_from_slice(&position.last);
            from.push(0);
            range.revision = position.revision;
        }
        range.key = Bytes(from.clone());
        let mut limit = PAGE_KEYS;
        let deadline = self.shared.client.deadline();
        let (ranged, member): (Ranged, &str) = loop {
            range.limit = Number(i64::try_from(limit).unwrap_or(1));
            let body = protocol::encode(&range);
            let call =
                Call { path: protocol::RANGE, body: &body, repeat: Repeat::Freely, max_answer: MAX_ANSWER, deadline };
            match self.shared.client.answer(&call).await? {
                (Answer::Done(ranged), member) => break (ranged, member),
                (Answer::Compacted, _) if range.revision != Number(0) => range.revision = Number(0),
                (Answer::TooLarge, _) if limit > 1 => limit = (limit / 32).max(1),
                (_, member) => return Err(error::not_etcd(member)),
            }
        };
        let mut revision = range.revision;
        if revision == Number(0) {
            revision = ranged.header.as_ref().map_or(revision, |header| header.revision);
        }
        self.page_of(ranged, revision, &begin, &from).ok_or_else(|| error::not_etcd(member))
    }

    /// The page that an answer holds, whose keys have to begin at `from`. That each is larger than the one before is what
    /// makes a listing end. `None` for an answer that etcd does not give.
    fn page_of(&self, ranged: Ranged, revision: Number, begin: &str, from: &[u8]) -> Option<Page> {
        let mut keys = ranged.kvs.iter().map(|found| found.key.0.as_slice());
        let in_order = keys.clone().is_sorted_by(|one, next| one < next);
        // An empty answer has nothing to continue from.
        let begins = keys.next().map_or(!ranged.more, |first| first >= from);
        if !in_order || !begins {
            return None;
        }
        let mut page = Page::default();
        let mut bytes = 0;
        let mut found = ranged.kvs.into_iter().peekable();
        while let Some(next) = found.next() {
            if !next.key.0.starts_with(begin.as_bytes()) {
                return None;
            }
            let last = next.key.0.strip_prefix(self.base.as_bytes())?;
            bytes = usize::saturating_add(bytes, last.len());
            // Keys that are not UTF-8 belong to other users of the cluster: no caller can have written them.
            page.keys.extend(std::str::from_utf8(last).map(str::to_string));
            let ends = found.peek().is_none();
            if (ends && ranged.more) || (!ends && bytes >= PAGE_BYTES) {
                page.cursor = Some(Position { revision, last: last.to_vec() }.encode(begin));
                break;
            }
        }
        Some(page)
    }
}

/// The first key after those that begin like this. It is text, so its last byte has a successor.
fn end(begin: &str) -> Bytes {
    let mut end = begin.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    Bytes(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_no_other_does() {
        for last in [&b""[..], b"key", b"\0\xff", &[b'k'; 1000]] {
            let text = Position { revision: Number(7), last: last.to_vec() }.encode("p/b/");
            assert_eq!(Position::decode(&text, "p/b/"), Some(Position { revision: Number(7), last: last.to_vec() }));
            assert_eq!(Position::decode(&text, "p/c/"), None);
            assert_eq!(Position::decode(&format!("{text}0"), "p/b/"), None);
        }
        for text in ["", "0", "7", "7..", "-7..0", "7.a.0", "7.*.0", "0..0"] {
            assert_eq!(Position::decode(text, "p/b/"), None, "{text}");
        }
    }
}
