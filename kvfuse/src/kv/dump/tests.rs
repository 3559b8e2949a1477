#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use super::*;

fn example() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.bucket("default").unwrap();
    writer.pairs(&[("a".into(), b"1".to_vec()), ("ü\0".into(), vec![0xff, 0])]).unwrap();
    writer.position("17").unwrap();
    writer.pairs(&[(String::new(), Vec::new())]).unwrap();
    writer.expiring(&[Expiring { pair: ("soon".into(), b"2".to_vec()), ends: 1_795_000_000_000 }]).unwrap();
    writer.bucket("empty").unwrap();
    writer.end().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<String>> {
    let mut reader = Reader::new(bytes, "x".into())?;
    let mut blocks = Vec::new();
    while let Some(block) = reader.next()? {
        blocks.push(match block {
            Block::Bucket(name) => name,
            Block::Pairs(pairs) => format!("{pairs:?}"),
            Block::Expiring(all) => {
                format!("{:?}", all.iter().map(|one| (&one.pair, one.ends)).collect::<Vec<_>>())
            }
            Block::Position(cursor) => cursor,
        });
    }
    Ok(blocks)
}

#[test]
fn what_is_written_is_read() {
    let expected = [
        "default",
        r#"[("a", [49]), ("ü\0", [255, 0])]"#,
        "17",
        r#"[("", [])]"#,
        r#"[(("soon", [50]), 1795000000000)]"#,
        "empty",
    ]
    .map(str::to_string);
    assert_eq!(read(&example()).unwrap(), expected);
}

/// A batch may be far larger than a block, and a block that is too long could not be read.
#[test]
fn a_block_is_closed_at_about_4_mib() {
    let of = |size: usize| vec![7; size];
    let pairs: Vec<Pair> = (0..5).map(|n| (n.to_string(), of(3 << 20))).collect();
    let expiring: Vec<Expiring> = pairs.iter().map(|pair| Expiring { pair: pair.clone(), ends: 1 }).collect();
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.bucket("b").unwrap();
    writer.pairs(&pairs).unwrap();
    writer.expiring(&expiring).unwrap();
    writer.pairs(&[("large".into(), of(9 << 20)), ("small".into(), of(1))]).unwrap();
    let bytes = writer.end().unwrap();
    let mut reader = Reader::new(&bytes[..], "x".into()).unwrap();
    let mut counts = Vec::new();
    while let Some(block) = reader.next().unwrap() {
        counts.push(match block {
            Block::Pairs(pairs) => pairs.len(),
            Block::Expiring(expiring) => expiring.len(),
            _ => 0,
        });
    }
    assert_eq!(counts, [0, 2, 2, 1, 2, 2, 1, 1, 1]);
    assert!(length(1 << 30).is_ok() && length((1 << 30) + (3 << 20)).is_err());
}

/// The bytes that docs/dump.md has.
#[test]
fn the_format_is_as_it_is_documented() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.bucket("b").unwrap();
    let bytes = writer.end().unwrap();
    assert_eq!(&bytes[..16], b"\x89KVFUSE\r\n\x1a\n\x01\0\0\0\0");
    assert_eq!(&bytes[16..33], b"\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0b");
    let first: [u8; 32] = Sha256::digest(&bytes[..16]).into();
    let check: [u8; 32] = Sha256::digest([&first[..], &bytes[16..33]].concat()).into();
    assert_eq!(bytes[33..65], check);
    assert_eq!(&bytes[65..97], b"\x04\0\0\0\x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let end: [u8; 32] = Sha256::digest([&check[..], &bytes[65..97]].concat()).into();
    assert_eq!(bytes[97..], end);
}

#[test]
fn a_dump_that_is_cut_anywhere_is_refused() {
    let bytes = example();
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
    assert!(read(&[&bytes[..], b"\0"].concat()).is_err());
}

#[test]
fn a_dump_with_any_bit_flipped_is_refused() {
    let bytes = example();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn blocks_that_are_missing_doubled_or_of_another_dump_are_refused() {
    let bytes = example();
    // The first two blocks.
    let (first, second) = (16..16 + 55, 71..71 + 16 + 23 + 32);
    assert_eq!(&bytes[second.start..second.start + 8], b"\x02\0\0\0\x17\0\0\0");
    let without = [&bytes[..first.start], &bytes[first.end..]].concat();
    let doubled = [&bytes[..first.end], &bytes[first.start..]].concat();
    let swapped = [&bytes[..16], &bytes[second.clone()], &bytes[first], &bytes[second.end..]].concat();
    for bytes in [without, doubled, swapped] {
        assert!(read(&bytes).is_err());
    }
}
