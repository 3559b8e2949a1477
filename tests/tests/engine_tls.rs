//! `https://` to etcd uses the host's TLS, and `rediss://` to Redis that inside the provider. Whoever decides whom to
//! trust, nothing is sent in clear.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::certificates::{Authority, Certificate};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::{Command, Outcome, Program, fused_with};
use std::time::Duration;
use tempfile::TempDir;

/// The first byte of a TLS record that contains a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// An etcd with a self-signed certificate, behind a proxy that records what is sent to it.
struct SelfSigned {
    proxy: Proxy,
    roots: rustls::RootCertStore,
    _etcd: Etcd,
    _folder: TempDir,
}

impl SelfSigned {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()])?;
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let etcd = Etcd::start_tls(&certificate, &key);
        let proxy = Proxy::start(*etcd.ports().first().context("a member")?);
        proxy.sent();
        Ok(Self { proxy, roots, _etcd: etcd, _folder: folder })
    }

    /// Tells the guest to do these, one per line, with a login so that there is a secret to keep.
    fn run(&self, time_limit: &str, roots: Option<rustls::RootCertStore>, orders: &str) -> Result<Outcome> {
        let program = Program::new(&fused_with("remote", "keyvalue-etcd")?)?;
        let endpoint = format!("https://127.0.0.1:{}", self.proxy.port());
        let command = Command::new(&[])
            .env("KEYVALUE_ETCD_ENDPOINTS", &endpoint)
            .env("KEYVALUE_ETCD_USERNAME", "ann")
            .env("KEYVALUE_ETCD_PASSWORD", "hunter2")
            .env("KEYVALUE_TIMEOUT_MS", time_limit)
            .input(orders.as_bytes());
        program.run(&match roots {
            Some(roots) => command.trust(roots),
            None => command,
        })
    }

    fn sent_in_clear(&self) -> Result<bool> {
        sent_in_clear(&self.proxy, &["POST", "/v3/", "hunter2"])
    }
}

/// Whether any of these was sent as it is, and not in TLS.
fn sent_in_clear(proxy: &Proxy, texts: &[&str]) -> Result<bool> {
    let sent = proxy.sent();
    ensure!(sent.first() == Some(&HANDSHAKE), "the first thing sent is TLS");
    Ok(texts.iter().any(|text| sent.windows(text.len()).any(|bytes| bytes == text.as_bytes())))
}

/// A guest over a Redis with this certificate, behind a proxy that records what is sent to it. There is a login, so that
/// there is a secret to keep.
fn over_redis(
    certificate: &Certificate,
    arguments: &[&str],
    host: &str,
    configure: impl FnOnce(Command) -> Command,
    orders: &str,
) -> Result<(Outcome, Proxy)> {
    let redis = Redis::start_tls(certificate, &[&["--requirepass", "hunter2"], arguments].concat());
    let proxy = Proxy::start(redis.tls_port());
    proxy.sent();
    let program = Program::new(&fused_with("remote", "keyvalue-redis-tls")?)?;
    let url = format!("rediss://:hunter2@{host}:{}", proxy.port());
    let command = Command::new(&[]).network().env("KEYVALUE_REDIS_URL", &url).env("KEYVALUE_TIMEOUT_MS", "30000");
    let outcome = program.run(&configure(command.input(orders.as_bytes())))?;
    outcome.succeeded()?;
    Ok((outcome, proxy))
}

/// The errors of a guest that does not trust the server: each says these, and nothing that is secret was sent.
fn refused(
    certificate: &Certificate,
    host: &str,
    configure: impl FnOnce(Command) -> Command,
    says: &[&str],
) -> Result<()> {
    let (outcome, proxy) = over_redis(certificate, &[], host, configure, "get a\nset a 1\n")?;
    let text = outcome.text();
    ensure!(text.lines().count() == 2, "{text}");
    for line in text.lines() {
        ensure!(line.starts_with("! ") && says.iter().all(|part| line.contains(part)), "{line} says not {says:?}");
        ensure!(!line.contains("hunter2") && !line.contains("may or may not"), "{line}");
    }
    ensure!(!sent_in_clear(&proxy, &["hunter2", "HELLO", "GET"])?);
    Ok(())
}

