//! Buckets with lifetimes, which are what format 4 has beyond format 3.

use super::stages::Stage;
use super::*;
use std::time::Duration;

/// Two hundred years.
const LONG: Duration = Duration::from_secs(200 * 366 * 86_400);

/// As in [`stages::STAGES`].
pub const STAGES: [(&str, Stage); 5] = [
    ("lifetimes", |w| {
        w.mixed(Config::default());
        w.ending(Config::default());
        w.late(Config::default());
    }),
    ("lifetimes compacted", |w| {
        w.mixed(MEDIUM);
        w.ending(MEDIUM);
        w.late(MEDIUM);
        let bucket = w.plain(MEDIUM);
        w.compact(&*bucket, 40);
        w.ending(MEDIUM);
    }),
    ("lifetimes split", |w| {
        w.mixed(SMALL);
        w.far(SMALL);
        w.ending(SMALL);
        let bucket = w.plain(SMALL);
        w.grow(&*bucket, 100);
        w.late(SMALL);
        w.grow(&*bucket, 60);
    }),
    ("lifetimes indices", |w| {
        let bucket = w.plain(Config { segment: 4096, ..WIDE });
        w.grow(&*bucket, 120);
        w.late(Config { segment: 4096, ..WIDE });
        w.ending(Config { segment: 1 << 20, index: 1 << 20, ..WIDE });
        w.index(0);
        w.increment(&*bucket, "late counter", 1);
        w.index(1);
    }),
    ("lifetimes sealed", |w| {
        // For the first of them, and there is no successor yet.
        w.mixed(Config::default());
        let next = |call, path: &str| call == Call::Open && path == "s.1";
        w.staged(Config::default(), next, kill, |_, b| drop(b.set_expiring("never set", b"value", LONG)));
        w.expected.absent.insert("never set".into());
    }),
];

impl Writing<'_> {
    fn for_a_while(&mut self, bucket: &dyn Bucket, key: &str, value: &[u8]) {
        bucket.set_expiring(key, value, LONG).unwrap();
        self.expected.values.insert(key.into(), value.to_vec());
        self.expected.absent.remove(key);
    }

    /// Values of every sort that live for a long time.
    fn late(&mut self, config: Config) {
        let bucket = self.plain(config);
        self.for_a_while(&*bucket, "late", b"small");
        self.for_a_while(&*bucket, "late blob", &[b'l'; 150]);
        self.for_a_while(&*bucket, "late file", &text(1000));
        self.for_a_while(&*bucket, &"late_far_key_".repeat(400), b"far");
        assert_eq!(bucket.create("late and created", b"value", Some(LONG)), Ok(true));
        self.expected.values.insert("late and created".into(), b"value".to_vec());
        bucket.set_expiring("late counter", b"5", LONG).unwrap();
        self.expected.counters.insert("late counter".into(), 5);
        self.increment(&*bucket, "late counter", 7);
        self.for_a_while(&*bucket, "not late", b"value");
        self.set(&*bucket, "not late", b"lasting");
    }

    /// Values that ended long ago, and some that were set again.
    fn ending(&mut self, config: Config) {
        let now = self.disk.now();
        self.disk.set_clock(Duration::from_secs(1000));
        let bucket = self.plain(config);
        let values: [(&str, &[u8]); 5] = [
            ("ended", b"small"),
            ("ended blob", &[b'e'; 150]),
            ("ended file", &[b'e'; 700]),
            (&"ended_far_key_".repeat(400), b"far"),
            ("ended and created", b"small"),
        ];
        for (key, value) in values {
            bucket.set_expiring(key, value, Duration::from_secs(10)).unwrap();
            self.expected.absent.insert(key.into());
        }
        bucket.set_expiring("ended counter", b"70", Duration::from_secs(10)).unwrap();
        self.expected.counters.remove("ended counter");
        self.disk.set_clock(now);
        self.increment(&*bucket, "ended counter", 3);
        assert_eq!(bucket.create("ended and created", b"again", None), Ok(true));
        self.expected.absent.remove("ended and created");
        self.expected.values.insert("ended and created".into(), b"again".to_vec());
    }
}
