//! Errors and values in words.

use crate::bindings::wasi::keyvalue::store::Error;

pub fn error(error: &Error) -> String {
    match error {
        Error::NoSuchStore => "there is no such store".to_string(),
        Error::AccessDenied => {
            "access denied: the provider's configuration (KEYVALUE_BUCKETS) does not allow this bucket".to_string()
        }
        Error::Other(reason) => reason.clone(),
    }
}

/// A value on one line: as text if it is text, otherwise as hexadecimal bytes, truncated if it is long.
pub fn value(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= 2 * SHOWN && !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => {
            let hex: Vec<_> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
            let more = if bytes.len() > SHOWN { " …" } else { "" };
            format!("{} bytes: {}{more}", bytes.len(), hex.join(" "))
        }
    }
}
