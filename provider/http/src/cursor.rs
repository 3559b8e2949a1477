//! Cursors of listings in the order of the service: the place at which a page ended, so that any instance can continue. No I/O.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// `{place, base64url}.{check, hexadecimal}`. The check is a hash of the place and of what is listed, so that a
/// cursor that was made up or belongs to another listing is recognized.
pub fn cursor(place: &str, listing: &[&str]) -> String {
    let check = check(&[&[place], listing].concat());
    format!("{}.{check}", URL_SAFE_NO_PAD.encode(place))
}

/// The place in a cursor of this listing.
pub fn place(text: &str, listing: &[&str]) -> Option<String> {
    let (place, _) = text.split_once('.')?;
    let place = String::from_utf8(URL_SAFE_NO_PAD.decode(place).ok()?).ok()?;
    (cursor(&place, listing) == text).then_some(place)
}

/// A hash of texts, in hexadecimal: what a store gave out is recognized by it.
pub fn check(parts: &[&str]) -> String {
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.write(part.as_bytes());
    }
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_no_other_does() {
        for at in ["k", "kkey", "k\0", "ké", &"k".repeat(1024)] {
            let text = cursor(at, &["p/b", ""]);
            assert_eq!(place(&text, &["p/b", ""]).as_deref(), Some(at));
            for other in [["p/c", ""], ["p/b", "k"], ["p/", "b"]] {
                assert_eq!(place(&text, &other), None);
            }
            assert_eq!(place(&format!("{text}0"), &["p/b", ""]), None);
        }
        for text in ["", ".", "0", "a.", ".0", "*.0", "a.0000000000000000"] {
            assert_eq!(place(text, &["p/b", ""]), None, "{text}");
        }
    }
}
