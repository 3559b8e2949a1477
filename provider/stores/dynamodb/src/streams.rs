//! The answers about a table's stream. No I/O.
//!
//! Source: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html>.
//! A stream has the changes of the whole table. Other users of the table may have attributes with the names of this
//! store's and of other types, so an image is read loosely, and only that of an item of the bucket has to fit.
#![deny(clippy::arithmetic_side_effects)]

use crate::protocol::{Binary, Bytes, Item, Number, Text};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// The most records of an answer. DynamoDB gives no more.
const MAX_RECORDS: usize = 1000;
/// The most shards of a page of a stream's description. DynamoDB gives 100.
const MAX_PAGE: usize = 1000;
/// The longest shard iterator, in bytes. DynamoDB's have up to 2048.
const LONGEST_ITERATOR: usize = 8192;

/// The name of a stream or of a shard, as a position can contain it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(String);

impl Name {
    pub fn new(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'+');
        ((1..=1024).contains(&text.len()) && text.bytes().all(fits)).then(|| Self(text.to_string()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("not a name")
    }
}

/// The number of a record in its shard, in decimal. It can have more digits than any integer type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sequence(String);

impl Sequence {
    pub fn new(text: &str) -> Option<Self> {
        ((1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| Self(text.to_string()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sequence {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text).ok_or("not a sequence number")
    }
}

/// Where to go on in a shard, for 15 minutes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Iterator(pub String);

impl TryFrom<String> for Iterator {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() <= LONGEST_ITERATOR { Ok(Self(text)) } else { Err("not an iterator") }
    }
}

/// An answer to DescribeTable.
#[derive(Debug, Deserialize)]
pub struct Described {
    #[serde(rename = "Table")]
    pub table: Table,
}

#[derive(Debug, Deserialize)]
pub struct Table {
    /// Also that of a stream that was switched off.
    #[serde(rename = "LatestStreamArn")]
    pub stream: Option<Name>,
    #[serde(rename = "StreamSpecification")]
    pub specification: Option<Specification>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Specification {
    #[serde(rename = "StreamEnabled")]
    pub enabled: bool,
    #[serde(rename = "StreamViewType")]
    pub view: String,
}

/// An answer to DescribeStream.
#[derive(Debug, Deserialize)]
pub struct Shards {
    #[serde(rename = "StreamDescription")]
    pub description: Description,
}

#[derive(Debug, Deserialize)]
pub struct Description {
    #[serde(rename = "Shards", default, deserialize_with = "page")]
    pub shards: Vec<Listed>,
    /// The last shard of this page, if there may be another page.
    #[serde(rename = "LastEvaluatedShardId")]
    pub last: Option<Name>,
}

/// A shard, as the stream's description has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    #[serde(rename = "ShardId")]
    pub id: Name,
    #[serde(rename = "ParentShardId")]
    pub parent: Option<Name>,
    #[serde(rename = "SequenceNumberRange", default)]
    pub range: Range,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Range {
    /// Only a shard that takes no more records has it.
    #[serde(rename = "EndingSequenceNumber")]
    pub end: Option<Sequence>,
}

/// An answer to GetShardIterator.
#[derive(Debug, Deserialize)]
pub struct Iterated {
    #[serde(rename = "ShardIterator")]
    pub iterator: Iterator,
}

/// An answer to GetRecords.
#[derive(Debug, Deserialize)]
pub struct Records {
    #[serde(rename = "Records", deserialize_with = "records")]
    pub records: Vec<Record>,
    /// There is none after the last record of a shard that takes no more.
    #[serde(rename = "NextShardIterator")]
    pub next: Option<Iterator>,
}

#[derive(Debug, Deserialize)]
pub struct Record {
    /// `INSERT`, `MODIFY` or `REMOVE`.
    #[serde(rename = "eventName", default)]
    pub event: String,
    #[serde(rename = "dynamodb")]
    pub change: Change,
}

#[derive(Debug, Deserialize)]
pub struct Change {
    #[serde(rename = "SequenceNumber")]
    pub sequence: Sequence,
    /// In seconds since 1970; rounded.
    #[serde(rename = "ApproximateCreationDateTime")]
    pub created: Option<f64>,
    #[serde(rename = "Keys", default)]
    pub keys: Keys,
    #[serde(rename = "NewImage")]
    pub new: Option<Image>,
    #[serde(rename = "OldImage")]
    pub old: Option<Image>,
}

impl Change {
    /// When the change happened, in seconds since 1970.
    pub fn second(&self) -> Option<u64> {
        // A cast of what is no such number gives the nearest one that is.
        self.created.map(|created| created as u64)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Keys {
    pub pk: Option<Attribute>,
    pub sk: Option<Attribute>,
}

/// An attribute of any type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    Text(String),
    Number(String),
    Binary(Bytes),
    Other,
}

impl Attribute {
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// An item before or after a change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Image {
    key: Option<Attribute>,
    num: Option<Attribute>,
    val: Option<Attribute>,
    ttl: Option<Attribute>,
}

impl Image {
    /// The whole key, if it has one that is longer than a sort key may be.
    pub fn key(self) -> Option<Text> {
        self.key.and_then(text)
    }

    /// The item, with its sort key; `None` if it has an attribute of another type than this store writes.
    pub fn item(self, sort: String) -> Option<Item> {
        let number = |attribute| match attribute {
            Attribute::Number(digits) => Some(Number(digits.parse().ok())),
            _ => None,
        };
        let binary = |attribute| match attribute {
            Attribute::Binary(bytes) => Some(Binary(bytes)),
            _ => None,
        };
        Some(Item {
            sk: Some(Text(sort)),
            key: fitting(self.key, text)?,
            num: fitting(self.num, number)?,
            val: fitting(self.val, binary)?,
            ver: None,
            ttl: fitting(self.ttl, number)?,
            ..Item::default()
        })
    }
}

fn text(attribute: Attribute) -> Option<Text> {
    match attribute {
        Attribute::Text(text) => Some(Text(text)),
        _ => None,
    }
}

/// `None` for an attribute that is there and does not fit.
fn fitting<T>(attribute: Option<Attribute>, of: impl Fn(Attribute) -> Option<T>) -> Option<Option<T>> {
    match attribute {
        None => Some(None),
        Some(attribute) => of(attribute).map(Some),
    }
}

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAnyType;
        impl<'de> Visitor<'de> for OfAnyType {
            type Value = Attribute;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut types: A) -> Result<Attribute, A::Error> {
                let mut attribute = Attribute::Other;
                while let Some(name) = types.next_key::<String>()? {
                    attribute = match name.as_str() {
                        "S" => Attribute::Text(types.next_value()?),
                        "N" => Attribute::Number(types.next_value()?),
                        "B" => Attribute::Binary(types.next_value()?),
                        _ => {
                            types.next_value::<IgnoredAny>()?;
                            Attribute::Other
                        }
                    };
                }
                Ok(attribute)
            }
        }
        deserializer.deserialize_map(OfAnyType)
    }
}

fn page<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listed>, D::Error> {
    kvfuse_json::bounded::<D, Listed, MAX_PAGE>(deserializer)
}

fn records<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Record>, D::Error> {
    kvfuse_json::bounded::<D, Record, MAX_RECORDS>(deserializer)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use super::*;
    use crate::protocol::decode;
    use kvfuse_servers::allocated::Allocated;

    /// The examples of the API reference, shortened.
    #[test]
    fn answers_are_read_as_documented() {
        let shards: Shards = decode(
            br#"{"StreamDescription":{"StreamArn":"arn:aws:dynamodb:us-west-2:111122223333:table/Forum/stream/2015-05-20",
                "StreamStatus":"ENABLED","LastEvaluatedShardId":"shardId-00000001414562045508-2bac9cd2","Shards":[
                {"ParentShardId":"shardId-00000001414562045508-2bac9cd2","ShardId":"shardId-00000001414576573621-f55eea83",
                 "SequenceNumberRange":{"EndingSequenceNumber":"20500000000000910398","StartingSequenceNumber":"205"}},
                {"ShardId":"shardId-00000001414592258131-8dd9142e","SequenceNumberRange":{"StartingSequenceNumber":"7"}}]}}"#,
        )
        .unwrap();
        let [closed, open] = &shards.description.shards[..] else { panic!() };
        assert_eq!(closed.parent, shards.description.last);
        assert_eq!((closed.range.end.is_some(), open.range.end.is_some()), (true, false));
        let records: Records = decode(
            br#"{"NextShardIterator":"arn|1|A","Records":[{"awsRegion":"us-west-2","dynamodb":{
                "ApproximateCreationDateTime":1.46480646E9,"Keys":{"pk":{"S":"p"},"sk":{"S":"ka"}},
                "NewImage":{"val":{"B":"AQI="},"ttl":{"N":"5"},"x":{"L":[]}},"SequenceNumber":"300000000000000499659",
                "SizeBytes":41,"StreamViewType":"NEW_IMAGE"},"eventID":"e","eventName":"INSERT","eventSource":"aws:dynamodb",
                "eventVersion":"1.0","userIdentity":{"type":"Service"}}]}"#,
        )
        .unwrap();
        let record = records.records.into_iter().next().unwrap();
        assert_eq!((record.event.as_str(), record.change.second()), ("INSERT", Some(1_464_806_460)));
        assert_eq!(record.change.keys.pk.unwrap().text(), Some("p"));
        let item = record.change.new.unwrap().item("ka".into()).unwrap();
        assert_eq!((item.val.unwrap().0.0, item.ttl), (vec![1, 2], Some(Number(Some(5)))));
        assert!(decode::<Records>(br#"{"Records":[],"NextShardIterator":null}"#).unwrap().next.is_none());
    }

    #[test]
    fn items_of_others_are_read_whatever_they_have_and_fit_only_with_the_types_of_this_store() {
        let image = |text: &str| decode::<Image>(text.as_bytes()).unwrap();
        for text in [
            r#"{"val":{"S":"x"}}"#,
            r#"{"num":{"B":"AA=="}}"#,
            r#"{"key":{"M":{"a":{"N":"1"}}}}"#,
            r#"{"ttl":{"NULL":true}}"#,
            r#"{"val":{}}"#,
        ] {
            assert!(image(text).item("ka".into()).is_none(), "{text}");
        }
        assert!(image(r#"{"pk":{"N":"1"},"other":{"BOOL":true},"val":{"B":""}}"#).item("ka".into()).is_some());
    }

    #[test]
    fn what_would_not_fit_into_a_position_is_no_name_and_no_number() {
        let long = "x".repeat(1025);
        for text in ["", "a,b", "a+b", "a b", "a\n", "\u{e9}", long.as_str()] {
            assert_eq!(Name::new(text), None, "{text:?}");
            let listed = serde_json::json!({ "ShardId": text }).to_string();
            assert!(decode::<Listed>(listed.as_bytes()).is_none(), "{text:?}");
        }
        let long = "7".repeat(65);
        for text in ["", "-1", "1.5", "x", " 1", long.as_str()] {
            assert_eq!(Sequence::new(text), None, "{text:?}");
        }
        assert!(Iterator::try_from("x".repeat(8193)).is_err());
    }

    #[test]
    fn what_is_decoded_is_bounded_by_the_answer_and_by_the_number_of_records() {
        let records = |count| {
            let record = r#"{"dynamodb":{"SequenceNumber":"1"}}"#;
            format!(r#"{{"Records":[{}]}}"#, vec![record; count].join(","))
        };
        assert_eq!(decode::<Records>(records(MAX_RECORDS).as_bytes()).unwrap().records.len(), MAX_RECORDS);
        assert!(decode::<Records>(records(MAX_RECORDS + 1).as_bytes()).is_none());
        let nested = format!(r#"{{"x":{{"L":[{}]}}}}"#, vec![r#"{"BOOL":true}"#; 1 << 18].join(","));
        let image = format!(r#"{{"Records":[{{"dynamodb":{{"SequenceNumber":"1","NewImage":{nested}}}}}]}}"#);
        for answer in [records(1 << 16), image] {
            Allocated::forget_peak();
            let before = Allocated::now();
            drop(decode::<Records>(answer.as_bytes()));
            let peak = Allocated::peak() - before;
            assert!(peak <= answer.len() + (1 << 20), "{peak} bytes for an answer of {}", answer.len());
        }
        for created in ["-1", "1e400", "18446744073709551616"] {
            let text = format!(r#"{{"SequenceNumber":"1","ApproximateCreationDateTime":{created}}}"#);
            let _ = decode::<Change>(text.as_bytes()).map(|change| change.second());
        }
    }
}
