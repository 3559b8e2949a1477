//! The format of dumps, which `docs/dump.md` describes byte by byte.

use super::feed::{Expiring, Mark};
use super::session::Pair;
use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Read, Write};

/// The bytes that a dump begins with; the last one before the zeros is the version.
pub const HEADER: [u8; 16] = *b"\x89KVFUSE\r\n\x1a\n\x01\0\0\0\0";
/// The longest body: what a store can have as a value, with its key.
const MAX_BODY: u64 = (1 << 30) + (2 << 20);

const BUCKET: u8 = 1;
const PAIRS: u8 = 2;
const POSITION: u8 = 3;
const END: u8 = 4;
const EXPIRING: u8 = 5;

pub enum Block {
    Bucket(String),
    Pairs(Vec<Pair>),
    Expiring(Vec<Expiring>),
    Position(String),
}

/// What both sides keep: the number of the next block, the check of the last one, and what has passed.
#[derive(Clone)]
pub struct State {
    mark: Mark,
    pub pairs: u64,
    pub bytes: u64,
}

impl State {
    fn new() -> Self {
        let check = Sha256::digest(HEADER).into();
        Self { mark: Mark { blocks: 0, check, offset: HEADER.len() as u64 }, pairs: 0, bytes: 0 }
    }

    pub fn offset(&self) -> u64 {
        self.mark.offset
    }

    fn head(&self, kind: u8, length: u32) -> [u8; 16] {
        let mut head = [0; 16];
        let fields = [kind, 0, 0, 0].into_iter().chain(length.to_le_bytes()).chain(self.mark.blocks.to_le_bytes());
        head.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        head
    }

    fn check(&self, head: &[u8], body: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.mark.check).chain_update(head).chain_update(body).finalize().into()
    }

    fn pass(&mut self, body: usize, check: [u8; 32]) {
        let offset = self.mark.offset + 16 + body as u64 + 32;
        self.mark = Mark { blocks: self.mark.blocks + 1, check, offset };
    }

    fn add<'a>(&mut self, pairs: impl IntoIterator<Item = &'a Pair>) {
        for (_, value) in pairs {
            self.pairs += 1;
            self.bytes += value.len() as u64;
        }
    }

    fn totals(&self) -> [u8; 16] {
        let mut totals = [0; 16];
        let fields = self.pairs.to_le_bytes().into_iter().chain(self.bytes.to_le_bytes());
        totals.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        totals
    }
}

pub struct Writer<W> {
    to: W,
    pub state: State,
}

impl<W: Write> Writer<W> {
    pub fn new(mut to: W) -> std::io::Result<Self> {
        to.write_all(&HEADER)?;
        Ok(Self { to, state: State::new() })
    }

    /// Goes on behind what has been written already.
    pub fn resume(to: W, state: State) -> Self {
        Self { to, state }
    }

    pub fn bucket(&mut self, name: &str) -> std::io::Result<()> {
        self.block(BUCKET, name.as_bytes())
    }

    pub fn position(&mut self, cursor: &str) -> std::io::Result<()> {
        self.block(POSITION, cursor.as_bytes())
    }

    pub fn pairs(&mut self, pairs: &[Pair]) -> std::io::Result<()> {
        let mut body = Vec::with_capacity(pairs.iter().map(|(key, value)| 8 + key.len() + value.len()).sum());
        for (key, value) in pairs {
            body.extend(length(key.len())?.to_le_bytes());
            body.extend(length(value.len())?.to_le_bytes());
            body.extend(key.as_bytes());
            body.extend(value);
        }
        self.block(PAIRS, &body)?;
        self.state.add(pairs);
        Ok(())
    }

    /// Pairs that end by themselves.
    pub fn expiring(&mut self, expiring: &[Expiring]) -> std::io::Result<()> {
        let mut body = Vec::new();
        for Expiring { pair: (key, value), ends } in expiring {
            body.extend(length(key.len())?.to_le_bytes());
            body.extend(length(value.len())?.to_le_bytes());
            body.extend(ends.to_le_bytes());
            body.extend(key.as_bytes());
            body.extend(value);
        }
        self.block(EXPIRING, &body)?;
        self.state.add(expiring.iter().map(|one| &one.pair));
        Ok(())
    }

