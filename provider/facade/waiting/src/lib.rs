//! The generations whose functions are asynchronous, for stores whose calls wait beside each other: lifted asynchronously, so
//! that many calls of one instance are on their way at the same time, and others of its tasks go on meanwhile.
//!
//! What they do is in `kvfuse-facade`, which has them for all other stores. They are a crate of their own because the names of
//! what is exported are the same.

// Written by `make generate` from provider/table.
pub mod spin3;
pub mod wasmcloud_0_1;
pub mod wasmcloud_0_2;
// End of what is written.

pub use kvfuse_facade::WaitingProvider;
