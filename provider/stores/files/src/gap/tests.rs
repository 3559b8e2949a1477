use super::*;
use crate::encode::{Content, Encoder};
use crate::hash::Keys;
use crate::name::Node;
use crate::record::{Key, NEVER, Seen};

fn checks() -> Checks {
    Keys::new(&[7; 16]).checks(b'S', Node::ROOT, 0)
}

fn record(id: u64, value: &[u8]) -> Vec<u8> {
    let checks = checks();
    let mut record = Encoder::write(&checks, id, Seen::default(), 4096, 64);
    record.set(Key::Whole(b"key"), Content::Bytes(value), NEVER);
    record.finish().0
}

#[test]
fn records_cut_off_anywhere_are_torn_alone_and_in_a_row() {
    let one = record(1, b"one");
    for length in 1..one.len() {
        let torn = &one[..length];
        assert_eq!(judge(&checks(), torn, 0), Gap::Torn, "{length}");
        if length >= 4 {
            assert_eq!(judge(&checks(), &[torn, torn].concat(), 0), Gap::Torn, "{length} twice");
        }
    }
}

#[test]
fn the_rest_of_a_record_that_the_host_cut_is_not_damage() {
    let (one, two) = (record(1, b"one"), record(2, b"another one"));
    for length in 1..one.len() {
        let (begun, rest) = one.split_at(length);
        // Of one whose header was cut, the rest is only known at the front.
        let between = if length < HEADER { &[&two[..0]][..] } else { &[&two[..4], &two[..10], &two[..30]] };
        for torn in between {
            assert_eq!(judge_behind(&checks(), begun, &[torn, rest].concat(), 0), Gap::Torn, "{length}");
        }
    }
}

#[test]
fn the_rests_of_two_records_that_hosts_cut_in_turn_are_not_damage() {
    let (one, two) = (record(1, b"one"), record(2, b"another one"));
    for length in HEADER..one.len() {
        let ((begun, rest), (front, back)) = (one.split_at(length), two.split_at(30));
        let before = [begun, front, rest, &record(3, b"whole")].concat();
        assert_eq!(judge_behind(&checks(), &before, back, 0), Gap::Torn, "{length}");
    }
}

#[test]
fn two_records_that_hosts_cut_at_the_same_time_are_not_damage() {
    let (one, two) = (record(1, b"one"), record(2, b"another one"));
    for first in 1..one.len() {
        for second in 4..two.len() {
            let ((begun, rest), (front, back)) = (one.split_at(first), two.split_at(second));
            let gap = [front, rest, back].concat();
            assert_eq!(judge_behind(&checks(), begun, &gap, 0), Gap::Torn, "{first} {second}");
        }
    }
}

#[test]
fn of_two_records_cut_at_the_same_time_the_rest_of_the_second_may_come_later() {
    let (one, two) = (record(1, b"one"), record(2, b"another one"));
    for first in 1..one.len() {
        for second in 4..two.len() {
            let ((begun, rest), (front, back)) = (one.split_at(first), two.split_at(second));
            let gap = [begun, front, rest].concat();
            assert_eq!(judge(&checks(), &gap, 0), Gap::Torn, "{first} {second}");
            let before = [&gap[..], &record(3, b"whole")].concat();
            assert_eq!(judge_behind(&checks(), &before, back, 0), Gap::Torn, "{first} {second}, the rest");
        }
    }
}

#[test]
fn the_rest_of_a_record_that_was_cut_can_be_cut_off_as_well() {
    let one = record(1, b"one");
    for length in 1..one.len() {
        let (begun, rest) = one.split_at(length);
        let before = [begun, &record(2, b"whole")].concat();
        // At first there may be so little that it tells nothing.
        let least = HEADER.saturating_sub(length).max(1);
        for end in least..rest.len() {
            assert!(judge_behind(&checks(), &before, &rest[..end], 0) <= Gap::Lost, "{length} {end}");
        }
    }
}

