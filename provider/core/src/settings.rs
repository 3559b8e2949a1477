//! Configuration: the environment variables, read once.

use crate::error::{Error, Result, quoted};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The label of an instance. Its buckets are separate from those of other labels and from those without a label.
pub const LABEL: &str = "KEYVALUE_LABEL";
/// The labels of a component whose imports open buckets of one type, separated by commas. Fused in: the identifier of a bucket
/// then begins with the label of the import through which it is opened, or with nothing, and a slash.
pub const LABELS: &str = "KEYVALUE_LABELS";
/// In a provider of several stores: the store of the buckets that are not routed.
pub const DEFAULT_STORE: &str = "KEYVALUE_STORE";
/// In a provider of several stores: `bucket=store`, separated by commas.
pub const ROUTES: &str = "KEYVALUE_ROUTES";
/// In a provider of several stores: the stores that it was fused with, separated by commas. The others cannot reach the
/// host.
pub const FUSED_STORES: &str = "KEYVALUE_FUSED_STORES";

/// What a component with a runner inside watches: `bucket` or `bucket/prefix`.
pub const WATCH: &str = "KEYVALUE_WATCH";
/// The name under which it keeps its position in the store.
pub const WATCH_NAME: &str = "KEYVALUE_WATCH_NAME";

/// The environment variables of an instance, as the transport or a test provides them.
///
/// If a variable occurs more than once, the last one counts. An empty value counts as not set.
///
/// ```
/// use kvfuse_core::{Error, Settings};
///
/// let variables = [("MODE", "full"), ("SIZE", "2M"), ("NOTHING", "")];
/// let settings = Settings::new(variables.map(|(name, value)| (name.to_string(), value.to_string())));
/// assert_eq!(settings.get("MODE"), Some("full"));
/// assert_eq!(settings.get("NOTHING"), None);
/// assert_eq!(settings.bytes("SIZE", 4096, 0..=1 << 30)?, 2 << 20);
/// assert_eq!(settings.choice("MODE", &[("relaxed", false), ("full", true)])?, true);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// Settings with these names and values.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// The same settings, in which variables for this instance's label replace those for all labels: with
    /// `KEYVALUE_LABEL=team-a`, `TEAM_A_KEYVALUE_TIMEOUT_MS` replaces `KEYVALUE_TIMEOUT_MS`. The settings that are
    /// fused in, the label and the stores of a component, are never replaced.
    ///
    /// ```
    /// use kvfuse_core::Settings;
    ///
    /// let variables = [("KEYVALUE_LABEL", "team-a"), ("TEAM_A_KEYVALUE_MAX_VALUE", "1K"), ("KEYVALUE_MAX_VALUE", "1M")];
    /// let settings = Settings::new(variables.map(|(name, value)| (name.to_string(), value.to_string())));
    /// assert_eq!(settings.for_its_label().get("KEYVALUE_MAX_VALUE"), Some("1K"));
    /// ```
    #[must_use]
    pub fn for_its_label(mut self) -> Self {
        let Some(prefix) = self.get(LABEL).map(label_prefix) else { return self };
        let of_label = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(&*prefix)?, value)));
        let own: Vec<_> = of_label
            .filter(|(name, _)| name.starts_with("KEYVALUE_") && ![LABEL, LABELS, FUSED_STORES].contains(name))
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        self.0.extend(own);
        self
    }

    /// The settings of an instance with this label, of settings that are not yet those of a label.
    ///
    /// ```
    /// use kvfuse_core::Settings;
    ///
    /// let variables = [("KEYVALUE_LABEL", "carts"), ("TEAM_A_KEYVALUE_MAX_VALUE", "1K")];
    /// let settings = Settings::new(variables.map(|(name, value)| (name.to_string(), value.to_string())));
    /// let settings = settings.under("team-a");
    /// assert_eq!((settings.get("KEYVALUE_LABEL"), settings.get("KEYVALUE_MAX_VALUE")), (Some("team-a"), Some("1K")));
    /// ```
    #[must_use]
    pub fn under(&self, label: &str) -> Self {
        let mut settings = self.clone();
        settings.0.push((LABEL.to_string(), label.to_string()));
        settings.for_its_label()
    }

    /// The value of a variable; `None` if it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(n, _)| n == name)?;
        (!value.is_empty()).then_some(value.as_str())
    }

    /// A size in bytes: decimal digits, optionally followed by `K`, `M` or `G` (powers of 1024). `default` if the
    /// variable is not set.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument) if the value is not a size or is outside `allowed`.
    pub fn bytes(&self, name: &str, default: usize, allowed: RangeInclusive<usize>) -> Result<usize> {
        let Some(text) = self.get(name) else { return Ok(default) };
        parse_bytes(text).filter(|n| allowed.contains(n)).ok_or_else(|| {
            Error::invalid(format!(
                "{name}={} is not a size from {} to {} bytes; write digits, optionally followed by K, M or G",
                quoted(text),
                allowed.start(),
                allowed.end()
            ))
        })
    }

    /// A number of seconds: decimal digits. `None` if the variable is not set.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument) if the value is not a number of seconds or is outside `allowed`.
    pub fn seconds(&self, name: &str, allowed: RangeInclusive<u64>) -> Result<Option<Duration>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // `parse` takes a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(seconds) if digits && allowed.contains(&seconds) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(Error::invalid(format!(
                "{name}={} is not a number of seconds from {} to {}",
                quoted(text),
                allowed.start(),
                allowed.end()
            ))),
        }
    }

    /// The value of the choice that the variable names. The first choice is the default.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Kind::InvalidArgument), with the list of choices, if the value is not among them.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        let text = self.get(name).or(choices.first().map(|(n, _)| *n)).unwrap_or_default();
        choices.iter().find(|(n, _)| *n == text).map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(n, _)| *n).collect();
            Error::invalid(format!("{name}={} is not one of: {}", quoted(text), names.join(", ")))
        })
    }
}

