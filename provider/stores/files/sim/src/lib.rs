//! A simulated directory, and what proves the file store on it.
//!
//! | file | |
//! |---|---|
//! | [`disk`], `data` | a disk in memory, and what a power cut leaves of it |
//! | [`open`] | its files as an instance has them open, with WASI's semantics |
//! | [`director`] | decides which operation fails, and where an instance dies |
//! | [`plain`] | one instance, without faults |
//! | [`lockstep`] | several instances that take turns |
//! | [`world`] | many instances, interleaved at every file operation by a seed |
//! | [`shared`] | what its instances share, and what goes wrong |
//! | [`steps`] | one instance's operations, for what happens at each call of each |
//! | [`work`] | what they do |
//! | [`fuzz`] | directories that this store did not write |
//! | [`history`], `check` | whether the answers they got are possible |
//! | [`at_once`] | calls of many tasks at once to a store that waits, and their history |
//! | [`golden`] | directories that each format version wrote |

pub mod at_once;
mod check;
mod data;
pub mod director;
pub mod disk;
pub mod fuzz;
pub mod golden;
pub mod history;
pub mod lockstep;
pub mod open;
pub mod plain;
pub mod shared;
pub mod steps;
pub mod work;
pub mod world;
