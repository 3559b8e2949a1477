//! Counters.

use crate::open;
use kvfuse_core::{Kind, Store};

pub fn a_missing_counter_starts_at_the_delta(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(bucket.increment("up", 5, i64::MIN).unwrap(), 5);
    assert_eq!(bucket.increment("down", -5, i64::MIN).unwrap(), -5);
    assert_eq!(bucket.increment("up", 7, i64::MIN).unwrap(), 12);
}

pub fn a_counter_is_decimal_text(store: &dyn Store) {
    let bucket = open(store);
    bucket.increment("counter", -1_234_567_890_123, i64::MIN).unwrap();
    assert_eq!(bucket.get("counter").unwrap().as_deref(), Some(&b"-1234567890123"[..]));
    bucket.set("counter", b"41").unwrap();
    assert_eq!(bucket.increment("counter", 1, i64::MIN).unwrap(), 42);
}

pub fn what_is_not_a_counter_is_left_unchanged(store: &dyn Store) {
    let bucket = open(store);
    for value in [&b""[..], b"ten", b"1.5", b" 1", b"01", b"\xff\xfe", b"9223372036854775808", &[0u8; 8]] {
        bucket.set("counter", value).unwrap();
        let error = bucket.increment("counter", 1, i64::MIN).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{value:?}: {error}");
        assert_eq!(bucket.get("counter").unwrap().as_deref(), Some(value));
    }
}

pub fn a_counter_stops_at_both_ends(store: &dyn Store) {
    let bucket = open(store);
    for (end, step) in [(i64::MAX, 1), (i64::MIN, -1)] {
        bucket.delete("counter").unwrap();
        assert_eq!(bucket.increment("counter", end, i64::MIN).unwrap(), end);
        for delta in [step, end] {
            let error = bucket.increment("counter", delta, i64::MIN).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument, "{error}");
        }
        assert_eq!(bucket.get("counter").unwrap(), Some(end.to_string().into_bytes()));
        assert_eq!(bucket.increment("counter", -step, i64::MIN).unwrap(), end - step);
    }
}

pub fn a_counter_stays_above_its_floor(store: &dyn Store) {
    let bucket = open(store);
    bucket.increment("counter", -5, i64::MIN).unwrap();
    assert_eq!(bucket.increment("counter", 4, 0).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(bucket.get("counter").unwrap().as_deref(), Some(&b"-5"[..]));
    assert_eq!(bucket.increment("counter", 5, 0).unwrap(), 0);
    assert_eq!(bucket.increment("counter", 1, 0).unwrap(), 1);
    assert_eq!(bucket.increment("new", -1, 0).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(bucket.get("new").unwrap(), None);
}

pub fn adding_zero_returns_the_counter(store: &dyn Store) {
    let bucket = open(store);
    assert_eq!(bucket.increment("counter", 0, i64::MIN).unwrap(), 0);
    bucket.increment("counter", 9, i64::MIN).unwrap();
    assert_eq!(bucket.increment("counter", 0, i64::MIN).unwrap(), 9);
}
