//! Temporary credentials: from the agent of a container and from the metadata service of an instance, renewed before they expire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::random;
use kvfuse_core::{Bucket, Kind, Store};
use kvfuse_dynamodb::{Ambient, DynamoStore};
use kvfuse_servers::clock::SystemClock;
use kvfuse_servers::settings;
use kvfuse_transport::clock::Moment;
use kvfuse_transport::fault::Fault;
use kvfuse_transport::http::{Headers, HttpClient, HttpFault, Request, Response, Streaming};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const CONTAINER: &[(&str, &str)] = &[
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/creds"),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer hunter9"),
];
const INSTANCE: &[(&str, &str)] = &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")];

thread_local! {
    /// The time of day, in seconds since 1970.
    static NOW: Cell<u64> = const { Cell::new(1_440_938_160) };
}

fn since_1970() -> Duration {
    Duration::from_secs(NOW.get())
}

/// What gives out credentials, and DynamoDB, which accepts only the latest.
#[derive(Clone, Default)]
struct World(Rc<Inner>);

#[derive(Default)]
struct Inner {
    /// How often credentials were given out.
    issued: Cell<u64>,
    /// What the service answers instead.
    refuses: RefCell<Option<Result<(u16, &'static str), Fault>>>,
    /// For how long credentials are valid, in seconds; 0 for those that do not expire.
    life: Cell<u64>,
    /// Whether DynamoDB calls the credentials expired once.
    expires: Cell<bool>,
    /// The key, and the session token, that DynamoDB was last asked with.
    used: RefCell<String>,
    asked: RefCell<Vec<String>>,
}

impl World {
    fn bucket(&self, life: u64, variables: &[(&str, &str)], time_limit: &str) -> Rc<dyn Bucket> {
        self.0.life.set(life);
        let own = [
            ("KEYVALUE_DYNAMODB_ENDPOINT", "http://db:1"),
            ("AWS_REGION", "us-east-1"),
            ("KEYVALUE_TIMEOUT_MS", time_limit),
        ];
        let settings = settings(&[&own, variables].concat());
        let store = DynamoStore::new(&settings, self.clone(), SystemClock, Ambient { since_1970, random }).unwrap();
        store.open("b").unwrap()
    }

    fn answer(&self, request: &Request<'_>) -> Result<(u16, String), Fault> {
        let header = |name: &str| request.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let method = request.method.name();
        if request.authority == "db:1" {
            let key = header("authorization").unwrap().split(['=', '/']).nth(1).unwrap().to_string();
            assert_eq!(header("x-amz-security-token").unwrap(), format!("token of {key}").replace(' ', "-"));
            *self.0.used.borrow_mut() = key;
            if self.0.expires.take() {
                let expired = r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"expired"}"#;
                return Ok((400, expired.into()));
            }
            return Ok((200, "{}".into()));
        }
        self.0.asked.borrow_mut().push(format!("{method} {}", request.path));
        if let Some(refused) = &*self.0.refuses.borrow() {
            return refused.clone().map(|(status, body)| (status, body.to_string()));
        }
        let metadata = request.authority == "169.254.169.254";
        match (method, request.path) {
            ("GET", "/creds") => assert_eq!(header("authorization"), Some("Bearer hunter9")),
            ("PUT", "/latest/api/token") => {
                assert!(metadata && header("x-aws-ec2-metadata-token-ttl-seconds").is_some());
                return Ok((200, "session".into()));
            }
            ("GET", path) => {
                assert!(metadata);
                assert_eq!(header("x-aws-ec2-metadata-token"), Some("session"));
                match path {
                    "/latest/meta-data/iam/security-credentials/" => return Ok((200, "app-role\n".into())),
                    "/latest/meta-data/iam/security-credentials/app-role" => {}
                    _ => panic!("{path}"),
                }
            }
            other => panic!("{other:?}"),
        }
        self.0.issued.set(self.0.issued.get() + 1);
        let number = self.0.issued.get();
        let end = NOW.get() + self.0.life.get();
        let time = format!(
            "2015-08-{:02}T{:02}:{:02}:{:02}Z",
            30 + (end - 1_440_892_800) / 86_400,
            end / 3600 % 24,
            end / 60 % 60,
            end % 60
        );
        let expiration = if self.0.life.get() == 0 { String::new() } else { format!(r#","Expiration":"{time}""#) };
        Ok((
            200,
            format!(
                r#"{{"Code":"Success","AccessKeyId":"K{number}","SecretAccessKey":"hunter2","Token":"token-of-K{number}"{expiration}}}"#
            ),
        ))
    }
}

impl HttpClient for World {
    fn exchange(&self, request: &Request<'_>, _: Moment) -> Result<Response, HttpFault> {
        let answer = self.answer(request).map_err(|fault| HttpFault { sent: false, fault })?;
        Ok(Response { status: answer.0, headers: Headers::default(), body: answer.1.into_bytes() })
    }