#[test]
fn a_certificate_that_the_host_does_not_trust_is_refused_and_nothing_is_sent() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let server = SelfSigned::start()?;
    let outcome = server.run("1000", None, "get a\nset a 1\n")?;
    outcome.succeeded()?;
    let text = outcome.text();
    ensure!(text.lines().count() == 2, "{text}");
    for line in text.lines() {
        ensure!(line.starts_with("! "), "{line}");
        ensure!(line.contains("TLS") && line.contains("certificate") && line.contains("nothing was sent"), "{line}");
        ensure!(!line.contains("hunter2"), "{line}");
    }
    ensure!(!server.sent_in_clear()?);
    Ok(())
}

#[test]
fn a_certificate_that_the_host_trusts_is_spoken_to_and_nothing_goes_out_in_clear() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let server = SelfSigned::start()?;
    let outcome =
        server.run("30000", Some(server.roots.clone()), "set a 1\nget a\nincr n 41\nincr n 1\nget-many a n x\n")?;
    ensure!(outcome.text() == "= \n= 1\n= 41\n= 42\n= 2\n", "{}{}", outcome.text(), outcome.stderr);
    ensure!(!server.sent_in_clear()?);
    Ok(())
}

#[test]
fn redis_over_tls_is_spoken_to_in_both_versions_and_nothing_goes_out_in_clear() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    for version in ["TLSv1.3", "TLSv1.2"] {
        let trust = |command: Command| command.env("KEYVALUE_TLS_CA", authority.pem());
        let orders = "set a 1\nget a\nincr n 41\nincr n 1\nget-many a n x\n";
        let certificate = authority.certificate("localhost");
        let (outcome, proxy) = over_redis(&certificate, &["--tls-protocols", version], "localhost", trust, orders)?;
        ensure!(outcome.text() == "= \n= 1\n= 41\n= 42\n= 2\n", "{}{}", outcome.text(), outcome.stderr);
        ensure!(!sent_in_clear(&proxy, &["hunter2", "HELLO", "GET", "INCR"])?);
        // RFC 6066, section 3: the name of the host is sent along, in clear.
        ensure!(sent_in_clear(&proxy, &["\0\0\u{9}localhost"])?);
    }
    Ok(())
}

#[test]
fn a_redis_whose_certificate_is_not_trusted_is_refused_and_the_variable_is_named() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let (authority, other) = (Authority::new(), Authority::new());
    let certificate = authority.certificate("127.0.0.1");
    // Mozilla's authorities, and another one of the same name.
    refused(&certificate, "127.0.0.1", |command| command, &["not trusted", "KEYVALUE_TLS_CA"])?;
    let trusts_other = |command: Command| command.env("KEYVALUE_TLS_CA", other.pem());
    refused(&certificate, "127.0.0.1", trusts_other, &["certificate", "KEYVALUE_TLS_CA"])?;
    // Without a certificate in the variable, there is nobody to trust.
    let named = |command: Command| command.env("KEYVALUE_TLS_CA", "/etc/ssl/ca.pem");
    let (outcome, proxy) = over_redis(&certificate, &[], "127.0.0.1", named, "get a\n")?;
    ensure!(outcome.text().contains("no access to files") && proxy.sent().is_empty(), "{outcome:?}");
    Ok(())
}

#[test]
fn a_redis_whose_certificate_is_for_another_name_is_refused() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    let trust = |command: Command| command.env("KEYVALUE_TLS_CA", authority.pem());
    refused(&authority.certificate("localhost"), "127.0.0.1", trust, &["for localhost and not for 127.0.0.1"])
}

#[test]
fn a_certificate_is_valid_only_in_its_time_by_the_wall_clock_of_the_host() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let authority = Authority::new();
    // From the beginning of 2020 to that of 2100.
    let certificate = authority.certificate("127.0.0.1");
    let (from, to) = (1_577_836_800, 4_102_444_800);
    let at = |seconds: u64| {
        let pem = authority.pem();
        move |command: Command| command.env("KEYVALUE_TLS_CA", pem).at(Duration::from_secs(seconds))
    };
    for seconds in [from, to - 1] {
        let outcome = over_redis(&certificate, &[], "127.0.0.1", at(seconds), "set a 1\n")?.0;
        ensure!(outcome.text() == "= \n", "{}", outcome.text());
    }
    refused(&certificate, "127.0.0.1", at(from - 1), &["is not valid yet", "clock"])?;
    refused(&certificate, "127.0.0.1", at(to + 1), &["has expired", "clock"])
}
