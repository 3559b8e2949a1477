//! What the stores over signed HTTP share.
//!
//! | module | what it contains |
//! |---|---|
//! | [`ambient`] | what a store needs to know of its surroundings |
//! | [`endpoint`] | the address of a service, as a setting has it |
//! | [`calendar`] | times as text |
//! | [`keyed`] | keyed hashes, of which signatures are made |
//! | [`attempts`] | how often a call is tried |
//! | [`service`] | what goes wrong with a service, and what follows for a call |
//! | [`cursor`] | cursors of listings in the order of the service |
//! | [`escape`] | text in URLs |
//! | [`tag`] | entity tags |
//! | [`aws`] | access keys and signatures of AWS |
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

pub mod ambient;
pub mod attempts;
pub mod aws;
pub mod calendar;
pub mod cursor;
pub mod endpoint;
pub mod escape;
pub mod keyed;
pub mod service;
pub mod tag;
