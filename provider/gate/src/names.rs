//! Bucket names.

use kvfuse_core::{Error, Result, Settings, error::quoted};

/// What the empty identifier stands for.
pub const DEFAULT: &str = "default";
/// The bucket in the instance's own memory.
pub const MEMORY: &str = ":memory:";
/// Longest bucket name, in bytes.
pub const MAX_NAME: usize = 256;

pub struct Names {
    /// `None`: every bucket may be used.
    allowed: Option<Vec<String>>,
}

impl Names {
    pub fn from_settings(settings: &Settings) -> Self {
        let allowed = settings
            .get("KEYVALUE_BUCKETS")
            .map(|list| list.split(',').map(|name| full(name.trim()).to_string()).collect());
        Self { allowed }
    }

    /// The bucket that an identifier names, if it may be used.
    pub fn resolve<'a>(&self, identifier: &'a str) -> Result<&'a str> {
        let name = full(identifier);
        if name.len() > MAX_NAME {
            return Err(Error::invalid(format!(
                "a bucket name of {} bytes is longer than the {MAX_NAME} bytes it may have",
                name.len()
            )));
        }
        if name.len() > 1 && name.starts_with(':') && name.ends_with(':') && name != MEMORY {
            return Err(Error::invalid(format!(
                "the bucket name {} is reserved; of the names in colons there is only {MEMORY}",
                quoted(name)
            )));
        }
        match &self.allowed {
            Some(allowed) if !allowed.iter().any(|a| a == name) => Err(crate::denied(name)),
            _ => Ok(name),
        }
    }
}

fn full(identifier: &str) -> &str {
    if identifier.is_empty() { DEFAULT } else { identifier }
}
