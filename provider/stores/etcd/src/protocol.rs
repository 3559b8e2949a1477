//! The requests to etcd's JSON gateway and their answers. No I/O.
//!
//! Source: <https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/> and, for the messages, `rpc.proto` of etcd 3.4 and
//! 3.5. Bytes are base64; 64-bit numbers are strings; a field with its default value (0, false, empty) is left out.
//!
//! An answer is no larger than its call accepts, but what is decoded from it could be many times as large. So lists have a
//! bound as well, which no answer to these requests reaches, and an allocation that fails is an error.
#![deny(clippy::arithmetic_side_effects)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvfuse_core::limits::PAGE_KEYS;
use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

pub const RANGE: &str = "/v3/kv/range";
pub const PUT: &str = "/v3/kv/put";
pub const DELETE_RANGE: &str = "/v3/kv/deleterange";
pub const TXN: &str = "/v3/kv/txn";
pub const LEASE_GRANT: &str = "/v3/lease/grant";
pub const AUTHENTICATE: &str = "/v3/auth/authenticate";

/// Bytes, encoded as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(base64::decoded_len_estimate(text.len())).map_err(|_| E::custom(NO_MEMORY))?;
                STANDARD.decode_vec(text, &mut bytes).map_err(|_| E::custom("not base64"))?;
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

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

const NO_MEMORY: &str = "there is no memory for it";

/// The most items of a list in an answer: a page of keys, or the operations of a transaction.
pub const MAX_ITEMS: usize = PAGE_KEYS;

/// A list of up to [`MAX_ITEMS`].
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Items<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of up to {MAX_ITEMS} items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() >= MAX_ITEMS {
                    return Err(de::Error::invalid_length(list.len().saturating_add(1), &self));
                }
                list.try_reserve(1).map_err(|_| de::Error::custom(NO_MEMORY))?;
                list.push(item);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_seq(Items(PhantomData))
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

/// `None` if the bytes are not an answer of this type.
pub fn decode<T: DeserializeOwned>(answer: &[u8]) -> Option<T> {
    serde_json::from_slice(answer).ok()
}

/// The largest error answer that is read, in bytes. Those of etcd have a few hundred.
const MAX_REFUSAL: usize = 64 << 10;

