//! What a flat component says of its parts: they are no components inside any more.

use super::Memories;
use super::part::Part;
use crate::error::{Error, Part as Which};
use crate::sections::sections;
use crate::{Wire, describe};
use std::fmt::Write;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::Payload;

/// The section in which the parts can be read back.
const SECTION: &str = "kvfuse:flat";

/// A component that was made a part of a flat one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlatPart {
    /// Its name, if its metadata has one.
    pub name: Option<String>,
    /// Its size in bytes.
    pub size: usize,
    /// The names of its imports. Of the consumer, without those that are satisfied inside.
    pub imports: Vec<String>,
    /// The names of its exports. Of the provider, none is an export of the whole.
    pub exports: Vec<String>,
}

/// The parts of a flat component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlatParts {
    /// The part whose imports are satisfied.
    pub consumer: FlatPart,
    /// The part that satisfies them.
    pub provider: FlatPart,
    /// How many memories the modules have that were made to stand between the two.
    pub memories: Memories,
}

impl FlatParts {
    /// The parts of this component. `None` if it is not flat.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the bytes are not WebAssembly, or damaged.
    pub fn inside(component: &[u8]) -> Result<Option<Self>, Error> {
        for section in sections(component)? {
            if let Payload::CustomSection(section) = section.payload
                && section.name() == SECTION
            {
                return Ok(Some(Self::parse(&String::from_utf8_lossy(section.data()))));
            }
        }
        Ok(None)
    }

    pub(super) fn of(consumer: &Part, provider: &Part, wires: &[Wire], memories: Memories) -> Self {
        let part = |part: &Part| FlatPart {
            name: describe::name(part.bytes),
            size: part.bytes.len(),
            imports: part.world.imports.iter().map(|item| item.name.clone()).collect(),
            exports: part.world.exports.iter().map(|item| item.name.clone()).collect(),
        };
        let mut parts = Self { consumer: part(consumer), provider: part(provider), memories };
        parts.consumer.imports.retain(|name| !wires.iter().any(|wire| wire.import == *name));
        parts
    }

    pub(super) fn append_to(&self, component: &mut Vec<u8>) {
        let mut text = String::new();
        if self.memories == Memories::One {
            text.push_str("memories 1\n");
        }
        for (which, part) in [(Which::Consumer, &self.consumer), (Which::Provider, &self.provider)] {
            let _ = writeln!(text, "{which} {} {}", part.size, part.name.as_deref().unwrap_or_default());
            for (kind, names) in [("import", &part.imports), ("export", &part.exports)] {
                for name in names {
                    let _ = writeln!(text, "{kind} {name}");
                }
            }
        }
        CustomSection { name: SECTION.into(), data: text.as_bytes().into() }.append_to_component(component);
    }

    /// It is decoration: what cannot be read is left out.
    fn parse(text: &str) -> Self {
        let mut parts = Self::default();
        let mut part = &mut parts.consumer;
        for line in text.lines() {
            let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
            match kind {
                "consumer" | "provider" => {
                    part = if kind == "consumer" { &mut parts.consumer } else { &mut parts.provider };
                    let (size, name) = rest.split_once(' ').unwrap_or((rest, ""));
                    part.size = size.parse().unwrap_or_default();
                    part.name = (!name.is_empty()).then(|| name.to_string());
                }
                "memories" if rest == "1" => parts.memories = Memories::One,
                "import" => part.imports.push(rest.into()),
                "export" => part.exports.push(rest.into()),
                _ => {}
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_can_be_read_back() {
        let part = |name: Option<&str>, size| FlatPart {
            name: name.map(str::to_string),
            size,
            imports: vec!["a:b/c@1.0.0".into()],
            exports: vec!["run".into(), "a:b/d".into()],
        };
        let empty = b"\0asm\x0d\0\x01\0";
        assert_eq!(FlatParts::inside(empty).unwrap(), None);
        for memories in [Memories::Two, Memories::One] {
            let parts = FlatParts { consumer: part(None, 7), provider: part(Some("the store"), 8), memories };
            let mut component = empty.to_vec();
            parts.append_to(&mut component);
            assert_eq!(FlatParts::inside(&component).unwrap(), Some(parts));
        }
    }
}
