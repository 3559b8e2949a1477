//! Components as files: making them from core modules, checking what they import, fusing a consumer with a provider, and
//! saying what came out.
//!
//! | file | what it does |
//! |---|---|
//! | [`componentize`] | a guest's core module becomes a component, if it imports no more than it may |
//! | [`world`] | what a component imports and exports, function by function |
//! | [`fit`] | which of a provider's exports meet a consumer's imports, and where they differ |
//! | [`compose`] | a consumer and a provider become one component |
//! | [`retarget`] | a provider's WASI version follows the consumer's where they share resources |
//! | [`nested`] | the components inside a component |
//! | [`interfaces`] | the bare names of what a component imports and exports |
//! | [`describe`] | the same with producers metadata, as text for people |

mod componentize;
mod compose;
mod describe;
mod fit;
mod interfaces;
mod nested;
mod retarget;
mod world;

pub use componentize::{About, Allowed, componentize};
pub use compose::{compose, connect};
pub use describe::describe;
pub use fit::{Difference, Misfit, Wire, fit, is_keyvalue};
pub use interfaces::Interfaces;
pub use nested::{Nested, nested};
pub use retarget::renames;
pub use world::{Functions, Item, Signature, World, split_name};

use anyhow::{Context, Result};
use std::path::Path;

/// Writes a file in one step: others see the old content or the new, and never a half.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, bytes)
        .and_then(|()| std::fs::rename(&temporary, path))
        .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a file, with its name in the error.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