    /// Without it, a dump is not whole.
    pub fn end(mut self) -> std::io::Result<W> {
        let totals = self.state.totals();
        self.block(END, &totals)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn block(&mut self, kind: u8, body: &[u8]) -> std::io::Result<()> {
        let head = self.state.head(kind, length(body.len())?);
        let check = self.state.check(&head, body);
        self.to.write_all(&head)?;
        self.to.write_all(body)?;
        self.to.write_all(&check)?;
        self.state.pass(body.len(), check);
        Ok(())
    }
}

fn length(bytes: usize) -> std::io::Result<u32> {
    u32::try_from(bytes).map_err(|_| std::io::Error::new(ErrorKind::InvalidInput, "a batch of more than 4 GiB"))
}

/// Reads a dump, and gives nothing of a block before all of it has been checked.
pub struct Reader<R> {
    from: R,
    name: String,
    pub state: State,
    ended: bool,
}

impl<R: Read> Reader<R> {
    pub fn new(mut from: R, name: String) -> Result<Self> {
        let mut header = Vec::new();
        let read = from.by_ref().take(HEADER.len() as u64).read_to_end(&mut header);
        read.map_err(|e| Box::new(Refusal::new(&name, reason(&e)).with_code(code::FILES)))?;
        if header != HEADER {
            let version = header.len() == HEADER.len() && header.get(..11) == HEADER.get(..11);
            let what = match version {
                true => "this version of kvfuse does not know the format of this dump",
                false => "this is not a dump of kvfuse",
            };
            return Refusal::new(&name, what).err();
        }
        Ok(Self { from, name, state: State::new(), ended: false })
    }

    pub fn mark(&self) -> Mark {
        self.state.mark.clone()
    }

    /// The next block; `None` after the end, which has to be there.
    pub fn next(&mut self) -> Result<Option<Block>> {
        if self.ended {
            return Ok(None);
        }
        let mut head = [0; 16];
        self.fill(&mut head)?;
        let [kind, zeros @ .., a, b, c, d, _, _, _, _, _, _, _, _] = head;
        let length = u32::from_le_bytes([a, b, c, d]);
        // What is not so cannot have the right check; this tells it before the body is read.
        if zeros != [0; 3] || u64::from(length) > MAX_BODY || head != self.state.head(kind, length) {
            return self.damaged("its head is not as it was written").err();
        }
        let mut body = Vec::new();
        let read = self.from.by_ref().take(u64::from(length)).read_to_end(&mut body);
        read.map_err(|e| self.unreadable(&e))?;
        if body.len() < length as usize {
            return self.cut().err();
        }
        let mut check = [0; 32];
        self.fill(&mut check)?;
        if check != self.state.check(&head, &body) {
            return self.damaged("it is not as it was written").err();
        }
        let block = match kind {
            BUCKET => self.text(body.clone()).map(Block::Bucket)?,
            POSITION => self.text(body.clone()).map(Block::Position)?,
            PAIRS => match pairs(&body) {
                Some(pairs) => {
                    self.state.add(&pairs);
                    Block::Pairs(pairs)
                }
                None => return self.damaged("its pairs do not end with it").err(),
            },
            EXPIRING => match expiring(&body) {
                Some(expiring) => {
                    self.state.add(expiring.iter().map(|one| &one.pair));
                    Block::Expiring(expiring)
                }
                None => return self.damaged("its pairs do not end with it").err(),
            },
            END => {
                if body != self.state.totals() {
                    return self.damaged("its totals are not those of the blocks before it").err();
                }
                let mut more = [0];
                let read = self.from.read(&mut more).map_err(|e| self.unreadable(&e))?;
                if read != 0 {
                    return self.damaged("something follows the end").err();
                }
                self.state.pass(body.len(), check);
                self.ended = true;
                return Ok(None);
            }
            _ => return self.damaged(&format!("{kind} is no kind of block")).err(),
        };
        self.state.pass(body.len(), check);
        Ok(Some(block))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.from.read_exact(bytes).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => Box::new(self.cut()),
            _ => self.unreadable(&e),
        })
    }

    fn text(&self, body: Vec<u8>) -> Result<String> {
        String::from_utf8(body).map_err(|_| Box::new(self.damaged("its text is not UTF-8")))
    }

    fn place(&self) -> String {
        format!("{}: block {}, at byte {}", self.name, self.state.mark.blocks, self.state.mark.offset)
    }

    fn cut(&self) -> Refusal {
        Refusal::new(self.place(), "this dump is cut off").with_code(code::DAMAGED).note(format!(
            "{} pairs in the blocks before it are as they were written; the end of the dump is missing",
            self.state.pairs
        ))
    }

    fn damaged(&self, what: &str) -> Refusal {
        Refusal::new(self.place(), "this dump is damaged")
            .with_code(code::DAMAGED)
            .note(format!("this block is damaged: {what}"))
            .note(format!("{} pairs in the blocks before it are as they were written", self.state.pairs))
    }

    fn unreadable(&self, e: &std::io::Error) -> Box<Refusal> {
        Box::new(Refusal::new(self.place(), reason(e)).with_code(code::FILES))
    }
}

