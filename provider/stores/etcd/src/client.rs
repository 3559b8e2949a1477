//! Requests to the cluster: to which member, with which token, how often, and for how long.

use crate::config::{Config, Login};
use crate::error::{self, Failure, Meaning};
use crate::protocol::{self, Authenticate, Authenticated};
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::{Backoff, Clock, Moment};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::http::{HttpClient, HttpFault, Pieces, Request, Response, read_to_end};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};

/// The largest answer to accept, in bytes, unless a call has another limit.
pub const MAX_ANSWER: usize = 512 << 20;

pub struct Client<H, C> {
    pub config: Config,
    http: H,
    pub clock: C,
    /// The member to ask, as an index into the endpoints: the one that answered last.
    member: Cell<usize>,
    token: RefCell<Option<String>>,
    /// Whether the cluster has answered that authentication is not enabled.
    no_logins: Cell<bool>,
}

/// Whether a call may be carried out twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing, or nothing that matters.
    Freely,
    /// Only if it is certain not to have happened.
    Never,
}

pub struct Call<'a> {
    pub path: &'a str,
    pub body: &'a [u8],
    pub repeat: Repeat,
    /// In bytes.
    pub max_answer: usize,
    pub deadline: Moment,
}

/// The answer to a call, or one of the refusals that the caller handles.
pub enum Answer<T> {
    Done(T),
    NewLease,
    Compacted,
    TooManyOperations,
    TooLarge,
}

/// How a call is sent.
type Send<'a, T> = &'a dyn Fn(&Request<'_>, Moment) -> Result<Got<T>, HttpFault>;

/// The outcome of a request.
enum Got<T> {
    Done(T),
    Refused(Response),
}

/// The largest error answer that is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;

/// Why one attempt at a call got no answer.
enum Step {
    /// The call can be tried again: with the next member, or with the same one.
    Again {
        next_member: bool,
        last: Error,
    },
    Over(Failure),
}

impl Call<'_> {
    /// The consequence of an attempt that may or may not have been carried out.
    fn uncertain(&self, authority: &str, why: &str) -> Step {
        match self.repeat {
            Repeat::Freely => Step::Again { next_member: true, last: error::unavailable(authority, why) },
            Repeat::Never => Step::Over(Failure::Unknown(error::unknown(authority, why))),
        }
    }
}

impl<H: HttpClient, C: Clock> Client<H, C> {
    pub fn new(config: Config, http: H, clock: C) -> Self {
        Self { config, http, clock, member: Cell::new(0), token: RefCell::new(None), no_logins: Cell::new(false) }
    }

    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    /// The member asked last, for messages.
    pub fn authority(&self) -> &str {
        self.config.endpoints.get(self.member.get()).map_or("", |endpoint| &endpoint.authority)
    }

