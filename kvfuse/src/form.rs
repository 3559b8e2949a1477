//! Whether a component is fused flat, or as a component with others inside.

use kvfuse_compose::{FlatParts, Memories, NotFlat};
use serde::Serialize;

/// What was asked for: flat where that is right, or composed in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Flat(Memories),
    Composed,
}

/// The form of a fused component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    pub flat: bool,
    /// It is flat, and needs no host that knows modules with two memories.
    pub single_memory: bool,
    /// Why it is not flat, where that is known.
    pub why: Option<String>,
}

impl Form {
    pub fn flat(memories: Memories) -> Self {
        Self { flat: true, single_memory: memories == Memories::One, why: None }
    }

    pub fn composed(reason: &NotFlat) -> Self {
        Self::composed_for(reason.to_string())
    }

    /// It was asked for.
    pub fn asked() -> Self {
        Self::composed_for("--composed was given".into())
    }

    /// A component of three, which is composed.
    pub fn with_a_runner() -> Self {
        Self::composed_for("a runner of its watch interface is inside".into())
    }

    fn composed_for(why: String) -> Self {
        Self { flat: false, single_memory: false, why: Some(why) }
    }

    /// The form of a component that has a store inside.
    pub fn of(fused: &[u8]) -> Self {
        match FlatParts::inside(fused) {
            Ok(Some(parts)) => Self::flat(parts.memories),
            _ => Self { flat: false, single_memory: false, why: None },
        }
    }

    pub fn words(&self) -> String {
        match (self.flat, &self.why) {
            (true, _) if self.single_memory => {
                "flat, for hosts without multi-memory as well: calls of the store stay within one component".into()
            }
            (true, _) => {
                "flat: calls of the store stay within one component. For jco, fuse with --single-memory".into()
            }
            (false, None) => "composed: the store is a component inside".into(),
            (false, Some(why)) => format!("composed, and not flat: {why}"),
        }
    }
}
