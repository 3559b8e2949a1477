//! Entity tags. No I/O.

/// Whether a text is one entity tag, and can be a header: neither `*`, which everything matches, nor several.
pub fn is_tag(text: &str) -> bool {
    let quoted = text.strip_prefix("W/").unwrap_or(text);
    let inside = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.is_some_and(|tag| tag.len() <= 256 && tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_tag_is_one() {
        for tag in [r#""""#, r#""9b2cf535f27731c974343645a3985328-2""#, r#"W/"1""#] {
            assert!(is_tag(tag), "{tag}");
        }
        let long = format!("\"{}\"", "a".repeat(257));
        for text in ["", "*", "a", "\"", r#""a", "b""#, r#""a b""#, "\"a\r\nx: y\"", "\"\u{e9}\"", "W/*", &long] {
            assert!(!is_tag(text), "{text}");
        }
    }
}
