//! The protocol against another implementation of its algorithms, and with every byte of the server's harmed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Harm, Host, NEVER, Wire, read};
use kvfuse_core::waiting::ready;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tls::Tls;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Network, Output};
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn text() -> Vec<u8> {
    (0..600).map(|n: usize| (n * 7 % 251) as u8).collect()
}

/// How many bytes the server sends for a connection and a text, at the most: signatures differ in length.
fn longest(host: &Host) -> usize {
    let run = || {
        let wire = host.wire(0, Harm::None);
        assert_eq!(host.echo(&wire, &text()).as_ref(), Ok(&text()));
        wire.0.borrow().sent
    };
    (0..10).map(|_| run()).max().unwrap()
}

#[test]
fn a_byte_that_changed_on_the_way_is_found_out_wherever_it_is() {
    let _watchdog = Watchdog::of_the_test();
    for version in VERSIONS {
        let host = Host::new(version);
        let mut found = 0;
        for at in 0..longest(&host) {
            for bits in [1, 1 << (at % 8), 0xff] {
                let wire = host.wire(at, Harm::Flip(bits));
                match host.echo(&wire, &text()) {
                    Ok(echoed) => {
                        assert!(echoed == text(), "{version:?}: byte {at} with {bits:#x} changed what was read");
                        // RFC 8446, section 5.1: the version of a record is to be ignored. And this run may be a shorter one.
                        let hit = wire.0.borrow().hit;
                        assert!(
                            matches!(hit, None | Some(1 | 2)),
                            "{version:?}: byte {at} with {bits:#x}, number {hit:?} of its record, was not noticed"
                        );
                    }
                    Err(fault) => {
                        let known = matches!(fault.cause, Cause::Tls | Cause::TimedOut | Cause::Closed);
                        assert!(
                            known && !fault.detail.contains('\n'),
                            "{version:?}: byte {at} with {bits:#x}: {fault:?}"
                        );
                        found += 1;
                    }
                }
            }
        }
        assert!(found > 1500, "{version:?}: {found}");
    }
}

#[test]
fn a_connection_that_ends_or_stops_at_any_byte_is_an_error_that_says_so() {
    let _watchdog = Watchdog::of_the_test();
    for version in VERSIONS {
        let host = Host::new(version);
        let whole = host.wire(0, Harm::None);
        host.connect(&whole).unwrap();
        let handshake = whole.0.borrow().sent;
        for at in 0..longest(&host) {
            for (harm, cause) in [(Harm::Cut, Cause::Closed), (Harm::Stop, Cause::TimedOut)] {
                let wire = host.wire(at, harm);
                let fault = match host.echo(&wire, &text()) {
                    // This run was a shorter one.
                    Ok(echoed) if wire.0.borrow().hit.is_none() => {
                        assert!(echoed == text());
                        continue;
                    }
                    Ok(_) => panic!("{version:?}: {harm:?} at {at} was not noticed"),
                    Err(fault) => fault,
                };
                assert_eq!(fault.cause, cause, "{version:?}: {harm:?} at {at}: {fault}");
                // Close to its end, the handshake of this run may be shorter or longer.
                if at + 10 < handshake {
                    assert!(fault.detail.contains("TLS handshake"), "{version:?}: {harm:?} at {at}: {fault}");
                }
            }
        }
    }
}

#[test]
fn every_group_of_the_key_exchange_is_spoken_also_when_the_server_asks_for_another_than_the_first() {
    for version in VERSIONS {
        for group in ring::ALL_KX_GROUPS {
            let provider = rustls::crypto::CryptoProvider { kx_groups: vec![*group], ..ring::default_provider() };
            let host = Host::with(version, provider);
            let wire = host.wire(0, Harm::None);
            assert_eq!(host.echo(&wire, &text()), Ok(text()), "{version:?} {group:?}");
            let agreed = wire.0.borrow().server.negotiated_key_exchange_group().map(|group| group.name());
            assert_eq!(agreed, Some(group.name()));
        }
    }
}

#[test]
fn the_name_is_sent_along() {
    let host = Host::new(&TLS13);
    let wire = host.wire(0, Harm::None);
    host.connect(&wire).unwrap();
    assert_eq!(wire.0.borrow().server.server_name(), Some("a.example"));
}

