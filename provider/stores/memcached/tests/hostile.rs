//! Servers that answer what no Memcached would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::connect;
use kvfuse_core::{Bucket, Kind, Store};
use kvfuse_servers::watchdog::Watchdog;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

const GREETING: &str =
    "STAT pid 7\r\nSTAT uptime 5\r\nSTAT time 1800000000\r\nEND\r\nSTAT item_size_max 1000\r\nEND\r\n";

/// A bucket on a server that greets with the one text, and answers each command with the other, again and again if it is told
/// so for as long as the client takes it.
fn against(greeting: &'static str, answer: &'static [u8], endlessly: bool) -> Rc<dyn Bucket> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut output = stream.try_clone().unwrap();
                let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
                if !lines.by_ref().any(|line| line.starts_with(b"stats settings")) {
                    return;
                }
                let mut going = output.write_all(greeting.as_bytes());
                while going.is_ok() && greeting.is_empty() {
                    going = output.write_all(&answer.repeat(1000));
                }
                let commands = lines.filter(|line| [b"mg ", b"ms ", b"md "].iter().any(|name| line.starts_with(*name)));
                for _ in commands {
                    going = output.write_all(answer);
                    while endlessly && going.is_ok() {
                        going = output.write_all(&answer.repeat(1000));
                    }
                }
            });
        }
    });
    connect(&format!("127.0.0.1:{port}"), &[("KEYVALUE_TIMEOUT_MS", "300")]).open("b").unwrap()
}

#[test]
fn an_answer_that_fits_no_call_is_an_error_of_one_line_that_repeats_nothing() {
    let _watchdog = Watchdog::of_the_test();
    for answer in [
        &b"hunter2\r\n"[..],
        b"HD c1 t1 f1\r\n",
        b"VA 3 c1\r\nhunter2\r\n",
        b"VA 1001\r\n",
        b"VA 99999999999999999999999\r\n",
        b"VA 1 c\r\n1\r\n",
        b"VA 7\r\nhunter2\r\n",
        b"STORED\r\n",
        b"END\r\n",
        b"STAT hunter2 hunter2\r\n",
        b"ERROR hunter2\r\n",
        b"CLIENT_ERROR hunter2\r\n",
        b"SERVER_ERROR hunter2\r\n",
        b"NS\r\nNS\r\n",
        b"\r\n",
        b"\0\r\n",
        b"MN\r\n",
    ] {
        let bucket = against(GREETING, answer, false);
        let errors = [
            bucket.increment("key", 1, 0).err(),
            bucket.snapshot("key").err(),
            bucket.delete("key").err(),
            bucket.lifetimes(&["key", "key"]).err(),
            bucket.delete_many(&["key", "key"]).err(),
            bucket.get_many(&["key", "key"]).err(),
            bucket.set_many(&[("key", b"1"), ("key", b"1")]).err(),
        ];
        for error in errors.iter().flatten() {
            assert!(!error.message().contains("hunter2") && !error.message().contains('\n'), "{error}");
        }
        // What looks like an answer to one of them does not to the others.
        assert!(errors.iter().flatten().count() >= 3, "{:?}: {errors:?}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn a_write_that_is_answered_with_nonsense_may_have_happened() {
    let _watchdog = Watchdog::of_the_test();
    for answer in [&b"hunter2\r\n"[..], b"HD\r\nHD\r\n", b"VA 1001\r\n"] {
        let error = against(GREETING, answer, false).set("key", b"1").unwrap_err();
        assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error}");
    }
}

#[test]
fn a_server_that_does_not_say_which_process_it_is_is_refused() {
    let _watchdog = Watchdog::of_the_test();
    for greeting in [
        "END\r\nEND\r\n",
        "STAT pid 7\r\nSTAT time 1800000000\r\nEND\r\nEND\r\n",
        "STAT pid -7\r\nSTAT uptime 5\r\nSTAT time 1800000000\r\nEND\r\nEND\r\n",
        "STAT pid 7\r\nSTAT uptime 1800000000\r\nSTAT time 5\r\nEND\r\nEND\r\n",
        "STAT pid 7\r\nSTAT uptime 5\r\nEND\r\nEND\r\n",
    ] {
        let error = against(greeting, b"EN\r\n", false).get("key").unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{greeting:?}: {error}");
    }
    for greeting in
        ["ERROR\r\n", "CLIENT_ERROR unauthenticated\r\n", "HD\r\n", "END\r\nEND\r\nEND\r\n", "STAT\r\n\0\r\n"]
    {
        let error = against(greeting, b"EN\r\n", false).get("key").unwrap_err();
        assert!(!matches!(error.kind(), Kind::OutcomeUnknown | Kind::Timeout), "{greeting:?}: {error}");
    }
}

#[test]
fn numbers_at_their_ends_neither_trap_nor_make_a_lifetime_end_early() {
    let _watchdog = Watchdog::of_the_test();
    for greeting in [
        "STAT pid 18446744073709551615\r\nSTAT uptime 0\r\nSTAT time 18446744073709551615\r\nEND\r\nEND\r\n",
        "STAT pid 0\r\nSTAT uptime 0\r\nSTAT time 0\r\nEND\r\nSTAT item_size_max 18446744073709551615\r\nEND\r\n",
    ] {
        let bucket = against(greeting, b"HD\r\n", false);
        bucket.set_expiring("key", b"1", Duration::from_secs(5)).unwrap();
        bucket.set_expiring("key", b"1", Duration::MAX).unwrap();
    }
    let greeting = "STAT pid 7\r\nSTAT uptime 5\r\nSTAT time 1800000000\r\nEND\r\nSTAT item_size_max 0\r\nEND\r\n";
    let bucket = against(greeting, b"HD\r\n", false);
    assert_eq!(bucket.set("key", b"").unwrap_err().kind(), Kind::InvalidArgument);
    let bucket = against(GREETING, b"VA 1 c18446744073709551615 t18446744073709551615 f4294967295\r\n1\r\n", false);
    assert!(bucket.increment("key", 1, 0).is_err());
    assert_eq!(bucket.snapshot("key").unwrap().value.as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_server_that_never_stops_sending_costs_the_time_limit_and_no_more() {
    let _watchdog = Watchdog::of_the_test();
    // The greeting itself has no end.
    let bucket = against("", b"STAT a 1\r\n", true);
    assert_eq!(bucket.get("key").unwrap_err().kind(), Kind::Timeout);
    assert_eq!(bucket.set("key", b"1").unwrap_err().kind(), Kind::Timeout);
    // Whether what comes after the answer arrives with it is up to the network. None of it is taken for the next answer.
    for answer in [&b"EN\r\n"[..], b"STAT a 1\r\n", b"xxxxxxxx"] {
        let bucket = against(GREETING, answer, true);
        for _ in 0..20 {
            match bucket.get("key") {
                Ok(found) => assert_eq!((found, answer), (None, &b"EN\r\n"[..])),
                Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Other), "{error}"),
            }
        }
    }
}
