//! Replies from bytes, in pieces of any size.
//!
//! Every length here is a claim of the server. So it is held against a bound first, and what is allocated grows with the bytes
//! that arrive.
#![deny(clippy::arithmetic_side_effects)]

use std::fmt;

/// The longest line, in bytes. Those of the commands used here are far shorter.
const LONGEST_LINE: usize = 8 << 10;

/// The most bytes to allocate in one step for a value that has only been announced.
const STEP: usize = 1 << 20;

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `HD`: it was done; to a read that did not ask for the value: the item is there.
    Done(Flags),
    /// `VA`: an item.
    Value(Vec<u8>, Flags),
    /// `EN`: there is no such item.
    Missing,
    /// `NS`: not stored, because of the mode.
    NotStored,
    /// `EX`: not stored, because the version is another one.
    Exists,
    /// `NF`: there is no such item to delete, or to compare with.
    NotFound,
    /// `STORED`: logged in.
    LoggedIn,
    /// One statistic of many.
    Statistic(String, String),
    /// `END`: there are no more.
    End,
    /// An error line, such as `SERVER_ERROR out of memory`. The server wrote it, and it can contain anything.
    Error(String),
}

/// What a reply says about an item, as far as it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Its unique number.
    pub version: Option<u64>,
    /// The seconds that are left of its lifetime; `None` if it has none.
    pub left: Option<u64>,
    /// Its client flags.
    pub client: u32,
}

/// Why bytes are not a reply. The connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No reply looks like this.
    Line,
    /// A value that does not end where its size says.
    Value,
    /// A line or a value that is longer than any should be.
    TooLarge,
    /// A value for which there is no memory.
    NoMemory,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "no reply is like the line that it sent",
            Self::Value => "a value does not end where its size says",
            Self::TooLarge => "a reply is larger than the server's own limit",
            Self::NoMemory => "a reply does not fit into memory",
        })
    }
}

/// Decodes replies from bytes in pieces of any size, in linear time.
pub struct Decoder {
    /// The largest value, in bytes.
    largest: usize,
    /// The beginning of a line that is not complete.
    line: Vec<u8>,
    /// A value that is not complete.
    value: Option<Value>,
}

struct Value {
    /// The value and the final CR LF, as far as they have arrived.
    bytes: Vec<u8>,
    missing: usize,
    flags: Flags,
}

impl Decoder {
    /// Until [`accept_values`](Self::accept_values) it takes no values.
    pub fn new() -> Self {
        Self { largest: 0, line: Vec::new(), value: None }
    }

    /// From here on takes values of up to this many bytes.
    pub fn accept_values(&mut self, largest: usize) {
        self.largest = largest;
    }

    /// Whether every byte so far belongs to a complete reply.
    pub fn is_between_replies(&self) -> bool {
        self.line.is_empty() && self.value.is_none()
    }

    /// Consumes bytes from the front of `input`, up to the end of one reply. `None` if it is not complete; then all bytes were
    /// consumed. After an error the decoder is unusable.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Malformed> {
        if self.value.is_none() {
            match self.next_line(input)? {
                None => return Ok(None),
                Some(Line::Whole(reply)) => return Ok(Some(reply)),
                Some(Line::Value(size, _)) if size > self.largest => return Err(Malformed::TooLarge),
                Some(Line::Value(size, flags)) => {
                    self.value = Some(Value { bytes: Vec::new(), missing: size.saturating_add(2), flags });
                }
            }
        }
        self.next_value(input)
    }

    /// What the next line is, once it is complete.
    fn next_line(&mut self, input: &mut &[u8]) -> Result<Option<Line>, Malformed> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(input.len(), |at| at.saturating_add(1));
        let (head, rest) = input.split_at_checked(length).unwrap_or((input, &[]));
        if self.line.len().saturating_add(head.len()) > LONGEST_LINE {
            return Err(Malformed::TooLarge);
        }
        *input = rest;
        self.line.extend_from_slice(head);
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        begun_by(line.strip_suffix(b"\r\n").ok_or(Malformed::Line)?).map(Some)
    }

    fn next_value(&mut self, input: &mut &[u8]) -> Result<Option<Reply>, Malformed> {
        let Some(mut value) = self.value.take() else { return Ok(None) };
        let (head, rest) = input.split_at_checked(value.missing).unwrap_or((input, &[]));
        *input = rest;
        value.missing = value.missing.saturating_sub(head.len());
        if value.bytes.capacity().saturating_sub(value.bytes.len()) < head.len() {
            // The buffer at most doubles, and never exceeds what was announced.
            let ahead = value.bytes.len().max(STEP).min(value.missing);
            value.bytes.try_reserve_exact(head.len().saturating_add(ahead)).map_err(|_| Malformed::NoMemory)?;
        }
        value.bytes.extend_from_slice(head);
        if value.missing > 0 {
            self.value = Some(value);
            return Ok(None);
        }
        let Value { mut bytes, flags, .. } = value;
        let length = bytes.strip_suffix(b"\r\n").ok_or(Malformed::Value)?.len();
        bytes.truncate(length);
        Ok(Some(Reply::Value(bytes, flags)))
    }
}

enum Line {
    /// It is a reply.
    Whole(Reply),
    /// A value of this size follows.
    Value(usize, Flags),
}

