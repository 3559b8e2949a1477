//! A simulated directory, and what proves the file store on it.

pub mod disk;
pub mod plain;
