//! Shapes that a version string of the interface had before the one that everybody knows it by now, one file each, for
//! artefacts that export them in place of the later one:
//!
//! | file | version | what differs | artefacts |
//! |---|---|---|---|
//! | [`draft2_2024`] | `0.2.0-draft2` | `get-many` gives each key that is there with its value | `keyvalue*_draft2_2024.wasm` |
//! | [`v0_1_methods`] | `0.1.0` | a value is consumed by methods | `keyvalue*_0_1_methods.wasm` |

pub mod draft2_2024;
pub mod v0_1_methods;
