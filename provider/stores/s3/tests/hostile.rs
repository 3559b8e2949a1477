//! Answers that S3 gives when it is busy or elsewhere, and some that it never gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{random, since_1970};
use kvfuse_core::{Bucket, Kind, Store, Swap, Version};
use kvfuse_s3::{Ambient, S3Store};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::settings;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::Fault;
use kvfuse_transport::http::{Headers, HttpClient, HttpFault, Pieces, Request, Response, Streaming};
use std::any::Any;
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
    /// The method, the path, the conditions or the digest, and the body of each request.
    asked: Rc<RefCell<Vec<String>>>,
}

impl Answers {
    fn answer(&self, request: &Request<'_>) -> (u16, Headers, Vec<u8>) {
        let header =
            |name: &str| request.headers.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        let conditions = ["if-match", "if-none-match", "range", "content-md5"].map(header).join("");
        let body = String::from_utf8(request.body.to_vec()).unwrap();
        self.asked.borrow_mut().push(format!("{} {} {conditions} {body}", request.method.name(), request.path));
        let mut answers = self.answers.borrow_mut();
        let (status, headers, body) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        // What the request was marked with, for answers that have it.
        let mark = header("x-amz-meta-kvfuse-write").to_string();
        if !mark.is_empty() {
            for (_, _, body) in answers.iter_mut() {
                *body = body.replace("@ WROTE ", &format!("{mark} WROTE "));
            }
        }
        let (extra, body) = match body.split_once(" WROTE ") {
            Some((mark, rest)) => (Some(("x-amz-meta-kvfuse-write".to_string(), mark.into())), rest.to_string()),
            None => (None, body),
        };
        let headers = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let headers: Vec<_> = headers.chain(extra).collect();
        (status, headers.into(), body.into_bytes())
    }
}

impl HttpClient for Answers {
    fn exchange(&self, request: &Request<'_>, _: Moment) -> Result<Response, HttpFault> {
        let (status, headers, body) = self.answer(request);
        Ok(Response { status, headers, body })
    }

    fn stream(&self, request: &Request<'_>, _: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        let (status, headers, body) = self.answer(request);
        Ok(Streaming { status, headers, body: Box::new(Once(Some(body))) })
    }
}

struct Once(Option<Vec<u8>>);

