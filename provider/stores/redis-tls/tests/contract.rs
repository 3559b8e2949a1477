//! The contract holds through TLS, in both of its versions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

mod tls_1_3 {
    use super::common::OwnRedis;

    kvfuse_suite::contract!(|| OwnRedis::start(&["--tls-protocols", "TLSv1.3"], &[]));
}

mod tls_1_2 {
    use super::common::OwnRedis;

    kvfuse_suite::contract!(|| OwnRedis::start(&["--tls-protocols", "TLSv1.2"], &[]));
}