#[test]
fn behind_a_torn_record_the_next_one_may_be_torn_within_its_marker() {
    let (one, marker) = (record(1, b"one"), checks().marker());
    for length in HEADER..one.len() {
        for cut in 1..marker.len() {
            assert_eq!(judge(&checks(), &[&one[..length], &marker[..cut]].concat(), 0), Gap::Torn, "{length} {cut}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_record_is_damage() {
    let one = record(1, &[&[0; 40][..], b"one"].concat());
    for bit in 0..one.len() * 8 {
        let mut bytes = one.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(judge(&checks(), &bytes, 77), Gap::Damaged, "bit {bit}");
    }
}

#[test]
fn a_page_that_went_behind_a_torn_record_is_lost() {
    let mut bytes = record(1, &[b'x'; 3000])[..301].to_vec();
    (2..20).for_each(|id| bytes.extend(record(id, &[b'y'; 100])));
    let offset = 32_043;
    let page = (32_256 - offset)..(32_768 - offset);
    bytes[page.clone()].fill(0);
    let end = page.end + bytes[page.end..].windows(4).position(|four| four == checks().marker()).expect("a record");
    assert_eq!(judge(&checks(), &bytes[..end], offset as u64), Gap::Lost);
}

#[test]
fn a_lost_record_and_the_next_one_torn_within_its_marker_are_lost() {
    // A failed sync dropped the first, and of what was appended after it a power cut left some bytes.
    let marker = checks().marker();
    for cut in 1..marker.len() {
        let bytes = [&[0; 70], &marker[..cut], &[0; 129]].concat();
        assert_eq!(judge(&checks(), &bytes, 1123), Gap::Lost, "{cut}");
    }
}

#[test]
fn a_record_that_was_cut_around_another_ones_marker_is_not_damage() {
    let (one, two, marker) = (record(1, &[0; 300]), record(2, b"two"), checks().marker());
    for at in marker.len()..one.len() {
        for cut in 1..marker.len() {
            let (front, rest) = one.split_at(at);
            let torn = [front, &two[..cut], rest].concat();
            assert_eq!(judge(&checks(), &torn, 5), Gap::Torn, "{at} {cut}");
            let both = [&torn, &two[cut..]].concat();
            assert_eq!(judge(&checks(), &both, 5), Gap::Torn, "{at} {cut}");
            let mut damaged = both.clone();
            damaged[at - 1] ^= 0x10;
            assert!(judge(&checks(), &damaged, 5) > Gap::Torn, "{at} {cut}");
        }
    }
}

#[test]
fn the_rest_of_a_cut_record_whose_front_a_failed_sync_dropped_is_lost() {
    let record = record(1, &[b'x'; 300]);
    for front in ZEROS..record.len() {
        let bytes = [&vec![0; front][..], &record[front..]].concat();
        assert_eq!(judge(&checks(), &bytes, 595), Gap::Lost, "{front}");
    }
    // Fewer zeros may be a part of it.
    let bytes = [&[0; ZEROS - 1], &record[ZEROS - 1..]].concat();
    assert_eq!(judge(&checks(), &bytes, 595), Gap::Damaged);
}

#[test]
fn the_rest_of_a_cut_record_may_come_after_another_ones_marker() {
    let (one, two, marker) = (record(1, b"one"), record(2, b"two"), checks().marker());
    for at in marker.len()..one.len() {
        let (front, rest) = one.split_at(at);
        let before = [front, &record(3, b"whole")].concat();
        for cut in 1..marker.len() {
            let torn = [&two[..cut], rest].concat();
            for gap in [torn.clone(), [&torn, &two[cut..]].concat()] {
                assert_eq!(judge_behind(&checks(), &before, &gap, 5), Gap::Torn, "{at} {cut}");
            }
        }
    }
}

#[test]
fn what_a_power_cut_zeroed_is_lost_and_not_damaged() {
    let (one, marker) = (record(1, b"one"), checks().marker());
    for length in 0..one.len() - 2 {
        let mut bytes = one.clone();
        bytes[length..].fill(0);
        assert!(judge(&checks(), &bytes, 5) <= Gap::Lost, "{length}");
        // And a second power cut tore what was appended then.
        for cut in 1..marker.len() {
            let bytes = [&bytes, &marker[..cut]].concat();
            assert!(judge(&checks(), &bytes, 5) <= Gap::Lost, "{length} {cut}");
        }
    }
    assert_eq!(judge(&checks(), &[0; 300], 5), Gap::Lost);
    // A page went, and the one after it stayed.
    let many: Vec<u8> = (0..100).flat_map(|id| record(id, &[b'x'; 100])).collect();
    let mut lost = many[..6000].to_vec();
    lost[500..4096].fill(0);
    let begin = 4 * record(0, &[b'x'; 100]).len();
    assert_eq!(judge(&checks(), &lost[begin..4100], begin as u64), Gap::Lost);
}
