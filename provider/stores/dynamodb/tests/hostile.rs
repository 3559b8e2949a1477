//! Answers that DynamoDB gives when it is busy, and some that it never gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{KEYS, random, since_1970};
use kvfuse_core::{Bucket, Kind, Store, Version};
use kvfuse_dynamodb::{Ambient, DynamoStore};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::settings;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::http::{Headers, HttpClient, HttpFault, Request, Response, Streaming};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// A server with these answers, of which the last one is for all further requests.
#[derive(Clone, Default)]
struct Answers {
    answers: Rc<RefCell<VecDeque<(u16, String)>>>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl HttpClient for Answers {
    fn exchange(&self, request: &Request<'_>, _: Moment) -> Result<Response, HttpFault> {
        self.asked.borrow_mut().push(String::from_utf8(request.body.to_vec()).unwrap());
        let mut answers = self.answers.borrow_mut();
        let (status, body) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Ok(Response { status, headers: Headers::default(), body: body.into_bytes() })
    }

    fn stream(&self, _: &Request<'_>, _: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        panic!("no answer is a stream")
    }
}

fn bucket(time_limit: &str, answers: &[(u16, &str)]) -> (Rc<dyn Bucket>, Answers) {
    opened("own", time_limit, answers)
}

/// The same in Spin's layout.
fn spin(answers: &[(u16, &str)]) -> (Rc<dyn Bucket>, Answers) {
    opened("spin", "50", answers)
}

fn opened(layout: &str, time_limit: &str, answers: &[(u16, &str)]) -> (Rc<dyn Bucket>, Answers) {
    let server = Answers::default();
    server.answers.borrow_mut().extend(answers.iter().map(|(status, body)| (*status, body.to_string())));
    let variables = [
        ("KEYVALUE_DYNAMODB_ENDPOINT", "http://db:1"),
        ("KEYVALUE_DYNAMODB_LAYOUT", layout),
        ("KEYVALUE_TIMEOUT_MS", time_limit),
    ];
    let settings = settings(&[&KEYS[..], &variables].concat());
    let ambient = Ambient { since_1970, random };
    let store = DynamoStore::new(&settings, server.clone(), SystemClock, ambient).unwrap();
    (store.open("b").unwrap(), server)
}

const THROTTLED: (u16, &str) = (
    400,
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}"#,
);
const OK: (u16, &str) = (200, "{}");

#[test]
fn what_is_throttled_is_sent_again_until_the_time_limit() {
    let (bucket, server) = bucket("10000", &[THROTTLED, THROTTLED, OK]);
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    assert_eq!(server.asked.borrow().len(), 3);
    let (bucket, _) = self::bucket("50", &[THROTTLED]);
    for error in [bucket.set("a", b"1").unwrap_err(), bucket.get("a").unwrap_err()] {
        // Nothing happened, and the outcome is known.
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains("ProvisionedThroughputExceededException"), "{error}");
    }
}