/// The prefix of the variables for one label: the label in capitals, with `_` for `-`.
///
/// ```
/// assert_eq!(kvfuse_core::settings::label_prefix("team-a"), "TEAM_A_");
/// ```
pub fn label_prefix(label: &str) -> String {
    format!("{}_", label.to_ascii_uppercase().replace('-', "_"))
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
    fn a_label_has_its_own_variables_before_those_for_all_and_cannot_be_given_another_name() {
        let variables = [
            ("A_B_KEYVALUE_X", "own"),
            ("A_B_KEYVALUE_EMPTY", ""),
            ("A_B_KEYVALUE_LABEL", "c"),
            ("A_B_KEYVALUE_LABELS", "a"),
            ("A_B_KEYVALUE_FUSED_STORES", "all"),
            ("A_B_OTHER", "no setting"),
            ("B_KEYVALUE_X", "another's"),
            ("KEYVALUE_X", "all"),
            ("KEYVALUE_EMPTY", "all"),
            ("KEYVALUE_Y", "all"),
            ("KEYVALUE_FUSED_STORES", "files"),
        ];
        let settings = |label: &str| {
            let label = [(LABEL, label)];
            let all = variables.iter().chain(&label).map(|(name, value)| (name.to_string(), value.to_string()));
            Settings::new(all).for_its_label()
        };
        let own = settings("a-b");
        assert_eq!((own.get("KEYVALUE_X"), own.get("KEYVALUE_EMPTY")), (Some("own"), None));
        assert_eq!((own.get("KEYVALUE_Y"), own.get("OTHER")), (Some("all"), None));
        assert_eq!((own.get(LABEL), own.get(FUSED_STORES)), (Some("a-b"), Some("files")));
        assert_eq!(own.get(LABELS), None);
        assert_eq!(settings("").get("KEYVALUE_X"), Some("all"));
        assert_eq!(settings("c").get("KEYVALUE_X"), Some("all"));
    }

    #[test]
    fn an_unknown_choice_is_refused_with_the_list() {
        let choices = [("relaxed", 1), ("full", 2)];
        assert_eq!(settings("full").choice("SIZE", &choices), Ok(2));
        assert_eq!(settings("").choice("SIZE", &choices), Ok(1));
        let error = settings("ful").choice("SIZE", &choices).unwrap_err();
        assert_eq!(error.message(), r#"SIZE="ful" is not one of: relaxed, full"#);
    }
}
