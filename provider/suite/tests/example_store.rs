//! The example store in the documentation of `kvfuse-core` keeps the contract.

#[allow(dead_code, reason = "its main is for the documentation")]
#[path = "../../core/examples/map.rs"]
mod map;

kvfuse_suite::contract!(map::MapStore::default);
