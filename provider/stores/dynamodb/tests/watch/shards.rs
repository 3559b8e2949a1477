//! Shards that come, split and go.

use super::double::{Double, hours, pass};
use super::{PATIENCE, delete, missed, set, wait_for};
use kvfuse_core::watch::From;
use kvfuse_core::{Bucket, Kind, Watch};
use std::time::Duration;

fn now(double: &Double) -> (std::rc::Rc<dyn Bucket>, Box<dyn Watch>) {
    let bucket = double.bucket(&[]);
    let watch = bucket.watch("", From::Now).unwrap();
    (bucket, watch)
}

fn position(watch: &mut dyn Watch) -> String {
    watch.next(Duration::ZERO).unwrap().position.unwrap()
}

#[track_caller]
fn quiet(watch: &mut dyn Watch) {
    let next = watch.next(Duration::from_secs(60)).unwrap();
    assert_eq!((next.changes, next.missed), (vec![], None));
}

/// Of a long key, the sort key has only the beginning, which is not all of a long prefix.
#[test]
fn a_prefix_is_that_of_the_whole_key_however_long_it_is() {
    let double = Double::new();
    let begins = "x".repeat(1000);
    let prefix = format!("{begins}a");
    let mut watch = double.bucket(&[]).watch(&prefix, From::Now).unwrap();
    let right = format!("{prefix}b");
    for key in [format!("{begins}b"), right.clone(), begins] {
        double.set(&key, "1");
    }
    assert_eq!(wait_for(&mut *watch, 1).0, [set(&right, b"1")]);
    quiet(&mut *watch);
}

#[test]
fn a_parent_is_read_to_its_end_before_its_children() {
    let double = Double::new();
    let (_, mut watch) = now(&double);
    let mut expected = Vec::new();
    for round in 1..6 {
        for number in 0..4 {
            let value = format!("{round}{number}");
            double.set("k", &value);
            expected.push(set("k", value.as_bytes()));
        }
        for part in double.open_parts() {
            double.split(part, 1 + round % 2, true);
        }
    }
    double.0.borrow_mut().most = 3;
    assert_eq!(wait_for(&mut *watch, expected.len()).0, expected);
    quiet(&mut *watch);
}

#[test]
fn what_both_children_have_is_delivered() {
    let double = Double::new();
    let (_, mut watch) = now(&double);
    double.split(0, 2, true);
    let keys: Vec<String> = (0..40).map(|n| format!("key {n}")).collect();
    keys.iter().for_each(|key| double.set(key, "1"));
    let mut heard: Vec<String> = wait_for(&mut *watch, 40).0.iter().map(|change| change.key().to_string()).collect();
    let table = double.0.borrow();
    let asked = |id: &str| table.asked.iter().any(|asked| asked.contains("GetRecords") && asked.contains(id));
    assert!(table.parts.iter().all(|part| asked(&part.id)), "both have some");
    heard.sort();
    let mut keys = keys;
    keys.sort();
    assert_eq!(heard, keys);
}

#[test]
fn children_that_are_listed_late_are_waited_for_and_nothing_is_missed() {
    let double = Double::new();
    let (bucket, mut watch) = now(&double);
    double.set("k", "1");
    double.split(0, 1, false);
    double.set("k", "2");
    let (changes, position) = wait_for(&mut *watch, 1);
    assert_eq!(changes, [set("k", b"1")]);
    quiet(&mut *watch);
    let before = double.count("DescribeStream");
    quiet(&mut *watch);
    assert!((1..20).contains(&(double.count("DescribeStream") - before)), "not more often than every few seconds");
    // Also by a watch that begins meanwhile.
    let mut begun = bucket.watch("", From::Now).unwrap();
    quiet(&mut *begun);
    double.list_all();
    for watch in [&mut watch, &mut bucket.watch("", From::Position(&position)).unwrap(), &mut begun] {
        assert_eq!(wait_for(&mut **watch, 1).0, [set("k", b"2")]);
    }
}

#[test]
fn a_child_that_is_listed_later_than_the_other_one_is_read_from_its_start() {
    let double = Double::new();
    let (_, mut watch) = now(&double);
    double.split(0, 2, true);
    double.0.borrow_mut().parts[2].listed = false;
    let keys: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    keys.iter().for_each(|key| double.set(key, "1"));
    let few = watch.next(PATIENCE).unwrap().changes.len();
    assert!(few > 0 && few < 40);
    quiet(&mut *watch);
    double.list_all();
    assert_eq!(wait_for(&mut *watch, 40 - few).0.len(), 40 - few);
}

