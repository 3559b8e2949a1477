//! Every fault at every byte of every operation.

use super::lists;
use crate::proxy::{Direction, Fault, Proxy};
use crate::watchdog::Watchdog;
use kvfuse_core::{Bucket, Error, Kind, Store, Swap};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// An operation, with the values of the keys before and after it.
struct Case {
    name: &'static str,
    run: fn(&dyn Bucket) -> Result<Did, Error>,
    before: [Option<&'static str>; 2],
    after: [Option<&'static str>; 2],
    batch: bool,
}

enum Did {
    /// With the right result.
    Done,
    /// With a conflict, so nothing was written.
    Conflict,
}

fn expect<T: PartialEq + std::fmt::Debug>(result: Result<T, Error>, expected: T) -> Result<Did, Error> {
    result.map(|value| {
        assert_eq!(value, expected);
        Did::Done
    })
}

/// A page may be empty, and not the last one, if there was no time for more.
fn all_keys(bucket: &dyn Bucket) -> Result<Vec<String>, Error> {
    let mut page = bucket.list(None)?;
    let mut keys = page.keys;
    while let Some(cursor) = page.cursor {
        page = bucket.list(Some(&cursor))?;
        keys.append(&mut page.keys);
    }
    Ok(keys)
}

const CASES: [Case; 11] = [
    Case {
        name: "get",
        run: |bucket| expect(bucket.get("a"), Some(b"1".to_vec())),
        before: [Some("1"), None],
        after: [Some("1"), None],
        batch: false,
    },
    Case {
        name: "exists",
        run: |bucket| expect(bucket.exists("a"), true),
        before: [Some("1"), None],
        after: [Some("1"), None],
        batch: false,
    },
    Case {
        name: "list",
        run: |bucket| expect(all_keys(bucket), vec!["a".to_string()]),
        before: [Some("1"), None],
        after: [Some("1"), None],
        batch: false,
    },
    Case {
        name: "get-many",
        run: |bucket| expect(bucket.get_many(&["a", "b"]), vec![Some(b"1".to_vec()), None]),
        before: [Some("1"), None],
        after: [Some("1"), None],
        batch: false,
    },
    Case {
        name: "set",
        run: |bucket| expect(bucket.set("a", b"2"), ()),
        before: [Some("1"), None],
        after: [Some("2"), None],
        batch: false,
    },
    Case {
        name: "delete",
        run: |bucket| expect(bucket.delete("a"), ()),
        before: [Some("1"), None],
        after: [None, None],
        batch: false,
    },
    Case {
        name: "increment",
        run: |bucket| expect(bucket.increment("a", 41, i64::MIN), 42),
        before: [Some("1"), None],
        after: [Some("42"), None],
        batch: false,
    },
    Case {
        name: "increment with a floor",
        run: |bucket| expect(bucket.increment("a", 41, 0), 42),
        before: [Some("1"), None],
        after: [Some("42"), None],
        batch: false,
    },
    Case {
        name: "swap",
        run: |bucket| {
            let seen = bucket.snapshot("a")?;
            assert_eq!(seen.value.as_deref(), Some(&b"1"[..]));
            match bucket.swap("a", &seen.version, b"2")? {
                Swap::Done => Ok(Did::Done),
                Swap::Conflict(_) => Ok(Did::Conflict),
            }
        },
        before: [Some("1"), None],
        after: [Some("2"), None],
        batch: false,
    },
    Case {
        name: "set-many",
        run: |bucket| expect(bucket.set_many(&[("a", b"2"), ("b", b"3")]), ()),
        before: [Some("1"), None],
        after: [Some("2"), Some("3")],
        batch: true,
    },
    Case {
        name: "delete-many",
        run: |bucket| expect(bucket.delete_many(&["a", "b"]), ()),
        before: [Some("1"), Some("2")],
        after: [None, None],
        batch: true,
    },
];

const KEYS: [&str; 2] = ["a", "b"];

fn state(bucket: &dyn Bucket) -> Vec<Option<String>> {
    let values = bucket.get_many(&KEYS).unwrap().into_iter();
    values.map(|value| value.map(|value| String::from_utf8(value).unwrap())).collect()
}

fn set_up(bucket: &dyn Bucket, content: [Option<&str>; 2]) {
    for (key, value) in KEYS.iter().zip(content) {
        match value {
            Some(value) => bucket.set(key, value.as_bytes()).unwrap(),
            None => bucket.delete(key).unwrap(),
        }
    }
}

fn until_it_works(bucket: &dyn Bucket, when: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    let mut pause = Duration::from_millis(5);
    while let Err(error) = bucket.get("a") {
        assert!(Instant::now() < end, "the store does not work {when}: {error}");
        // Many that try again at once would keep each other from it.
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// The time limit of operations with this fault, in milliseconds. Hanging takes all of it at each byte.
fn time_limit(fault: Fault) -> &'static str {
    if fault == Fault::Hang { "200" } else { "10000" }
}

/// [`EveryByte::lanes`] of a server that is fast.
pub const LANES: usize = 8;

/// A server and the faults before it.
pub struct Site {
    pub proxy: Proxy,
    /// Where a store finds the server that the proxy is before.
    pub faulty: u16,
    /// Where it finds the same server without faults.
    pub direct: u16,
}

impl Site {
    /// A proxy before the server at a port.
    pub fn before(upstream: u16) -> Self {
        let proxy = Proxy::start(upstream);
        Self { faulty: proxy.port(), proxy, direct: upstream }
    }
}

/// Faults at bytes of what passes a [`Site`].
pub struct EveryByte<S> {
    pub upstream: u16,
    /// Makes a site of the server at a port.
    pub site: fn(u16) -> Site,
    pub fault: Fault,
    /// Whether the store has used the server before, and may have a connection or a token. Otherwise the fault can hit the
    /// handshake as well.
    pub warm: bool,
    /// At which replies' bytes: at every one, or at fewer where they are many.
    pub nth: usize,
    /// How many clients hang at a time, for each operation: fewer where each is more work, or takes more connections. A closed one
    /// holds its port for a minute, and there are 28,000.
    pub lanes: usize,
    /// Makes a store for the server at a port, with a time limit in milliseconds.
    pub make: fn(u16, &str) -> S,
}

/// Injects a fault at every byte of the replies to every operation (and at every seventh byte of the requests). The fields of
/// [`EveryByte`] say more.
///
/// Each time, the operation succeeds with the right result, or fails with an error that is true about the state of the
/// server. A read is retried by the store if the connection was closed. Afterwards the same store works.
pub fn every_fault_at_every_byte<S: Store>(upstream: u16, fault: Fault, warm: bool, make: fn(u16, &str) -> S) {
    EveryByte { upstream, site: Site::before, fault, warm, nth: 1, lanes: LANES, make }.play();
}

/// The same at fewer bytes, for a server whose answers are long: at every `nth` of them.
pub fn every_fault_at_every_nth_byte<S: Store>(
    upstream: u16,
    fault: Fault,
    warm: bool,
    nth: usize,
    make: fn(u16, &str) -> S,
) {
    EveryByte { upstream, site: Site::before, fault, warm, nth, lanes: LANES, make }.play();
}

/// Hangs at every `nth` byte of the answers of a server that is slow.
pub fn every_hang_at_every_nth_byte<S: Store>(upstream: u16, nth: usize, make: fn(u16, &str) -> S) {
    EveryByte { upstream, site: Site::before, fault: Fault::Hang, warm: true, nth, lanes: 1, make }.play();
}

impl<S: Store> EveryByte<S> {
    pub fn play(self) {
        let _watchdog = Watchdog::of_the_test();
        // Requests are only cut short: nonsense in one would make it a different request.
        let directions = match self.fault {
            Fault::Close => &[Direction::Request, Direction::Reply][..],
            Fault::Hang | Fault::Nonsense | Fault::Flood(..) => &[Direction::Reply],
        };
        // Hanging mostly waits.
        let lanes = if self.fault == Fault::Hang { self.lanes } else { 1 };
        let site = (self.site)(self.upstream);
        let lists = lists(&*(self.make)(site.direct, "30000").open("b").unwrap());
        thread::scope(|scope| {
            for case in CASES.iter().filter(|case| lists || case.name != "list") {
                for direction in directions {
                    for lane in 0..lanes {
                        // Where a request is cut matters less: until it is complete it does nothing.
                        let step = self.nth * if *direction == Direction::Request { 7 } else { 1 };
                        let bytes = (lane * step..).step_by(lanes * step);
                        let every = &self;
                        scope.spawn(move || every.at_these(case, *direction, bytes));
                    }
                }
            }
        });
    }

    fn at_these(&self, case: &Case, direction: Direction, mut bytes: impl Iterator<Item = usize>) {
        let Self { fault, warm, make, .. } = *self;
        let site = (self.site)(self.upstream);
        let proxy = &site.proxy;
        let first = bytes.next().unwrap();
        let bytes = std::iter::once(first).chain(bytes);
        let name = format!("{} {direction:?} {fault:?} {first}", case.name);
        let direct: Rc<dyn Bucket> = make(site.direct, "30000").open(&name).unwrap();
        let reads = case.before == case.after;
        let mut proxied: Option<Rc<dyn Bucket>> = None;
        let mut now: Vec<Option<String>> = Vec::new();
        let mut is_unknown = false;
        let mut bytes = bytes.peekable();
        while let Some(byte) = bytes.peek().copied() {
            let what = format!("{name} at byte {byte}");
            // What is not known to have happened may still happen, unless something else is written before.
            if is_unknown || now.iter().map(Option::as_deref).ne(case.before) {
                set_up(&*direct, case.before);
            }
            let bucket = match proxied.take() {
                Some(bucket) if warm => bucket,
                _ => make(site.faulty, time_limit(fault)).open(&name).unwrap(),
            };
            if warm {
                until_it_works(&*bucket, &format!("before {what}"));
            }
            proxy.plan(direction, fault, byte);
            let outcome = (case.run)(&*bucket);
            is_unknown = matches!(&outcome, Err(error) if error.kind() == Kind::OutcomeUnknown);
            let unused = proxy.clear();
            now = state(&*direct);
            let now: Vec<Option<&str>> = now.iter().map(Option::as_deref).collect();
            match &outcome {
                Ok(Did::Done) => assert_eq!(now, case.after, "{what} succeeded"),
                Ok(Did::Conflict) => assert_eq!(now, case.before, "{what} conflicted"),
                Err(error) if error.kind() == Kind::OutcomeUnknown => {
                    assert!(!reads, "{what} cannot have written anything: {error}");
                    assert!(case.batch || now == case.before || now == case.after, "{what} left {now:?}");
                }
                Err(error) => {
                    // Nonsense may fill a text just so that it is one, and may be the text of an error.
                    let seems = ["unexpected reply", "Redis replied with an error"];
                    let is_nonsense =
                        fault == Fault::Nonsense && seems.iter().any(|text| error.message().starts_with(text));
                    let is_known = matches!(error.kind(), Kind::Unavailable | Kind::Timeout);
                    assert!(is_known || is_nonsense, "{what}: {error:?}");
                    assert!(case.batch || now == case.before, "{what} happened in spite of {error:?}");
                    assert!(fault != Fault::Close || !reads, "{what} was not retried: {error}");
                }
            }
            until_it_works(&*bucket, &format!("after {what}"));
            proxied = Some(bucket);
            if unused {
                if fault == Fault::Hang && outcome.is_err() {
                    // It timed out before the fault, which says nothing about this byte: try again.
                    continue;
                }
                assert!(matches!(outcome, Ok(Did::Done)), "{what}, which is after its end, failed");
                assert!(byte > 0, "{what}: there are no bytes to inject it at");
                return;
            }
            bytes.next();
        }
    }
}
