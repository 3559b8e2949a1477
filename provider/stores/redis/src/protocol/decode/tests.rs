//! The expected values are the examples of the protocol's specification, where it has one.

use super::*;
use kvfuse_servers::allocated::Allocated;

fn decoder() -> Decoder {
    Decoder::new(Bounds::default())
}

/// Every reply in `bytes`, and whether the last one is incomplete.
fn decode(bytes: &[u8], piece: usize) -> Result<(Vec<Reply>, bool), Malformed> {
    let mut decoder = decoder();
    let mut replies = Vec::new();
    for chunk in bytes.chunks(piece) {
        let mut input = chunk;
        while !input.is_empty() {
            if let Progress::Complete(reply) = decoder.push(&mut input)? {
                replies.push(reply);
            }
        }
    }
    Ok((replies, !decoder.is_between_replies()))
}

fn bulk(text: &str) -> Reply {
    Reply::Bulk(text.into())
}

fn specified() -> Vec<(&'static [u8], Reply)> {
    vec![
        (b"+OK\r\n", Reply::Status("OK".into())),
        (
            b"-ERR this is the error description\r\n",
            Reply::Error("ERR this is the error description".into()),
        ),
        (b"!21\r\nSYNTAX invalid syntax\r\n", Reply::Error("SYNTAX invalid syntax".into())),
        (b":1234\r\n", Reply::Integer(1234)),
        (b":-9223372036854775808\r\n", Reply::Integer(i64::MIN)),
        (b"$11\r\nhello world\r\n", bulk("hello world")),
        (b"$0\r\n\r\n", bulk("")),
        (b"$-1\r\n", Reply::Null),
        (b"*-1\r\n", Reply::Null),
        (b"_\r\n", Reply::Null),
        (b",1.23\r\n", Reply::Number("1.23".into())),
        (b",inf\r\n", Reply::Number("inf".into())),
        (b"#t\r\n", Reply::Boolean(true)),
        (b"#f\r\n", Reply::Boolean(false)),
        (b"=15\r\ntxt:Some string\r\n", bulk("Some string")),
        (
            b"(3492890328409238509324850943850943825024385\r\n",
            Reply::Number("3492890328409238509324850943850943825024385".into()),
        ),
        (b"*0\r\n", Reply::Array(vec![])),
        (
            b"*3\r\n:1\r\n:2\r\n:3\r\n",
            Reply::Array(vec![Reply::Integer(1), Reply::Integer(2), Reply::Integer(3)]),
        ),
        (
            b"*2\r\n*3\r\n:1\r\n$5\r\nhello\r\n:2\r\n#f\r\n",
            Reply::Array(vec![
                Reply::Array(vec![Reply::Integer(1), bulk("hello"), Reply::Integer(2)]),
                Reply::Boolean(false),
            ]),
        ),
        (
            b"%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n",
            Reply::Array(vec![
                Reply::Status("first".into()),
                Reply::Integer(1),
                Reply::Status("second".into()),
                Reply::Integer(2),
            ]),
        ),
        (b"~2\r\n+orange\r\n#t\r\n", Reply::Array(vec![Reply::Status("orange".into()), Reply::Boolean(true)])),
        (
            b"|1\r\n+key-popularity\r\n%2\r\n$1\r\na\r\n,0.1923\r\n$1\r\nb\r\n,0.0012\r\n*2\r\n:2039123\r\n:9543892\r\n",
            Reply::Array(vec![Reply::Integer(2_039_123), Reply::Integer(9_543_892)]),
        ),
        (
            b"*3\r\n:1\r\n:2\r\n|1\r\n+ttl\r\n:3600\r\n:3\r\n",
            Reply::Array(vec![Reply::Integer(1), Reply::Integer(2), Reply::Integer(3)]),
        ),
        (b">4\r\n+pubsub\r\n+message\r\n+somechannel\r\n+this is the message\r\n$9\r\nGet-Reply\r\n", bulk("Get-Reply")),
    ]
}

