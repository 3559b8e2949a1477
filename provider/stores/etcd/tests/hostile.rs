//! Answers that no etcd gives.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use kvfuse_core::{Bucket, Kind, Store};
use kvfuse_etcd::EtcdStore;
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::settings;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::Fault;
use kvfuse_transport::http::{Headers, HttpClient, HttpFault, Pieces, Request, Response, Streaming};
use std::any::Any;
use std::rc::Rc;
use std::time::Duration;

/// A server with one answer to everything.
struct Always(&'static str);

impl HttpClient for Always {
    fn exchange(&self, _: &Request<'_>, _: Moment) -> Result<Response, HttpFault> {
        Ok(Response { status: 200, headers: Headers::default(), body: self.0.as_bytes().to_vec() })
    }

    fn stream(&self, _: &Request<'_>, _: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        Ok(Streaming { status: 200, headers: Headers::default(), body: Box::new(Once(Some(self.0))) })
    }
}

struct Once(Option<&'static str>);

impl Pieces for Once {
    fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.take().map(|text| text.as_bytes().to_vec()))
    }

    fn wait(&mut self, _: Moment) -> bool {
        true
    }

    fn hand_on(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

fn bucket(answer: &'static str) -> Rc<dyn Bucket> {
    let settings = settings(&[("KEYVALUE_ETCD_ENDPOINTS", "etcd:2379"), ("KEYVALUE_TIMEOUT_MS", "50")]);
    EtcdStore::new(&settings, Always(answer), SystemClock).unwrap().open("b").unwrap()
}

// The keys are keyvalue/b/a, keyvalue/b/b and keyvalue/b/c, in base64.
const A: &str = r#"{"header":{"revision":"1"},"kvs":[{"key":"a2V5dmFsdWUvYi9h"}],"more":true}"#;
const C_B: &str =
    r#"{"header":{"revision":"1"},"kvs":[{"key":"a2V5dmFsdWUvYi9j"},{"key":"a2V5dmFsdWUvYi9i"}],"more":true}"#;
const A_A: &str =
    r#"{"header":{"revision":"1"},"kvs":[{"key":"a2V5dmFsdWUvYi9h"},{"key":"a2V5dmFsdWUvYi9h"}],"more":true}"#;
const NOTHING: &str = r#"{"header":{"revision":"1"},"more":true}"#;

#[test]
fn a_listing_that_does_not_move_on_is_an_error() {
    let bucket = bucket(A);
    let first = bucket.list(None).unwrap();
    assert_eq!((first.keys, first.cursor.is_some()), (vec!["a".to_string()], true));
    let error = bucket.list(first.cursor.as_deref()).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    for answer in [C_B, A_A, NOTHING] {
        assert_eq!(self::bucket(answer).list(None).unwrap_err().kind(), Kind::Unavailable, "{answer}");
    }
}