    /// Carries out a call that cannot be answered by a refusal in [`Answer`].
    pub fn call<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize, repeat: Repeat) -> Result<T> {
        let body = protocol::encode(request);
        let call = Call { path, body: &body, repeat, max_answer: MAX_ANSWER, deadline: self.deadline() };
        match self.answer(&call)? {
            Answer::Done(answer) => Ok(answer),
            _ => Err(error::unavailable(self.authority(), "unexpected refusal")),
        }
    }

    /// Carries out a call, with retries until its deadline.
    pub fn answer<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answer<T>, Failure> {
        self.decoded(
            call,
            self.attempt(call, &|| self.token(call.deadline), &|request, until| self.whole(request, until))?,
        )
    }

    fn whole(&self, request: &Request<'_>, deadline: Moment) -> Result<Got<Vec<u8>>, HttpFault> {
        let response = self.http.exchange(request, deadline)?;
        Ok(if response.status == 200 { Got::Done(response.body) } else { Got::Refused(response) })
    }

    /// Carries out a call whose answer is a stream, with retries until its deadline.
    pub fn stream(&self, call: &Call<'_>) -> Result<Box<dyn Pieces>, Failure> {
        let begin = |request: &Request<'_>, until| {
            let mut streaming = self.http.stream(request, until)?;
            if streaming.status == 200 {
                return Ok(Got::Done(streaming.body));
            }
            let body = read_to_end(&mut *streaming.body, MAX_REFUSAL, until);
            let body = body.map_err(|fault| HttpFault { sent: true, fault })?;
            Ok(Got::Refused(Response { status: streaming.status, body }))
        };
        match self.attempt(call, &|| self.token(call.deadline), &begin)? {
            Answer::Done(pieces) => Ok(pieces),
            _ => Err(Failure::Failed(error::not_etcd(self.authority()))),
        }
    }

    /// Switches to the next member: the one that answered last no longer answers.
    pub fn next_member(&self) {
        self.member.set((self.member.get() + 1) % self.config.endpoints.len().max(1));
    }

    fn decoded<T: DeserializeOwned>(&self, call: &Call<'_>, answer: Answer<Vec<u8>>) -> Result<Answer<T>, Failure> {
        match answer {
            Answer::Done(body) => match protocol::decode(&body) {
                Some(answer) => Ok(Answer::Done(answer)),
                None if call.repeat == Repeat::Never => {
                    Err(Failure::Unknown(error::unknown(self.authority(), "its answer is not one of etcd")))
                }
                None => Err(Failure::Failed(error::not_etcd(self.authority()))),
            },
            Answer::NewLease => Ok(Answer::NewLease),
            Answer::Compacted => Ok(Answer::Compacted),
            Answer::TooManyOperations => Ok(Answer::TooManyOperations),
            Answer::TooLarge => Ok(Answer::TooLarge),
        }
    }

    /// Attempts a call until the deadline, asking all members in turn. `token` is called before each attempt.
    fn attempt<T>(
        &self,
        call: &Call<'_>,
        token: &dyn Fn() -> Result<Option<String>>,
        send: Send<'_, T>,
    ) -> Result<Answer<T>, Failure> {
        let members = self.config.endpoints.len().max(1);
        let mut backoff = Backoff::new(self.clock.now().0);
        let mut failed = 0;
        loop {
            let token = token().map_err(Failure::Failed)?;
            let (next_member, last) = match self.exchange(call, token.as_deref(), send) {
                Ok(answer) => return Ok(answer),
                Err(Step::Over(failure)) => return Err(failure),
                Err(Step::Again { next_member, last }) => (next_member, last),
            };
            if next_member {
                self.next_member();
                failed += 1;
                // All members are asked before there is a pause.
                if failed % members != 0 && self.clock.now() < call.deadline {
                    continue;
                }
            }
            if !backoff.wait(&self.clock, call.deadline) {
                return Err(Failure::Failed(last));
            }
        }
    }

    /// One attempt, with the member that answered last.
    fn exchange<T>(&self, call: &Call<'_>, token: Option<&str>, send: Send<'_, T>) -> Result<Answer<T>, Step> {
        let member = self.config.endpoints.get(self.member.get()).or(self.config.endpoints.first());
        let Some(endpoint) = member else {
            return Err(Step::Over(Failure::Failed(Error::invalid("no etcd endpoint is configured"))));
        };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(token.map(|token| ("authorization", token)));
        // A member that does not answer must leave time for the others.
        let share = self.share(call.deadline);
        let deadline = if call.repeat == Repeat::Freely { share } else { call.deadline };
        let request = Request {
            scheme: endpoint.scheme,
            authority: &endpoint.authority,
            path: call.path,
            headers: &headers,
            body: call.body,
            connect_deadline: share,
            max_answer: call.max_answer,
        };
        match send(&request, deadline) {
            Ok(Got::Done(answer)) => Ok(Answer::Done(answer)),
            Ok(Got::Refused(response)) => self.refused(call, &endpoint.authority, &response),
            Err(failed) => self.failed(call, &endpoint.authority, &failed),
        }
    }

    /// The consequence of an exchange without an answer.
    fn failed<T>(&self, call: &Call<'_>, authority: &str, failed: &HttpFault) -> Result<Answer<T>, Step> {
        let fault = &failed.fault;
        if fault.cause == Cause::TooLarge && call.repeat == Repeat::Freely {
            return Ok(Answer::TooLarge);
        }
        if failed.sent && call.repeat == Repeat::Never {
            return Err(call.uncertain(authority, &fault.detail));
        }
        let last = error::unreachable(&self.config, authority, fault);
        Err(match fault.cause {
            Cause::Denied | Cause::Malformed => Step::Over(Failure::Failed(last)),
            _ => Step::Again { next_member: true, last },
        })
    }

    /// The consequence of an error answer.
    fn refused<T>(&self, call: &Call<'_>, authority: &str, response: &Response) -> Result<Answer<T>, Step> {
        let refusal = protocol::refusal(&response.body);
        match error::meaning(response.status, &refusal) {
            Meaning::Refused(error) => Err(Step::Over(Failure::Failed(error))),
            Meaning::NewLease => Ok(Answer::NewLease),
            Meaning::Compacted => Ok(Answer::Compacted),
            Meaning::TooManyOperations => Ok(Answer::TooManyOperations),
            Meaning::NewToken => {
                *self.token.borrow_mut() = None;
                let last = error::unavailable(authority, "it rejects the token that it issued");
                Err(Step::Again { next_member: false, last })
            }
            Meaning::Busy(why) => Err(Step::Again { next_member: true, last: error::unavailable(authority, &why) }),
            Meaning::Uncertain(why) => Err(call.uncertain(authority, &why)),
        }
    }

    /// When an attempt has to end so that every other member can be asked as well.
    fn share(&self, deadline: Moment) -> Moment {
        let now = self.clock.now();
        let members = u32::try_from(self.config.endpoints.len()).unwrap_or(u32::MAX).max(1);
        now + deadline.since(now) / members
    }

    /// The token to send, if a login is configured and the cluster has authentication enabled. It is kept until etcd
    /// rejects it.
    fn token(&self, deadline: Moment) -> Result<Option<String>> {
        let Some(login) = &self.config.login else { return Ok(None) };
        if self.no_logins.get() {
            return Ok(None);
        }
        if let Some(token) = self.token.borrow().clone() {
            return Ok(Some(token));
        }
        let token = self.log_in(login, deadline)?;
        self.no_logins.set(token.is_none());
        self.token.borrow_mut().clone_from(&token);
        Ok(token)
    }

    /// `None` if authentication is not enabled in the cluster.
    fn log_in(&self, login: &Login, deadline: Moment) -> Result<Option<String>> {
        let body = protocol::encode(&Authenticate { name: &login.user, password: &login.password });
        let call =
            Call { path: protocol::AUTHENTICATE, body: &body, repeat: Repeat::Freely, max_answer: 1 << 20, deadline };
        let whole = |request: &Request<'_>, until| self.whole(request, until);
        match self.attempt(&call, &|| Ok(None), &whole).and_then(|answer| self.decoded::<Authenticated>(&call, answer))
        {
            Ok(Answer::Done(answer)) => Ok(Some(answer.token)),
            Ok(_) => Err(error::not_etcd(self.authority())),
            // As in etcd's own clients, a login is only used where logins are enabled.
            Err(Failure::Failed(error)) if error.message().contains("authentication is not enabled") => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}
