//! Exchanges with the cluster: which member, with which token, how often, how long.

use crate::config::{Config, Login};
use crate::error::{self, Failure, Meaning};
use crate::protocol::{self, Authenticate, Authenticated, Refusal};
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::{Backoff, Clock, Moment};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::http::{HttpClient, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};

/// The largest answer taken unless a call says otherwise.
pub const MAX_ANSWER: usize = 512 << 20;

pub struct Client<H, C> {
    pub config: Config,
    http: H,
    pub clock: C,
    /// The member that answered last.
    member: Cell<usize>,
    token: RefCell<Option<String>>,
    /// Whether the server said that it has no logins.
    no_logins: Cell<bool>,
}

/// Whether a call may be carried out twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Changes nothing, or nothing that matters.
    Freely,
    /// Only if it is known not to have happened.
    Never,
}

pub struct Call<'a> {
    pub path: &'a str,
    pub body: &'a [u8],
    pub repeat: Repeat,
    pub max_answer: usize,
    pub deadline: Moment,
}

/// A call's answer, or one of the refusals that a caller deals with itself.
pub enum Answer<T> {
    Done(T),
    NewLease,
    Compacted,
    TooManyOperations,
    TooLarge,
}

/// How one exchange ended short of an answer.
enum Step {
    Again { pause: bool, last: Error },
    Over(Failure),
}

impl<H: HttpClient, C: Clock> Client<H, C> {
    pub fn new(config: Config, http: H, clock: C) -> Self {
        Self { config, http, clock, member: Cell::new(0), token: RefCell::new(None), no_logins: Cell::new(false) }
    }

    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    /// A call for which none of the special refusals is to be expected.
    pub fn call<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize, repeat: Repeat) -> Result<T> {
        let body = protocol::encode(request);
        let call = Call { path, body: &body, repeat, max_answer: MAX_ANSWER, deadline: self.deadline() };
        match self.answer(&call)? {
            Answer::Done(answer) => Ok(answer),
            _ => Err(error::unavailable(self.authority(), "it refused what it was not asked")),
        }
    }

    /// Tries until the deadline, with all members in turn.
    pub fn answer<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answer<T>, Failure> {
        let mut backoff: Option<Backoff> = None;
        let mut failed_in_a_row = 0;
        loop {
            let step = match self.token(call.deadline) {
                Ok(token) => match self.exchange(call, token.as_deref()) {
                    Ok(answer) => return Ok(answer),
                    Err(step) => step,
                },
                Err(error) => return Err(Failure::Failed(error)),
            };
            let (pause, last) = match step {
                Step::Over(failure) => return Err(failure),
                Step::Again { pause, last } => (pause, last),
            };
            if pause {
                self.member.set((self.member.get() + 1) % self.config.endpoints.len().max(1));
                failed_in_a_row += 1;
            }
            // Every member gets its turn before there is a pause.
            if pause && failed_in_a_row % self.config.endpoints.len().max(1) != 0 {
                if self.clock.now() >= call.deadline {
                    return Err(Failure::Failed(last));
                }
                continue;
            }
            let backoff = backoff.get_or_insert_with(|| Backoff::new(self.clock.now().0));
            if !backoff.wait(&self.clock, call.deadline) {
                return Err(Failure::Failed(last));
            }
        }
    }

    fn exchange<T: DeserializeOwned>(&self, call: &Call<'_>, token: Option<&str>) -> Result<Answer<T>, Step> {
        let member = self.config.endpoints.get(self.member.get()).or(self.config.endpoints.first());
        let Some(endpoint) = member else {
            let none = Error::invalid("no etcd endpoint is configured");
            return Err(Step::Over(Failure::Failed(none)));
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
        let authority = endpoint.authority.as_str();
        let uncertain = |why: &str| match call.repeat {
            Repeat::Freely => Step::Again { pause: true, last: error::unavailable(authority, why) },
            Repeat::Never => Step::Over(Failure::Unknown(error::unknown(authority, why))),
        };
        let response = match self.http.exchange(&request, deadline) {
            Ok(response) => response,
            Err(failed) => {
                let fault = failed.fault;
                if fault.cause == Cause::TooLarge && call.repeat == Repeat::Freely {
                    return Ok(Answer::TooLarge);
                }
                if failed.sent && call.repeat == Repeat::Never {
                    return Err(uncertain(&fault.detail));
                }
                let last = error::unreachable(&self.config, authority, &fault);
                return Err(match fault.cause {
                    Cause::Denied | Cause::Malformed => Step::Over(Failure::Failed(last)),
                    _ => Step::Again { pause: true, last },
                });
            }
        };
        if response.status == 200 {
            return match protocol::decode(&response.body) {
                Some(answer) => Ok(Answer::Done(answer)),
                None if call.repeat == Repeat::Never => Err(uncertain("its answer is not etcd's")),
                None => Err(Step::Over(Failure::Failed(error::not_etcd(authority)))),
            };
        }
        let refusal: Refusal = protocol::decode(&response.body).unwrap_or_default();
        match error::meaning(response.status, &refusal) {
            Meaning::Refused(error) => Err(Step::Over(Failure::Failed(error))),
            Meaning::NewLease => Ok(Answer::NewLease),
            Meaning::Compacted => Ok(Answer::Compacted),
            Meaning::TooManyOperations => Ok(Answer::TooManyOperations),
            Meaning::NewToken => {
                *self.token.borrow_mut() = None;
                Err(Step::Again {
                    pause: false,
                    last: error::unavailable(authority, "it does not accept its own token"),
                })
            }
            Meaning::Busy(why) => Err(Step::Again { pause: true, last: error::unavailable(authority, &why) }),
            Meaning::Uncertain(why) => Err(uncertain(&why)),
        }
    }

    /// The moment by which this try has to be over so that every other member can be tried as well.
    fn share(&self, deadline: Moment) -> Moment {
        let now = self.clock.now();
        let members = u32::try_from(self.config.endpoints.len()).unwrap_or(u32::MAX).max(1);
        now + deadline.since(now) / members
    }

    /// The token to show, if logins are used: etcd's own, kept until it is refused.
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

    /// `None` if the cluster has no logins.
    fn log_in(&self, login: &Login, deadline: Moment) -> Result<Option<String>> {
        let body = protocol::encode(&Authenticate { name: &login.user, password: &login.password });
        let call =
            Call { path: protocol::AUTHENTICATE, body: &body, repeat: Repeat::Freely, max_answer: 1 << 20, deadline };
        let mut backoff = Backoff::new(self.clock.now().0);
        let mut tried = 0;
        loop {
            let last = match self.exchange::<Authenticated>(&call, None) {
                Ok(Answer::Done(answer)) => return Ok(Some(answer.token)),
                Ok(_) => return Err(error::not_etcd(self.authority())),
                // As etcd's own clients do: a login is for when there are logins.
                Err(Step::Over(Failure::Failed(error)))
                    if error.message().contains("authentication is not enabled") =>
                {
                    return Ok(None);
                }
                Err(Step::Over(failure)) => return Err(failure.into()),
                Err(Step::Again { last, .. }) => last,
            };
            self.member.set((self.member.get() + 1) % self.config.endpoints.len().max(1));
            tried += 1;
            if tried % self.config.endpoints.len().max(1) != 0 && self.clock.now() < deadline {
                continue;
            }
            if !backoff.wait(&self.clock, deadline) {
                return Err(last);
            }
        }
    }

    /// The member asked last, for messages.
    pub fn authority(&self) -> &str {
        self.config.endpoints.get(self.member.get()).map_or("", |endpoint| &endpoint.authority)
    }
}
