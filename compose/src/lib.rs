#![doc = include_str!("../README.md")]
//!
//! # Map
//!
//! | file | what it does |
//! |---|---|
//! | `componentize` | makes a component of a guest's core module; checks what it imports |
//! | `world` | what a component imports and exports, function by function |
//! | `fit` | which of a provider's exports meet a consumer's imports, and where they differ |
//! | `groups` | which imports have to be satisfied by one instance |
//! | `compose` | makes one component of a consumer and providers |
//! | `opened` | labelled imports whose buckets are of one type |
//! | `flat` | makes one component without inner ones of a consumer and a provider |
//! | `settings` | environment variables that are fused into a component |
//! | `absent` | removes imports that a component will never call |
//! | `retarget` | renames a provider's WASI imports to the consumer's version where they share resources |
//! | `nested` | the components inside a component |
//! | `interfaces` | only the names of what a component imports and exports |
//! | `describe` | the same with producers metadata, as text for people |
//! | `sections` | a file as its outermost sections, and back |
//! | `error` | errors |

#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod absent;
mod componentize;
mod compose;
mod describe;
mod error;
mod fit;
mod flat;
mod groups;
mod interfaces;
mod nested;
mod opened;
mod retarget;
mod sections;
mod settings;
mod world;

pub use absent::without_imports;
pub use componentize::{About, Allowed, componentize};
pub use compose::{Runner, Supply, compose, connect, connect_all, connect_runner};
pub use describe::describe;
pub use error::{Error, Part, Source};
pub use fit::{Difference, Misfit, Wire, fit, is_keyvalue};
pub use flat::{FlatPart, FlatParts, Memories, NotFlat, flatten};
pub use groups::{Group, groups};
pub use interfaces::Interfaces;
pub use nested::{Nested, nested};
pub use opened::opens_shared;
pub use retarget::renames;
pub use settings::Settings;
pub use world::{Functions, Item, ItemKind, Signature, World, split_name};
