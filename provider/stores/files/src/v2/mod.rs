//! Segments in format 2, which this store reads, seals, and replaces by its own at the first write.
//!
//! A segment of format 2 has no pages: all its records are read. Its frames have another marker, so the beginning of a
//! file shows its format. Node logs are always in this format.

pub mod encode;
pub mod frame;
pub mod record;
mod segment;
mod state;

pub use segment::{State, is_on_its_way, open};