#[test]
fn new_keys_of_the_server_are_used_and_answered_with_new_ones() {
    let host = Host::new(&TLS13);
    let wire = host.wire(0, Harm::None);
    let mut connection = host.connect(&wire).unwrap();
    for _ in 0..100 {
        connection.write(&text(), NEVER).unwrap();
        assert_eq!(read(&mut connection, text().len()), Ok(text()));
        wire.0.borrow_mut().server.refresh_traffic_keys().unwrap();
    }
    connection.write(&text(), NEVER).unwrap();
    assert_eq!(read(&mut connection, text().len()), Ok(text()));
    assert_eq!(wire.0.borrow().heard.len(), 101 * text().len(), "all of it was decrypted there");
}

#[test]
fn one_that_only_reads_follows_new_keys_and_its_next_write_is_understood() {
    let host = Host::new(&TLS13);
    let wire = host.wire(0, Harm::None);
    let mut connection = host.connect(&wire).unwrap();
    connection.write(b"first", NEVER).unwrap();
    read(&mut connection, 5).unwrap();
    for _ in 0..100 {
        {
            let server = &mut wire.0.borrow_mut().server;
            server.refresh_traffic_keys().unwrap();
            server.writer().write_all(b"next").unwrap();
        }
        assert_eq!(read(&mut connection, 4).as_deref(), Ok(&b"next"[..]));
    }
    connection.write(b"last", NEVER).unwrap();
    assert_eq!(wire.0.borrow().heard, b"firstlast");
}

#[test]
fn a_server_that_ends_the_session_is_noticed_and_is_no_fault_of_what_came_before() {
    for version in VERSIONS {
        let host = Host::new(version);
        let wire = host.wire(0, Harm::None);
        let mut connection = host.connect(&wire).unwrap();
        connection.write(&text(), NEVER).unwrap();
        wire.0.borrow_mut().server.send_close_notify();
        assert_eq!(read(&mut connection, text().len()), Ok(text()));
        assert_eq!(connection.read(NEVER), Ok(Vec::new()), "the end");
        assert!(connection.is_stale());
    }
}

/// A network that accepts as many bytes as there is room, and then waits.
#[derive(Clone)]
struct Narrow {
    wire: Wire,
    room: Rc<Cell<usize>>,
}

impl Network for Narrow {
    type Input = Wire;
    type Output = Narrow;
    const WAITS: bool = true;

    async fn connect(&self, _: &str, _: u16, _: Moment) -> Result<(Wire, Narrow), Fault> {
        Ok((self.wire.clone(), self.clone()))
    }
}

impl Output for Narrow {
    async fn write(&mut self, bytes: &[u8], sent: &mut usize, deadline: Moment) -> Result<(), Fault> {
        let count = self.room.get().min(bytes.len() - *sent);
        self.wire.write(&bytes[..*sent + count], sent, deadline).await?;
        self.room.set(self.room.get() - count);
        if self.room.get() == 0 {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[test]
fn a_write_that_is_dropped_at_any_byte_is_finished_by_the_next_one_and_counts_whole_at_its_last() {
    for version in VERSIONS {
        let host = Host::new(version);
        let mut whole = 0;
        for at in 0.. {
            let narrow = Narrow { wire: host.wire(0, Harm::None), room: Rc::new(Cell::new(usize::MAX)) };
            let tls = Tls::new(narrow.clone(), Some(host.trust.clone()));
            let (_input, mut output) = ready(tls.connect("a.example", 1, NEVER)).unwrap().unwrap();
            narrow.room.set(at);
            let mut sent = 0;
            let done = ready(output.write(&text(), &mut sent, NEVER));
            let heard = narrow.wire.0.borrow().heard.clone();
            // In TLS 1.3 the end of the handshake is before it.
            assert_eq!(sent == text().len(), heard == text(), "{version:?}: {at}");
            assert!(heard.is_empty() || heard == text(), "{version:?}: {at}");
            assert!(sent + 1 >= text().len(), "{version:?}: {at}: what is encrypted cannot be taken back");
            narrow.room.set(usize::MAX);
            assert_eq!(ready(output.write(&text(), &mut sent, NEVER)), Some(Ok(())));
            assert_eq!((sent, &narrow.wire.0.borrow().heard), (text().len(), &text()), "{version:?}: {at}");
            whole += usize::from(!heard.is_empty());
            if done.is_some() {
                break;
            }
        }
        assert_eq!(whole, 2, "{version:?}: accepted whole, with a wait behind it and without");
    }
}
