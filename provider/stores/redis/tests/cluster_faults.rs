//! Nodes of a cluster that say what is wrong, fail, or do not answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::fake::{Answer, Fake, bulk, slots_reply};
use common::{NativeStore, connect, connect_waiting};
use kvfuse_core::{AsyncBucket, AsyncStore, Bucket, Error, Kind, Store};
use kvfuse_servers::process::{free_port, wait_until};
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis_cluster::RedisCluster;
use kvfuse_servers::waiting::{Blocking, runtime};
use kvfuse_servers::watchdog::Watchdog;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const LAST: u16 = 16_383;
/// The slot of `b:a`, whose redirections nodes send.
const SLOT: u16 = 9170;

fn send(text: impl Into<String>) -> Answer {
    Answer::Send(text.into())
}

fn url(ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis+cluster://{}", hosts.join(","))
}

fn over(ports: &[u16], variables: &[(&str, &str)]) -> NativeStore {
    connect(&url(ports), variables)
}

/// The same bucket in both worlds.
fn both(ports: &[u16], variables: &[(&str, &str)]) -> [Rc<dyn Bucket>; 2] {
    let waiting = Blocking::new(connect_waiting(&url(ports), variables, Default::default()));
    [over(ports, variables).open("b").unwrap(), waiting.open("b").unwrap()]
}

/// A node that has all slots and answers this to everything else.
fn node(answers: impl Fn(&[&str]) -> Answer + Send + 'static) -> Fake {
    let fake = Fake::start();
    fake.is_node(&[(0, LAST, fake.port())], answers);
    fake
}

/// The errors of a read and a write in both worlds, with a short time limit. They tell the truth: nothing happened.
fn fails(ports: &[u16], says: &str) {
    let errors = both(ports, &[("KEYVALUE_TIMEOUT_MS", "300")]).into_iter().flat_map(|bucket| {
        [
            bucket.get("a").unwrap_err(),
            bucket.set("a", b"1").unwrap_err(),
            bucket.set_many(&[("a", b"1")]).unwrap_err(),
            bucket.increment("a", 1, -5).unwrap_err(),
            bucket.snapshot("a").map(drop).unwrap_err(),
        ]
    });
    let errors: Vec<Error> = errors.collect();
    for error in &errors {
        // The last attempt may end with the time.
        assert!(error.kind() == Kind::Timeout || error.message().contains(says), "{error} says not {says:?}");
        assert_ne!(error.kind(), Kind::OutcomeUnknown, "{error}");
    }
    assert!(errors.iter().any(|error| error.message().contains(says)), "{errors:?} say not {says:?}");
}

#[test]
fn nodes_that_redirect_to_each_other_for_ever_cost_the_time_limit_and_no_more() {
    let _watchdog = Watchdog::of_the_test();
    let (one, two, count) = (Fake::start(), Fake::start(), Arc::new(AtomicUsize::new(0)));
    let to = |port: u16| {
        let count = count.clone();
        move |_: &[&str]| {
            count.fetch_add(1, SeqCst);
            send(format!("-MOVED {SLOT} 127.0.0.1:{port}\r\n"))
        }
    };
    one.is_node(&[(0, LAST, one.port())], to(two.port()));
    two.is_node(&[(0, LAST, one.port())], to(one.port()));
    fails(&[one.port()], "MOVED");
    // Ten calls, each with some attempts of eight redirections of up to two commands: there is no busy loop.
    assert!(count.load(SeqCst) < 10 * 10 * 8 * 3, "{count:?}");
}

#[test]
fn a_hundred_redirections_in_a_row_are_followed_if_there_is_time() {
    let _watchdog = Watchdog::of_the_test();
    let (fake, count) = (Fake::start(), AtomicUsize::new(0));
    let port = fake.port();
    fake.is_node(&[(0, LAST, port)], move |_| {
        if count.fetch_add(1, SeqCst) % 101 < 100 {
            return send(format!("-MOVED {SLOT} 127.0.0.1:{port}\r\n"));
        }
        send("+OK\r\n")
    });
    let [plain, _] = both(&[fake.port()], &[("KEYVALUE_TIMEOUT_MS", "60000")]);
    plain.set("a", b"1").unwrap();
}

