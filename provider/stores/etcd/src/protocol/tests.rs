//! The requests and answers are from the gateway's documentation.

use super::*;
use kvfuse_servers::allocated::Allocated;

fn text(request: &impl Serialize) -> String {
    String::from_utf8(encode(request)).unwrap()
}

#[test]
fn a_put_is_as_documented() {
    let put = Put { key: b"foo"[..].into(), value: b"bar"[..].into(), lease: Number(0) };
    assert_eq!(text(&put), r#"{"key":"Zm9v","value":"YmFy"}"#);
    let answer = br#"{"header":{"cluster_id":"12585971608760269493","member_id":"13847567121247652255","revision":"2","raft_term":"3"}}"#;
    assert_eq!(decode::<Written>(answer).unwrap().header.revision, Number(2));
}

#[test]
fn a_range_is_as_documented() {
    let range = Range { key: b"foo"[..].into(), ..Range::default() };
    assert_eq!(text(&range), r#"{"key":"Zm9v"}"#);
    let answer = br#"{"header":{"cluster_id":"12585971608760269493","member_id":"13847567121247652255","revision":"2","raft_term":"3"},"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1"}"#;
    let ranged: Ranged = decode(answer).unwrap();
    assert_eq!(ranged.kvs.len(), 1);
    assert_eq!((ranged.kvs[0].value.0.as_slice(), ranged.kvs[0].mod_revision), (&b"bar"[..], Number(2)));
    assert_eq!((ranged.count, ranged.more), (Number(1), false));
}

#[test]
fn a_transaction_is_as_documented() {
    let txn = Txn {
        compare: vec![Compare::modified_at(b"foo"[..].into(), Number(2))],
        success: vec![Operation::Put(Put { key: b"foo"[..].into(), value: b"bar"[..].into(), lease: Number(7) })],
        failure: vec![Operation::Range(Range { key: b"foo"[..].into(), ..Range::default() })],
    };
    let expected = concat!(
        r#"{"compare":[{"target":"MOD","result":"EQUAL","key":"Zm9v","mod_revision":"2"}],"#,
        r#""success":[{"request_put":{"key":"Zm9v","value":"YmFy","lease":"7"}}],"#,
        r#""failure":[{"request_range":{"key":"Zm9v"}}]}"#
    );
    assert_eq!(text(&txn), expected);
    let answer =
        br#"{"header":{"revision":"3"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"3"}}}]}"#;
    assert!(decode::<TxnDone>(answer).unwrap().succeeded);
    let answer = br#"{"header":{"revision":"3"},"responses":[{"response_range":{"header":{"revision":"3"}}}]}"#;
    let done: TxnDone = decode(answer).unwrap();
    assert!(!done.succeeded && done.responses[0].response_range.as_ref().unwrap().kvs.is_empty());
}

#[test]
fn an_error_is_read_from_old_and_new_gateways() {
    for answer in [
        &br#"{"error":"etcdserver: permission denied","code":7}"#[..],
        br#"{"error":"etcdserver: permission denied","message":"etcdserver: permission denied","code":7}"#,
        br#"{"code":7,"message":"etcdserver: permission denied","details":[]}"#,
    ] {
        let refusal: Refusal = decode(answer).unwrap();
        assert_eq!((refusal.text(), refusal.code), ("etcdserver: permission denied", 7));
    }
}

#[test]
fn what_is_decoded_is_bounded_by_the_answer_and_by_the_number_of_items() {
    let items =
        |before: &str, item: &str, after: &str, count: usize| format!("{before}{}{after}", vec![item; count].join(","));
    let kvs = |count| items(r#"{"kvs":["#, "{}", "]}", count);
    assert_eq!(decode::<Ranged>(kvs(MAX_ITEMS).as_bytes()).unwrap().kvs.len(), MAX_ITEMS);
    assert!(decode::<Ranged>(kvs(MAX_ITEMS + 1).as_bytes()).is_none());
    let nested = items(r#"{"header":{},"responses":["#, r#"{"response_range":{"kvs":[{}]}}"#, "]}", MAX_ITEMS + 1);
    assert!(decode::<TxnDone>(nested.as_bytes()).is_none());

    let value = items(r#"{"kvs":[{"value":""#, &"QUJD".repeat(1 << 20), r#""}]}"#, 1);
    for answer in [kvs(1 << 20), value, items(r#"{"unknown":["#, "{}", "]}", 1 << 20)] {
        Allocated::forget_peak();
        let before = Allocated::now();
        drop(decode::<Ranged>(answer.as_bytes()));
        let peak = Allocated::peak() - before;
        assert!(peak <= answer.len() + (1 << 20), "{peak} bytes for an answer of {}", answer.len());
    }
}

#[test]
fn an_error_that_is_too_long_is_not_read() {
    let long = format!(r#"{{"message":"{}","code":7}}"#, "x".repeat(MAX_REFUSAL));
    assert_eq!(refusal(long.as_bytes()).text(), "");
    assert_eq!(refusal(br#"{"message":"m","code":7}"#).text(), "m");
}

#[test]
fn what_is_not_an_answer_is_rejected() {
    for answer in [&b""[..], b"{", b"null", b"[]", b"\"x\"", b"<html>", b"{}"] {
        assert!(decode::<Written>(answer).is_none(), "{}", answer.escape_ascii());
        assert!(decode::<TxnDone>(answer).is_none(), "{}", answer.escape_ascii());
    }
    for kv in [r#"{"value":"*"}"#, r#"{"value":3}"#, r#"{"version":"x"}"#, r#"{"version":9223372036854775808}"#] {
        assert!(decode::<KeyValue>(kv.as_bytes()).is_none(), "{kv}");
    }
}
