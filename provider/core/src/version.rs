//! Compare-and-swap.

/// Identifies one state of a key.
///
/// If two versions of a key are equal, nothing wrote the key in between: a value that is replaced and then restored
/// gets a different version. The one exception is [`Version::Absent`], as in every engine that forgets deleted keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The key does not exist.
    Absent,
    /// A number that the engine never assigns twice to one key: a sequence number, a modification revision, a version
    /// attribute.
    Number(u64),
    /// Any other bytes by which the engine distinguishes states, such as an entity tag.
    Tag(Box<[u8]>),
}

impl Version {
    /// As text: `7` for a number, `x` and hexadecimal digits for a tag, `-` for an absent key.
    ///
    /// ```
    /// use kvfuse_core::Version;
    ///
    /// for version in [Version::Number(7), Version::Tag(Box::new([0, 255]))] {
    ///     assert_eq!(Version::from_text(&version.to_text()), Some(version));
    /// }
    /// assert_eq!(Version::from_text("07"), None);
    /// ```
    pub fn to_text(&self) -> String {
        match self {
            Self::Absent => "-".into(),
            Self::Number(number) => number.to_string(),
            Self::Tag(bytes) => {
                let mut text = String::with_capacity(bytes.len() * 2 + 1);
                text.push('x');
                for byte in bytes {
                    for digit in [byte >> 4, byte & 15] {
                        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                    }
                }
                text
            }
        }
    }

    /// The version of an existing key that such a text stands for. `None` if it is not one.
    pub fn from_text(text: &str) -> Option<Self> {
        let Some(digits) = text.strip_prefix('x') else {
            let number: u64 = text.parse().ok()?;
            return (number.to_string() == text).then_some(Self::Number(number));
        };
        let value = |digit: &u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some((value(high)? << 4) | value(low)?),
            _ => None,
        });
        pairs.collect::<Option<Vec<u8>>>().map(|bytes| Self::Tag(bytes.into()))
    }
}

/// The state of a key at one moment: its value and the version to pass to [`Bucket::swap`](crate::Bucket::swap).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The value. `None` exactly if `version` is [`Version::Absent`].
    pub value: Option<Vec<u8>>,
    /// The version of that value.
    pub version: Version,
}

impl Snapshot {
    /// The state of a key that does not exist.
    pub const ABSENT: Self = Self { value: None, version: Version::Absent };
}

/// The outcome of [`Bucket::swap`](crate::Bucket::swap).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The value was written.
    Done,
    /// Someone else had written the key, so nothing was written. This is the key's state now.
    Conflict(Snapshot),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_comes_back_from_its_text_and_no_other_text_is_one() {
        let tags = [&b""[..], b"\0", b"\xff\x0fa"].map(|bytes| Version::Tag(bytes.into()));
        for version in [0, 7, u64::MAX].map(Version::Number).into_iter().chain(tags) {
            assert_eq!(Version::from_text(&version.to_text()), Some(version));
        }
        for text in ["", "-", "-1", "+1", "01", " 1", "18446744073709551616", "x0", "xAB", "xg0", "X00", "é"] {
            assert_eq!(Version::from_text(text), None, "{text}");
        }
    }
}
