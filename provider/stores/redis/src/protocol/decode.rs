//! Replies from bytes, in pieces of any size.
//!
//! Every length here is a claim of the server. So what is allocated is counted against [`Bounds`] first, grows with the
//! bytes that arrive, and an allocation that fails is an error.
#![deny(clippy::arithmetic_side_effects)]

use super::Reply;
use std::fmt;

/// The limits of a reply. A reply that exceeds them is malformed, before anything is allocated for it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A line (a status, error, number or length), in bytes. Errors in the form of strings count as lines.
    pub line: usize,
    /// One string, in bytes.
    pub bulk: usize,
    /// The whole reply in memory, in bytes: its lines, strings and arrays.
    pub total: usize,
    /// The elements of one array; a map of n pairs has 2 n.
    pub elements: usize,
    /// The nesting of arrays.
    pub depth: usize,
}

impl Default for Bounds {
    /// The largest string of Redis (512 MiB). The other limits are far above the replies to the commands used here.
    fn default() -> Self {
        Self { line: 64 << 10, bulk: 512 << 20, total: 2 << 30, elements: 1 << 24, depth: 16 }
    }
}

/// Why bytes are not a reply. The connection cannot be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// No reply begins with this byte.
    Kind(u8),
    /// An invalid number or length.
    Number,
    /// A line or a string without its terminator, or text that is not UTF-8.
    Text,
    /// Beyond [`Bounds`].
    TooLarge,
    /// More than there is memory for.
    NoMemory,
    /// A push or an attribute in the wrong place.
    Misplaced,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(byte) => write!(f, "invalid first byte of a reply, {:?}", char::from(*byte)),
            Self::Number => f.write_str("invalid number in reply"),
            Self::Text => f.write_str("invalid line or string in reply"),
            Self::TooLarge => f.write_str("reply larger or more deeply nested than expected"),
            Self::NoMemory => f.write_str("reply does not fit into memory"),
            Self::Misplaced => f.write_str("push message inside a reply"),
        }
    }
}

/// The state of the current reply.
#[derive(Debug, PartialEq)]
pub enum Progress {
    /// All bytes were consumed, and the reply is not complete.
    Incomplete,
    /// A reply; the bytes after it were not consumed.
    Complete(Reply),
}

/// Decodes replies from bytes in pieces of any size, in linear time. Each byte of a string is copied once.
pub struct Decoder {
    bounds: Bounds,
    /// The beginning of a line that is not complete.
    line: Vec<u8>,
    /// A string that is not complete, and the number of missing bytes, including the final CR LF.
    bulk: Option<Bulk>,
    /// Arrays that are not complete, outermost first.
    open: Vec<Open>,
    /// What counts towards [`Bounds::total`] so far.
    total: usize,
    /// Whether push messages are returned like replies. Otherwise they are dropped.
    pushes: bool,
}

struct Bulk {
    bytes: Vec<u8>,
    missing: usize,
    kind: u8,
}

struct Open {
    elements: Vec<Reply>,
    missing: usize,
    role: Role,
    /// The total before it.
    before: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Reply,
    /// A push or an attribute, to be discarded.
    Aside,
}

enum Item {
    Whole(Reply),
    /// An array or a string has begun.
    Begun,
}

