//! Pairs as JSON lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    /// `null` for a key that does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    value: Option<Option<String>>,
    /// In place of a value that is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// A field that may be absent, and may be `null`.
mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Option<String>>, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().and_then(Option::as_ref).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
        Option::deserialize(from).map(Some)
    }
}

/// A pair as a line. Without a value, the key does not exist.
pub fn line(key: &str, value: Option<&[u8]>) -> String {
    let (value, base64) = match value.map(std::str::from_utf8) {
        None => (Some(None), None),
        Some(Ok(text)) => (Some(Some(text.to_string())), None),
        Some(Err(_)) => (None, value.map(|bytes| STANDARD.encode(bytes))),
    };
    // A map of strings always has a JSON form.
    serde_json::to_string(&Line { key: key.into(), value, base64 }).unwrap_or_default() + "\n"
}

/// The pair of a line.
///
/// # Errors
/// What is wrong with it, without its value.
pub fn pair(line: &str) -> Result<(String, Vec<u8>), String> {
    let Line { key, value, base64 } = parse(line)?;
    match (value, base64) {
        (Some(Some(text)), None) => Ok((key, text.into_bytes())),
        (None, Some(text)) => STANDARD.decode(text).map(|value| (key, value)).map_err(|e| format!("base64: {e}")),
        (Some(None), None) => Err("the value is null".into()),
        (None, None) => Err("it has neither \"value\" nor \"base64\"".into()),
        (Some(_), Some(_)) => Err("it has both \"value\" and \"base64\"".into()),
    }
}

/// The key of a line, whatever else it has.
///
/// # Errors
/// What is wrong with it.
pub fn key(line: &str) -> Result<String, String> {
    parse(line).map(|line| line.key)
}

fn parse(line: &str) -> Result<Line, String> {
    serde_json::from_str(line).map_err(|e| match e.classify() {
        // These messages name fields and types.
        serde_json::error::Category::Data => format!("{e}"),
        _ => format!("it is not JSON: {e}"),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_was() {
        for value in [&b""[..], b"text\n\"quoted\"", b"\0", b"\xff\x00\xfe", "ü\u{2028}".as_bytes()] {
            for name in ["", "k", "line\nfeed", "\0", "\u{1b}[31m"] {
                let text = line(name, Some(value));
                assert_eq!(text.matches('\n').count(), 1, "{text}");
                assert_eq!(pair(&text), Ok((name.to_string(), value.to_vec())));
                assert_eq!(key(&text).unwrap(), name);
            }
        }
    }

    #[test]
    fn a_line_that_says_too_little_or_too_much_is_refused() {
        for text in [
            "",
            "{}",
            r#"{"key":"a"}"#,
            r#"{"key":"a","value":null}"#,
            r#"{"key":"a","value":1}"#,
            r#"{"key":"a","value":"b","base64":"Yg=="}"#,
            r#"{"key":"a","base64":"*"}"#,
            r#"{"key":"a","base64":"Yg"}"#,
            r#"{"key":"a","value":"b","ttl":1}"#,
            r#"{"value":"b"}"#,
        ] {
            assert!(pair(text).is_err(), "{text}");
        }
        assert_eq!(line("a", None), "{\"key\":\"a\",\"value\":null}\n");
    }
}
