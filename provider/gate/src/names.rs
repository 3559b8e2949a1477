//! Bucket names.

use kvfuse_core::{Error, Result, Settings, error::quoted};

/// The bucket that the empty identifier means.
pub const DEFAULT: &str = "default";
/// The name of the bucket in the instance's own memory.
pub const MEMORY: &str = ":memory:";
/// The longest bucket name, in bytes.
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

    /// The bucket that an identifier names, if it is allowed.
    pub fn resolve<'a>(&self, identifier: &'a str) -> Result<&'a str> {
        let name = full(identifier);
        if name.len() > MAX_NAME {
            return Err(Error::invalid(format!(
                "a bucket name of {} bytes is longer than the limit of {MAX_NAME} bytes",
                name.len()
            )));
        }
        if name.len() > 1 && name.starts_with(':') && name.ends_with(':') && name != MEMORY {
            return Err(Error::invalid(format!(
                "the bucket name {} is reserved; the only name that starts and ends with a colon is {MEMORY}",
                quoted(name)
            )));
        }
        match &self.allowed {
            // The instance's own memory gives access to nothing, so it needs no permission.
            Some(allowed) if name != MEMORY && !allowed.iter().any(|a| a == name) => Err(crate::denied(name)),
            _ => Ok(name),
        }
    }
}

pub fn full(identifier: &str) -> &str {
    if identifier.is_empty() { DEFAULT } else { identifier }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_core::Kind;

    fn resolve<'a>(list: &str, identifier: &'a str) -> Result<&'a str> {
        let settings = Settings::new([("KEYVALUE_BUCKETS".to_string(), list.to_string())]);
        Names::from_settings(&settings).resolve(identifier)
    }

    #[test]
    fn without_a_list_every_name_is_its_own_bucket_and_the_empty_one_is_default() {
        for name in ["a", "A", ":", "a:", ":a", "../x", "*", " "] {
            assert_eq!(resolve("", name), Ok(name));
        }
        assert_eq!(resolve("", ""), Ok(DEFAULT));
    }

    #[test]
    fn a_list_denies_all_other_buckets_except_the_one_in_memory() {
        for name in ["carts", "sessions", MEMORY] {
            assert_eq!(resolve(" carts ,sessions", name), Ok(name));
        }
        for name in ["cart", "Carts", "*", "", "default", "carts,sessions"] {
            let error = resolve("carts,sessions", name).unwrap_err();
            assert_eq!(error.kind(), Kind::AccessDenied, "{name}");
        }
        assert_eq!(resolve(",carts", ""), Ok(DEFAULT));
    }

    #[test]
    fn reserved_and_overlong_names_are_rejected_with_the_reason() {
        for name in ["::", ":cache:", ":Memory:"] {
            assert!(resolve("", name).unwrap_err().message().contains("reserved"), "{name}");
        }
        assert!(resolve("", &"x".repeat(MAX_NAME)).is_ok());
        assert!(resolve("", &"x".repeat(MAX_NAME + 1)).unwrap_err().message().contains("257 bytes"));
    }
}
