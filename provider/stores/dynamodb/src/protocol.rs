//! DynamoDB's answers. No I/O. The requests are written where they are sent.
//!
//! Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/>. Bytes are base64; numbers are strings.
//!
//! An answer is no larger than its call accepts, but what is decoded from it could be many times as large. So lists have a
//! bound as well, which no answer to these requests reaches, and an allocation that fails is an error.
#![deny(clippy::arithmetic_side_effects)]

use kvfuse_core::limits::PAGE_KEYS;
pub use kvfuse_json::{Bytes, decode};
use serde::Deserialize;
use serde::de::Deserializer;
use std::collections::HashMap;

/// The attribute type B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary(pub Bytes);

/// The attribute type S.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

/// The attribute type N; `None` for a number that is not a 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub Option<i64>);

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Attribute {
            #[serde(rename = "B")]
            bytes: Bytes,
        }
        Ok(Self(Attribute::deserialize(deserializer)?.bytes))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Attribute {
            #[serde(rename = "S")]
            text: String,
        }
        Ok(Self(Attribute::deserialize(deserializer)?.text))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Attribute {
            #[serde(rename = "N")]
            digits: String,
        }
        Ok(Self(Attribute::deserialize(deserializer)?.digits.parse().ok()))
    }
}

/// The attributes of an item, as far as they were asked for and are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Item {
    pub sk: Option<Text>,
    pub key: Option<Text>,
    pub num: Option<Number>,
    pub val: Option<Binary>,
    pub ver: Option<Binary>,
    pub ttl: Option<Number>,
    /// In the layout of Spin: the key, the value and the version.
    #[serde(rename = "PK")]
    pub spin_key: Option<Text>,
    #[serde(rename = "VAL")]
    pub spin_value: Option<Binary>,
    #[serde(rename = "VER")]
    pub spin_version: Option<Number>,
}

impl Item {
    /// What tells it from all others of its bucket: its sort key, or Spin's key.
    pub fn id(&self) -> Option<&str> {
        self.sk.as_ref().or(self.spin_key.as_ref()).map(|text| text.0.as_str())
    }
}

/// An answer to GetItem.
#[derive(Debug, Deserialize)]
pub struct Got {
    #[serde(rename = "Item")]
    pub item: Option<Item>,
}

/// An answer to a write of one item.
#[derive(Debug, Deserialize)]
pub struct Written {
    /// What an update returns.
    #[serde(rename = "Attributes")]
    pub attributes: Option<Item>,
}

/// An answer to Query.
#[derive(Debug, Deserialize)]
pub struct Queried {
    #[serde(rename = "Items", deserialize_with = "bounded")]
    pub items: Vec<Item>,
    #[serde(rename = "LastEvaluatedKey")]
    pub last: Option<Item>,
}

/// An answer to BatchGetItem.
#[derive(Debug, Deserialize)]
pub struct BatchGot {
    /// By table.
    #[serde(rename = "Responses", default)]
    pub found: HashMap<String, Items>,
    #[serde(rename = "UnprocessedKeys", default)]
    pub unprocessed: HashMap<String, UnprocessedKeys>,
}

#[derive(Debug, Default, Deserialize)]
pub struct Items(#[serde(deserialize_with = "bounded")] pub Vec<Item>);

#[derive(Debug, Default, Deserialize)]
pub struct UnprocessedKeys {
    #[serde(rename = "Keys", deserialize_with = "bounded")]
    pub keys: Vec<Item>,
}

/// An answer to BatchWriteItem.
#[derive(Debug, Deserialize)]
pub struct BatchWritten {
    #[serde(rename = "UnprocessedItems", default)]
    pub unprocessed: HashMap<String, UnprocessedWrites>,
}

#[derive(Debug, Default, Deserialize)]
pub struct UnprocessedWrites(#[serde(deserialize_with = "bounded")] pub Vec<UnprocessedWrite>);

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UnprocessedWrite {
    #[serde(rename = "PutRequest")]
    pub put: Option<UnprocessedPut>,
    #[serde(rename = "DeleteRequest")]
    pub delete: Option<UnprocessedDelete>,
}

#[derive(Debug, Deserialize)]
pub struct UnprocessedPut {
    #[serde(rename = "Item")]
    pub item: Item,
}

#[derive(Debug, Deserialize)]
pub struct UnprocessedDelete {
    #[serde(rename = "Key")]
    pub key: Item,
}

impl UnprocessedWrite {
    /// What tells the item from all others of its bucket.
    pub fn id(self) -> Option<String> {
        self.put.map(|put| put.item).or(self.delete.map(|delete| delete.key))?.id().map(str::to_string)
    }
}

/// An error answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    #[serde(rename = "__type")]
    name: String,
    #[serde(alias = "Message")]
    pub message: String,
    /// The item that did not meet the condition, from services that return it.
    #[serde(rename = "Item")]
    pub item: Option<Item>,
}

impl Refusal {
    /// The name of the exception, without its name space.
    pub fn name(&self) -> &str {
        self.name.rsplit('#').next().unwrap_or_default()
    }
}

/// The most items of a list in an answer: a page of keys, or a batch.
pub const MAX_ITEMS: usize = PAGE_KEYS;

/// A list of up to [`MAX_ITEMS`].
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    kvfuse_json::bounded::<D, T, MAX_ITEMS>(deserializer)
}

