//! TLS over the byte streams of the transport, for hosts that have none: a [`Network`] over another one.
//!
//! rustls does the protocol, TLS 1.3 and 1.2. The server's certificate is always verified, for the name that was
//! connected to, which is also sent along (SNI), against Mozilla's authorities or those of the settings. Random bytes and
//! the time are the host's.
//!
//! | file | what it contains |
//! |---|---|
//! | `network` | [`Tls`], and its connections |
//! | `trust` | whose certificates are trusted |
//! | `explain` | failures, with what to do about them |
//! | `crypto` | the algorithms, for rustls |
//!
//! [`Network`]: kvfuse_transport::sockets::Network
#![deny(missing_docs, rustdoc::broken_intra_doc_links)]

mod crypto;
mod explain;
mod network;
mod trust;

pub use network::{Tls, TlsInput, TlsOutput};
pub use trust::{CA, Trust};