#[test]
fn a_description_of_many_pages_is_read_to_its_end() {
    let double = Double::new();
    double.0.borrow_mut().page = 2;
    for part in 0..7 {
        double.split(part, 2, true);
    }
    let (bucket, mut watch) = now(&double);
    let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    keys.iter().for_each(|key| double.set(key, "1"));
    let position = position(&mut *bucket.watch("", From::Now).unwrap());
    assert_eq!(wait_for(&mut *watch, 100).0.len(), 100);
    assert_eq!(position.matches("shardId").count(), 8);
}

#[test]
fn a_position_does_not_grow_with_what_was_read() {
    let double = Double::new();
    let (bucket, mut watch) = now(&double);
    let mut longest = 0;
    for round in 0..60 {
        hours(4);
        double.set("k", &round.to_string());
        let open = double.open_parts();
        double.split(open[0], 1, true);
        double.trim();
        let (changes, position) = wait_for(&mut *watch, 1);
        assert_eq!(changes, [set("k", round.to_string().as_bytes())]);
        longest = longest.max(position.len());
        // Each time by another instance.
        watch = bucket.watch("", From::Position(&position)).unwrap();
    }
    assert!(longest < 300, "{longest}");
}

#[test]
fn records_that_are_gone_are_told_and_everything_follows() {
    // Those behind a position.
    let double = Double::new();
    let (bucket, mut watch) = now(&double);
    double.set("gone", "1");
    let (_, behind) = wait_for(&mut *watch, 1);
    double.delete("gone");
    double.set("a", "2");
    hours(25);
    double.trim();
    double.set("b", "3");
    let all = [set("a", b"2"), set("b", b"3")];
    assert_eq!(missed(&mut *bucket.watch("", From::Position(&behind)).unwrap(), "24 hours", 2), all);
    // Those at an iterator that is still good.
    assert_eq!(missed(&mut *watch, "24 hours", 2), all);
    double.delete("a");
    assert_eq!(wait_for(&mut *watch, 1).0, [delete("a")]);
}

#[test]
fn shards_that_are_gone_are_told_and_everything_follows() {
    for rounds in 1..4 {
        let double = Double::new();
        let (bucket, mut watch) = now(&double);
        double.set("a", "1");
        let (_, behind) = wait_for(&mut *watch, 1);
        for _ in 0..rounds {
            let open = double.open_parts();
            double.split(open[0], 1, true);
            hours(25);
            double.set("a", "2");
            double.trim();
        }
        for mut watch in [bucket.watch("", From::Position(&behind)).unwrap(), watch] {
            assert_eq!(missed(&mut *watch, "deletions", 1), [set("a", b"2")], "{rounds}");
            quiet(&mut *watch);
        }
    }
}

/// An iterator at the oldest record that is left does not say that there were older ones.
#[test]
fn a_child_of_which_the_beginning_is_gone_is_told() {
    let double = Double::new();
    let (bucket, mut watch) = now(&double);
    double.set("a", "1");
    double.split(0, 1, false);
    wait_for(&mut *watch, 1);
    quiet(&mut *watch);
    // The parent was read to its end.
    let ended = position(&mut *watch);
    double.list_all();
    let mut slow = bucket.watch("", From::Position(&ended)).unwrap();
    double.set("gone", "1");
    double.delete("gone");
    hours(25);
    double.trim();
    double.set("b", "2");
    for watch in [slow.as_mut() as &mut dyn Watch, &mut *bucket.watch("", From::Position(&ended)).unwrap()] {
        assert_eq!(missed(watch, "24 hours", 2), [set("a", b"1"), set("b", b"2")]);
    }
}

#[test]
fn a_watch_that_began_and_heard_nothing_for_a_day_says_so_only_if_it_was_not_there() {
    let double = Double::new();
    let (bucket, mut watch) = now(&double);
    double.set_elsewhere("x");
    let begun = position(&mut *bucket.watch("", From::Now).unwrap());
    // Nothing is written, and the shards go as they do.
    for _ in 0..12 {
        hours(4);
        let open = double.open_parts();
        double.split(open[0], 1, true);
        double.trim();
        quiet(&mut *watch);
        let position = position(&mut *watch);
        watch = bucket.watch("", From::Position(&position)).unwrap();
    }
    double.set("a", "1");
    assert_eq!(wait_for(&mut *watch, 1).0, [set("a", b"1")]);
    assert_eq!(missed(&mut *bucket.watch("", From::Position(&begun)).unwrap(), "deletions", 1), [set("a", b"1")]);
    let begun = position(&mut *bucket.watch("", From::Now).unwrap());
    hours(25);
    double.set("a", "2");
    assert_eq!(missed(&mut *bucket.watch("", From::Position(&begun)).unwrap(), "24 hours", 1), [set("a", b"2")]);
}

