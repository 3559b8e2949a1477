//! Settings of the file store.

use crate::flaw::Flaw;
use kvfuse_core::{Result, Settings};

/// What an acknowledged write outlives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the instance and its host. A power cut may lose the last moments.
    #[default]
    Relaxed,
    /// A power cut too: every write waits for the disk.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub durability: Durability,
    /// Bytes of segments kept in memory; one segment is kept in any case.
    pub memory: usize,
    /// Bytes at which a segment is sealed, if it has not much more live data.
    pub segment: u64,
    /// Bytes of the longest value that is kept in memory with its key.
    pub small: usize,
    /// Bytes of the longest value that is kept in its segment; above, it has a file of its own.
    pub blob: usize,
    #[cfg(feature = "flaws")]
    pub flaw: Option<Flaw>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            durability: Durability::Relaxed,
            memory: 12 << 20,
            segment: 256 << 10,
            small: 4 << 10,
            blob: 64 << 10,
            #[cfg(feature = "flaws")]
            flaw: None,
        }
    }
}

impl Config {
    /// Reads `KEYVALUE_DURABILITY` (`relaxed` or `full`) and `KEYVALUE_MEMORY` (bytes of segments kept in memory).
    ///
    /// # Errors
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) with the values there are.
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