/// An error answer; without a name if it is not one of DynamoDB.
pub fn refusal(answer: &[u8]) -> Refusal {
    decode(answer).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use super::*;
    use kvfuse_servers::allocated::Allocated;

    #[test]
    fn answers_are_read_as_documented() {
        let got: Got =
            decode(br#"{"Item":{"sk":{"S":"ka"},"val":{"B":"AQI="},"other":{"L":[{"BOOL":true}]}}}"#).unwrap();
        let item = got.item.unwrap();
        assert_eq!((item.sk.unwrap().0.as_str(), item.val.unwrap().0.0.as_slice()), ("ka", &[1, 2][..]));
        assert!(decode::<Got>(b"{}").unwrap().item.is_none());
        let refused = refusal(
            br#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "message":"The conditional request failed","Item":{"num":{"N":"7"}}}"#,
        );
        assert_eq!(refused.name(), "ConditionalCheckFailedException");
        assert_eq!(refused.item.unwrap().num, Some(Number(Some(7))));
        let refused = refusal(br#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"no"}"#);
        assert_eq!((refused.name(), refused.message.as_str()), ("AccessDeniedException", "no"));
        let unprocessed: BatchWritten = decode(
            br#"{"UnprocessedItems":{"t":[{"DeleteRequest":{"Key":{"pk":{"S":"b"},"sk":{"S":"ka"}}}},
                {"PutRequest":{"Item":{"pk":{"S":"b"},"sk":{"S":"kb"},"val":{"B":""}}}}]}}"#,
        )
        .unwrap();
        let sorts = unprocessed.unprocessed.into_values().flat_map(|writes| writes.0).map(UnprocessedWrite::id);
        assert_eq!(sorts.collect::<Vec<_>>(), [Some("ka".to_string()), Some("kb".to_string())]);
    }

    #[test]
    fn what_is_decoded_is_bounded_by_the_answer_and_by_the_number_of_items() {
        let items = |count| format!(r#"{{"Items":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(decode::<Queried>(items(MAX_ITEMS).as_bytes()).unwrap().items.len(), MAX_ITEMS);
        assert!(decode::<Queried>(items(MAX_ITEMS + 1).as_bytes()).is_none());
        let value = format!(r#"{{"Items":[{{"val":{{"B":"{}"}}}}]}}"#, "QUJD".repeat(1 << 20));
        let unknown = format!(r#"{{"Items":[],"unknown":[{}]}}"#, vec!["{}"; 1 << 20].join(","));
        for answer in [items(1 << 20), value, unknown] {
            Allocated::forget_peak();
            let before = Allocated::now();
            drop(decode::<Queried>(answer.as_bytes()));
            let peak = Allocated::peak() - before;
            assert!(peak <= answer.len() + (1 << 20), "{peak} bytes for an answer of {}", answer.len());
        }
    }

    #[test]
    fn what_is_not_an_answer_is_rejected() {
        for answer in [&b""[..], b"{", b"null", b"[1]", b"\"x\"", b"<html>"] {
            assert!(decode::<Got>(answer).is_none(), "{}", answer.escape_ascii());
            assert!(decode::<Queried>(answer).is_none(), "{}", answer.escape_ascii());
            assert_eq!(refusal(answer).name(), "");
        }
        for item in [r#"{"val":{"B":"*"}}"#, r#"{"val":{"S":"x"}}"#, r#"{"num":7}"#, r#"{"sk":{"S":1}}"#] {
            assert!(decode::<Item>(item.as_bytes()).is_none(), "{item}");
        }
    }
}
