//! A simulated directory, and what proves the file store on it.
//!
//! | file | |
//! |---|---|
//! | [`disk`] | a directory in memory: WASI's semantics, faults, power cuts |
//! | [`plain`] | one instance, nothing going wrong |
//! | [`world`] | many instances, interleaved at every file operation by a seed |
//! | [`work`] | what they do |
//! | [`fuzz`] | directories that this store did not write |
//! | [`history`] | whether what they were told can be |

pub mod disk;
pub mod fuzz;
pub mod history;
pub mod plain;
pub mod work;
pub mod world;