/// What a line is, given without its end.
fn begun_by(line: &[u8]) -> Result<Line, Malformed> {
    if line.starts_with(b"ERROR") || line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"SERVER_ERROR") {
        return Ok(Line::Whole(Reply::Error(String::from_utf8_lossy(line).into_owned())));
    }
    let text = std::str::from_utf8(line).ok().filter(|text| !text.contains(char::is_control)).ok_or(Malformed::Line)?;
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let whole = match kind {
        "HD" => Reply::Done(flags(rest)?),
        "VA" => {
            let (size, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            return Ok(Line::Value(number(size)?, flags(rest)?));
        }
        "STAT" => {
            let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
            Reply::Statistic(name.into(), value.into())
        }
        "EN" => Reply::Missing,
        "NS" => Reply::NotStored,
        "EX" => Reply::Exists,
        "NF" => Reply::NotFound,
        "STORED" => Reply::LoggedIn,
        "END" => Reply::End,
        _ => return Err(Malformed::Line),
    };
    Ok(Line::Whole(whole))
}

fn flags(text: &str) -> Result<Flags, Malformed> {
    let mut flags = Flags::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        let kind = letters.next();
        let rest = letters.as_str();
        match kind {
            Some('c') => flags.version = Some(number(rest)?),
            Some('t') if rest == "-1" => flags.left = None,
            Some('t') => flags.left = Some(number(rest)?),
            Some('f') => flags.client = number(rest)?,
            // Others say what nobody asked for: that an item is stale, for example.
            Some(letter) if letter.is_ascii_alphabetic() => {}
            _ => return Err(Malformed::Line),
        }
    }
    Ok(flags)
}

fn number<T: std::str::FromStr>(digits: &str) -> Result<T, Malformed> {
    // `parse` takes a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed::Line);
    }
    digits.parse().map_err(|_| Malformed::Line)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests {
    use super::*;

    const LARGEST: usize = 1 << 20;

    /// All replies in these bytes, which arrive in pieces of this size.
    fn decoded(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, Malformed> {
        let mut decoder = Decoder::new();
        decoder.accept_values(LARGEST);
        let mut replies = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                replies.extend(decoder.push(&mut piece)?);
            }
        }
        assert!(decoder.is_between_replies(), "{:?}", String::from_utf8_lossy(bytes));
        Ok(replies)
    }

    #[test]
    fn replies_are_the_same_in_pieces_of_any_size() {
        let item = |version, left, client| Flags { version, left, client };
        // The forms of the protocol's description, section "Meta Commands".
        for (bytes, expected) in [
            (&b"HD\r\n"[..], vec![Reply::Done(Flags::default())]),
            (b"HD t-1 c18446744073709551615\r\n", vec![Reply::Done(item(Some(u64::MAX), None, 0))]),
            (b"HD t0\r\n", vec![Reply::Done(item(None, Some(0), 0))]),
            (b"VA 0\r\n\r\nEN\r\n", vec![Reply::Value(Vec::new(), Flags::default()), Reply::Missing]),
            (
                b"VA 4 c7 t30 f4294967295 W\r\n\r\nEN\r\n",
                vec![Reply::Value(b"\r\nEN".into(), item(Some(7), Some(30), u32::MAX))],
            ),
            (b"NS\r\nEX\r\nNF\r\n", vec![Reply::NotStored, Reply::Exists, Reply::NotFound]),
            (
                b"STORED\r\nSTAT pid 7\r\nSTAT version 1.6 x\r\nEND\r\n",
                vec![
                    Reply::LoggedIn,
                    Reply::Statistic("pid".into(), "7".into()),
                    Reply::Statistic("version".into(), "1.6 x".into()),
                    Reply::End,
                ],
            ),
            (b"ERROR\r\n", vec![Reply::Error("ERROR".into())]),
            (b"SERVER_ERROR out of memory\r\n", vec![Reply::Error("SERVER_ERROR out of memory".into())]),
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(
                    decoded(bytes, piece),
                    Ok(expected.clone()),
                    "{:?} in {piece}",
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_malformed() {
        for bytes in [
            &b"HD\n"[..],
            b"\r\n",
            b"hd\r\n",
            b"HDx\r\n",
            b"HD \0\r\n",
            b"HD c\r\n",
            b"HD c+1\r\n",
            b"HD c1\xff\r\n",
            b"HD t-2\r\n",
            b"HD c18446744073709551616\r\n",
            b"HD f4294967296\r\n",
            b"HD 7\r\n",
            b"VA\r\n\r\n",
            b"VA -1\r\n",
            b"VA x\r\n",
            b"VA 99999999999999999999\r\n",
            b"VALUE a 0 1\r\n1\r\n",
            b"STAT a\0b\r\n",
            b"EN\0\xff<html>nonsense</html>\r\n",
        ] {
            assert_eq!(decoded(bytes, 1), Err(Malformed::Line), "{:?}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(decoded(b"VA 1\r\n12\r\n", 3), Err(Malformed::Value));
    }

    #[test]
    fn what_is_larger_than_the_limit_is_refused_before_it_arrives() {
        let announced = format!("VA {}\r\n", LARGEST + 1);
        assert_eq!(decoded(announced.as_bytes(), 100), Err(Malformed::TooLarge));
        let mut endless = Decoder::new();
        let mut pushed = 0;
        while endless.push(&mut &[b'x'; 100][..]) == Ok(None) {
            pushed += 100;
            assert!(pushed <= LONGEST_LINE, "a line has no end");
        }
        // Of the largest one nothing is allocated before it arrives.
        let mut decoder = Decoder::new();
        decoder.accept_values(usize::MAX);
        let mut bytes = &b"VA 4000000000\r\nabc"[..];
        assert_eq!(decoder.push(&mut bytes), Ok(None));
        assert!(decoder.value.is_some_and(|value| value.bytes.capacity() <= STEP + 3));
    }

    #[test]
    fn before_the_handshake_no_value_is_taken() {
        assert_eq!(Decoder::new().push(&mut &b"VA 1\r\n"[..]), Err(Malformed::TooLarge));
    }
}