#[test]
fn an_iterator_that_has_expired_is_replaced_and_nothing_comes_twice_or_not_at_all() {
    let double = Double::new();
    double.set("old", "1");
    pass(Duration::from_secs(7 * 60));
    let (_, mut watch) = now(&double);
    // Before anything was read: what was there long before the watch does not come.
    double.0.borrow_mut().epoch += 1;
    double.set("a", "1");
    assert_eq!(wait_for(&mut *watch, 1).0, [set("a", b"1")]);
    for n in 0..5 {
        double.set("a", &n.to_string());
        double.0.borrow_mut().epoch += 1;
        assert_eq!(wait_for(&mut *watch, 1).0, [set("a", n.to_string().as_bytes())]);
    }
    quiet(&mut *watch);
}

#[test]
fn a_restart_before_the_first_change_skips_what_was_long_before_and_no_change() {
    let double = Double::new();
    for n in 0..50 {
        double.set("old", &n.to_string());
    }
    pass(Duration::from_secs(7 * 60));
    double.0.borrow_mut().most = 20;
    let (bucket, mut watch) = now(&double);
    let begun = position(&mut *watch);
    pass(Duration::from_secs(60 * 60));
    double.set("a", "1");
    double.set("a", "2");
    let mut watch = bucket.watch("", From::Position(&begun)).unwrap();
    assert_eq!(wait_for(&mut *watch, 2).0, [set("a", b"1"), set("a", b"2")]);
    // Clocks may differ by five minutes, so a change just before it comes as well.
    pass(Duration::from_secs(5 * 60));
    let begun = position(&mut *bucket.watch("", From::Now).unwrap());
    double.set("a", "3");
    let changes = wait_for(&mut *bucket.watch("", From::Position(&begun)).unwrap(), 3).0;
    assert_eq!(changes, [set("a", b"1"), set("a", b"2"), set("a", b"3")]);
}

#[test]
fn what_is_throttled_or_fails_is_asked_for_again_until_the_time_limit_and_by_the_next_call() {
    let double = Double::new();
    let (_, mut watch) = now(&double);
    let mut number = 0;
    let mut write = || {
        number += 1;
        double.set("k", &number.to_string());
        set("k", number.to_string().as_bytes())
    };
    for exception in ["LimitExceededException", "ThrottlingException", "InternalServerError"] {
        let expected = write();
        double.instead(4, "GetRecords", exception);
        assert_eq!(wait_for(&mut *watch, 1).0, [expected]);
        let expected = write();
        double.instead(4000, "GetRecords", exception);
        let error = watch.next(PATIENCE).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains(exception), "{error}");
        double.0.borrow_mut().instead.clear();
        assert_eq!(wait_for(&mut *watch, 1).0, [expected]);
    }
    // Iterators that expire at once.
    double.instead(4, "GetRecords", "ExpiredIteratorException");
    let expected = write();
    assert_eq!(wait_for(&mut *watch, 1).0, [expected]);
    double.instead(4000, "GetRecords", "ExpiredIteratorException");
    assert_eq!(watch.next(PATIENCE).unwrap_err().kind(), Kind::Unavailable);
    double.0.borrow_mut().instead.clear();
    let expected = write();
    assert_eq!(wait_for(&mut *watch, 1).0, [expected]);
}

#[test]
fn a_failure_on_the_way_back_to_everything_is_not_forgotten() {
    let double = Double::new();
    let (_, mut watch) = now(&double);
    double.set("a", "1");
    wait_for(&mut *watch, 1);
    double.set("b", "1");
    hours(25);
    double.trim();
    for operation in ["DescribeTable", "DescribeStream", "GetShardIterator", "Query", "BatchGetItem"] {
        double.instead(4000, operation, "InternalServerError");
        assert_eq!(watch.next(PATIENCE).unwrap_err().kind(), Kind::Unavailable, "{operation}");
        double.0.borrow_mut().instead.clear();
    }
    assert_eq!(missed(&mut *watch, "24 hours", 2), [set("a", b"1"), set("b", b"1")]);
}

