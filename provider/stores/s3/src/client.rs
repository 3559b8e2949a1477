//! Requests to S3: signed, how often, and for how long.

use crate::config::Config;
use crate::error::{self, Failure, Meaning, S3};
use crate::protocol;
use kvfuse_core::Error;
pub use kvfuse_http::attempts::Repeat;
use kvfuse_http::attempts::{self, Step};
use kvfuse_http::aws::credentials::{Credentials, Keys};
use kvfuse_http::aws::sign::{self, Scope, Signed};
use kvfuse_http::calendar;
use kvfuse_http::escape::escaped;
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::http::{
    AsyncHttpClient, HttpClient, HttpFault, Method, Request, Response, Streaming, read_to_end,
};
use std::rc::Rc;
use std::time::Duration;

/// The largest answer that is no value, in bytes: a page of names has at most 1 MB, which XML can make six times as long.
pub const MAX_ANSWER: usize = 8 << 20;

/// The header with the mark of a write.
pub const MARK: &str = "x-amz-meta-kvfuse-write";

pub struct Client<H, C> {
    pub config: Config,
    keys: Keys,
    http: H,
    pub clock: C,
    since_1970: fn() -> Duration,
}

pub struct Call<'a> {
    pub method: Method,
    /// The object; all of them if it is empty.
    pub name: &'a str,
    /// Empty, or as it is signed.
    pub query: &'a str,
    /// More than every request has, with names in lower case, in any order.
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    pub repeat: Repeat,
    /// In bytes.
    pub max_answer: usize,
    pub deadline: Moment,
}

/// The answer to a call.
#[derive(Debug)]
pub enum Answer<T = Response> {
    Done(T),
    /// The object does not exist. Nothing was written.
    Missing,
    /// The object is not the expected one. Nothing was written.
    NotMet,
    /// The object has none of the bytes that were asked for.
    Empty,
    /// More than is accepted, of a call that changes nothing.
    TooLarge,
}

