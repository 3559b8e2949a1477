//! Requests to DynamoDB: signed, how often, and for how long.

use crate::config::Config;
use crate::error::{self, DYNAMODB, Failure, Lapse, Meaning};
use crate::protocol::{self, Item};
use kvfuse_core::{Error, Kind};
pub use kvfuse_http::attempts::Repeat;
use kvfuse_http::attempts::{self, Step};
use kvfuse_http::aws::credentials::{Credentials, Keys};
use kvfuse_http::aws::sign::{self, Scope, Signed};
use kvfuse_http::calendar;
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment};
use kvfuse_transport::http::{AsyncHttpClient, HttpFault, Method, Request, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::rc::Rc;
use std::time::Duration;

/// The largest answer about one item or a page of keys, in bytes. A page is made of 1 MB of items, in which each character
/// of a key may take six in JSON.
pub const MAX_ANSWER: usize = 8 << 20;
/// The largest answer to a batch of reads, in bytes: 16 MB of items, in base64.
pub const MAX_BATCH: usize = 32 << 20;

pub struct Client<H, C> {
    pub config: Config,
    keys: Keys,
    http: H,
    pub clock: C,
    since_1970: fn() -> Duration,
}

/// A part of DynamoDB, with a server and operations of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Table,
    Streams,
}

impl Api {
    /// What the names of its operations begin with.
    fn name(self) -> &'static str {
        match self {
            Self::Table => "DynamoDB_20120810",
            Self::Streams => "DynamoDBStreams_20120810",
        }
    }
}

pub struct Call<'a> {
    pub api: Api,
    /// The name of the operation.
    pub operation: &'a str,
    pub body: &'a Value,
    pub repeat: Repeat,
    /// In bytes.
    pub max_answer: usize,
    pub deadline: Moment,
}

/// The answer to a call.
#[derive(Debug)]
pub enum Answer<T> {
    Done(T),
    /// The condition of the write was not met, so nothing happened. The item is there only if the service returns it.
    NotMet(Option<Item>),
}

/// Why a call gets no answer.
enum Over {
    Failed(Failure),
    Lapsed(Lapse),
}

impl<T: Into<Failure>> From<T> for Over {
    fn from(failure: T) -> Self {
        Self::Failed(failure.into())
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> Client<H, C> {
    pub fn new(config: Config, http: H, clock: C, since_1970: fn() -> Duration) -> Self {
        Self { keys: Keys::new(config.credentials.clone(), "DynamoDB"), config, http, clock, since_1970 }
    }

    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.clock.now().0)
    }

    /// Carries out a call without a condition.
    pub async fn call<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Failure> {
        match self.answer(call).await? {
            Answer::Done(answer) => Ok(answer),
            Answer::NotMet(_) => Err(DYNAMODB.stranger(&self.config.server).into()),
        }
    }

    /// Carries out a call of the table's API.
    pub async fn answer<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answer<T>, Failure> {
        self.repeated(call).await.map_err(|over| match over {
            Over::Failed(failure) => failure,
            Over::Lapsed(_) => DYNAMODB.stranger(&self.config.server).into(),
        })
    }

    /// Carries out a call of the streams' API.
    pub async fn streamed<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Result<T, Lapse>, Failure> {
        match self.repeated(call).await {
            Ok(Answer::Done(answer)) => Ok(Ok(answer)),
            Ok(Answer::NotMet(_)) => Err(DYNAMODB.stranger(&self.config.streams).into()),
            Err(Over::Lapsed(lapse)) => Ok(Err(lapse)),
            Err(Over::Failed(failure)) => Err(failure),
        }
    }

    /// Carries out a call, with retries until its deadline.
    async fn repeated<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answer<T>, Over> {
        let body = serde_json::to_vec(call.body)
            .map_err(|_| Error::new(Kind::Other, "the request to DynamoDB cannot be written as JSON"))?;
        attempts::repeated(&self.clock, call.deadline, async || self.exchange(call, &body).await).await
    }

    async fn exchange<T: DeserializeOwned>(&self, call: &Call<'_>, body: &[u8]) -> Result<Answer<T>, Step<Over>> {
        let config = &self.config;
        let server = config.of(call.api);
        // Each attempt has a time of its own: a signature is valid for some minutes.
        let now = (self.since_1970)();
        let keys = self.keys.current(&self.http, &self.clock, now, call.deadline).await;
        let keys = keys.map_err(|error| Step::Over(error.into()))?;
        let timestamp = calendar::timestamp(now);
        let target = format!("{}.{}", call.api.name(), call.operation);
        let mut headers = vec![
            ("content-type", "application/x-amz-json-1.0"),
            ("host", server.authority.as_str()),
            ("x-amz-date", timestamp.as_str()),
        ];
        headers.extend(keys.token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.push(("x-amz-target", target.as_str()));
        let scope = Scope { region: &config.region, service: "dynamodb", timestamp: &timestamp };
        let hash = sign::hash(body);
        let signed = Signed { method: Method::Post, path: "/", query: "", headers: &headers, body: &hash };
        let signature = sign::authorization(&signed, &scope, &keys)
            .map_err(|_| Step::Over(Error::invalid("the secret access key cannot sign requests").into()))?;
        // The client adds that one itself.
        headers.retain(|(name, _)| *name != "host");
        headers.push(("authorization", &signature));
        let request = Request {
            method: Method::Post,
            scheme: server.scheme,
            authority: &server.authority,
            path: "/",
            headers: &headers,
            body,
            connect_deadline: call.deadline,
            max_answer: call.max_answer,
        };
        match self.http.exchange(&request, call.deadline).await {
            Ok(response) if response.status == 200 => match protocol::decode(&response.body) {
                Some(answer) => Ok(Answer::Done(answer)),
                None if call.repeat == Repeat::Never => Err(self.uncertain(call, "its answer is not one of DynamoDB")),
                None => Err(Step::Over(DYNAMODB.stranger(server).into())),
            },
            Ok(response) => self.refused(call, &keys, &response),
            Err(failed) => Err(self.failed(call, &failed)),
        }
    }

    /// The consequence of an attempt that may or may not have been carried out.
    fn uncertain(&self, call: &Call<'_>, why: &str) -> Step<Over> {
        DYNAMODB.uncertain(self.config.of(call.api), call.repeat, why)
    }

    /// The consequence of an exchange without an answer.
    fn failed(&self, call: &Call<'_>, failed: &HttpFault) -> Step<Over> {
        DYNAMODB.failed(self.config.of(call.api), self.config.time_limit, call.repeat, failed)
    }

    /// The consequence of an error answer.
    fn refused<T>(
        &self,
        call: &Call<'_>,
        keys: &Rc<Credentials>,
        response: &Response,
    ) -> Result<Answer<T>, Step<Over>> {
        match error::meaning(&self.config, keys, call.api, response.status, protocol::refusal(&response.body)) {
            Meaning::Expired(error) if self.keys.expired(keys) => Err(Step::Again(error)),
            Meaning::Expired(error) => Err(Step::Over(error.into())),
            Meaning::NotMet(item) => Ok(Answer::NotMet(item)),
            Meaning::Refused(error) => Err(Step::Over(error.into())),
            Meaning::Busy(why) => Err(Step::Again(DYNAMODB.unavailable(self.config.of(call.api), &why))),
            Meaning::Lapsed(lapse) => Err(Step::Over(Over::Lapsed(lapse))),
            Meaning::Uncertain(why) => Err(self.uncertain(call, &why)),
        }
    }
}
