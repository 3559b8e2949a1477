//! Requests to the Table service: signed, how often, and for how long.

use crate::config::{Config, Credentials};
use crate::error::{self, AZURE, Failure, Meaning};
use crate::multipart::{self, Outcome};
use crate::protocol;
use crate::sign::{self, Signed};
use kvfuse_core::Error;
pub use kvfuse_http::attempts::Repeat;
use kvfuse_http::attempts::{self, Step};
use kvfuse_http::calendar;
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::http::{AsyncHttpClient, HttpFault, Method, Request, Response, Scheme};
use serde_json::json;
use std::time::Duration;

/// The largest answer about one entity or a page of keys, in bytes.
pub const MAX_ANSWER: usize = 8 << 20;
/// The largest answer to a query of several entities, in bytes: the service gives 4 MiB, in base64.
pub const MAX_QUERY: usize = 32 << 20;

/// The version of the protocol.
const VERSION: &str = "2019-02-02";

pub struct Client<H, C> {
    pub config: Config,
    http: H,
    pub clock: C,
    since_1970: fn() -> Duration,
}

pub struct Call<'a> {
    pub method: Method,
    /// Of the resource: it begins with `/`.
    pub path: &'a str,
    /// Empty, or escaped.
    pub query: &'a str,
    pub if_match: Option<&'a str>,
    pub content: Content<'a>,
    pub repeat: Repeat,
    /// In bytes.
    pub max_answer: usize,
    pub deadline: Moment,
}

