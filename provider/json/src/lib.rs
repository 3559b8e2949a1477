//! What the stores that speak JSON share. No I/O.
//!
//! An answer is no larger than its call accepts, but what is decoded from it could be many times as large. So lists have a
//! bound as well, and an allocation that fails is an error.
#![deny(clippy::arithmetic_side_effects)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

const NO_MEMORY: &str = "there is no memory for it";

/// Bytes, encoded as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// What these bytes are encoded as.
    pub fn text(bytes: &[u8]) -> String {
        STANDARD.encode(bytes)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Self::text(&self.0))
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

/// A list of up to `MAX` items; a longer one is an error.
///
/// # Errors
/// Those of the deserializer and of the items, and if there is no memory for the list.
pub fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Items::<T, MAX>(PhantomData))
}

struct Items<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of up to {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() >= MAX {
                return Err(de::Error::invalid_length(list.len().saturating_add(1), &self));
            }
            list.try_reserve(1).map_err(|_| de::Error::custom(NO_MEMORY))?;
            list.push(item);
        }
        Ok(list)
    }
}

/// `None` if the bytes are not an answer of this type.
pub fn decode<T: DeserializeOwned>(answer: &[u8]) -> Option<T> {
    serde_json::from_slice(answer).ok()
}