impl Pieces for Once {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.take())
    }

    fn wait(&mut self, _: Moment) -> bool {
        true
    }

    fn hand_on(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

fn bucket(time_limit: &str, answers: &[Reply]) -> (Rc<dyn Bucket>, Answers) {
    let server = Answers::default();
    server.answers.borrow_mut().extend(answers.iter().cloned());
    let settings = settings(&[
        ("KEYVALUE_S3_ENDPOINT", "http://s3:1/photos"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("KEYVALUE_MAX_VALUE", "1M"),
        ("KEYVALUE_TIMEOUT_MS", time_limit),
    ]);
    let store = S3Store::new(&settings, server.clone(), SystemClock, Ambient { since_1970, random }).unwrap();
    (store.open("b").unwrap(), server)
}

const TAG: &[(&str, &str)] = &[("ETag", "\"1\"")];
/// That state as a version.
const VERSION: &[u8] = b" \"1\"";
const OTHER: &[(&str, &str)] = &[("ETag", "\"2\"")];

fn plain(status: u16, body: &str) -> Reply {
    (status, &[], body.to_string())
}

fn refused(status: u16, code: &str) -> Reply {
    plain(status, &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>"))
}

fn done() -> Reply {
    (200, TAG, String::new())
}

fn value(tag: &'static [(&'static str, &'static str)], value: &str) -> Reply {
    (200, tag, value.to_string())
}

fn page(names: &[&str], more: bool) -> Reply {
    let contents: String = names.iter().map(|name| format!("<Contents><Key>{name}</Key></Contents>")).collect();
    plain(200, &format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}</ListBucketResult>"))
}

fn not_deleted(failed: &[(&str, &str)]) -> Reply {
    let error = |(name, code): &(&str, &str)| format!("<Error><Key>{name}</Key><Code>{code}</Code></Error>");
    plain(200, &format!("<DeleteResult>{}</DeleteResult>", failed.iter().map(error).collect::<String>()))
}

#[test]
fn what_is_throttled_is_sent_again_until_the_time_limit() {
    let busy = refused(503, "SlowDown");
    let (bucket, server) = bucket("10000", &[busy.clone(), plain(429, ""), done()]);
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    assert_eq!(server.asked.borrow().len(), 3);
    let (bucket, _) = self::bucket("50", &[busy]);
    for error in [
        bucket.set("a", b"1").unwrap_err(),
        bucket.get("a").unwrap_err(),
        bucket.get_body("a").map(|_| ()).unwrap_err(),
        bucket.delete_many(&["a", "b"]).unwrap_err(),
    ] {
        // Nothing happened, and the outcome is known.
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains("SlowDown"), "{error}");
    }
}

#[test]
fn an_answer_to_a_write_that_is_none_leaves_its_outcome_unknown() {
    for answer in [refused(500, "InternalError"), refused(503, "ServiceUnavailable"), plain(503, ""), plain(202, "")] {
        let (bucket, server) = bucket("50", std::slice::from_ref(&answer));
        for error in [
            bucket.set("a", b"1").unwrap_err(),
            bucket.delete("a").unwrap_err(),
            bucket.create("a", b"1", None).unwrap_err(),
            bucket.delete_many(&["a"]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::OutcomeUnknown, "{answer:?}: {error}");
        }
        let writes = server.asked.borrow().iter().filter(|asked| !asked.starts_with("GET ")).count();
        assert_eq!(writes, 4, "nothing is written again");
        assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Unavailable, "{answer:?}");
        assert_eq!(
            bucket.increment("a", 1, 0).unwrap_err().kind(),
            Kind::Unavailable,
            "{answer:?}: it could not be read"
        );
    }
    // A page of something in between.
    let (bucket, _) = bucket("50", &[plain(200, "<html>")]);
    assert_eq!(bucket.delete_many(&["a"]).unwrap_err().kind(), Kind::OutcomeUnknown);
    assert_eq!(bucket.list(None).unwrap_err().kind(), Kind::Unavailable);
}

#[test]
fn a_write_without_an_answer_is_looked_up_by_its_mark_and_never_sent_again() {
    let lost = refused(500, "InternalError");
    let marked = |value: &str| (200, TAG, format!("@ WROTE {value}"));
    let (bucket, server) = bucket("10000", &[lost.clone(), marked("1")]);
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    assert_eq!(*server.asked.borrow(), ["PUT /photos/b/a  1", "GET /photos/b/a bytes=0-0 "]);
    // Of an empty object there is no first byte, and so it is read as a whole.
    let (bucket, server) = self::bucket("10000", &[lost.clone(), refused(416, "InvalidRange"), marked("")]);
    assert_eq!(bucket.create("a", b"", None), Ok(true));
    assert_eq!(server.asked.borrow().len(), 3);
    // One that is not there, or another's: with or without a condition.
    for seen in
        [refused(404, "NoSuchKey"), value(TAG, "1"), (200, TAG, "other WROTE 1".into()), refused(416, "InvalidRange")]
    {
        let (bucket, server) = self::bucket("50", &[lost.clone(), seen.clone()]);
        assert_eq!(bucket.set("a", b"1").unwrap_err().kind(), Kind::OutcomeUnknown, "{seen:?}");
        let puts = server.asked.borrow().iter().filter(|asked| asked.starts_with("PUT ")).count();
        assert_eq!(puts, 1, "{seen:?}");
        let (bucket, server) = self::bucket("50", &[value(TAG, "1"), lost.clone(), seen.clone()]);
        let tag = Version::Tag(VERSION.into());
        assert_eq!(bucket.swap("a", &tag, b"2").unwrap_err().kind(), Kind::OutcomeUnknown, "{seen:?}");
        let puts = server.asked.borrow().iter().filter(|asked| asked.starts_with("PUT ")).count();
        assert_eq!(puts, 1, "{seen:?}");
    }
}

#[test]
fn a_condition_is_sent_and_what_is_there_instead_is_returned() {
    let not_met = refused(412, "PreconditionFailed");
    let (bucket, server) = bucket("10000", &[value(TAG, "one"), not_met.clone(), value(OTHER, "two")]);
    let tag = Version::Tag(VERSION.into());
    let Swap::Conflict(now) = bucket.swap("a", &tag, b"3").unwrap() else { panic!("it is another value") };
    assert_eq!((now.value.as_deref(), now.version), (Some(&b"two"[..]), Version::Tag(b" \"2\"".as_slice().into())));
    let asked = ["GET /photos/b/a bytes=0-0 ", "PUT /photos/b/a \"1\" 3", "GET /photos/b/a  "];
    assert_eq!(*server.asked.borrow(), asked);
    let (bucket, server) = self::bucket("10000", &[not_met, value(TAG, "one")]);
    assert_eq!(bucket.create("a", b"3", None), Ok(false));
    assert_eq!(server.asked.borrow()[0], "PUT /photos/b/a * 3");
    // An object that is gone has no tag.
    let (bucket, _) = self::bucket("10000", &[refused(404, "NoSuchKey")]);
    assert!(matches!(bucket.swap("a", &tag, b"3"), Ok(Swap::Conflict(now)) if now.value.is_none()));
    // Another write was on its way, and nothing changed: it is tried again.
    let round = [value(TAG, "one"), refused(409, "ConditionalRequestConflict"), value(TAG, "one"), done()];
    let (bucket, server) = self::bucket("10000", &round);
    assert_eq!(bucket.swap("a", &tag, b"3"), Ok(Swap::Done));
    assert_eq!(server.asked.borrow().len(), 4);
    // The same content, written by another: it is not asked for.
    for other in
        [(200, TAG, "other WROTE one".to_string()), value(&[("etag", "\"1\""), ("last-modified", "today")], "one")]
    {
        let (bucket, server) = self::bucket("10000", &[other]);
        let Swap::Conflict(now) = bucket.swap("a", &tag, b"3").unwrap() else { panic!("it was written again") };
        assert_eq!(now.value.as_deref(), Some(&b"one"[..]));
        assert!(server.asked.borrow().iter().all(|asked| asked.starts_with("GET ")));
    }
}

#[test]
fn a_condition_that_is_never_met_ends_at_the_time_limit() {
    let gone = [refused(412, "PreconditionFailed"), refused(404, "NoSuchKey")];
    let answers: Vec<_> = std::iter::repeat_n(gone, 500).flatten().collect();
    let (bucket, _) = bucket("50", &answers);
    assert_eq!(bucket.create("a", b"1", None).unwrap_err().kind(), Kind::Timeout);
    let failed = refused(412, "PreconditionFailed");
    let round = [value(TAG, "1"), failed.clone(), value(OTHER, "1"), failed];
    let answers: Vec<_> = std::iter::repeat_n(round, 500).flatten().collect();
    let (bucket, _) = self::bucket("50", &answers);
    assert_eq!(bucket.increment("a", 1, 0).unwrap_err().kind(), Kind::Timeout);
}

#[test]
fn a_bucket_elsewhere_is_an_error_that_names_the_region() {
    let region: &[(&str, &str)] = &[("x-amz-bucket-region", "eu-west-1")];
    let malformed =
        "<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message><Region>eu-west-1</Region></Error>";
    for answer in [(301, region, String::new()), (307, region, String::new()), (400, &[], malformed.to_string())] {
        let (bucket, server) = bucket("10000", &[answer]);
        for error in [bucket.get("a").unwrap_err(), bucket.set("a", b"").unwrap_err(), bucket.exists("a").unwrap_err()]
        {
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.message().contains("eu-west-1") && error.message().contains("KEYVALUE_S3_REGION"), "{error}");
        }
        assert_eq!(server.asked.borrow().len(), 3, "it is not asked again");
    }
}

