//! What the stores over signed HTTP share.
//!
//! | module | what it contains |
//! |---|---|
//! | [`endpoint`] | the address of a service, as a setting has it |
//! | [`calendar`] | times as text |
//! | [`keyed`] | keyed hashes, of which signatures are made |
//! | [`attempts`] | how often a call is tried |
//! | [`cursor`] | cursors of listings in the order of the service |
//! | [`escape`] | text in URLs |
//! | [`tag`] | entity tags |
//! | [`aws`] | access keys and signatures of AWS |
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod attempts;
pub mod aws;
pub mod calendar;
pub mod cursor;
pub mod endpoint;
pub mod escape;
pub mod keyed;
pub mod tag;