#[test]
fn every_kind_of_reply_decodes_in_pieces_of_any_size() {
    for (bytes, reply) in specified() {
        for piece in 1..=bytes.len() {
            let (replies, open) = decode(bytes, piece).unwrap();
            assert_eq!((replies, open), (vec![reply.clone()], false), "{piece} of {}", bytes.escape_ascii());
        }
    }
}

#[test]
fn a_reply_cut_short_at_any_byte_is_incomplete_and_not_malformed() {
    for (bytes, _) in specified() {
        for end in 1..bytes.len() {
            let (replies, open) = decode(&bytes[..end], usize::MAX).unwrap();
            assert_eq!(replies, vec![], "{}", bytes[..end].escape_ascii());
            // After a push or an attribute, before the reply that follows it, nothing is incomplete.
            assert!(open || bytes[0] == b'>' || bytes[0] == b'|', "{}", bytes[..end].escape_ascii());
        }
    }
}

#[test]
fn consecutive_replies_are_separated() {
    let bytes: Vec<u8> = specified().into_iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
    let expected: Vec<Reply> = specified().into_iter().map(|(_, reply)| reply).collect();
    for piece in [1, 2, 3, 7, 64, bytes.len()] {
        assert_eq!(decode(&bytes, piece), Ok((expected.clone(), false)));
    }
}

#[test]
fn what_is_not_a_reply_is_malformed() {
    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], Malformed::Kind(b'H')),
        (b"\r\n", Malformed::Text),
        (b"+OK\n", Malformed::Text),
        (b"+\xff\r\n", Malformed::Text),
        (b"$3\r\nabcde", Malformed::Text),
        (b":\r\n", Malformed::Number),
        (b":1x\r\n", Malformed::Number),
        (b":9223372036854775808\r\n", Malformed::Number),
        (b"$-2\r\n", Malformed::Number),
        (b"$+5\r\n", Malformed::Number),
        (b"$?\r\n", Malformed::Number),
        (b"*?\r\n", Malformed::Number),
        (b"%-1\r\n", Malformed::Number),
        (b"#x\r\n", Malformed::Text),
        (b"_x\r\n", Malformed::Text),
        (b"(1.5\r\n", Malformed::Number),
        (b"=2\r\nab\r\n", Malformed::Text),
        (b"*1\r\n>1\r\n", Malformed::Misplaced),
    ] {
        assert_eq!(decode(bytes, usize::MAX), Err(expected), "{}", bytes.escape_ascii());
        assert_eq!(decode(bytes, 1), Err(expected), "{}", bytes.escape_ascii());
    }
}

/// The first reply in these pieces.
fn feed<'a>(bounds: Bounds, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Progress, Malformed> {
    let mut decoder = Decoder::new(bounds);
    for mut input in pieces {
        while !input.is_empty() {
            match decoder.push(&mut input) {
                Ok(Progress::Incomplete) => {}
                other => return other,
            }
        }
    }
    Ok(Progress::Incomplete)
}

#[test]
fn what_is_allocated_for_a_reply_stays_within_the_bounds() {
    let bounds = Bounds { total: 16 << 20, ..Bounds::default() };
    // What a server may send: how it begins, and what it then repeats.
    for (first, again) in [
        (&b"*1000000\r\n"[..], &b"*1000\r\n"[..]),
        (b"*300000\r\n", b"*1\r\n*1\r\n:1\r\n"),
        (b"*300000\r\n", b"*0\r\n"),
        (b"*300000\r\n", b"+a line of some length, which is a string in memory\r\n"),
        (b"*300000\r\n", b"-\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\r\n"),
        (b"*300000\r\n", b"!16\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\r\n"),
        (b"*300000\r\n", b"$16\r\n0123456789abcdef\r\n"),
        (b"*300000\r\n", b"|1\r\n+key\r\n+value\r\n:1\r\n"),
        (b"$16000000\r\n", b"0123456789abcdef"),
        (b">300000\r\n", b"$16\r\n0123456789abcdef\r\n"),
        (b"", b">2\r\n+pubsub\r\n+nothing\r\n"),
    ] {
        Allocated::forget_peak();
        let before = Allocated::now();
        // A kibibyte at a time, 64 MiB in all.
        let piece = again.repeat((1 << 10) / again.len());
        let pieces = std::iter::once(first).chain(std::iter::repeat_n(&piece[..], 64 << 10));
        drop(feed(bounds, pieces));
        let peak = Allocated::peak() - before - piece.len();
        // A buffer that grows exists twice for a moment.
        let limit = bounds.total / 2 * 3 + bounds.line;
        assert!(peak <= limit, "{peak} bytes for {} {}", first.escape_ascii(), again.escape_ascii());
    }
}

