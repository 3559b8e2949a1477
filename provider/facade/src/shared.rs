//! What several generations need.

use kvfuse_core::{Error, Result};
use std::cell::RefCell;

pub fn strs(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

pub fn pairs(key_values: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    key_values.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect()
}

/// Counters are signed; a generation that counts in `u64` can add at most this much at once.
pub fn signed(delta: u64) -> Result<i64> {
    i64::try_from(delta).map_err(|_| {
        Error::invalid(format!(
            "{delta} is more than 9223372036854775807, the largest number a counter can hold; the counter was left as \
             it is"
        ))
    })
}

/// Numbers from here on name cursors kept in the instance; below are the store's own.
const KEPT_FROM: u64 = 1 << 63;
/// How many cursors an instance keeps; older ones are forgotten.
const KEPT: usize = 4096;

thread_local! {
    static CURSORS: RefCell<Kept> = const { RefCell::new(Kept { first: KEPT_FROM, cursors: Vec::new() }) };
}

struct Kept {
    /// The number of `cursors[0]`.
    first: u64,
    cursors: Vec<String>,
}

/// A store's cursor as the number that a generation with `u64` cursors gives its consumer; see
/// [`Page`](kvfuse_core::Page) for which of them need to be kept.
pub fn number_from_cursor(cursor: String) -> u64 {
    if let Some(number) = cursor.parse::<u64>().ok().filter(|n| *n < KEPT_FROM && n.to_string() == cursor) {
        return number;
    }
    CURSORS.with_borrow_mut(|kept| {
        if kept.cursors.len() >= KEPT {
            kept.cursors.drain(..KEPT / 2);
            kept.first += (KEPT / 2) as u64;
        }
        kept.cursors.push(cursor);
        kept.first + kept.cursors.len() as u64 - 1
    })
}

/// The store's cursor behind such a number.
pub fn cursor_from_number(number: u64) -> Result<String> {
    if number < KEPT_FROM {
        return Ok(number.to_string());
    }
    CURSORS
        .with_borrow(|kept| {
            let index = usize::try_from(number.checked_sub(kept.first)?).ok()?;
            kept.cursors.get(index).cloned()
        })
        .ok_or_else(|| {
            Error::invalid(
                "this cursor is not, or no longer, known: with this store and this generation of the interface a \
                 cursor lasts as long as the instance that gave it; start the listing again without one",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_that_are_numbers_pass_as_they_are_and_others_come_back_from_the_instance() {
        for cursor in ["0", "17", "9223372036854775807"] {
            assert_eq!(number_from_cursor(cursor.into()).to_string(), cursor);
            assert_eq!(cursor_from_number(cursor.parse().unwrap()).unwrap(), cursor);
        }
        for cursor in ["", "007", "+1", "a/b", "9223372036854775808", "18446744073709551616"] {
            let number = number_from_cursor(cursor.into());
            assert!(number >= KEPT_FROM);
            assert_eq!(cursor_from_number(number).unwrap(), cursor);
        }
        assert!(cursor_from_number(u64::MAX).is_err());
    }

    #[test]
    fn old_cursors_are_forgotten_with_an_error_and_never_mistaken() {
        let first = number_from_cursor("first".into());
        let numbers: Vec<u64> = (0..3 * KEPT).map(|n| number_from_cursor(format!("c{n}"))).collect();
        assert!(cursor_from_number(first).is_err());
        let last = numbers.len() - 1;
        assert_eq!(cursor_from_number(numbers[last]).unwrap(), format!("c{last}"));
        assert_eq!(cursor_from_number(numbers[last - KEPT / 2]).unwrap(), format!("c{}", last - KEPT / 2));
    }
}
