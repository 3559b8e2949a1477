//! Sizes that every store accepts. Above them a call is refused before the store sees it.

use crate::error::{Error, Result};
use crate::settings::Settings;

/// Longest key, in bytes of UTF-8. An engine with a lower limit refuses longer keys by itself.
pub const MAX_KEY: usize = 1 << 20;
/// Longest value passed as a byte list, in bytes, unless `KEYVALUE_MAX_VALUE` says otherwise.
pub const MAX_VALUE: usize = 64 << 20;
/// What `KEYVALUE_MAX_VALUE` may say at most: three copies of a value have to fit a 32-bit memory.
pub const MAX_VALUE_CEILING: usize = 1 << 30;
/// Keys a page holds at most.
pub const PAGE_KEYS: usize = 1000;
/// Bytes of keys after which a page ends; a page can pass it by one key.
pub const PAGE_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub max_value: usize,
}

impl Limits {
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let max_value = settings.bytes("KEYVALUE_MAX_VALUE", MAX_VALUE, 0..=MAX_VALUE_CEILING)?;
        Ok(Self { max_value })
    }

    pub fn check_key(&self, key: &str) -> Result<()> {
        if key.len() <= MAX_KEY {
            return Ok(());
        }
        Err(Error::invalid(format!("a key of {} bytes is longer than the {MAX_KEY} bytes a key may have", key.len())))
    }

    pub fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() <= self.max_value {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a value of {} bytes is larger than the limit of {} bytes; the variable KEYVALUE_MAX_VALUE raises it, up to \
             {MAX_VALUE_CEILING}",
            value.len(),
            self.max_value
        )))
    }
}