#[test]
fn a_stream_that_is_switched_off_is_read_to_its_end_and_another_one_is_told() {
    let double = Double::new();
    let (bucket, mut watch) = now(&double);
    double.set("a", "1");
    double.set("gone", "1");
    double.switch_off();
    double.0.borrow_mut().most = 1;
    let (changes, position) = wait_for(&mut *watch, 2);
    assert_eq!(changes, [set("a", b"1"), set("gone", b"1")]);
    let error = watch.next(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    assert!(error.message().contains("update-table"), "{error}");
    double.delete("gone");
    double.switch_on();
    for mut watch in [watch, bucket.watch("", From::Position(&position)).unwrap()] {
        assert_eq!(missed(&mut *watch, "switched off and on", 1), [set("a", b"1")]);
        double.set("a", "2");
        assert_eq!(wait_for(&mut *watch, 1).0, [set("a", b"2")]);
        double.set("a", "1");
        wait_for(&mut *watch, 1);
    }
    // While it is read.
    let (_, mut watch) = now(&double);
    double.set("b", "1");
    double.switch_off();
    double.switch_on();
    assert_eq!(missed(&mut *watch, "deletions", 2), [set("a", b"1"), set("b", b"1")]);
}

#[test]
fn a_stream_that_nothing_is_written_to_is_asked_about_once_a_second_and_a_change_ends_the_wait() {
    let double = Double::new();
    let (_, mut watch) = now(&double);
    quiet(&mut *watch);
    assert!((55..80).contains(&double.count("GetRecords")), "{}", double.count("GetRecords"));
    assert!(double.count("DescribeStream") <= 2);
    let before = double.count("");
    watch.next(Duration::ZERO).unwrap();
    assert_eq!(double.count("") - before, 1, "what does not wait asks once");
    double.set_elsewhere("x");
    double.set("a", "1");
    let before = double.count("");
    assert_eq!(watch.next(Duration::from_secs(60)).unwrap().changes, [set("a", b"1")]);
    assert_eq!(double.count("") - before, 1);
}

#[test]
fn the_stream_of_a_table_in_aws_is_asked_for_at_its_own_endpoint() {
    for (variables, table, streams) in [
        (
            &[("KEYVALUE_DYNAMODB_ENDPOINT", "https://dynamodb.eu-west-1.amazonaws.com")][..],
            "dynamodb.eu-west-1.amazonaws.com",
            "streams.dynamodb.eu-west-1.amazonaws.com",
        ),
        (&[("KEYVALUE_DYNAMODB_STREAMS_ENDPOINT", "http://streams:2")], "db:1", "streams:2"),
        (&[], "db:1", "db:1"),
    ] {
        let double = Double::new();
        let mut watch = double.bucket(variables).watch("", From::Beginning).unwrap();
        double.set("k", "1");
        wait_for(&mut *watch, 2);
        for asked in &double.0.borrow().asked {
            let host = if asked.contains(" DynamoDBStreams_20120810.") { streams } else { table };
            assert!(asked.starts_with(&format!("{host} ")), "{asked}");
        }
        assert!(double.count(" DynamoDBStreams_20120810.GetRecords") > 0);
        assert!(double.count(" DynamoDB_20120810.DescribeTable") > 0);
    }
}

#[test]
fn what_is_not_permitted_or_not_served_says_what_is_needed() {
    for operation in ["DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords"] {
        for (exception, kind, says) in [
            ("AccessDeniedException", Kind::AccessDenied, "DescribeStream, GetShardIterator and GetRecords"),
            ("UnknownOperationException", Kind::Unavailable, "check KEYVALUE_DYNAMODB_"),
        ] {
            let double = Double::new();
            let bucket = double.bucket(&[]);
            double.instead(9, operation, exception);
            let error = bucket.watch("", From::Now).and_then(|mut watch| watch.next(PATIENCE)).unwrap_err();
            assert_eq!(error.kind(), kind, "{operation}: {error}");
            assert!(error.message().contains(says), "{operation}: {error}");
            let streams = error.message().contains("KEYVALUE_DYNAMODB_STREAMS_ENDPOINT");
            assert_eq!(streams, kind == Kind::Unavailable && operation != "DescribeTable", "{error}");
        }
    }
    let double = Double::new();
    double.instead(1, "DescribeStream", "ResourceNotFoundException");
    let error = double.bucket(&[]).watch("", From::Now).err().unwrap();
    assert!(error.message().contains("KEYVALUE_DYNAMODB_STREAMS_ENDPOINT"), "{error}");
}