#[test]
fn a_redirection_to_nonsense_or_of_another_slot_is_an_error_at_once() {
    let _watchdog = Watchdog::of_the_test();
    for to in [
        format!("MOVED {SLOT} nowhere"),
        format!("MOVED {SLOT} nowhere:0"),
        format!("MOVED {SLOT} :99999"),
        format!("MOVED {SLOT} a/b:1"),
        format!("ASK {SLOT} {}:1", "x".repeat(300)),
        "MOVED 1 127.0.0.1:1".to_string(),
        "ASK 1 127.0.0.1:1".to_string(),
    ] {
        let fake = node(move |_| send(format!("-{to}\r\n")));
        fails(&[fake.port()], "redirects to what is no address");
    }
    for to in ["MOVED", "MOVED x y", "MOVED 16384 127.0.0.1:1", "ASK"] {
        let fake = node(move |_| send(format!("-{to}\r\n")));
        fails(&[fake.port()], "redirects to what is no address");
    }
}

#[test]
fn a_redirection_to_a_node_that_is_gone_is_unavailable_and_nothing_happened() {
    let _watchdog = Watchdog::of_the_test();
    for kind in ["MOVED", "ASK"] {
        let gone = free_port();
        let fake = node(move |_| send(format!("-{kind} {SLOT} 127.0.0.1:{gone}\r\n")));
        fails(&[fake.port()], &format!("at 127.0.0.1:{gone}"));
    }
}

#[test]
fn a_server_that_the_settings_do_not_admit_gets_nothing_whoever_names_it() {
    let _watchdog = Watchdog::of_the_test();
    let (other, count) = (Fake::start(), Arc::new(AtomicUsize::new(0)));
    let counting = count.clone();
    other.answer(move |_| {
        counting.fetch_add(1, SeqCst);
        Answer::Hang
    });
    let port = other.port();
    let fake = node(move |_| send(format!("-MOVED {SLOT} 127.0.0.1:{port}\r\n")));
    for bucket in both(&[fake.port()], &[("KEYVALUE_REDIS_SERVERS", "127.0.0.1:1")]) {
        let error = bucket.set("a", b"1").unwrap_err();
        assert_eq!(error.kind(), Kind::AccessDenied);
        assert!(error.message().contains("KEYVALUE_REDIS_SERVERS"), "{error}");
    }
    assert_eq!(count.load(SeqCst), 0);
}

#[test]
fn a_map_of_slots_that_is_nonsense_is_an_error_and_one_with_holes_is_asked_for_again() {
    let _watchdog = Watchdog::of_the_test();
    let fake = Fake::start();
    let map = |text: String| {
        fake.answer(move |words| match words[0] {
            "HELLO" => send("-ERR unknown command\r\n"),
            _ => send(text.clone()),
        });
    };
    for nonsense in ["+OK\r\n", "*1\r\n:1\r\n", "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n", "*-1\r\n"] {
        map(nonsense.into());
        fails(&[fake.port()], "CLUSTER SLOTS");
    }
    for holes in ["*0\r\n".to_string(), slots_reply(&[(0, 1, fake.port())]), slots_reply(&[(5000, 1, fake.port())])] {
        map(holes);
        fails(&[fake.port()], "CLUSTERDOWN");
    }
    // A node that is not part of a cluster yet learns its slots.
    let (port, count) = (fake.port(), AtomicUsize::new(0));
    fake.answer(move |words| match words {
        ["HELLO", ..] => send("-ERR unknown command\r\n"),
        ["CLUSTER", ..] if count.fetch_add(1, SeqCst) < 3 => send("*0\r\n"),
        ["CLUSTER", ..] => send(slots_reply(&[(0, LAST, port)])),
        _ => send(bulk("value")),
    });
    assert_eq!(over(&[port], &[]).open("b").unwrap().get("a").unwrap().as_deref(), Some(&b"value"[..]));
}

#[test]
fn a_node_that_hangs_or_is_gone_is_not_asked_for_the_map_if_another_one_answers() {
    let _watchdog = Watchdog::of_the_test();
    let (hangs, works) = (Fake::start(), node(|_| send(bulk("value"))));
    for bucket in both(&[hangs.port(), free_port(), works.port()], &[("KEYVALUE_TIMEOUT_MS", "2000")]) {
        assert_eq!(bucket.get("a").unwrap().as_deref(), Some(&b"value"[..]));
    }
}

#[test]
fn a_cluster_that_is_down_is_waited_for() {
    let _watchdog = Watchdog::of_the_test();
    for code in ["CLUSTERDOWN Hash slot not served", "TRYAGAIN Multiple keys request during rehashing of slot"] {
        let count = AtomicUsize::new(0);
        let fake = node(move |_| {
            if count.fetch_add(1, SeqCst) % 5 < 4 {
                return send(format!("-{code}\r\n"));
            }
            send("+OK\r\n")
        });
        for bucket in both(&[fake.port()], &[]) {
            bucket.set("a", b"1").unwrap();
            bucket.set_many(&[("a", b"1")]).unwrap();
        }
    }
}

