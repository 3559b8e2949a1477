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
/// A block of pairs is closed once it has so many bytes of keys and values.
const ENOUGH: usize = 4 << 20;

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
        for pairs in runs(pairs, |pair| pair) {
            let mut body = Vec::with_capacity(pairs.iter().map(|pair| 8 + size(pair)).sum());
            for (key, value) in pairs {
                body.extend(length(key.len())?.to_le_bytes());
                body.extend(length(value.len())?.to_le_bytes());
                body.extend(key.as_bytes());
                body.extend(value);
            }
            self.block(PAIRS, &body)?;
            self.state.add(pairs);
        }
        Ok(())
    }

    /// Pairs that end by themselves.
    pub fn expiring(&mut self, expiring: &[Expiring]) -> std::io::Result<()> {
        for expiring in runs(expiring, |one| &one.pair) {
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
        }
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

/// Of a body, a key or a value. A body that is longer would be refused when it is read.
fn length(bytes: usize) -> std::io::Result<u32> {
    let length = u32::try_from(bytes).ok().filter(|length| u64::from(*length) <= MAX_BODY);
    length.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidInput, "a value of more than 1 GiB"))
}

fn size((key, value): &Pair) -> usize {
    key.len() + value.len()
}

/// The pairs of one block after the other.
fn runs<T>(all: &[T], pair: impl Fn(&T) -> &Pair) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let full = rest.iter().position(|one| {
            bytes += size(pair(one));
            bytes >= ENOUGH
        });
        let (run, after) = rest.split_at_checked(full.map_or(rest.len(), |last| last + 1))?;
        rest = after;
        (!run.is_empty()).then_some(run)
    })
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
            _ => return self.damaged(&format!("{kind} is not a kind of block")).err(),
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
mod tests;