#[test]
fn what_was_not_deleted_is_told_or_tried_again_if_it_was_too_much() {
    let keys = ["a", "b", "c"];
    let (bucket, server) = bucket("10000", &[not_deleted(&[("b/b", "SlowDown")]), not_deleted(&[])]);
    assert_eq!(bucket.delete_many(&keys), Ok(()));
    let asked = server.asked.borrow();
    assert_eq!(asked.len(), 2);
    // The MD5 of this request, computed with another implementation.
    assert!(asked[0].starts_with("POST /photos?delete= RD8R7bDg8gBNRqgD/MZYBw== <Delete "), "{}", asked[0]);
    assert!(asked[0].contains("<Key>b/c</Key>"), "{}", asked[0]);
    assert!(asked[1].contains("<Key>b/b</Key>") && !asked[1].contains("<Key>b/c</Key>"), "{}", asked[1]);
    for (failed, kind) in [
        (("b/b", "AccessDenied"), Kind::AccessDenied),
        (("b/b", "InternalError"), Kind::OutcomeUnknown),
        (("b/b", "SlowDown"), Kind::Unavailable),
        (("other", "SlowDown"), Kind::OutcomeUnknown),
        (("b/b", "hunter2"), Kind::OutcomeUnknown),
    ] {
        let (bucket, _) = self::bucket("50", &[not_deleted(&[failed])]);
        let error = bucket.delete_many(&keys).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_listing_that_does_not_move_on_is_an_error() {
    let (bucket, server) = bucket("50", &[page(&["b/a"], true)]);
    let listed = bucket.list(None).unwrap();
    assert_eq!((listed.keys, listed.cursor.is_some()), (vec!["a".to_string()], true));
    assert_eq!(bucket.list(listed.cursor.as_deref()).unwrap_err().kind(), Kind::Unavailable);
    assert!(server.asked.borrow()[1].contains("&prefix=b%2F&start-after=b%2Fa "), "{}", server.asked.borrow()[1]);
    for answer in [page(&["b/a", "b/a"], false), page(&["c/a"], false), page(&[], true)] {
        let (bucket, _) = self::bucket("50", std::slice::from_ref(&answer));
        assert_eq!(bucket.list(None).unwrap_err().kind(), Kind::Unavailable, "{answer:?}");
    }
}

#[test]
fn objects_whose_names_no_key_has_are_not_listed() {
    let (bucket, _) = bucket("50", &[page(&["b/", "b/%41", "b/a", "b/a/", "b/c//d"], false)]);
    assert_eq!(bucket.list(None).unwrap().keys, ["a"]);
    let (bucket, server) = self::bucket("50", &[page(&["b/", "b/folder/"], true), page(&["b/z"], false)]);
    let listed = bucket.list(None).unwrap();
    assert_eq!(listed.keys.len(), 0);
    assert_eq!(bucket.list(listed.cursor.as_deref()).unwrap().keys, ["z"]);
    assert!(server.asked.borrow()[1].contains("start-after=b%2Ffolder%2F "));
}

#[test]
fn an_object_without_a_tag_of_its_own_is_an_error() {
    for headers in
        [&[][..], &[("etag", "*")], &[("etag", "")], &[("etag", "\"a\",\"b\"")], &[("etag", "\"a\r\nx: y\"")]]
    {
        let (bucket, _) = bucket("50", &[(200, headers, "1".to_string())]);
        assert_eq!(bucket.get("a").unwrap_err().kind(), Kind::Unavailable, "{headers:?}");
    }
    // Nor does a made-up version make a write without a condition.
    let (bucket, server) = bucket("50", &[value(TAG, "1")]);
    for made_up in [Version::Tag(b"*".as_slice().into()), Version::Number(1)] {
        assert!(matches!(bucket.swap("a", &made_up, b"2"), Ok(Swap::Conflict(_))));
    }
    assert!(server.asked.borrow().iter().all(|asked| asked.starts_with("GET ")));
}

#[test]
fn a_value_above_the_limit_is_refused_and_can_be_a_stream() {
    let large = value(&[("etag", "\"1\""), ("content-length", "2097152")], &"x".repeat(2 << 20));
    let (bucket, _) = bucket("50", &[large]);
    let error = bucket.get("a").unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    assert!(error.message().contains("KEYVALUE_MAX_VALUE"), "{error}");
    assert_eq!(bucket.get_body("a").unwrap().unwrap().size, 2 << 20);
}

#[test]
fn a_stream_without_a_size_is_an_error() {
    for headers in [TAG, &[("content-length", "-1")], &[("content-length", "x")]] {
        let (bucket, _) = bucket("50", &[(200, headers, "1".to_string())]);
        assert_eq!(bucket.get_body("a").map(|_| ()).unwrap_err().kind(), Kind::Unavailable, "{headers:?}");
    }
    let (bucket, _) = bucket("50", &[refused(404, "NoSuchKey")]);
    assert!(bucket.get_body("a").unwrap().is_none());
    let (bucket, _) = self::bucket("50", &[refused(404, "NoSuchBucket")]);
    assert!(bucket.get_body("a").map(|_| ()).unwrap_err().message().contains("aws s3 mb s3://photos"));
}

#[test]
fn a_missing_bucket_of_s3_is_an_error_for_every_call_and_says_how_to_make_it() {
    let (bucket, _) = bucket("50", &[refused(404, "NoSuchBucket")]);
    for error in [
        bucket.get("a").unwrap_err(),
        bucket.exists("a").unwrap_err(),
        bucket.set("a", b"").unwrap_err(),
        bucket.delete("a").unwrap_err(),
        bucket.list(None).unwrap_err(),
        bucket.increment("a", 1, 0).unwrap_err(),
        bucket.delete_many(&["a"]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        assert!(error.message().contains("aws s3 mb s3://photos"), "{error}");
    }
}