impl Decoder {
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, line: Vec::new(), bulk: None, open: Vec::new(), total: 0, pushes: false }
    }

    /// From here on returns push messages as if they were replies: arrays.
    pub fn keep_pushes(&mut self) {
        self.pushes = true;
    }

    /// Whether every byte so far belongs to a complete reply.
    pub fn is_between_replies(&self) -> bool {
        self.line.is_empty() && self.bulk.is_none() && self.open.is_empty()
    }

    /// Consumes bytes from the front of `input`, up to the end of one reply. After an error the decoder is unusable.
    pub fn push(&mut self, input: &mut &[u8]) -> Result<Progress, Malformed> {
        loop {
            let item = match self.bulk.take() {
                Some(bulk) => self.continue_bulk(bulk, input)?,
                None => match self.begin_next(input)? {
                    Some(item) => item,
                    None => return Ok(Progress::Incomplete),
                },
            };
            match item {
                Item::Whole(reply) => {
                    if let Some(reply) = self.close(reply)? {
                        self.total = 0;
                        return Ok(Progress::Complete(reply));
                    }
                }
                Item::Begun if input.is_empty() => return Ok(Progress::Incomplete),
                Item::Begun => {}
            }
        }
    }

    /// What the next line is, or begins, once it is complete.
    fn begin_next(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Malformed> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let (head, rest) = match end {
            Some(at) => input.split_at_checked(at.saturating_add(1)).unwrap_or((input, &[])),
            None => (*input, &[][..]),
        };
        if self.line.len().saturating_add(head.len()) > self.bounds.line {
            return Err(Malformed::TooLarge);
        }
        *input = rest;
        if end.is_some() && self.line.is_empty() {
            // The common case: nothing is copied.
            return self.begin(without_end(head)?).map(Some);
        }
        append(&mut self.line, head, 0)?;
        if end.is_none() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        self.begin(without_end(&line)?).map(Some)
    }

    fn continue_bulk(&mut self, mut bulk: Bulk, input: &mut &[u8]) -> Result<Item, Malformed> {
        let (head, rest) = input.split_at_checked(bulk.missing).unwrap_or((input, &[]));
        *input = rest;
        bulk.missing = bulk.missing.saturating_sub(head.len());
        if bulk.missing == 0 && bulk.bytes.is_empty() {
            // The common case: the string is complete, and takes one allocation of exactly its size.
            let mut bytes = Vec::new();
            append(&mut bytes, without_end(head)?, 0)?;
            return whole_bulk(bulk.kind, bytes);
        }
        append(&mut bulk.bytes, head, bulk.missing)?;
        if bulk.missing > 0 {
            self.bulk = Some(bulk);
            return Ok(Item::Begun);
        }
        let Bulk { mut bytes, kind, .. } = bulk;
        let length = without_end(&bytes)?.len();
        bytes.truncate(length);
        whole_bulk(kind, bytes)
    }

    /// Counts bytes that are about to be allocated.
    fn count(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.total = self.total.saturating_add(bytes);
        if self.total > self.bounds.total { Err(Malformed::TooLarge) } else { Ok(()) }
    }

    /// What a line is, or begins.
    fn begin(&mut self, line: &[u8]) -> Result<Item, Malformed> {
        let (kind, rest) = line.split_first().ok_or(Malformed::Text)?;
        let text = std::str::from_utf8(rest);
        if matches!(kind, b'+' | b'-' | b',' | b'(') {
            let of_each = if *kind == b'-' { LOSSY } else { 1 };
            self.count(rest.len().saturating_mul(of_each))?;
        }
        Ok(Item::Whole(match kind {
            b'+' => Reply::Status(text.map_err(|_| Malformed::Text)?.to_string()),
            b'-' => Reply::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Reply::Integer(number(rest)?),
            b'_' if rest.is_empty() => Reply::Null,
            b'_' => return Err(Malformed::Text),
            b'#' => match rest {
                b"t" => Reply::Boolean(true),
                b"f" => Reply::Boolean(false),
                _ => return Err(Malformed::Text),
            },
            b',' | b'(' => {
                let text = text.ok().filter(|text| is_number(*kind, text)).ok_or(Malformed::Number)?;
                Reply::Number(text.to_string())
            }
            b'$' | b'!' | b'=' => match length(rest)? {
                Some(length) => return self.begin_bulk(*kind, length),
                None if *kind == b'$' => Reply::Null,
                None => return Err(Malformed::Number),
            },
            b'*' | b'~' | b'%' | b'|' | b'>' => match length(rest)? {
                Some(length) => return self.begin_array(*kind, length),
                None if *kind == b'*' => Reply::Null,
                None => return Err(Malformed::Number),
            },
            other => return Err(Malformed::Kind(*other)),
        }))
    }

    fn begin_bulk(&mut self, kind: u8, length: usize) -> Result<Item, Malformed> {
        let (longest, counted) = match kind {
            b'!' => (self.bounds.line, length.saturating_mul(LOSSY)),
            _ => (self.bounds.bulk, length),
        };
        if length > longest {
            return Err(Malformed::TooLarge);
        }
        self.count(counted)?;
        self.bulk = Some(Bulk { bytes: Vec::new(), missing: length.saturating_add(2), kind });
        Ok(Item::Begun)
    }

    fn begin_array(&mut self, kind: u8, length: usize) -> Result<Item, Malformed> {
        let missing = if matches!(kind, b'%' | b'|') { length.saturating_mul(2) } else { length };
        if missing > self.bounds.elements || self.open.len() >= self.bounds.depth {
            return Err(Malformed::TooLarge);
        }
        let role = match kind {
            b'|' => Role::Aside,
            b'>' if self.open.is_empty() && self.pushes => Role::Reply,
            b'>' if self.open.is_empty() => Role::Aside,
            b'>' => return Err(Malformed::Misplaced),
            _ => Role::Reply,
        };
        if missing == 0 && role == Role::Reply {
            return Ok(Item::Whole(Reply::Array(Vec::new())));
        }
        if missing > 0 {
            let before = self.total;
            // Those of an aside are dropped one by one.
            if role == Role::Reply {
                self.count(missing.saturating_mul(size_of::<Reply>()))?;
            }
            self.open.push(Open { elements: Vec::new(), missing, role, before });
        }
        Ok(Item::Begun)
    }

    /// Adds a complete reply to the innermost open array. Returns the reply that is then complete, if any.
    fn close(&mut self, mut reply: Reply) -> Result<Option<Reply>, Malformed> {
        while let Some(mut array) = self.open.pop() {
            array.missing = array.missing.saturating_sub(1);
            match array.role {
                Role::Reply => {
                    reserve(&mut array.elements, 1, array.missing)?;
                    array.elements.push(reply);
                }
                // What is dropped no longer counts.
                Role::Aside => self.total = array.before,
            }
            if array.missing > 0 {
                self.open.push(array);
                return Ok(None);
            }
            match array.role {
                Role::Reply => reply = Reply::Array(array.elements),
                // The reply that it precedes is still to come.
                Role::Aside => return Ok(None),
            }
        }
        Ok(Some(reply))
    }
}

