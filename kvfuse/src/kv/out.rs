//! Standard output for values and lines, which may be many.

use crate::input::reason;
use crate::refusal::{Refusal, Result, code};
use std::io::{BufWriter, ErrorKind, IsTerminal, Stdout, Write};

pub struct Out {
    to: BufWriter<Stdout>,
    pub terminal: bool,
}

/// Whether the reader still reads. It is not an error if it closes the pipe early, as `head` does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Reads,
    Left,
}

impl Out {
    pub fn new() -> Self {
        let out = std::io::stdout();
        let terminal = out.is_terminal();
        Self { to: BufWriter::with_capacity(64 << 10, out), terminal }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<Reader> {
        let written = self.to.write_all(bytes);
        told(written)
    }

    pub fn flush(&mut self) -> Result<Reader> {
        let flushed = self.to.flush();
        told(flushed)
    }
}

fn told(result: std::io::Result<()>) -> Result<Reader> {
    match result {
        Ok(()) => Ok(Reader::Reads),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(Reader::Left),
        Err(e) => Refusal::new("standard output", reason(&e)).with_code(code::FILES).err(),
    }
}

/// A key for a terminal, without control characters.
pub fn printable(key: &str) -> String {
    key.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}