impl<H: AsyncHttpClient, C: AsyncClock> Client<H, C> {
    pub fn new(config: Config, http: H, clock: C, since_1970: fn() -> Duration) -> Self {
        Self { keys: Keys::new(config.credentials.clone(), "S3"), config, http, clock, since_1970 }
    }

    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.clock.now().0)
    }

    /// Carries out a call, with retries until its deadline.
    pub async fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let exchange = async |request: &Request<'_>| self.http.exchange(request, call.deadline).await;
        self.repeated(call, exchange).await
    }

    async fn repeated<T: Received>(
        &self,
        call: &Call<'_>,
        exchange: impl AsyncFn(&Request<'_>) -> Result<T, HttpFault>,
    ) -> Result<Answer<T>, Failure> {
        attempts::repeated(&self.clock, call.deadline, async || self.attempt(call, &exchange).await).await
    }

    async fn attempt<T: Received>(
        &self,
        call: &Call<'_>,
        exchange: &impl AsyncFn(&Request<'_>) -> Result<T, HttpFault>,
    ) -> Result<Answer<T>, Step<Failure>> {
        // Each attempt has a time of its own: a signature is valid for some minutes.
        let now = (self.since_1970)();
        let keys = self.keys.current(&self.http, &self.clock, now, call.deadline).await;
        let keys = keys.map_err(|error| Step::Over(error.into()))?;
        let received = match self.send(call, &keys, now, exchange).await? {
            Ok(received) => received,
            Err(failed) if failed.fault.cause == Cause::TooLarge && call.repeat == Repeat::Freely => {
                return Ok(Answer::TooLarge);
            }
            Err(failed) => return Err(self.failed(call, &failed)),
        };
        let status = received.status();
        if matches!((call.method, status), (Method::Delete, 204) | (_, 200 | 206)) {
            return Ok(Answer::Done(received));
        }
        if matches!(status, 200..300) {
            return Err(self.uncertain(call, "its answer is not one of S3"));
        }
        let response = received.whole(call.deadline).map_err(|failed| self.failed(call, &failed))?;
        let (refusal, region) = (protocol::refusal(&response.body), response.headers.get("x-amz-bucket-region"));
        match error::meaning(&self.config, &keys, status, &refusal, region) {
            Meaning::Missing => Ok(Answer::Missing),
            Meaning::NotMet => Ok(Answer::NotMet),
            Meaning::Empty => Ok(Answer::Empty),
            Meaning::Refused(error) => Err(Step::Over(error.into())),
            Meaning::Expired(error) if self.keys.expired(&keys) => Err(Step::Again(error)),
            Meaning::Expired(error) => Err(Step::Over(error.into())),
            Meaning::Busy(why) => Err(Step::Again(S3.unavailable(&self.config.server, &why))),
            Meaning::Uncertain(why) => Err(self.uncertain(call, &why)),
        }
    }

    async fn send<T>(
        &self,
        call: &Call<'_>,
        keys: &Rc<Credentials>,
        now: Duration,
        exchange: &impl AsyncFn(&Request<'_>) -> Result<T, HttpFault>,
    ) -> Result<Result<T, HttpFault>, Step<Failure>> {
        let config = &self.config;
        let (timestamp, hash) = (calendar::timestamp(now), sign::hash(call.body));
        let path = match (config.path.as_str(), call.name) {
            ("", "") => "/".to_string(),
            (bucket, "") => bucket.to_string(),
            (bucket, name) => format!("{bucket}/{}", escaped(name, true)),
        };
        let mut headers = vec![
            ("host", config.server.authority.as_str()),
            ("x-amz-content-sha256", hash.as_str()),
            ("x-amz-date", timestamp.as_str()),
        ];
        headers.extend(keys.token.as_deref().map(|token| ("x-amz-security-token", token)));
        headers.extend_from_slice(call.headers);
        headers.sort_unstable();
        let signed = Signed { method: call.method, path: &path, query: call.query, headers: &headers, body: &hash };
        let scope = Scope { region: &config.region, service: "s3", timestamp: &timestamp };
        let signature = sign::authorization(&signed, &scope, keys)
            .map_err(|_| Step::Over(Error::invalid("the secret access key cannot sign requests").into()))?;
        // The client adds that one itself.
        headers.retain(|(name, _)| *name != "host");
        headers.push(("authorization", &signature));
        let path = if call.query.is_empty() { path } else { format!("{path}?{}", call.query) };
        let request = Request {
            method: call.method,
            scheme: config.server.scheme,
            authority: &config.server.authority,
            path: &path,
            headers: &headers,
            body: call.body,
            connect_deadline: call.deadline,
            max_answer: call.max_answer,
        };
        Ok(exchange(&request).await)
    }

    /// What it means that one of several objects was refused: an error, of which the returned one can be tried again.
    pub async fn refused(&self, refusal: &protocol::Refusal, deadline: Moment) -> Result<Error, Error> {
        let server = &self.config.server;
        let keys = self.keys.current(&self.http, &self.clock, (self.since_1970)(), deadline).await?;
        match error::meaning(&self.config, &keys, 200, refusal, None) {
            Meaning::Busy(why) => Ok(S3.unavailable(server, &why)),
            Meaning::Refused(error) | Meaning::Expired(error) => Err(error),
            Meaning::Uncertain(why) => Err(S3.unknown(server, &why)),
            _ => Err(S3.unknown(server, "its answer is not one of S3")),
        }
    }

    /// The consequence of an attempt that may or may not have been carried out.
    fn uncertain(&self, call: &Call<'_>, why: &str) -> Step<Failure> {
        S3.uncertain(&self.config.server, call.repeat, why)
    }

    /// The consequence of an exchange without an answer.
    fn failed(&self, call: &Call<'_>, failed: &HttpFault) -> Step<Failure> {
        S3.failed(&self.config.server, self.config.time_limit, call.repeat, failed)
    }
}

impl<H: HttpClient, C: AsyncClock> Client<H, C> {
    /// Carries out a call whose answer is read as it arrives. Waits inside the call.
    pub async fn stream(&self, call: &Call<'_>) -> Result<Answer<Streaming>, Failure> {
        let exchange = async |request: &Request<'_>| self.http.stream(request, call.deadline, Duration::ZERO);
        self.repeated(call, exchange).await
    }
}

/// An answer whose body may still be arriving.
trait Received {
    fn status(&self) -> u16;

    /// With the whole body, of an error.
    fn whole(self, deadline: Moment) -> Result<Response, HttpFault>;
}

impl Received for Response {
    fn status(&self) -> u16 {
        self.status
    }

    fn whole(self, _: Moment) -> Result<Response, HttpFault> {
        Ok(self)
    }
}

impl Received for Streaming {
    fn status(&self) -> u16 {
        self.status
    }

    fn whole(mut self, deadline: Moment) -> Result<Response, HttpFault> {
        let body = read_to_end(&mut *self.body, MAX_ANSWER, deadline);
        let body = body.map_err(|fault| HttpFault { sent: true, fault })?;
        Ok(Response { status: self.status, headers: self.headers, body })
    }
}