/// The bytes that a byte can take up once it is text: three, of U+FFFD, in a buffer that doubles.
const LOSSY: usize = 4;

/// The most bytes to allocate in one step for data that has only been announced.
const STEP: usize = 1 << 20;

/// Adds bytes; `missing` further ones are announced.
fn append(bytes: &mut Vec<u8>, more: &[u8], missing: usize) -> Result<(), Malformed> {
    reserve(bytes, more.len(), missing)?;
    bytes.extend_from_slice(more);
    Ok(())
}

/// Makes room for `more` items; `missing` further ones are announced. The buffer at most doubles, so that what it
/// takes is in proportion to what arrived, and never exceeds what was announced.
fn reserve<T>(items: &mut Vec<T>, more: usize, missing: usize) -> Result<(), Malformed> {
    if items.capacity().saturating_sub(items.len()) >= more {
        return Ok(());
    }
    let step = STEP.checked_div(size_of::<T>()).unwrap_or(1);
    let ahead = items.len().max(step).min(missing);
    items.try_reserve_exact(more.saturating_add(ahead)).map_err(|_| Malformed::NoMemory)
}

fn whole_bulk(kind: u8, mut bytes: Vec<u8>) -> Result<Item, Malformed> {
    Ok(Item::Whole(match kind {
        b'!' => Reply::Error(String::from_utf8_lossy(&bytes).into_owned()),
        // A verbatim string begins with a format of three letters and a colon.
        b'=' if bytes.get(3) == Some(&b':') => Reply::Bulk(bytes.split_off(4)),
        b'=' => return Err(Malformed::Text),
        _ => Reply::Bulk(bytes),
    }))
}

/// A line or a string without its final CR LF.
fn without_end(bytes: &[u8]) -> Result<&[u8], Malformed> {
    bytes.strip_suffix(b"\r\n").ok_or(Malformed::Text)
}

/// A length; `None` for RESP2's -1.
fn length(digits: &[u8]) -> Result<Option<usize>, Malformed> {
    if digits == b"-1" {
        return Ok(None);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Number);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Malformed::Number)?;
    text.parse().map(Some).map_err(|_| Malformed::TooLarge)
}

fn number(digits: &[u8]) -> Result<i64, Malformed> {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Malformed::Number)
}

fn is_number(kind: u8, text: &str) -> bool {
    match kind {
        b',' => text.parse::<f64>().is_ok(),
        _ => {
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test")]
mod tests;
