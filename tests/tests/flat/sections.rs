//! A component as its sections, to be changed and put together again.

/// The bytes of a component or a module before its first section.
const HEADER: usize = 8;
const MODULE: u8 = 1;
const CUSTOM: u8 = 0;
const CODE: u8 = 10;

#[derive(Clone)]
pub struct Section {
    pub id: u8,
    pub content: Vec<u8>,
}

impl Section {
    /// Whether it is a core module, which is taken as it is.
    pub fn is_module(&self) -> bool {
        self.id == MODULE
    }
}

/// The sections of a component or of a core module, which is whole.
pub fn split(bytes: &[u8]) -> Vec<Section> {
    let mut rest = &bytes[HEADER..];
    let mut sections = Vec::new();
    while let Some((id, after)) = rest.split_first() {
        let (size, after) = number(after);
        let (content, after) = after.split_at(size);
        sections.push(Section { id: *id, content: content.to_vec() });
        rest = after;
    }
    sections
}

/// Puts them behind the header of `like`.
pub fn join(like: &[u8], sections: &[Section]) -> Vec<u8> {
    let mut bytes = like[..HEADER].to_vec();
    for section in sections {
        bytes.push(section.id);
        push(&mut bytes, section.content.len());
        bytes.extend_from_slice(&section.content);
    }
    bytes
}

/// The same component, in whose core modules every function traps: all that a comparison needs is there, and it is read quickly.
pub fn emptied(component: &[u8]) -> Vec<u8> {
    let mut sections = split(component);
    for section in sections.iter_mut().filter(|section| section.is_module()) {
        let mut inner = split(&section.content);
        inner.retain(|section| section.id != CUSTOM);
        for code in inner.iter_mut().filter(|section| section.id == CODE) {
            let (functions, _) = number(&code.content);
            code.content.clear();
            push(&mut code.content, functions);
            // Of 3 bytes each: no locals, unreachable, end.
            (0..functions).for_each(|_| code.content.extend([3, 0, 0, 0x0b]));
        }
        section.content = join(&section.content, &inner);
    }
    join(component, &sections)
}

/// LEB128, which is right.
fn number(bytes: &[u8]) -> (usize, &[u8]) {
    let length = 1 + bytes.iter().take_while(|byte| **byte >= 0x80).count();
    let (own, rest) = bytes.split_at(length);
    (own.iter().rev().fold(0, |number, byte| number << 7 | usize::from(byte & 0x7f)), rest)
}

fn push(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
