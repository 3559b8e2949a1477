//! Answers that the Table service gives when it is busy, and some that it never gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{random, since_1970};
use kvfuse_azure::{Ambient, AzureStore};
use kvfuse_core::{Bucket, Kind, Store, Swap, Version};
use kvfuse_servers::azure::KEY;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::settings;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::http::{HttpClient, HttpFault, Request, Response, Streaming};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// Status, headers and body.
type Reply = (u16, &'static [(&'static str, &'static str)], String);

/// A server with these answers, of which the last one is for all further requests.
#[derive(Clone, Default)]
struct Answers {
    answers: Rc<RefCell<VecDeque<Reply>>>,
    /// The method, the path and the body of each request.
    asked: Rc<RefCell<Vec<String>>>,
}

impl HttpClient for Answers {
    fn exchange(&self, request: &Request<'_>, _: Moment) -> Result<Response, HttpFault> {
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        self.asked.borrow_mut().push(format!("{:?} {} {body}", request.method, request.path));
        let mut answers = self.answers.borrow_mut();
        let (status, headers, body) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        Ok(Response { status, headers: headers.into(), body: body.into_bytes() })
    }

    fn stream(&self, _: &Request<'_>, _: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        panic!("no answer is a stream")
    }
}

fn bucket(time_limit: &str, answers: &[Reply]) -> (Rc<dyn Bucket>, Answers) {
    let server = Answers::default();
    server.answers.borrow_mut().extend(answers.iter().cloned());
    let settings = settings(&[
        ("KEYVALUE_AZURE_ENDPOINT", "http://db:1/account"),
        ("KEYVALUE_AZURE_KEY", KEY),
        ("KEYVALUE_TIMEOUT_MS", time_limit),
    ]);
    let store = AzureStore::new(&settings, server.clone(), SystemClock, Ambient { since_1970, random }).unwrap();
    (store.open("b").unwrap(), server)
}

const TAG: &[(&str, &str)] = &[("ETag", "W/\"1\"")];
const MORE: &[(&str, &str)] =
    &[("x-ms-continuation-NextPartitionKey", "1!4!Yg--"), ("x-ms-continuation-NextRowKey", "1!8!a2E-")];

fn plain(status: u16, body: &str) -> Reply {
    (status, &[], body.to_string())
}

fn refused(status: u16, code: &str) -> Reply {
    plain(status, &format!(r#"{{"odata.error":{{"code":"{code}","message":{{"lang":"en-US","value":"0:no"}}}}}}"#))
}

fn done() -> Reply {
    plain(204, "")
}

fn batch(statuses: &[u16]) -> Reply {
    plain(202, &statuses.iter().map(|status| format!("HTTP/1.1 {status} x\r\n\r\n\r\n--c\r\n")).collect::<String>())
}

fn found(rows: &[&str]) -> Reply {
    let rows: Vec<String> = rows.iter().map(|row| format!(r#"{{"RowKey":"{row}","value0":"MQ=="}}"#)).collect();
    plain(200, &format!(r#"{{"value":[{}]}}"#, rows.join(",")))
}

fn and_more((status, _, body): Reply) -> Reply {
    (status, MORE, body)
}

#[test]
fn what_is_throttled_is_sent_again_until_the_time_limit() {
    let busy = refused(503, "ServerBusy");
    let (bucket, server) = bucket("10000", &[busy.clone(), busy.clone(), done()]);
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    assert_eq!(server.asked.borrow().len(), 3);
    let (bucket, _) = self::bucket("50", &[busy]);
    for error in [
        bucket.set("a", b"1").unwrap_err(),
        bucket.get("a").unwrap_err(),
        bucket.set_many(&[("a", b"1"), ("b", b"2")]).unwrap_err(),
    ] {
        // Nothing happened, and the outcome is known.
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains("ServerBusy"), "{error}");
    }
}

#[test]
fn a_missing_table_is_made_once_and_the_call_repeated() {
    let none = refused(404, "TableNotFound");
    for made in [plain(204, ""), plain(201, "{}"), refused(409, "TableAlreadyExists")] {
        let (bucket, server) = bucket("10000", &[none.clone(), made, done()]);
        assert_eq!(bucket.set("a", b"1"), Ok(()));
        let asked = server.asked.borrow();
        assert_eq!(asked[1], r#"Post /account/Tables {"TableName":"keyvalue"}"#);
        assert_eq!((asked.len(), &asked[0]), (3, &asked[2]));
    }
    for (making, kind) in [
        (refused(403, "AuthorizationPermissionMismatch"), Kind::Unavailable),
        (refused(409, "TableBeingDeleted"), Kind::Unavailable),
        (plain(204, ""), Kind::Unavailable),
        (plain(200, "<html>"), Kind::Unavailable),
    ] {
        let answers: Vec<_> = std::iter::repeat_n([none.clone(), making], 100).flatten().collect();
        let (bucket, _) = bucket("50", &answers);
        let error = bucket.set("a", b"1").unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains("keyvalue"), "{error}");
    }
}

#[test]
fn a_batch_is_answered_for_every_write_or_its_outcome_is_unknown() {
    let pairs: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"2")];
    assert_eq!(bucket("50", &[batch(&[204, 204])]).0.set_many(&pairs), Ok(()));
    for answer in [batch(&[]), batch(&[204]), batch(&[204, 204, 204]), batch(&[204, 500]), done(), plain(200, "<html>")]
    {
        let (bucket, _) = bucket("50", std::slice::from_ref(&answer));
        assert_eq!(bucket.set_many(&pairs).unwrap_err().kind(), Kind::OutcomeUnknown, "{answer:?}");
        assert_eq!(bucket.delete_many(&["a", "b"]).unwrap_err().kind(), Kind::OutcomeUnknown, "{answer:?}");
    }
}

#[test]
fn of_what_is_deleted_only_what_is_there_is_asked_for_again() {
    let inner = |text: &str| plain(202, &format!("HTTP/1.1 404 Not Found\r\n\r\n{text}\r\n--c\r\n"));
    let missing = |at: &str| {
        inner(&format!(
            r#"{{"odata.error":{{"code":"ResourceNotFound","message":{{"value":"{at}:It is not there."}}}}}}"#
        ))
    };
    let keys = ["a", "b", "c", "d"];
    let (bucket, server) = bucket("10000", &[missing("1"), found(&["ka", "kd"]), missing("0"), batch(&[204])]);
    assert_eq!(bucket.delete_many(&keys), Ok(()));
    let asked = server.asked.borrow();
    let deletes = |n: usize| ["ka", "kb", "kc", "kd"].map(|row| asked[n].contains(&format!("RowKey='{row}')")));
    assert_eq!(deletes(0), [true; 4]);
    assert_eq!(deletes(2), [true, false, false, true]);
    assert_eq!((deletes(3), asked.len()), ([false, false, false, true], 4));
    for wrong in [missing("4"), missing("x"), missing("-1")] {
        let (bucket, _) = self::bucket("50", &[wrong]);
        assert_eq!(bucket.delete_many(&keys).unwrap_err().kind(), Kind::OutcomeUnknown);
    }
}

#[test]
fn a_query_goes_on_where_the_service_says_and_ends() {
    let (bucket, server) = bucket("10000", &[and_more(found(&["ka"])), and_more(found(&[])), found(&["kb"])]);
    // The same place twice.
    assert_eq!(bucket.get_many(&["a", "b"]).unwrap_err().kind(), Kind::Unavailable);
    assert!(server.asked.borrow()[1].contains("&NextPartitionKey=1%214%21Yg--&NextRowKey=1%218%21a2E-"));
    let (bucket, server) = self::bucket("10000", &[and_more(found(&["ka"])), found(&["kb"])]);
    assert_eq!(bucket.get_many(&["b", "c", "a"]).unwrap(), [Some(b"1".to_vec()), None, Some(b"1".to_vec())]);
    assert_eq!(server.asked.borrow().len(), 2);
    // A page that is empty so far is not given to the caller.
    let (bucket, server) = self::bucket("10000", &[and_more(found(&[])), found(&["ka"])]);
    let page = bucket.list(None).unwrap();
    assert_eq!((page.keys, page.cursor, server.asked.borrow().len()), (vec!["a".to_string()], None, 2));
}

#[test]
fn what_was_not_asked_for_is_an_error() {
    for answer in [found(&["kx"]), found(&["ka", "ka"]), plain(200, r#"{"value":[{}]}"#), plain(200, "null"), done()] {
        let (bucket, _) = bucket("50", std::slice::from_ref(&answer));
        assert_eq!(bucket.get_many(&["a", "b"]).unwrap_err().kind(), Kind::Unavailable, "{answer:?}");
    }
}

#[test]
fn a_listing_that_does_not_move_on_is_an_error() {
    let first = and_more(found(&["ka"]));
    let (bucket, server) = bucket("50", std::slice::from_ref(&first));
    let listed = bucket.list(None).unwrap();
    assert_eq!((listed.keys, listed.cursor.is_some()), (vec!["a".to_string()], true));
    assert_eq!(bucket.list(listed.cursor.as_deref()).unwrap_err().kind(), Kind::Unavailable);
    assert!(server.asked.borrow()[1].contains("RowKey%20gt%20%27ka%27"));
    for answer in [found(&["kb", "ka"]), found(&["ka", "ka"]), found(&["x"]), plain(200, r#"{"value":[{}]}"#)] {
        let (bucket, _) = self::bucket("50", std::slice::from_ref(&answer));
        assert_eq!(bucket.list(None).unwrap_err().kind(), Kind::Unavailable, "{answer:?}");
    }
    // Of a page whose keys have all ended there is a next one.
    let ended = and_more(plain(200, r#"{"value":[{"RowKey":"ka","end":"5"}]}"#));
    let listed = self::bucket("50", &[ended]).0.list(None).unwrap();
    assert_eq!((listed.keys.len(), listed.cursor.is_some()), (0, true));
}

#[test]
fn an_answer_to_a_write_that_is_none_leaves_its_outcome_unknown() {
    for answer in [plain(200, "<html>"), refused(500, "InternalError"), plain(503, ""), plain(202, "")] {
        let (bucket, _) = bucket("50", std::slice::from_ref(&answer));
        for error in [
            bucket.set("a", b"1").unwrap_err(),
            bucket.delete("a").unwrap_err(),
            bucket.create("a", b"1", None).unwrap_err(),
            bucket.delete_many(&["a"]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::OutcomeUnknown, "{answer:?}: {error}");
        }
        assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Unavailable, "{answer:?}");
        assert_eq!(
            bucket.increment("a", 1, 0).unwrap_err().kind(),
            Kind::Unavailable,
            "{answer:?}: it could not be read"
        );
    }
}

#[test]
fn an_entity_without_a_tag_of_its_own_is_an_error() {
    for headers in
        [&[][..], &[("etag", "*")], &[("etag", "")], &[("etag", "\"a\",\"b\"")], &[("etag", "\"a\r\nx: y\"")]]
    {
        let (bucket, _) = bucket("50", &[(200, headers, r#"{"RowKey":"ka","value0":"MQ=="}"#.to_string())]);
        assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Unavailable, "{headers:?}");
    }
    // Nor does a made-up version make a write without a condition.
    let entity = (200, TAG, r#"{"RowKey":"ka","value0":"MQ=="}"#.to_string());
    let (bucket, server) = bucket("50", &[entity]);
    let made_up = Version::Tag(b"- *".as_slice().into());
    assert!(matches!(bucket.swap("a", &made_up, b"2"), Ok(Swap::Conflict(_))));
    assert!(server.asked.borrow().iter().all(|asked| asked.starts_with("Get ")));
}

#[test]
fn a_condition_that_is_never_met_ends_at_the_time_limit() {
    let conflict = refused(409, "EntityAlreadyExists");
    // Each time it is read, nothing stands in the way.
    let answers: Vec<_> = std::iter::repeat_n([conflict, refused(404, "ResourceNotFound")], 500).flatten().collect();
    let (bucket, _) = bucket("50", &answers);
    assert_eq!(bucket.create("a", b"1", None).unwrap_err().kind(), Kind::Timeout);
    let number = |tag: &'static [(&str, &str)]| (200, tag, r#"{"RowKey":"ka","value0":"MQ=="}"#.to_string());
    let others: &[(&str, &str)] = &[("etag", "W/\"2\"")];
    let round =
        [number(TAG), refused(412, "UpdateConditionNotSatisfied"), number(others), refused(412, "ConditionNotMet")];
    let answers: Vec<_> = std::iter::repeat_n(round, 500).flatten().collect();
    let (bucket, _) = self::bucket("50", &answers);
    assert_eq!(bucket.increment("a", 1, 0).unwrap_err().kind(), Kind::Timeout);
}
