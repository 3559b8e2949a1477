//! `https://` to etcd uses the host's TLS: the host's roots decide, and nothing is sent in clear.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::{Command, Outcome, Program, fused_with};
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
        let sent = self.proxy.sent();
        ensure!(sent.first() == Some(&HANDSHAKE), "the first thing sent is TLS");
        let holds = |text: &str| sent.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        Ok(["POST", "/v3/", "hunter2"].into_iter().any(holds))
    }
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