#[test]
fn what_a_batch_did_not_get_to_is_sent_again_and_nothing_else() {
    let kb = r#"{"pk":{"S":"keyvalue/b"},"sk":{"S":"kb"}"#;
    let unprocessed = format!(r#"{{"UnprocessedItems":{{"keyvalue":[{{"PutRequest":{{"Item":{kb}}}}}}}]}}}}"#);
    let (bucket, server) = bucket("10000", &[(200, &unprocessed), OK]);
    bucket.set_many(&[("a", b"1"), ("b", b"2"), ("c", b"3")]).unwrap();
    let asked = server.asked.borrow();
    assert_eq!(asked.len(), 2);
    assert!(["ka", "kb", "kc"].iter().all(|sort| asked[0].contains(&format!("\"{sort}\""))), "{}", asked[0]);
    assert!(
        asked[1].contains("\"kb\"") && !asked[1].contains("\"ka\"") && !asked[1].contains("\"kc\""),
        "{}",
        asked[1]
    );

    let first = format!(
        r#"{{"Responses":{{"keyvalue":[{{"sk":{{"S":"ka"}},"num":{{"N":"1"}}}}]}},"UnprocessedKeys":{{"keyvalue":{{"Keys":[{kb}}}]}}}}}}"#
    );
    let second = r#"{"Responses":{"keyvalue":[{"sk":{"S":"kb"},"val":{"B":"AA=="}}]},"UnprocessedKeys":{}}"#;
    let (bucket, server) = self::bucket("10000", &[(200, &first), (200, second)]);
    let values = bucket.get_many(&["c", "b", "a"]).unwrap();
    assert_eq!(values, [None, Some(vec![0]), Some(b"1".to_vec())]);
    assert!(!server.asked.borrow()[1].contains("\"ka\""), "{}", server.asked.borrow()[1]);
    // Forever is not until the time limit.
    let (bucket, _) = self::bucket("50", &[(200, &unprocessed)]);
    assert_eq!(bucket.set_many(&[("b", b"2")]).unwrap_err().kind(), Kind::Unavailable);
}

#[test]
fn a_batch_with_what_was_not_asked_for_is_an_error() {
    for answer in [
        r#"{"Responses":{"keyvalue":[{"sk":{"S":"kx"},"num":{"N":"1"}}]}}"#,
        r#"{"Responses":{"keyvalue":[{"num":{"N":"1"}}]}}"#,
        r#"{"Responses":{"keyvalue":[{"sk":{"S":"ka"},"num":{"N":"1"}},{"sk":{"S":"ka"},"num":{"N":"1"}}]}}"#,
        r#"{"UnprocessedKeys":{"keyvalue":{"Keys":[{"sk":{"S":"kx"}}]}}}"#,
        r#"{"UnprocessedKeys":{"keyvalue":{"Keys":[{}]}}}"#,
    ] {
        let (bucket, _) = bucket("50", &[(200, answer)]);
        assert_eq!(bucket.get_many(&["a"]).unwrap_err().kind(), Kind::Unavailable, "{answer}");
    }
    let (bucket, _) = bucket("50", &[(200, r#"{"UnprocessedItems":{"keyvalue":[{"PutRequest":{"Item":{}}}]}}"#)]);
    assert_eq!(bucket.set_many(&[("a", b"1")]).unwrap_err().kind(), Kind::OutcomeUnknown);
}

#[test]
fn a_listing_that_does_not_move_on_is_an_error() {
    let page = |keys: &[&str], last: &str| {
        let items: Vec<String> = keys.iter().map(|key| format!(r#"{{"sk":{{"S":"{key}"}}}}"#)).collect();
        format!(r#"{{"Items":[{}],"LastEvaluatedKey":{{"sk":{{"S":"{last}"}}}}}}"#, items.join(","))
    };
    let first = page(&["ka"], "ka");
    let (bucket, _) = bucket("50", &[(200, &first)]);
    let listed = bucket.list(None).unwrap();
    assert_eq!((listed.keys, listed.cursor.is_some()), (vec!["a".to_string()], true));
    assert_eq!(bucket.list(listed.cursor.as_deref()).unwrap_err().kind(), Kind::Unavailable);
    let (bucket, server) = self::bucket("50", &[(200, &first), (200, &page(&[], "ka"))]);
    let listed = bucket.list(None).unwrap();
    assert_eq!(bucket.list(listed.cursor.as_deref()).unwrap_err().kind(), Kind::Unavailable);
    assert!(server.asked.borrow()[1].contains("ExclusiveStartKey"));
    for answer in
        [page(&["kb", "ka"], "kb"), page(&["ka", "ka"], "ka"), page(&["kb"], "ka"), page(&["x"], "x"), page(&[], "x")]
    {
        let (bucket, _) = self::bucket("50", &[(200, &answer)]);
        assert_eq!(bucket.list(None).unwrap_err().kind(), Kind::Unavailable, "{answer}");
    }
    // Of a page whose keys have all ended there is a next one.
    let ended = r#"{"Items":[{"sk":{"S":"ka"},"ttl":{"N":"5"}}],"LastEvaluatedKey":{"sk":{"S":"ka"}}}"#;
    let (bucket, _) = self::bucket("50", &[(200, ended)]);
    let listed = bucket.list(None).unwrap();
    assert_eq!((listed.keys.len(), listed.cursor.is_some()), (0, true));
}

#[test]
fn an_answer_to_a_write_that_is_none_leaves_its_outcome_unknown() {
    for answer in [(200, "<html>"), (500, r#"{"__type":"InternalServerError"}"#), (503, ""), (200, "null")] {
        let (bucket, _) = bucket("50", &[answer]);
        for error in [
            bucket.set("a", b"1").unwrap_err(),
            bucket.delete("a").unwrap_err(),
            bucket.increment("a", 1, 0).unwrap_err(),
            bucket.create("a", b"1", None).unwrap_err(),
            bucket.delete_many(&["a"]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::OutcomeUnknown, "{answer:?}: {error}");
        }
        assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Unavailable, "{answer:?}");
    }
    // It has happened, and only its result is missing.
    let (bucket, _) = bucket("50", &[OK]);
    assert_eq!(bucket.increment("a", 1, 0).unwrap_err().kind(), Kind::OutcomeUnknown);
}

#[test]
fn a_condition_that_is_never_met_ends_at_the_time_limit() {
    let refused = (400, r#"{"__type":"x#ConditionalCheckFailedException","message":"The conditional request failed"}"#);
    // Each time it is read, nothing stands in the way.
    let answers: Vec<_> = std::iter::repeat_n([refused, OK], 500).flatten().collect();
    let (bucket, _) = bucket("50", &answers);
    assert_eq!(bucket.create("a", b"1", None).unwrap_err().kind(), Kind::Timeout);
    let answers: Vec<_> = std::iter::repeat_n([refused, OK, refused, OK], 500).flatten().collect();
    let (bucket, _) = self::bucket("50", &answers);
    assert_eq!(bucket.increment("a", 1, 0).unwrap_err().kind(), Kind::Timeout);
}

#[test]
fn a_scan_with_keys_that_cannot_be_in_it_or_that_does_not_move_on_is_an_error() {
    let page = |keys: &[&str], last: &str| {
        let items: Vec<String> = keys.iter().map(|key| format!(r#"{{"PK":{{"S":"{key}"}}}}"#)).collect();
        format!(r#"{{"Items":[{}],"LastEvaluatedKey":{{"PK":{{"S":"{last}"}}}}}}"#, items.join(","))
    };
    // The scan may have ended at a key without the prefix, and its keys are in no order.
    let (bucket, server) = spin(&[(200, &page(&["ab", "aa"], "z"))]);
    let listed = bucket.list_prefix("a", None).unwrap();
    assert_eq!((&listed.keys[..], listed.cursor.is_some()), (&["ab".to_string(), "aa".to_string()][..], true));
    let error = bucket.list_prefix("a", listed.cursor.as_deref()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "it ended again where it began: {error}");
    assert!(server.asked.borrow()[1].contains(r#""ExclusiveStartKey":{"PK":{"S":"z"}}"#), "{:?}", server.asked);
    // Of another prefix.
    assert_eq!(bucket.list_prefix("b", listed.cursor.as_deref()).unwrap_err().kind(), Kind::InvalidArgument);
    assert_eq!(bucket.list(listed.cursor.as_deref()).unwrap_err().kind(), Kind::InvalidArgument);
    for answer in [
        page(&["aa", "b"], "z"),
        page(&[""], "z"),
        r#"{"Items":[{}]}"#.to_string(),
        r#"{"Items":[{"PK":{"N":"1"}}]}"#.to_string(),
        r#"{"Items":[{"PK":{"B":"YQ=="}}]}"#.to_string(),
        r#"{"Items":[{"PK":"a"}]}"#.to_string(),
        r#"{"Items":[{"sk":{"S":"a"}}]}"#.to_string(),
        r#"{"Items":[],"LastEvaluatedKey":{}}"#.to_string(),
        r#"{"Items":[],"LastEvaluatedKey":{"sk":{"S":"a"}}}"#.to_string(),
        r#"{"Items":{}}"#.to_string(),
        "{}".to_string(),
    ] {
        let (bucket, _) = spin(&[(200, &answer)]);
        assert_eq!(bucket.list_prefix("a", None).unwrap_err().kind(), Kind::Unavailable, "{answer}");
    }
}

#[test]
fn an_item_of_spin_that_is_none_is_damaged_and_is_not_written_over_unseen() {
    // What has the right types and is no item of this layout.
    for item in [
        r#"{"PK":{"S":"a"}}"#,
        r#"{"PK":{"S":"a"},"VER":{"N":"1"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"N":"1.5"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"N":"1E40"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"N":"9223372036854775808"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"N":""}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"N":"one"}}"#,
    ] {
        let (bucket, server) = spin(&[(200, &format!(r#"{{"Item":{item}}}"#))]);
        let errors = [
            bucket.get("a").unwrap_err(),
            bucket.snapshot("a").map(drop).unwrap_err(),
            bucket.increment("a", 1, i64::MIN).unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind() == Kind::Damaged), "{item}: {errors:?}");
        assert!(server.asked.borrow().iter().all(|asked| !asked.contains("ConditionExpression")), "{item}");
        assert_eq!(bucket.exists("a"), Ok(true), "{item}");
        let (bucket, _) = spin(&[(200, &format!(r#"{{"Responses":{{"keyvalue":[{item}]}}}}"#))]);
        assert_eq!(bucket.get_many(&["a"]).unwrap_err().kind(), Kind::Damaged, "{item}");
    }
    // What has the wrong types.
    for item in [
        r#"{"PK":{"S":"a"},"VAL":{"S":"1"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"N":"1"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"*"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"S":"1"}}"#,
        r#"{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":1}"#,
        r#""a""#,
    ] {
        let (bucket, _) = spin(&[(200, &format!(r#"{{"Item":{item}}}"#))]);
        for error in [
            bucket.get("a").unwrap_err(),
            bucket.snapshot("a").map(drop).unwrap_err(),
            bucket.increment("a", 1, i64::MIN).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::Unavailable, "{item}: {error}");
        }
    }
}

#[test]
fn a_value_of_spin_that_is_no_counter_is_not_added_to() {
    // "x", "", "1.5", "9223372036854775808".
    for value in ["eA==", "", "MS41", "OTIyMzM3MjAzNjg1NDc3NTgwOA=="] {
        let (bucket, server) = spin(&[(200, &format!(r#"{{"Item":{{"PK":{{"S":"a"}},"VAL":{{"B":"{value}"}}}}}}"#))]);
        assert_eq!(bucket.increment("a", 1, i64::MIN).unwrap_err().kind(), Kind::InvalidArgument, "{value:?}");
        assert_eq!(server.asked.borrow().len(), 1, "nothing is written");
    }
    // Another writer is always faster: the item is read, and the condition is never met.
    let item = r#"{"Item":{"PK":{"S":"a"},"VAL":{"B":"MQ=="},"VER":{"N":"-1"}}}"#;
    let refused = (400, r#"{"__type":"x#ConditionalCheckFailedException","message":"The conditional request failed"}"#);
    let answers: Vec<_> = std::iter::repeat_n([(200, item), refused], 500).flatten().collect();
    let (bucket, server) = spin(&answers);
    assert_eq!(bucket.increment("a", 1, i64::MIN).unwrap_err().kind(), Kind::Timeout);
    assert!(server.asked.borrow()[1].contains(r#"":version":{"N":"-1"}"#), "{:?}", server.asked.borrow()[1]);
}

#[test]
fn an_answer_to_a_write_of_spin_that_is_none_leaves_its_outcome_unknown() {
    for answer in [(200, "<html>"), (500, r#"{"__type":"InternalServerError"}"#), (503, ""), (200, "null")] {
        let (bucket, _) = spin(&[answer]);
        for error in [
            bucket.set("a", b"1").unwrap_err(),
            bucket.delete("a").unwrap_err(),
            bucket.swap("a", &Version::Absent, b"1").map(drop).unwrap_err(),
            bucket.set_many(&[("a", b"1")]).unwrap_err(),
            bucket.delete_many(&["a"]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::OutcomeUnknown, "{answer:?}: {error}");
        }
        let (bucket, _) = spin(&[(200, "{}"), answer]);
        assert_eq!(bucket.increment("a", 1, 0).unwrap_err().kind(), Kind::OutcomeUnknown, "{answer:?}");
    }
    // An unconditional write cannot fail its condition.
    let refused = (400, r#"{"__type":"x#ConditionalCheckFailedException","message":"The conditional request failed"}"#);
    let (bucket, _) = spin(&[refused]);
    for error in [bucket.set("a", b"1").unwrap_err(), bucket.delete("a").unwrap_err()] {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    }
}
