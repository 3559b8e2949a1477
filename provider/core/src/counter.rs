//! Counters: signed 64-bit integers stored as canonical ASCII decimal.
//!
//! That is how Redis, wasmtime and most other implementations store theirs, and what issue 51 of `wasi:keyvalue`
//! proposes for all of them.
//!
//! Canonical means `0`, or an optional `-` followed by digits that do not start with `0`. `+1`, `007`, `-0`, blanks and
//! the empty value are not counters; Redis rejects the same ones.

use crate::error::{Error, Result};

/// Decodes a counter. Returns `None` if the bytes are not a counter in canonical form.
///
/// ```
/// use kvfuse_core::counter;
///
/// assert_eq!(counter::parse(b"-42"), Some(-42));
/// assert_eq!(counter::parse(b"007"), None);
/// assert_eq!(counter::parse(b"9223372036854775808"), None, "above i64::MAX");
/// ```
pub fn parse(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    match digits {
        [b'0'] if digits.len() == value.len() => Some(0),
        [b'1'..=b'9', rest @ ..] if digits.len() <= 19 && rest.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(value).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Encodes a counter.
///
/// ```
/// assert_eq!(kvfuse_core::counter::format(-42), b"-42");
/// ```
pub fn format(value: i64) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The result of incrementing a key's value by `delta`, as [`Bucket::increment`](crate::Bucket::increment) defines it.
///
/// `current` is the key's value; a missing key (`None`) counts as 0. This is a pure function, so a store that replays a
/// log and one that runs a transaction compute the same result.
///
/// # Errors
/// [`InvalidArgument`](crate::Kind::InvalidArgument) if the value is not a counter, or if the result does not fit an
/// `i64` or is below `floor`.
///
/// ```
/// use kvfuse_core::{Kind, counter};
///
/// assert_eq!(counter::add(None, 5, i64::MIN), Ok(5));
/// assert_eq!(counter::add(Some(b"5"), -7, i64::MIN), Ok(-2));
/// // An interface whose counters are unsigned passes 0 as the floor.
/// assert_eq!(counter::add(Some(b"5"), -7, 0).unwrap_err().kind(), Kind::InvalidArgument);
/// assert_eq!(counter::add(Some(b"five"), 1, 0).unwrap_err().kind(), Kind::InvalidArgument);
/// ```
pub fn add(current: Option<&[u8]>, delta: i64, floor: i64) -> Result<i64> {
    let before = match current {
        None => 0,
        Some(bytes) => parse(bytes).ok_or_else(|| {
            Error::invalid(
                "the value is not a counter and was left unchanged; a counter is a decimal number in ASCII from \
                 -9223372036854775808 to 9223372036854775807",
            )
        })?,
    };
    let after = before.checked_add(delta).ok_or_else(|| {
        Error::invalid(format!("{before} plus {delta} does not fit into 64 bits; the counter was left unchanged"))
    })?;
    if after < floor {
        return Err(Error::invalid(format!(
            "{before} plus {delta} is {after}, below {floor}, the least that this generation of the interface can \
             represent; the counter was left unchanged"
        )));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_canonical_number_round_trips() {
        for n in [0, 1, -1, 9, 10, -10, i64::MAX, i64::MIN, i64::MAX - 1, 1_000_000_007] {
            assert_eq!(parse(&format(n)), Some(n));
        }
    }

    #[test]
    fn what_redis_refuses_is_not_a_counter() {
        for bytes in [
            &b""[..],
            b"+1",
            b"-0",
            b"00",
            b"01",
            b" 1",
            b"1 ",
            b"1.0",
            b"1e3",
            b"-",
            b"--1",
            b"0x1",
            b"\xff",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"99999999999999999999",
            b"1\0",
        ] {
            assert_eq!(parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn addition_stops_at_both_ends_and_at_the_floor() {
        assert_eq!(add(None, 5, i64::MIN), Ok(5));
        assert_eq!(add(Some(b"-9223372036854775808"), 0, i64::MIN), Ok(i64::MIN));
        assert!(add(Some(b"9223372036854775807"), 1, i64::MIN).is_err());
        assert!(add(Some(b"-9223372036854775808"), -1, i64::MIN).is_err());
        assert!(add(Some(b"-3"), 2, 0).is_err());
        assert_eq!(add(Some(b"-3"), 3, 0), Ok(0));
        assert!(add(Some(b"three"), 1, i64::MIN).is_err());
    }
}
