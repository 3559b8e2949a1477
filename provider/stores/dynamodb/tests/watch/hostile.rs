//! Answers that DynamoDB never gives: each is an error, or does no harm.

use super::double::Double;
use super::{PATIENCE, missed, set, wait_for};
use kvfuse_core::Kind;
use kvfuse_core::watch::From;

fn answered(operation: &'static str, answer: &str) -> Result<kvfuse_core::Changes, kvfuse_core::Error> {
    let double = Double::new();
    double.set("k", "1");
    let repeated = std::iter::repeat_n((operation, 200, answer.to_string()), 3);
    double.0.borrow_mut().instead.extend(repeated);
    double.bucket(&[("KEYVALUE_TIMEOUT_MS", "500")]).watch("", From::Now).and_then(|mut watch| watch.next(PATIENCE))
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    let long = format!(r#"{{"ShardIterator":"{}"}}"#, "x".repeat(9000));
    let many = format!(
        r#"{{"Records":[{}],"NextShardIterator":"x"}}"#,
        vec![r#"{"dynamodb":{"SequenceNumber":"1"}}"#; 1001].join(",")
    );
    for (operation, answers) in [
        ("DescribeTable", &["{}", r#"{"Table":7}"#, r#"{"Table":{"LatestStreamArn":"a,b"}}"#][..]),
        (
            "DescribeStream",
            &[
                "{}",
                r#"{"StreamDescription":{"Shards":[{"ShardId":""}]}}"#,
                r#"{"StreamDescription":{"Shards":[{"ShardId":"a+b"}]}}"#,
                r#"{"StreamDescription":{"Shards":[{"ShardId":"a","ParentShardId":"\n"}]}}"#,
                // One page after the other, without end.
                r#"{"StreamDescription":{"Shards":[{"ShardId":"a"}],"LastEvaluatedShardId":"a"}}"#,
                r#"{"StreamDescription":{"Shards":[],"LastEvaluatedShardId":"a"}}"#,
            ],
        ),
        ("GetShardIterator", &["{}", r#"{"ShardIterator":7}"#, &long]),
        (
            "GetRecords",
            &[
                "{}",
                &many,
                r#"{"Records":[{}]}"#,
                r#"{"Records":[{"dynamodb":{"SequenceNumber":"x"}}]}"#,
                r#"{"Records":[{"dynamodb":{"SequenceNumber":"1","Keys":{"pk":"x"}}}]}"#,
                r#"{"Records":[{"dynamodb":{"SequenceNumber":"1","NewImage":{"val":{"B":"*"}}}}]}"#,
            ],
        ),
    ] {
        for answer in answers.iter().chain(&["", "null", "[]", "<html>"]) {
            let error = answered(operation, answer).unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable, "{operation} {answer}: {error}");
        }
    }
}

#[test]
fn records_that_make_no_sense_do_no_harm() {
    let record = |change: &str| format!(r#"{{"Records":[{{"eventName":"MODIFY","dynamodb":{change}}}]}}"#);
    for change in [
        r#"{"SequenceNumber":"1"}"#,
        r#"{"SequenceNumber":"1","Keys":{"pk":{"N":"1"},"sk":{"B":""}}}"#,
        r#"{"SequenceNumber":"1","Keys":{"pk":{"S":"keyvalue/b"}},"ApproximateCreationDateTime":-1}"#,
        r#"{"SequenceNumber":"1","Keys":{"pk":{"S":"keyvalue/b"},"sk":{"S":""}},"ApproximateCreationDateTime":1e300}"#,
    ] {
        let next = answered("GetRecords", &record(change)).unwrap();
        assert_eq!((next.changes, next.missed), (vec![], None), "{change}");
    }
    for change in [
        r#"{"SequenceNumber":"1","Keys":{"pk":{"S":"keyvalue/b"},"sk":{"S":"ka"}}}"#,
        r#"{"SequenceNumber":"1","Keys":{"pk":{"S":"keyvalue/b"},"sk":{"S":"ka"}},"NewImage":{"ttl":{"N":"x"},"num":{"N":"1"}}}"#,
    ] {
        let next = answered("GetRecords", &record(change)).unwrap();
        assert!(next.changes.is_empty() && next.missed.unwrap().contains("did not write"), "{change}");
    }
}

#[test]
fn shards_that_descend_from_themselves_or_from_nothing_do_no_harm() {
    for shards in [
        r#"{"ShardId":"a","ParentShardId":"a"}"#,
        r#"{"ShardId":"a","ParentShardId":"b"},{"ShardId":"b","ParentShardId":"a"}"#,
        r#"{"ShardId":"a"},{"ShardId":"a"}"#,
        "",
    ] {
        let answer = format!(r#"{{"StreamDescription":{{"Shards":[{shards}]}}}}"#);
        match answered("DescribeStream", &answer) {
            Ok(next) => assert!(next.changes.is_empty(), "{shards}"),
            Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{shards}: {error}"),
        }
    }
}

#[test]
fn a_stream_without_a_shard_yet_is_waited_for() {
    let double = Double::new();
    double.set("k", "1");
    double.0.borrow_mut().parts[0].listed = false;
    let mut watch = double.bucket(&[]).watch("", From::Now).unwrap();
    assert_eq!(watch.next(PATIENCE).unwrap().changes, []);
    double.list_all();
    assert_eq!(missed(&mut *watch, "", 1), [set("k", b"1")]);
    double.set("k", "2");
    assert_eq!(wait_for(&mut *watch, 1).0, [set("k", b"2")]);
}