#[test]
fn what_is_only_announced_is_not_allocated() {
    for announced in [&b"$536870912\r\nabc"[..], b"*16777216\r\n:1\r\n", b"%8388608\r\n*16777216\r\n:1\r\n"] {
        Allocated::forget_peak();
        let before = Allocated::now();
        assert_eq!(feed(Bounds::default(), std::iter::once(announced)), Ok(Progress::Incomplete));
        let peak = Allocated::peak() - before;
        assert!(peak <= 3 << 20, "{peak} bytes for {}", announced.escape_ascii());
    }
}

#[test]
fn a_reply_beyond_the_bounds_is_refused_before_it_is_stored() {
    // Room for two elements and 12 bytes.
    let bounds = Bounds { line: 16, bulk: 8, total: 12 + 2 * size_of::<Reply>(), elements: 4, depth: 2 };
    let refused = |bytes: &[u8]| feed(bounds, std::iter::once(bytes));
    assert_eq!(refused(b"+aaaaaaaaaaaaaaaaaaa"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"$9\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"$99999999999999999999999\r\n"), Err(Malformed::TooLarge), "more than a machine word");
    assert_eq!(refused(b"*5\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"%3\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"*1\r\n*1\r\n*1\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"*2\r\n$8\r\n12345678\r\n$8\r\n"), Err(Malformed::TooLarge));
    let long_error = b"!65537\r\n";
    assert_eq!(feed(Bounds::default(), std::iter::once(&long_error[..])), Err(Malformed::TooLarge));
    // Lines count as strings do, and the elements of all arrays count.
    assert_eq!(refused(b"*2\r\n+1234567\r\n+1234567\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"*2\r\n(1234567\r\n(1234567\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"*2\r\n-1234567\r\n"), Err(Malformed::TooLarge), "an error that is not UTF-8 grows");
    assert_eq!(refused(b"*1\r\n*2\r\n"), Err(Malformed::TooLarge));
    assert_eq!(refused(b"*3\r\n"), Err(Malformed::TooLarge));
    // What is not kept does not count any more.
    let pushes = b">2\r\n+1234567890\r\n+1234567890\r\n".repeat(10);
    let reply = Ok(Progress::Complete(bulk("12345678")));
    assert_eq!(refused(&[&pushes[..], b"$8\r\n12345678\r\n"].concat()), reply);
    // The limits apply to each reply by itself.
    let mut decoder = Decoder::new(bounds);
    let mut input = &b"$8\r\n12345678\r\n$8\r\n12345678\r\n"[..];
    assert_eq!(decoder.push(&mut input), Ok(Progress::Complete(bulk("12345678"))));
    assert_eq!(decoder.push(&mut input), Ok(Progress::Complete(bulk("12345678"))));
}

#[test]
fn no_bytes_make_the_decoder_panic_or_hang() {
    // Every string of 6 bytes over the characters with a meaning; the decoder must return after each.
    let alphabet = b"*$%>|+:_-1\r\n";
    let mut word = [0; 6];
    loop {
        let bytes: Vec<u8> = word.iter().map(|digit| alphabet[*digit]).collect();
        let _ = decode(&bytes, usize::MAX);
        let Some(at) = word.iter().position(|digit| *digit + 1 < alphabet.len()) else { return };
        word[at] += 1;
        word[..at].fill(0);
    }
}