    fn stream(&self, _: &Request<'_>, _: Moment, _: Duration) -> Result<Streaming, HttpFault> {
        panic!("no answer is a stream")
    }
}

fn later(seconds: u64) {
    NOW.set(NOW.get() + seconds);
}

#[test]
fn credentials_are_asked_for_once_and_renewed_five_minutes_before_they_expire() {
    for (source, requests) in [(CONTAINER, 1), (INSTANCE, 3)] {
        let world = World::default();
        let bucket = world.bucket(3600, source, "5000");
        for (pause, key) in [(0, "K1"), (3299, "K1"), (1, "K2"), (3299, "K2"), (1, "K3")] {
            later(pause);
            assert_eq!(bucket.get("a"), Ok(None));
            assert_eq!(*world.0.used.borrow(), key);
        }
        assert_eq!(world.0.asked.borrow().len(), 3 * requests);
    }
}

#[test]
fn credentials_that_do_not_expire_are_kept() {
    let world = World::default();
    let bucket = world.bucket(0, CONTAINER, "5000");
    for _ in 0..3 {
        assert_eq!(bucket.set("a", b"1"), Ok(()));
        later(1_000_000);
    }
    assert_eq!(world.0.issued.get(), 1);
}

#[test]
fn credentials_that_live_shorter_than_the_margin_are_not_asked_for_with_every_call() {
    let world = World::default();
    let bucket = world.bucket(120, CONTAINER, "5000");
    for _ in 0..10 {
        assert_eq!(bucket.get("a"), Ok(None));
        later(1);
    }
    assert_eq!(world.0.issued.get(), 1);
}

#[test]
fn what_is_still_valid_is_used_while_the_service_is_away_and_nothing_after_it() {
    let world = World::default();
    let bucket = world.bucket(3600, INSTANCE, "30");
    assert_eq!(bucket.get("a"), Ok(None));
    *world.0.refuses.borrow_mut() = Some(Err(Fault::closed()));
    later(3400);
    assert_eq!(bucket.get("a"), Ok(None));
    let asked = world.0.asked.borrow().len();
    assert_eq!(bucket.get("a"), Ok(None));
    assert_eq!(world.0.asked.borrow().len(), asked, "a renewal that failed is not tried again at once");
    assert_eq!(*world.0.used.borrow(), "K1");
    later(201);
    let error = bucket.set("a", b"1").unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
    assert!(error.message().contains("169.254.169.254"), "{error}");
    *world.0.refuses.borrow_mut() = None;
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    assert_eq!(*world.0.used.borrow(), "K2");
}

#[test]
fn credentials_that_dynamodb_calls_expired_are_replaced_within_the_call() {
    let world = World::default();
    let bucket = world.bucket(3600, CONTAINER, "5000");
    assert_eq!(bucket.get("a"), Ok(None));
    world.0.expires.set(true);
    assert_eq!(bucket.set("a", b"1"), Ok(()));
    assert_eq!(*world.0.used.borrow(), "K2");
}

#[test]
fn a_service_that_refuses_or_answers_something_else_is_an_error_that_names_its_setting_and_no_secret() {
    let cases: &[(u16, &str, &str)] = &[
        (404, "", "404"),
        (401, "hunter9", "401"),
        (200, "", "did not answer with credentials"),
        (200, "<html>hunter9</html>", "did not answer with credentials"),
        (200, "{}", "did not answer with credentials"),
        (200, r#"{"Code":"Failed","AccessKeyId":"hunter1","SecretAccessKey":"hunter2"}"#, "credentials"),
        (200, r#"{"AccessKeyId":"hunter1","SecretAccessKey":""}"#, "credentials"),
        (200, r#"{"AccessKeyId":"hunter 1","SecretAccessKey":"hunter2"}"#, "credentials"),
        (200, r#"{"AccessKeyId":"a","SecretAccessKey":"hunter2","Expiration":"soon"}"#, "credentials"),
        (500, "hunter9", "HTTP status 500"),
    ];
    for (status, body, said) in cases {
        for source in [CONTAINER, INSTANCE] {
            let world = World::default();
            *world.0.refuses.borrow_mut() = Some(Ok((*status, body)));
            let error = world.bucket(3600, source, "30").get("a").unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            assert!(error.message().contains(said) && error.message().contains(source[0].0), "{error}");
            assert!(!error.message().contains("hunter") && !error.message().contains('\n'), "{error}");
            assert!(world.0.used.borrow().is_empty(), "DynamoDB was asked without credentials");
        }
    }
}
