//! Whether a component is fused flat, or as a component with others inside.

use kvfuse_compose::{FlatParts, NotFlat};
use serde::Serialize;

/// The form of a fused component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    pub flat: bool,
    /// Why it is not flat, where that is known.
    pub why: Option<String>,
}

impl Form {
    pub fn flat() -> Self {
        Self { flat: true, why: None }
    }

    pub fn composed(reason: &NotFlat) -> Self {
        Self { flat: false, why: Some(reason.to_string()) }
    }

    /// It was asked for.
    pub fn asked() -> Self {
        Self { flat: false, why: Some("--composed was given".into()) }
    }

    /// A component of three, which is composed.
    pub fn with_a_runner() -> Self {
        Self { flat: false, why: Some("a runner of its watch interface is inside".into()) }
    }

    /// The form of a component that has a store inside.
    pub fn of(fused: &[u8]) -> Self {
        Self { flat: matches!(FlatParts::inside(fused), Ok(Some(_))), why: None }
    }

    pub fn words(&self) -> String {
        match (self.flat, &self.why) {
            (true, _) => "flat: calls of the store stay within one component. For jco, fuse with --composed".into(),
            (false, None) => "composed: the store is a component inside".into(),
            (false, Some(why)) => format!("composed, and not flat: {why}"),
        }
    }
}