/// An error answer; without any text if it is not one of etcd.
pub fn refusal(answer: &[u8]) -> Refusal {
    if answer.len() > MAX_REFUSAL { Refusal::default() } else { decode(answer).unwrap_or_default() }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use super::*;
    use kvfuse_servers::allocated::Allocated;

    fn text(request: &impl Serialize) -> String {
        String::from_utf8(encode(request)).unwrap()
    }

    // The requests and answers are from the gateway's documentation.

    #[test]
    fn a_put_is_as_documented() {
        let put = Put { key: b"foo"[..].into(), value: b"bar"[..].into(), lease: Number(0) };
        assert_eq!(text(&put), r#"{"key":"Zm9v","value":"YmFy"}"#);
        let answer = br#"{"header":{"cluster_id":"12585971608760269493","member_id":"13847567121247652255","revision":"2","raft_term":"3"}}"#;
        assert_eq!(decode::<Written>(answer).unwrap().header.revision, Number(2));
    }

    #[test]
    fn a_range_is_as_documented() {
        let range = Range { key: b"foo"[..].into(), ..Range::default() };
        assert_eq!(text(&range), r#"{"key":"Zm9v"}"#);
        let answer = br#"{"header":{"cluster_id":"12585971608760269493","member_id":"13847567121247652255","revision":"2","raft_term":"3"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1"}"#;
        let ranged: Ranged = decode(answer).unwrap();
        assert_eq!(ranged.kvs.len(), 1);
        assert_eq!((ranged.kvs[0].value.0.as_slice(), ranged.kvs[0].mod_revision), (&b"bar"[..], Number(2)));
        assert_eq!((ranged.count, ranged.more), (Number(1), false));
    }

    #[test]
    fn a_transaction_is_as_documented() {
        let txn = Txn {
            compare: vec![Compare::modified_at(b"foo"[..].into(), Number(2))],
            success: vec![Operation::Put(Put { key: b"foo"[..].into(), value: b"bar"[..].into(), lease: Number(7) })],
            failure: vec![Operation::Range(Range { key: b"foo"[..].into(), ..Range::default() })],
        };
        let expected = concat!(
            r#"{"compare":[{"target":"MOD","result":"EQUAL","key":"Zm9v","mod_revision":"2"}],"#,
            r#""success":[{"request_put":{"key":"Zm9v","value":"YmFy","lease":"7"}}],"#,
            r#""failure":[{"request_range":{"key":"Zm9v"}}]}"#
        );
        assert_eq!(text(&txn), expected);
        let answer = br#"{"header":{"revision":"3"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"3"}}}]}"#;
        assert!(decode::<TxnDone>(answer).unwrap().succeeded);
        let answer = br#"{"header":{"revision":"3"},"responses":[{"response_range":{"header":{"revision":"3"}}}]}"#;
        let done: TxnDone = decode(answer).unwrap();
        assert!(!done.succeeded && done.responses[0].response_range.as_ref().unwrap().kvs.is_empty());
    }

    #[test]
    fn an_error_is_read_from_old_and_new_gateways() {
        for answer in [
            &br#"{"error":"etcdserver: permission denied","code":7}"#[..],
            br#"{"error":"etcdserver: permission denied","message":"etcdserver: permission denied","code":7}"#,
            br#"{"code":7,"message":"etcdserver: permission denied","details":[]}"#,
        ] {
            let refusal: Refusal = decode(answer).unwrap();
            assert_eq!((refusal.text(), refusal.code), ("etcdserver: permission denied", 7));
        }
    }

    #[test]
    fn what_is_decoded_is_bounded_by_the_answer_and_by_the_number_of_items() {
        let items = |before: &str, item: &str, after: &str, count: usize| {
            format!("{before}{}{after}", vec![item; count].join(","))
        };
        let kvs = |count| items(r#"{"kvs":["#, "{}", "]}", count);
        assert_eq!(decode::<Ranged>(kvs(MAX_ITEMS).as_bytes()).unwrap().kvs.len(), MAX_ITEMS);
        assert!(decode::<Ranged>(kvs(MAX_ITEMS + 1).as_bytes()).is_none());
        let nested = items(r#"{"header":{},"responses":["#, r#"{"response_range":{"kvs":[{}]}}"#, "]}", MAX_ITEMS + 1);
        assert!(decode::<TxnDone>(nested.as_bytes()).is_none());

        let value = items(r#"{"kvs":[{"value":""#, &"QUJD".repeat(1 << 20), r#""}]}"#, 1);
        for answer in [kvs(1 << 20), value, items(r#"{"unknown":["#, "{}", "]}", 1 << 20)] {
            Allocated::forget_peak();
            let before = Allocated::now();
            drop(decode::<Ranged>(answer.as_bytes()));
            let peak = Allocated::peak() - before;
            assert!(peak <= answer.len() + (1 << 20), "{peak} bytes for an answer of {}", answer.len());
        }
    }

    #[test]
    fn an_error_that_is_too_long_is_not_read() {
        let long = format!(r#"{{"message":"{}","code":7}}"#, "x".repeat(MAX_REFUSAL));
        assert_eq!(refusal(long.as_bytes()).text(), "");
        assert_eq!(refusal(br#"{"message":"m","code":7}"#).text(), "m");
    }

    #[test]
    fn what_is_not_an_answer_is_rejected() {
        for answer in [&b""[..], b"{", b"null", b"[]", b"\"x\"", b"<html>", b"{}"] {
            assert!(decode::<Written>(answer).is_none(), "{}", answer.escape_ascii());
            assert!(decode::<TxnDone>(answer).is_none(), "{}", answer.escape_ascii());
        }
        for kv in [r#"{"value":"*"}"#, r#"{"value":3}"#, r#"{"version":"x"}"#, r#"{"version":9223372036854775808}"#] {
            assert!(decode::<KeyValue>(kv.as_bytes()).is_none(), "{kv}");
        }
    }
}
