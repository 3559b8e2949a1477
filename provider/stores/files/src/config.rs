//! Settings of the file store.

use crate::flaw::Flaw;
use kvfuse_core::{Result, Settings};

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the instance and its host. A power cut may lose the most recent writes.
    #[default]
    Relaxed,
    /// A power cut as well: every write waits for the disk.
    Full,
}

/// The configuration of a store. Only the first two fields are settings; the others are for tests, which need small
/// files.
///
/// ```
/// use kvfuse_core::Settings;
/// use kvfuse_files::{Config, Durability};
///
/// let settings = Settings::new([("KEYVALUE_DURABILITY".to_string(), "full".to_string())]);
/// assert_eq!(Config::from_settings(&settings)?.durability, Durability::Full);
/// assert_eq!(Config::default().durability, Durability::Relaxed);
/// # Ok::<(), kvfuse_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Approximately how many bytes of the store are kept in memory. One segment always is.
    pub memory: usize,
    /// Bytes after the base of a segment at which it is compacted, if its base is not much larger.
    pub segment: u64,
    /// The size of a base in bytes from which its segment is split instead of compacted.
    pub split: u64,
    /// Bytes after the base, or the last index, at which a segment with a larger base gets an index.
    pub index: u64,
    /// The longest value that is stored with its key, in bytes.
    pub small: usize,
    /// The longest value that is stored in its segment, in bytes. A longer one has a file of its own.
    pub blob: usize,
    /// A deliberate mistake.
    #[cfg(feature = "flaws")]
    pub flaw: Option<Flaw>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Durability::Relaxed,
            memory: 16 << 20,
            segment: 256 << 10,
            split: 12 << 20,
            index: 48 << 10,
            small: 4 << 10,
            blob: 128 << 10,
            #[cfg(feature = "flaws")]
            flaw: None,
        }
    }
}

impl Config {
    /// Reads `KEYVALUE_DURABILITY` (`relaxed` or `full`) and `KEYVALUE_MEMORY` (bytes of what is kept in memory).
    ///
    /// # Errors
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument), with the allowed values.
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            durability: settings
                .choice("KEYVALUE_DURABILITY", &[("relaxed", Durability::Relaxed), ("full", Durability::Full)])?,
            memory: settings.bytes("KEYVALUE_MEMORY", default.memory, 0..=1 << 30)?,
            ..default
        })
    }

    /// Whether a test asked for this mistake; never, without the feature `flaws`.
    #[cfg(feature = "flaws")]
    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    #[cfg(not(feature = "flaws"))]
    pub(crate) fn has(&self, _: Flaw) -> bool {
        false
    }
}
