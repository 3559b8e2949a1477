//! Text in URLs. No I/O.

use std::fmt::Write;

/// A text as a part of a path or of a query, with everything escaped that a URL escapes anywhere, as signatures want it. Slashes
/// are escaped as well, unless `slashes` are kept.
///
/// ```
/// use kvfuse_http::escape::escaped;
///
/// assert_eq!((escaped("a b/é", true), escaped("a/+", false)), ("a%20b/%C3%A9".into(), "a%2F%2B".into()));
/// ```
pub fn escaped(text: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || (slashes && byte == b'/') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