#[derive(Clone, Copy)]
pub enum Content<'a> {
    None,
    Json(&'a str),
    /// An entity group transaction of so many writes.
    Changes(&'a str, usize),
}

/// The answer to a call.
#[derive(Debug)]
pub enum Answer {
    Done(Response),
    /// The entity does not exist; of several writes, the one of this number. Nothing was written.
    Missing(Option<usize>),
    /// There is another entity, or one where none was expected. Nothing was written.
    NotMet,
    /// More than is accepted, of a call that changes nothing.
    TooLarge,
}

impl<H: AsyncHttpClient, C: AsyncClock> Client<H, C> {
    pub fn new(config: Config, http: H, clock: C, since_1970: fn() -> Duration) -> Self {
        Self { config, http, clock, since_1970 }
    }

    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.clock.now().0)
    }

    /// Where an entity is.
    pub fn entity(&self, partition: &str, row: &str) -> String {
        format!("/{}(PartitionKey='{partition}',RowKey='{row}')", self.config.table)
    }

    /// The URL of a resource, as an entity group transaction names it.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.config.server.scheme == Scheme::Https { "https" } else { "http" };
        format!("{scheme}://{}{}{path}", self.config.server.authority, self.config.path)
    }

    /// Carries out a call, with retries until its deadline.
    pub async fn call(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        attempts::repeated(&self.clock, call.deadline, async || self.attempt(call).await).await
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, Step<Failure>> {
        let response = match self.exchange(call).await? {
            Ok(response) => response,
            Err(failed) if failed.fault.cause == Cause::TooLarge && call.repeat == Repeat::Freely => {
                return Ok(Answer::TooLarge);
            }
            Err(failed) => return Err(self.failed(call, &failed)),
        };
        let (status, body) = match (call.content, response.status) {
            (Content::Changes(_, count), 202) => match multipart::outcome(&response.body, count) {
                Some(Outcome::Done) => return Ok(Answer::Done(response)),
                Some(Outcome::Refused(status, body)) => (status, body),
                None => return Err(self.uncertain(call, "its answer is not one of Azure Tables")),
            },
            (Content::None | Content::Json(_), 200) if call.method == Method::Get => return Ok(Answer::Done(response)),
            (Content::None | Content::Json(_), 201 | 204) if call.method != Method::Get => {
                return Ok(Answer::Done(response));
            }
            (_, 200..300) => return Err(self.uncertain(call, "its answer is not one of Azure Tables")),
            (_, status) => (status, response.body.as_slice()),
        };
        match error::meaning(&self.config, status, &protocol::refusal(body)) {
            Meaning::Missing(at) => Ok(Answer::Missing(at)),
            Meaning::Exists | Meaning::NotMet => Ok(Answer::NotMet),
            Meaning::Refused(error) => Err(Step::Over(error.into())),
            Meaning::Busy(why) => Err(Step::Again(AZURE.unavailable(&self.config.server, &why))),
            Meaning::Uncertain(why) => Err(self.uncertain(call, &why)),
            Meaning::NoTable => Err(self.make_table(call.deadline).await),
        }
    }

    /// Makes the table. The call can then be tried again.
    async fn make_table(&self, deadline: Moment) -> Step<Failure> {
        let json = json!({ "TableName": self.config.table }).to_string();
        let make = Call {
            method: Method::Post,
            path: "/Tables",
            query: "",
            if_match: None,
            content: Content::Json(&json),
            // A second time changes nothing.
            repeat: Repeat::Freely,
            max_answer: MAX_ANSWER,
            deadline,
        };
        let response = match self.exchange(&make).await {
            Ok(Ok(response)) => response,
            Ok(Err(failed)) => return self.failed(&make, &failed),
            Err(step) => return step,
        };
        let refusal = protocol::refusal(&response.body);
        match (response.status, refusal.code.as_str()) {
            (201 | 204, _) | (409, "TableAlreadyExists") => {
                Step::Again(error::no_table(&self.config, "it was just made"))
            }
            (status, _) => match error::meaning(&self.config, status, &refusal) {
                Meaning::Refused(error) => Step::Over(error::no_table(&self.config, error.message()).into()),
                Meaning::Busy(why) | Meaning::Uncertain(why) => Step::Again(error::no_table(&self.config, &why)),
                _ => Step::Over(AZURE.stranger(&self.config.server).into()),
            },
        }
    }

    /// Sends a request. Each one has a time of its own: a signature is valid for some minutes.
    async fn exchange(&self, call: &Call<'_>) -> Result<Result<Response, HttpFault>, Step<Failure>> {
        let config = &self.config;
        let path = format!("{}{}", config.path, call.path);
        let date = calendar::http_date((self.since_1970)());
        let (content_type, body) = match call.content {
            Content::None => (None, ""),
            Content::Json(json) => (Some("application/json"), json),
            Content::Changes(changes, _) => (Some(multipart::CONTENT_TYPE), changes),
        };
        let method = call.method.name();
        let mut headers = vec![
            ("accept", "application/json;odata=nometadata"),
            ("dataserviceversion", "3.0;NetFx"),
            ("maxdataserviceversion", "3.0;NetFx"),
            ("x-ms-date", date.as_str()),
            ("x-ms-version", VERSION),
        ];
        headers.extend(content_type.map(|kind| ("content-type", kind)));
        headers.extend(call.if_match.map(|etag| ("if-match", etag)));
        if matches!(call.content, Content::Json(_)) && call.method == Method::Post {
            headers.push(("prefer", "return-no-content"));
        }
        let mut query = call.query.to_string();
        let signature;
        match &config.credentials {
            Credentials::Key { account, key, .. } => {
                let content_type = content_type.unwrap_or_default();
                signature =
                    sign::authorization(&Signed { method, content_type, date: &date, account, path: &path }, key)
                        .ok_or_else(|| {
                            Step::Over(Error::invalid("the key of the account cannot sign requests").into())
                        })?;
                headers.push(("authorization", &signature));
            }
            Credentials::Signature(sas) => {
                if !query.is_empty() {
                    query.push('&');
                }
                query.push_str(sas);
            }
        }
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        let request = Request {
            method: call.method,
            scheme: config.server.scheme,
            authority: &config.server.authority,
            path: &path,
            headers: &headers,
            body: body.as_bytes(),
            connect_deadline: call.deadline,
            max_answer: call.max_answer,
        };
        Ok(self.http.exchange(&request, call.deadline).await)
    }

    /// The consequence of an attempt that may or may not have been carried out.
    fn uncertain(&self, call: &Call<'_>, why: &str) -> Step<Failure> {
        AZURE.uncertain(&self.config.server, call.repeat, why)
    }

    /// The consequence of an exchange without an answer.
    fn failed(&self, call: &Call<'_>, failed: &HttpFault) -> Step<Failure> {
        AZURE.failed(&self.config.server, self.config.time_limit, call.repeat, failed)
    }
}
