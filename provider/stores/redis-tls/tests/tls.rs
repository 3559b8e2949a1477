//! Who is trusted, what is negotiated, and what is said if it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{OwnRedis, connect, connect_over};
use kvfuse_core::{Error, Kind, Store};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::net::{Connection, StdNetwork};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::settings;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tls::{Tls, Trust};
use kvfuse_transport::clock::Clock;
use std::time::Duration;

const PASSWORD: [(&str, &str); 1] = [("KEYVALUE_REDIS_PASSWORD", "hunter2")];

/// What a get and a set say; nothing that was sent is in it.
fn refused(url: &str, ca: &str) -> Error {
    let store = connect(url, ca, &[PASSWORD[0], ("KEYVALUE_TIMEOUT_MS", "1000")]);
    let bucket = store.open("b").unwrap();
    let (read, written) = (bucket.get("secret-key").unwrap_err(), bucket.set("secret-key", b"hunter3").unwrap_err());
    assert_ne!(written.kind(), Kind::OutcomeUnknown, "nothing was sent: {written}");
    for text in [read.message(), written.message()] {
        assert!(!text.contains("hunter") && !text.contains("secret-key") && !text.contains('\n'), "{text}");
    }
    read
}

fn says(error: &Error, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(error.message().contains(part), "{part} is not in: {error}"));
}

#[test]
fn nothing_goes_out_in_clear_and_the_session_is_used_again() {
    let own = OwnRedis::start(&["--requirepass", "hunter2"], &PASSWORD);
    let proxy = Proxy::start(own.server.tls_port());
    proxy.sent();
    let network = StdNetwork::default();
    let url = format!("rediss://127.0.0.1:{}", proxy.port());
    let bucket = connect_over(network.clone(), &url, own.authority.pem(), &PASSWORD).open("b").unwrap();
    bucket.set("a-key", b"a-value").unwrap();
    // Longer than the time for which a connection is used without asking whether it is still open.
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert_eq!(bucket.get("a-key").unwrap().as_deref(), Some(&b"a-value"[..]));
    }
    assert_eq!(network.connects.get(), 1, "the tickets that the server sends are no reason to connect again");
    let sent = proxy.sent();
    // RFC 8446, section 5.1: a record with a handshake.
    assert_eq!(sent.first(), Some(&22));
    for text in ["hunter2", "a-key", "a-value", "HELLO", "GET"] {
        assert!(!sent.windows(text.len()).any(|bytes| bytes == text.as_bytes()), "{text} was sent in clear");
    }
}

#[test]
fn what_is_no_data_does_not_make_a_connection_stale_and_data_and_the_end_do() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let mut redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &["--tls-protocols", "TLSv1.3"]);
    let proxy = Proxy::start(redis.tls_port());
    let trust = Trust::from_settings(&settings(&[("KEYVALUE_TLS_CA", authority.pem())])).unwrap();
    let deadline = SystemClock.now() + Duration::from_secs(30);
    let network = Tls::new(StdNetwork::default(), Some(trust));
    let mut connection = Connection::open(&network, "127.0.0.1", proxy.port(), deadline).unwrap();
    proxy.count();
    // The server's tickets follow the client's last message of the handshake, and no answer follows half a command.
    connection.write(b"*1\r\n$4\r\nPI", deadline).unwrap();
    wait_until("the tickets are sent", || proxy.count().1 > 0);
    for _ in 0..1000 {
        assert!(!connection.is_stale());
    }
    connection.write(b"NG\r\n", deadline).unwrap();
    assert_eq!(connection.read(deadline).unwrap(), b"+PONG\r\n");
    assert!(!connection.is_stale());
    connection.write(b"PING\r\n", deadline).unwrap();
    wait_until("data make it stale", || connection.is_stale());
    assert!(!connection.is_stale(), "they were dropped");
    redis.kill();
    wait_until("the end makes it stale", || connection.is_stale());
}

#[test]
fn values_of_several_records_arrive_whole_in_both_versions() {
    for version in ["TLSv1.3", "TLSv1.2"] {
        let own = OwnRedis::start(&["--tls-protocols", version], &[]);
        let bucket = own.open("b").unwrap();
        for length in [1, 16 << 10, (16 << 10) + 1, 100_000, (256 << 10) + 1, 3 << 20] {
            let value: Vec<u8> = (0..length).map(|n: usize| (n * 7 % 251) as u8).collect();
            bucket.set("a", &value).unwrap();
            assert!(bucket.get("a").unwrap().as_deref() == Some(&value[..]), "{length} bytes over {version}");
        }
    }
}

/// A server whose certificate, and that of its authority, are for keys of these kinds, answers.
fn speaks(authority: &'static rcgen::SignatureAlgorithm, server: &'static rcgen::SignatureAlgorithm, more: &[&str]) {
    let authority = Authority::with(authority);
    let redis = Redis::start_tls(&authority.certificate_of("127.0.0.1", server, 2020, 2100), more);
    let bucket = connect(&redis.tls_url(), authority.pem(), &[]).open("b").unwrap();
    bucket.set("a", &[1; 50_000]).unwrap();
    assert_eq!(bucket.get("a").unwrap(), Some(vec![1; 50_000]), "{more:?}");
}

#[test]
fn every_cipher_suite_is_spoken() {
    let _watchdog = Watchdog::of_the_test();
    let (p256, rsa) = (&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256);
    for suite in ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
        speaks(p256, p256, &["--tls-protocols", "TLSv1.3", "--tls-ciphersuites", suite]);
    }
    for cipher in ["CHACHA20-POLY1305", "AES128-GCM-SHA256", "AES256-GCM-SHA384"] {
        for (kind, key) in [("ECDSA", p256), ("RSA", rsa)] {
            let suite = format!("ECDHE-{kind}-{cipher}");
            speaks(key, key, &["--tls-protocols", "TLSv1.2", "--tls-ciphers", &suite]);
        }
    }
}

