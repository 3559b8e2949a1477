//! Settings of the file store.

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
}

impl Default for Config {
    fn default() -> Self {
        Self { durability: Durability::Relaxed, memory: 12 << 20, segment: 256 << 10 }
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
}
