//! A module or component as its outermost sections, and back.

use crate::error::Error;
use std::ops::Range;
use wasm_encoder::{ComponentSection, RawSection};
use wasmparser::{Parser, Payload};

/// The magic number and the version.
const PREAMBLE: usize = 8;

pub(crate) struct Section<'a> {
    id: u8,
    /// Without the section's number and size.
    content: &'a [u8],
    pub payload: Payload<'a>,
}

impl<'a> Section<'a> {
    /// Without the section's number and size. For a nested module or component, these are its bytes.
    pub fn content(&self) -> &'a [u8] {
        self.content
    }
}

/// The outermost sections in their order. Sections nested in them are parsed, but not returned.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn sections(wasm: &[u8]) -> Result<Vec<Section<'_>>, Error> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        let outermost = depth == 0;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let (true, Some((id, range))) = (outermost, payload.as_section()) {
            found.push(Section { id, content: bytes(wasm, range)?, payload });
        }
    }
    Ok(found)
}

/// The part of the file that a payload's range names.
pub(crate) fn bytes(wasm: &[u8], range: Range<u64>) -> Result<&[u8], Error> {
    let cut_off = || Error::Invalid("a section extends beyond the end of the file".into());
    let limits = usize::try_from(range.start).and_then(|start| Ok(start..usize::try_from(range.end)?));
    wasm.get(limits.map_err(|_| cut_off())?).ok_or_else(cut_off)
}

/// A file under construction: its outermost sections are added one by one.
pub(crate) struct Rebuilt(Vec<u8>);

impl Rebuilt {
    /// Begins as `wasm` does.
    pub fn like(wasm: &[u8]) -> Self {
        Self(wasm.get(..PREAMBLE).unwrap_or(wasm).to_vec())
    }

    /// Adds a section unchanged.
    pub fn keep(&mut self, section: &Section) {
        RawSection { id: section.id, data: section.content }.append_to_component(&mut self.0);
    }

    /// Adds a new section.
    pub fn add(&mut self, section: &impl ComponentSection) {
        section.append_to_component(&mut self.0);
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
