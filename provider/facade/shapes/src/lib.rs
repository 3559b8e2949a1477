//! Second shapes: generations of the interface under a version string that [`kvfuse_facade`] has in another shape, one
//! file each. An artefact exports one of them in place of that other one.
//!
//! They are a crate of their own because the bindings generator names its exported macros by interface and version, and
//! one crate cannot define two macros of one name.

// Written by `make generate` from provider/table.
pub mod draft2_optional_pairs;
pub mod v0_1_consume_methods;
// End of what is written.
