//! A simulated directory, and what proves the file store on it.
//!
//! | file | |
//! |---|---|
//! | [`disk`] | a disk in memory, and what a power cut leaves of it |
//! | [`open`] | its files as an instance has them open, with WASI's semantics |
//! | [`director`] | who decides which operation fails, and where an instance dies |
//! | [`plain`] | one instance, nothing going wrong |
//! | [`world`] | many instances, interleaved at every file operation by a seed |
//! | [`work`] | what they do |
//! | [`fuzz`] | directories that this store did not write |
//! | [`history`] | whether what they were told can be |
//! | [`golden`] | directories that each format version wrote |

pub mod director;
pub mod disk;
pub mod fuzz;
pub mod golden;
pub mod history;
pub mod open;
pub mod plain;
pub mod work;
pub mod world;
