//! Configuration: environment variables, read once.

use crate::error::{Error, Result, quoted};
use std::ops::RangeInclusive;

/// The environment variables an instance was given. Made by the transport, or by a test.
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// A variable's value; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(n, _)| n == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// A size in bytes: decimal digits, or with the suffix `K`, `M` or `G` (powers of 1024).
    pub fn bytes(&self, name: &str, default: usize, allowed: RangeInclusive<usize>) -> Result<usize> {
        let Some(text) = self.get(name) else { return Ok(default) };
        parse_bytes(text).filter(|n| allowed.contains(n)).ok_or_else(|| {
            Error::invalid(format!(
                "{name}={} is not a size from {} to {} bytes; write digits, with K, M or G behind them if you like",
                quoted(text),
                allowed.start(),
                allowed.end()
            ))
        })
    }

    /// One of the named choices, the first being the default.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        let text = self.get(name).or(choices.first().map(|(n, _)| *n)).unwrap_or_default();
        choices.iter().find(|(n, _)| *n == text).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(n, _)| *n).collect();
            Error::invalid(format!("{name}={} is not one of: {}", quoted(text), names.join(", ")))
        })
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let (digits, shift) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 20),
            None => text.strip_suffix(['G', 'g']).map_or((text, 0), |digits| (digits, 30)),
        },
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(value: &str) -> Settings {
        Settings::new([("SIZE".to_string(), value.to_string())])
    }

    #[test]
    fn sizes_take_suffixes_and_refuse_everything_else() {
        for (text, bytes) in [("0", 0), ("17", 17), ("4K", 4096), ("3m", 3 << 20), ("1G", 1 << 30)] {
            assert_eq!(settings(text).bytes("SIZE", 1, 0..=1 << 30), Ok(bytes), "{text}");
        }
        for text in ["-1", "4 K", "K", "1T", "2G", "+3", "0x10", "99999999999999999999"] {
            let error = settings(text).bytes("SIZE", 1, 0..=1 << 30).unwrap_err();
            assert!(error.message().contains("SIZE"), "{error}");
        }
        assert_eq!(settings("").bytes("SIZE", 5, 0..=9), Ok(5));
    }

    #[test]
    fn a_choice_that_is_not_there_is_refused_with_the_list() {
        let choices = [("relaxed", 1), ("full", 2)];
        assert_eq!(settings("full").choice("SIZE", &choices), Ok(2));
        assert_eq!(settings("").choice("SIZE", &choices), Ok(1));
        let error = settings("ful").choice("SIZE", &choices).unwrap_err();
        assert_eq!(error.message(), r#"SIZE="ful" is not one of: relaxed, full"#);
    }
}