fn expiring(mut body: &[u8]) -> Option<Vec<Expiring>> {
    let mut all = Vec::new();
    while !body.is_empty() {
        let (key, rest) = body.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_first_chunk::<4>()?;
        let (ends, rest) = rest.split_first_chunk::<8>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value) as usize)?;
        let pair = (std::str::from_utf8(key).ok()?.to_string(), value.to_vec());
        all.push(Expiring { pair, ends: u64::from_le_bytes(*ends) });
        body = rest;
    }
    Some(all)
}

fn pairs(mut body: &[u8]) -> Option<Vec<Pair>> {
    let mut pairs = Vec::new();
    while !body.is_empty() {
        let (key, rest) = body.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*value) as usize)?;
        pairs.push((std::str::from_utf8(key).ok()?.to_string(), value.to_vec()));
        body = rest;
    }
    Some(pairs)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
mod tests {
    use super::*;

    fn example() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.bucket("default").unwrap();
        writer.pairs(&[("a".into(), b"1".to_vec()), ("ü\0".into(), vec![0xff, 0])]).unwrap();
        writer.position("17").unwrap();
        writer.pairs(&[(String::new(), Vec::new())]).unwrap();
        writer.expiring(&[Expiring { pair: ("soon".into(), b"2".to_vec()), ends: 1_795_000_000_000 }]).unwrap();
        writer.bucket("empty").unwrap();
        writer.end().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>> {
        let mut reader = Reader::new(bytes, "x".into())?;
        let mut blocks = Vec::new();
        while let Some(block) = reader.next()? {
            blocks.push(match block {
                Block::Bucket(name) => name,
                Block::Pairs(pairs) => format!("{pairs:?}"),
                Block::Expiring(all) => {
                    format!("{:?}", all.iter().map(|one| (&one.pair, one.ends)).collect::<Vec<_>>())
                }
                Block::Position(cursor) => cursor,
            });
        }
        Ok(blocks)
    }

    #[test]
    fn what_is_written_is_read() {
        let expected = [
            "default",
            r#"[("a", [49]), ("ü\0", [255, 0])]"#,
            "17",
            r#"[("", [])]"#,
            r#"[(("soon", [50]), 1795000000000)]"#,
            "empty",
        ]
        .map(str::to_string);
        assert_eq!(read(&example()).unwrap(), expected);
    }

    /// The bytes that docs/dump.md has.
    #[test]
    fn the_format_is_as_it_is_documented() {
        let mut writer = Writer::new(Vec::new()).unwrap();
        writer.bucket("b").unwrap();
        let bytes = writer.end().unwrap();
        assert_eq!(&bytes[..16], b"\x89KVFUSE\r\n\x1a\n\x01\0\0\0\0");
        assert_eq!(&bytes[16..33], b"\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0b");
        let first: [u8; 32] = Sha256::digest(&bytes[..16]).into();
        let check: [u8; 32] = Sha256::digest([&first[..], &bytes[16..33]].concat()).into();
        assert_eq!(bytes[33..65], check);
        assert_eq!(&bytes[65..97], b"\x04\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let end: [u8; 32] = Sha256::digest([&check[..], &bytes[65..97]].concat()).into();
        assert_eq!(bytes[97..], end);
    }

    #[test]
    fn a_dump_that_is_cut_anywhere_is_refused() {
        let bytes = example();
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(read(&[&bytes[..], b"\0"].concat()).is_err());
    }

    #[test]
    fn a_dump_with_any_bit_flipped_is_refused() {
        let bytes = example();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn blocks_that_are_missing_doubled_or_of_another_dump_are_refused() {
        let bytes = example();
        // The first two blocks.
        let (first, second) = (16..16 + 55, 71..71 + 16 + 23 + 32);
        assert_eq!(&bytes[second.start..second.start + 8], b"\x02\0\0\0\x17\0\0\0");
        let without = [&bytes[..first.start], &bytes[first.end..]].concat();
        let doubled = [&bytes[..first.end], &bytes[first.start..]].concat();
        let swapped = [&bytes[..16], &bytes[second.clone()], &bytes[first], &bytes[second.end..]].concat();
        for bytes in [without, doubled, swapped] {
            assert!(read(&bytes).is_err());
        }
    }
}
