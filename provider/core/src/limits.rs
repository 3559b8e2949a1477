//! The sizes that every store accepts. Larger keys and values are rejected before the store sees them.

use crate::error::{Error, Result};
use crate::settings::Settings;

/// The longest key, in bytes of UTF-8: 1 MiB. An engine with a lower limit rejects longer keys itself.
pub const MAX_KEY: usize = 1 << 20;
/// The largest value passed as a byte list, in bytes, unless `KEYVALUE_MAX_VALUE` is set: 64 MiB.
pub const MAX_VALUE: usize = 64 << 20;
/// The largest size that `KEYVALUE_MAX_VALUE` can be set to, in bytes: 1 GiB, because three copies of a value have to
/// fit into a 32-bit address space.
pub const MAX_VALUE_CEILING: usize = 1 << 30;
/// The largest number of keys in a page.
pub const PAGE_KEYS: usize = 1000;
/// The number of bytes of keys after which a page ends: 1 MiB. A page can exceed it by one key.
pub const PAGE_BYTES: usize = 1 << 20;

/// The limits that apply to one instance.
///
/// ```
/// use kvfuse_core::{Kind, Limits, Settings};
///
/// let settings = Settings::new([("KEYVALUE_MAX_VALUE".to_string(), "4K".to_string())]);
/// let limits = Limits::from_settings(&settings)?;
/// assert_eq!(limits.max_value, 4096);
/// assert!(limits.check_value(&[0; 4096]).is_ok());
/// assert_eq!(limits.check_value(&[0; 4097]).unwrap_err().kind(), Kind::InvalidArgument);
/// # Ok::<(), kvfuse_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest value passed as a byte list, in bytes.
    pub max_value: usize,
}

impl Limits {
    /// Reads `KEYVALUE_MAX_VALUE`, which defaults to [`MAX_VALUE`].
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument) if it is not a size of up to [`MAX_VALUE_CEILING`].
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let max_value = settings.bytes("KEYVALUE_MAX_VALUE", MAX_VALUE, 0..=MAX_VALUE_CEILING)?;
        Ok(Self { max_value })
    }

    /// Rejects a key longer than [`MAX_KEY`].
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument), with the key's length.
    pub fn check_key(&self, key: &str) -> Result<()> {
        if key.len() <= MAX_KEY {
            return Ok(());
        }
        Err(Error::invalid(format!("a key of {} bytes is longer than the limit of {MAX_KEY} bytes", key.len())))
    }

    /// Rejects a value larger than [`max_value`](Self::max_value).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument), with the value's size and how to raise the limit.
    pub fn check_value(&self, value: &[u8]) -> Result<()> {
        if value.len() <= self.max_value {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a value of {} bytes is larger than the limit of {} bytes; set the variable KEYVALUE_MAX_VALUE to \
             raise it, up to {MAX_VALUE_CEILING}",
            value.len(),
            self.max_value
        )))
    }
}
