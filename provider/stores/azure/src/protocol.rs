//! The answers of the Table service as JSON without metadata. No I/O. The requests are written where they are sent.
//!
//! Source: <https://learn.microsoft.com/en-us/rest/api/storageservices/table-service-rest-api>.
//!
//! An answer is no larger than its call accepts, but what is decoded from it could be many times as large. So lists have a
//! bound as well, which no answer to these requests reaches, and an allocation that fails is an error.
#![deny(clippy::arithmetic_side_effects)]

use kvfuse_core::limits::PAGE_KEYS;
pub use kvfuse_json::{Bytes, decode};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// More parts than an entity can have: each but the last has 64 KiB of 1 MiB.
const MOST_PARTS: usize = 17;

/// The properties of an entity, as far as they were asked for and are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    pub row: Option<String>,
    pub mark: Option<Bytes>,
    /// The inner `None` for what is not a 64-bit integer.
    pub end: Option<Option<i64>>,
    pub key: Parts,
    pub value: Parts,
}

/// Bytes in several properties, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(BTreeMap<usize, Bytes>);

impl Parts {
    /// All of them together. `None` if there are none, or if one between others is missing.
    pub fn joined(self) -> Option<Vec<u8>> {
        let complete = self.0.keys().copied().eq(0..self.0.len());
        let mut parts = self.0.into_values().filter(|_| complete);
        let mut all = parts.next()?.0;
        for part in parts {
            all.try_reserve_exact(part.0.len()).ok()?;
            all.extend_from_slice(&part.0);
        }
        Some(all)
    }
}

/// A 64-bit integer, which is text in JSON; but not for every service.
#[derive(Deserialize)]
#[serde(untagged)]
enum Integer {
    Text(String),
    Number(i64),
    Other(IgnoredAny),
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Properties;
        impl<'de> Visitor<'de> for Properties {
            type Value = Entity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the properties of an entity")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut properties: A) -> Result<Entity, A::Error> {
                let mut entity = Entity::default();
                while let Some(name) = properties.next_key::<String>()? {
                    // What was asked for and is not there may be null.
                    match name.as_str() {
                        "RowKey" => entity.row = properties.next_value()?,
                        "mark" => entity.mark = properties.next_value()?,
                        "end" => {
                            entity.end = properties.next_value::<Option<Integer>>()?.map(|end| match end {
                                Integer::Text(digits) => digits.parse().ok(),
                                Integer::Number(number) => Some(number),
                                Integer::Other(_) => None,
                            });
                        }
                        name => match part(name) {
                            Some((of_value, number)) => {
                                let parts = if of_value { &mut entity.value } else { &mut entity.key };
                                let bytes: Option<Bytes> = properties.next_value()?;
                                parts.0.extend(bytes.map(|bytes| (number, bytes)));
                            }
                            None => {
                                properties.next_value::<IgnoredAny>()?;
                            }
                        },
                    }
                }
                Ok(entity)
            }
        }
        deserializer.deserialize_map(Properties)
    }
}

/// Whether a property is a part of the value, and not of the key, and its number.
fn part(name: &str) -> Option<(bool, usize)> {
    let (digits, of_value) = match (name.strip_prefix("value"), name.strip_prefix("key")) {
        (Some(digits), _) => (digits, true),
        (None, Some(digits)) => (digits, false),
        (None, None) => return None,
    };
    let number: usize = digits.parse().ok()?;
    (number < MOST_PARTS && number.to_string() == digits).then_some((of_value, number))
}

/// An answer to a query.
#[derive(Debug, Deserialize)]
pub struct Queried {
    #[serde(rename = "value", deserialize_with = "bounded")]
    pub entities: Vec<Entity>,
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entity>, D::Error> {
    kvfuse_json::bounded::<D, Entity, PAGE_KEYS>(deserializer)
}

/// An error answer.
#[derive(Debug, Default)]
pub struct Refusal {
    /// Empty if the answer is none of the service.
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// Which operation of an entity group transaction was refused: the message begins with its number.
    pub fn operation(&self) -> Option<usize> {
        self.message.split_once(':')?.0.parse().ok()
    }
}

/// The error in an answer; an empty one if there is none in it, as if something else had answered.
pub fn refusal(answer: &[u8]) -> Refusal {
    #[derive(Default, Deserialize)]
    struct Answer {
        #[serde(rename = "odata.error")]
        error: Outer,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Outer {
        code: String,
        message: Message,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Message {
        value: String,
    }
    let Answer { error } = decode(answer).unwrap_or_default();
    Refusal { code: error.code, message: error.message.value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::allocated::Allocated;

    #[test]
    fn answers_are_read_as_documented() {
        let answer = br#"{"value":[{"PartitionKey":"b","RowKey":"k1","Timestamp":"2013-08-22T00:20:16.3134645Z",
            "mark":"AAEC","end":"1700000000000","value1":"Yg==","value0":"YQ==","value01":"eA==","value99":"eA==",
            "other":{"x":[1]}},{"RowKey":"k2","end":null,"key0":null,"value0":""},{"end":7},{"end":1.5},{"end":"x"}]}"#;
        let queried: Queried = decode(answer).unwrap();
        let [first, second, number, fraction, text] = &queried.entities[..] else { panic!("{queried:?}") };
        assert_eq!(first.row.as_deref(), Some("k1"));
        assert_eq!((first.mark.as_ref(), first.end), (Some(&Bytes(vec![0, 1, 2])), Some(Some(1_700_000_000_000))));
        assert_eq!(first.value.clone().joined(), Some(b"ab".to_vec()));
        assert_eq!(
            (second.end, second.key.clone().joined(), second.value.clone().joined()),
            (None, None, Some(vec![]))
        );
        assert_eq!([number.end, fraction.end, text.end], [Some(Some(7)), Some(None), Some(None)]);
        let gap: Entity = decode(br#"{"value0":"YQ==","value2":"YQ=="}"#).unwrap();
        assert_eq!(gap.value.joined(), None);
    }

    #[test]
    fn errors_are_read_as_documented_and_what_is_none_is_empty() {
        let json = br#"{"odata.error":{"code":"ResourceNotFound","message":{"lang":"en-US","value":"3:It does not exist.\nRequestId:1"}}}"#;
        let refused = refusal(json);
        assert_eq!((refused.code.as_str(), refused.operation()), ("ResourceNotFound", Some(3)));
        for other in
            ["", "<m:error><m:code>AuthenticationFailed</m:code></m:error>", "{}", "null", r#"{"odata.error":null}"#]
        {
            assert_eq!(refusal(other.as_bytes()).code, "", "{other}");
        }
    }

    #[test]
    fn what_is_not_an_answer_is_rejected() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"value":{}}"#,
            r#"{"value":[1]}"#,
            r#"{"value":[{"value0":"*"}]}"#,
            r#"{"value":[{"RowKey":1}]}"#,
        ] {
            assert!(decode::<Queried>(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_decoded_is_bounded_by_the_answer_and_by_the_number_of_entities() {
        let list = |count: usize| format!(r#"{{"value":[{}]}}"#, vec!["{}"; count].join(","));
        assert!(decode::<Queried>(list(PAGE_KEYS).as_bytes()).is_some());
        let answer = list(1_000_000);
        Allocated::forget_peak();
        let before = Allocated::now();
        let decoded = decode::<Queried>(answer.as_bytes());
        let peak = Allocated::peak() - before;
        assert!(decoded.is_none() && peak < 1 << 20, "{peak}");
    }
}
