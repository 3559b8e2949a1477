//! Keyed hashes: HMAC-SHA256, of which the signatures of requests are made. No I/O.

use hmac::digest::InvalidLength;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// The hash of a text with a key.
///
/// # Errors
/// If the key cannot be used. Every length can.
pub fn keyed(key: &[u8], text: &str) -> Result<Vec<u8>, InvalidLength> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

/// Bytes as hexadecimal digits.
///
/// ```
/// assert_eq!(kvfuse_http::keyed::hex(&[0, 0xab]), "00ab");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