#[test]
fn a_batch_is_sent_to_every_node_before_an_answer_of_any_is_awaited() {
    let _watchdog = Watchdog::of_the_test();
    let (one, two) = (Fake::start(), Fake::start());
    let slots = [(0, 8191, one.port()), (8192, LAST, two.port())];
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    for (number, fake) in [&one, &two].into_iter().enumerate() {
        let seen = seen.clone();
        fake.is_node(&slots, move |words| {
            assert_eq!(words[0], "SET");
            seen[number].fetch_add(1, SeqCst);
            // An answer to one node's commands waits for the other's.
            wait_until("the other node has its commands", || seen[1 - number].load(SeqCst) > 0);
            send("+OK\r\n")
        });
    }
    let pairs: Vec<(String, &[u8])> = (0..50).map(|number| (number.to_string(), &b"v"[..])).collect();
    let pairs: Vec<(&str, &[u8])> = pairs.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    for bucket in both(&[one.port()], &[("KEYVALUE_TIMEOUT_MS", "60000")]) {
        bucket.set_many(&pairs).unwrap();
        assert_eq!(seen.iter().map(|count| count.swap(0, SeqCst)).sum::<usize>(), 50);
    }
}

#[test]
fn the_last_of_equal_keys_wins_although_an_earlier_one_is_tried_again() {
    let _watchdog = Watchdog::of_the_test();
    let (value, count) = (Arc::new(std::sync::Mutex::new(String::new())), AtomicUsize::new(0));
    let kept = value.clone();
    let fake = node(move |words| {
        if words[1] != "b:a" {
            return send("+OK\r\n");
        }
        if count.fetch_add(1, SeqCst) == 0 {
            return send("-TRYAGAIN\r\n");
        }
        *kept.lock().unwrap() = words[2].to_string();
        send("+OK\r\n")
    });
    over(&[fake.port()], &[]).open("b").unwrap().set_many(&[("a", b"1"), ("b", b""), ("a", b"2")]).unwrap();
    assert_eq!(*value.lock().unwrap(), "2");
}

#[test]
fn a_batch_one_of_whose_nodes_is_cut_off_at_any_byte_is_reported_truthfully() {
    let _watchdog = Watchdog::of_the_test();
    let cluster = RedisCluster::of_three(&[]);
    // The others are reached directly, and so is this one but for the proxy.
    let proxy = Proxy::start(cluster.nodes[0].port());
    let port = proxy.port().to_string();
    for node in &cluster.nodes {
        node.command(&["CONFIG", "SET", "cluster-announce-bus-port", "0"]);
    }
    assert_eq!(cluster.nodes[0].command(&["CONFIG", "SET", "cluster-announce-port", &port]), "+OK");
    for node in &cluster.nodes {
        wait_until("the nodes know of the proxy", || {
            node.command(&["CLUSTER", "NODES"]).contains(&format!(":{port}@"))
        });
    }
    let keys: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let store = over(&[cluster.nodes[1].port()], &[]);
    let waiting = connect_waiting(&url(&[cluster.nodes[1].port()]), &[], Default::default());
    let (bucket, waiting) = (store.open("b").unwrap(), waiting.open_async("b").unwrap());
    let runtime = runtime();
    let mut unknown = 0;
    for round in 0..60 {
        let value = round.to_string();
        let pairs: Vec<(&str, &[u8])> = keys.iter().map(|key| (*key, value.as_bytes())).collect();
        bucket.delete_many(&keys).unwrap();
        let (direction, byte) =
            if round % 2 == 0 { (Direction::Request, round * 3) } else { (Direction::Reply, round / 2) };
        proxy.plan(direction, Fault::Close, byte);
        let outcome = if round % 4 < 2 {
            bucket.set_many(&pairs)
        } else {
            runtime.block_on(AsyncBucket::set_many(&waiting, &pairs))
        };
        proxy.clear();
        let now = bucket.get_many(&keys).unwrap();
        match outcome {
            Ok(()) => assert!(now.iter().all(|now| now.as_deref() == Some(value.as_bytes())), "{round}: {now:?}"),
            Err(error) => {
                assert_eq!(error.kind(), Kind::OutcomeUnknown, "{round}: {error}");
                assert!(now.iter().flatten().all(|now| now == value.as_bytes()), "{round}: {now:?}");
                unknown += 1;
            }
        }
        // A read is tried again, whatever happened.
        proxy.plan(direction, Fault::Close, byte);
        assert_eq!(bucket.get_many(&keys).unwrap(), now);
        proxy.clear();
    }
    assert!(unknown > 10, "the connection was cut under writes");
}
