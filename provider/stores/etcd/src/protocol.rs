//! The requests to etcd's JSON gateway and their answers. No I/O.
//!
//! Source: <https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/> and, for the messages, `rpc.proto` of etcd 3.4 and
//! 3.5. Bytes are base64; 64-bit numbers are strings; a field with its default value (0, false, empty) is left out.
//!
//! An answer is no larger than its call accepts, but what is decoded from it could be many times as large. So lists have a
//! bound as well, which no answer to these requests reaches, and an allocation that fails is an error.
#![deny(clippy::arithmetic_side_effects)]

use kvfuse_core::limits::PAGE_KEYS;
pub use kvfuse_json::{Bytes, decode};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

pub const RANGE: &str = "/v3/kv/range";
pub const PUT: &str = "/v3/kv/put";
pub const DELETE_RANGE: &str = "/v3/kv/deleterange";
pub const TXN: &str = "/v3/kv/txn";
pub const LEASE_GRANT: &str = "/v3/lease/grant";
pub const LEASE_LEFT: &str = "/v3/lease/timetolive";
pub const WATCH: &str = "/v3/watch";
pub const AUTHENTICATE: &str = "/v3/auth/authenticate";

/// A 64-bit number, encoded as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub i64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit number or a string of one")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("not a 64-bit number"))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                i64::try_from(number).map(Number).map_err(|_| E::custom("not a 64-bit number"))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// The most items of a list in an answer: a page of keys, or the operations of a transaction.
pub const MAX_ITEMS: usize = PAGE_KEYS;

/// The most changes in a message of a watch: 1,000 revisions, as etcd bounds it, of 128 operations each.
pub const MAX_EVENTS: usize = 128_000;

/// A list of up to [`MAX_ITEMS`].
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    kvfuse_json::bounded::<D, T, MAX_ITEMS>(deserializer)
}

/// A list of up to [`MAX_EVENTS`].
pub fn bounded_events<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    kvfuse_json::bounded::<D, T, MAX_EVENTS>(deserializer)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Clone, Default, Serialize)]
pub struct Range {
    pub key: Bytes,
    #[serde(skip_serializing_if = "is_default")]
    pub range_end: Bytes,
    #[serde(skip_serializing_if = "is_default")]
    pub limit: Number,
    #[serde(skip_serializing_if = "is_default")]
    pub revision: Number,
    #[serde(skip_serializing_if = "is_default")]
    pub keys_only: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub count_only: bool,
}

#[derive(Clone, Serialize)]
pub struct Put {
    pub key: Bytes,
    pub value: Bytes,
    #[serde(skip_serializing_if = "is_default")]
    pub lease: Number,
}

#[derive(Clone, Serialize)]
pub struct DeleteRange {
    pub key: Bytes,
}

#[derive(Default, Serialize)]
pub struct Txn {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compare: Vec<Compare>,
    pub success: Vec<Operation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<Operation>,
}

/// The condition that a key was last modified at a revision; for revision 0, that it does not exist.
#[derive(Serialize)]
pub struct Compare {
    target: &'static str,
    result: &'static str,
    key: Bytes,
    mod_revision: Number,
}

impl Compare {
    pub fn modified_at(key: Bytes, revision: Number) -> Self {
        Self { target: "MOD", result: "EQUAL", key, mod_revision: revision }
    }
}

#[derive(Serialize)]
pub enum Operation {
    #[serde(rename = "request_range")]
    Range(Range),
    #[serde(rename = "request_put")]
    Put(Put),
    #[serde(rename = "request_delete_range")]
    DeleteRange(DeleteRange),
}

#[derive(Serialize)]
pub struct Grant {
    /// In seconds.
    #[serde(rename = "TTL")]
    pub ttl: Number,
}

#[derive(Serialize)]
pub struct Authenticate<'a> {
    pub name: &'a str,
    pub password: &'a str,
}

#[derive(Debug, Default, Deserialize)]
pub struct Header {
    #[serde(default)]
    pub revision: Number,
}

/// A key with its value and history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeyValue {
    pub key: Bytes,
    pub value: Bytes,
    /// The revision of its creation.
    pub create_revision: Number,
    /// The revision of its last modification.
    pub mod_revision: Number,
    /// The number of writes since its creation, which counts as one.
    pub version: Number,
    /// The lease that it ends with; 0 if there is none.
    pub lease: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ranged {
    pub header: Option<Header>,
    #[serde(deserialize_with = "bounded")]
    pub kvs: Vec<KeyValue>,
    pub more: bool,
    pub count: Number,
}

/// The answer to a put or a delete: it only says that it was done.
#[derive(Debug, Deserialize)]
pub struct Written {
    #[allow(dead_code, reason = "its presence distinguishes an answer from other JSON")]
    pub header: Header,
}

#[derive(Debug, Deserialize)]
pub struct TxnDone {
    #[allow(dead_code, reason = "as above")]
    pub header: Header,
    #[serde(default)]
    pub succeeded: bool,
    #[serde(default, deserialize_with = "bounded")]
    pub responses: Vec<OperationDone>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OperationDone {
    pub response_range: Option<Ranged>,
}

#[derive(Debug, Deserialize)]
pub struct Granted {
    #[serde(rename = "ID")]
    pub id: Number,
}

#[derive(Serialize)]
pub struct LeaseLeft {
    #[serde(rename = "ID")]
    pub id: Number,
}

#[derive(Debug, Deserialize)]
pub struct LeaseHas {
    #[allow(dead_code, reason = "as above")]
    pub header: Header,
    /// In seconds; negative for a lease that has ended.
    #[serde(rename = "TTL", default)]
    pub ttl: Number,
}

#[derive(Deserialize)]
pub struct Authenticated {
    pub token: String,
}

/// An error answer. Old gateways have no `message`, new ones no `error`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    pub error: String,
    pub message: String,
    pub code: i32,
}

impl Refusal {
    pub fn text(&self) -> &str {
        if self.message.is_empty() { &self.error } else { &self.message }
    }
}

pub fn encode(request: &impl Serialize) -> Vec<u8> {
    // This fails only for a map whose keys are not strings, or if a Serialize fails. The types above have neither.
    serde_json::to_vec(request).unwrap_or_default()
}

/// The largest error answer that is read, in bytes. Those of etcd have a few hundred.
const MAX_REFUSAL: usize = 64 << 10;

/// An error answer; without any text if it is not one of etcd.
pub fn refusal(answer: &[u8]) -> Refusal {
    if answer.len() > MAX_REFUSAL { Refusal::default() } else { decode(answer).unwrap_or_default() }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests;
