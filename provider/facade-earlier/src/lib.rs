//! The other shapes of two version strings of the interface, one file each, for artefacts that export them instead of
//! the current ones:
//!
//! | file | version | what differs | artefacts |
//! |---|---|---|---|
//! | [`draft2_2024`] | `0.2.0-draft2` | `get-many` returns the keys that exist with their values | `keyvalue*_draft2_2024.wasm` |
//! | [`v0_1_methods`] | `0.1.0` | a value is consumed by methods | `keyvalue*_0_1_methods.wasm` |

pub mod draft2_2024;
pub mod v0_1_methods;