#[test]
fn certificates_of_every_kind_of_key_are_verified_in_both_versions() {
    let _watchdog = Watchdog::of_the_test();
    let kinds = [
        (&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384),
        (&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ECDSA_P256_SHA256),
        (&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (&rcgen::PKCS_RSA_SHA384, &rcgen::PKCS_RSA_SHA384),
        (&rcgen::PKCS_RSA_SHA512, &rcgen::PKCS_RSA_SHA512),
    ];
    for (authority, server) in kinds {
        for version in ["TLSv1.3", "TLSv1.2"] {
            speaks(authority, server, &["--tls-protocols", version]);
        }
    }
}

#[test]
fn the_name_in_the_url_is_the_one_that_is_verified() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let redis = Redis::start_tls(&authority.certificate("localhost"), &[]);
    let named = format!("rediss://localhost:{}", redis.tls_port());
    connect(&named, authority.pem(), &[]).open("b").unwrap().set("a", b"1").unwrap();
    let error = refused(&redis.tls_url(), authority.pem());
    assert_eq!(error.kind(), Kind::Unavailable);
    says(&error, &["certificate is for localhost and not for 127.0.0.1", "use a name in the URL"]);
}

#[test]
fn an_authority_that_is_not_trusted_is_refused_and_the_variable_is_named() {
    let _watchdog = Watchdog::of_the_test();
    let (authority, other) = (Authority::new(), Authority::new());
    let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &[]);
    // Mozilla's authorities, and another one of the same name.
    for ca in ["", other.pem()] {
        let error = refused(&redis.tls_url(), ca);
        assert_eq!(error.kind(), Kind::Unavailable);
        says(&error, &["certificate", "KEYVALUE_TLS_CA"]);
    }
    // With both, it is found.
    let both = format!("{}{}", other.pem(), authority.pem());
    connect(&redis.tls_url(), &both, &[]).open("b").unwrap().set("a", b"1").unwrap();
}

#[test]
fn a_certificate_that_is_from_nobody_else_is_trusted_only_if_it_is_in_the_variable() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let (certificate, pem) = authority.self_signed("127.0.0.1");
    let redis = Redis::start_tls(&certificate, &[]);
    says(&refused(&redis.tls_url(), ""), &["not trusted", "KEYVALUE_TLS_CA"]);
    says(&refused(&redis.tls_url(), authority.pem()), &["not trusted", "KEYVALUE_TLS_CA"]);
    connect(&redis.tls_url(), &pem, &[]).open("b").unwrap().set("a", b"1").unwrap();
}

#[test]
fn the_server_is_told_why_it_is_not_trusted() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &["--tls-protocols", "TLSv1.2"]);
    let proxy = Proxy::start(redis.tls_port());
    proxy.sent();
    refused(&format!("rediss://127.0.0.1:{}", proxy.port()), "");
    // RFC 5246, section 7.2: an alert (21) of two bytes, fatal (2), unknown_ca (48).
    wait_until("the alert arrives", || proxy.sent().ends_with(&[21, 3, 3, 0, 2, 2, 48]));
}

#[test]
fn a_server_with_nothing_newer_than_tls_1_1_is_refused_with_what_it_should_offer() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let old = ["--tls-protocols", "TLSv1.1", "--tls-ciphers", "DEFAULT:@SECLEVEL=0"];
    let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &old);
    says(&refused(&redis.tls_url(), authority.pem()), &["neither TLS 1.3 nor TLS 1.2"]);
}

#[test]
fn a_certificate_is_valid_only_in_its_time() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    for (from, to, said) in [(2001, 2002, "has expired"), (2090, 2100, "is not valid yet")] {
        let certificate = authority.certificate_of("127.0.0.1", &rcgen::PKCS_ECDSA_P256_SHA256, from, to);
        let error = refused(&Redis::start_tls(&certificate, &[]).tls_url(), authority.pem());
        says(&error, &[said, "clock"]);
    }
}

#[test]
fn the_certificate_of_an_authority_is_not_one_for_a_server_and_the_error_says_how_to_make_one() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let error = refused(&Redis::start_tls(&authority.itself(), &[]).tls_url(), authority.pem());
    says(&error, &["certificate", "CA:FALSE"]);
}

#[test]
fn a_server_without_tls_is_recognised() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let error = refused(&format!("rediss://127.0.0.1:{}", redis.port()), Authority::new().pem());
    says(&error, &["TLS"]);
    assert!(error.message().contains("does not speak TLS") || error.message().contains("TLS port"), "{error}");
}

#[test]
fn a_url_without_tls_to_a_port_with_it_is_recognised() {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &[]);
    let error = refused(&format!("redis://127.0.0.1:{}", redis.tls_port()), "");
    says(&error, &["rediss://"]);
}

#[test]
fn a_server_that_asks_for_a_certificate_of_the_client_is_recognised() {
    for version in ["TLSv1.3", "TLSv1.2"] {
        let _watchdog = Watchdog::of_the_test();
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem()).unwrap();
        let arguments =
            ["--tls-auth-clients", "yes", "--tls-ca-cert-file", ca.to_str().unwrap(), "--tls-protocols", version];
        let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &arguments);
        let error = refused(&redis.tls_url(), authority.pem());
        says(&error, &["certificate of the client", "tls-auth-clients no"]);
    }
}

#[test]
fn without_tls_in_the_url_it_is_the_plain_store() {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let bucket = connect(&redis.url(), "", &[]).open("b").unwrap();
    bucket.set("a", b"1").unwrap();
    assert_eq!(redis.command(&["GET", "b:a"]), "1");
}
