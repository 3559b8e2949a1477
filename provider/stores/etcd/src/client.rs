//! Requests to the cluster: to which member, with which token, how often, and for how long.

use crate::config::{Config, Login};
use crate::error::{self, Failure, Meaning};
use crate::protocol::{self, Authenticate, Authenticated};
use futures_util::lock::Mutex;
use kvfuse_core::{Error, Result};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment, before};
use kvfuse_transport::fault::Cause;
use kvfuse_transport::http::{
    AsyncHttpClient, Headers, HttpClient, HttpFault, Method, Pieces, Request, Response, read_to_end,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The largest answer to accept, in bytes, unless a call has another limit.
pub const MAX_ANSWER: usize = 512 << 20;
/// How long the host may wait for the next part of an answer that is a stream. Its reader has limits of its own.
const PAUSE: Duration = Duration::from_secs(24 * 3600);

pub struct Client<H, C> {
    pub config: Config,
    http: H,
    pub clock: C,
    /// The member to ask, as an index into the endpoints: the one that answered last.
    member: Cell<usize>,
    token: RefCell<Option<Rc<str>>>,
    /// The turn to log in.
    logging_in: Mutex<()>,
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

/// An answer, and the address of the member that gave it.
pub type Answered<'a, T> = (Answer<T>, &'a str);

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

impl<H, C> Client<H, C> {
    pub fn new(config: Config, http: H, clock: C) -> Self {
        Self {
            config,
            http,
            clock,
            member: Cell::new(0),
            token: RefCell::default(),
            logging_in: Mutex::default(),
            no_logins: Cell::new(false),
        }
    }

    /// The address of a member.
    fn authority(&self, member: usize) -> &str {
        self.config.endpoints.get(member).map_or("", |endpoint| &endpoint.authority)
    }

    /// The member that the next call asks first, and its address.
    pub fn current(&self) -> (usize, &str) {
        (self.member.get(), self.authority(self.member.get()))
    }

    /// The member after one that does not answer. The next calls ask it first as well, unless others have found that out before.
    pub fn after(&self, member: usize) -> usize {
        let next = (member + 1) % self.config.endpoints.len().max(1);
        if self.member.get() == member {
            self.member.set(next);
        }
        next
    }
}

impl<H: HttpClient, C: AsyncClock> Client<H, C> {
    /// Carries out a call whose answer is a stream, with retries until its deadline. Waits inside the call.
    pub async fn stream(&self, call: &Call<'_>) -> Result<Box<dyn Pieces>, Failure> {
        let begin = async |request: &Request<'_>, until: Moment| {
            let mut streaming = self.http.stream(request, until, PAUSE)?;
            if streaming.status == 200 {
                return Ok(Got::Done(streaming.body));
            }
            let body = read_to_end(&mut *streaming.body, MAX_REFUSAL, until);
            let body = body.map_err(|fault| HttpFault { sent: true, fault })?;
            Ok(Got::Refused(Response { status: streaming.status, headers: Headers::default(), body }))
        };
        match self.attempt(call, true, begin).await? {
            (Answer::Done(pieces), _) => Ok(pieces),
            (_, from) => Err(Failure::Failed(error::not_etcd(from))),
        }
    }
}

impl<H: AsyncHttpClient, C: AsyncClock> Client<H, C> {
    pub fn deadline(&self) -> Moment {
        self.clock.now() + self.config.time_limit
    }

    /// Carries out a call that cannot be answered by a refusal in [`Answer`].
    pub async fn call<T: DeserializeOwned>(&self, path: &str, request: &impl Serialize, repeat: Repeat) -> Result<T> {
        self.call_until(path, request, repeat, self.deadline()).await
    }

    /// The same with a deadline that began before.
    pub async fn call_until<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
        repeat: Repeat,
        deadline: Moment,
    ) -> Result<T> {
        let body = protocol::encode(request);
        let call = Call { path, body: &body, repeat, max_answer: MAX_ANSWER, deadline };
        match self.answer(&call).await? {
            (Answer::Done(answer), _) => Ok(answer),
            (_, from) => Err(error::unavailable(from, "unexpected refusal")),
        }
    }

    /// Carries out a call, with retries until its deadline.
    pub async fn answer<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<Answered<'_, T>, Failure> {
        decoded(call, self.whole(call, true).await?)
    }

    async fn whole(&self, call: &Call<'_>, logs_in: bool) -> Result<Answered<'_, Vec<u8>>, Failure> {
        let exchange = async |request: &Request<'_>, until: Moment| {
            let response = self.http.exchange(request, until).await?;
            Ok(if response.status == 200 { Got::Done(response.body) } else { Got::Refused(response) })
        };
        self.attempt(call, logs_in, exchange).await
    }

    /// Attempts a call until the deadline, asking all members in turn, with a login if there is one and the call is not one.
    async fn attempt<T>(
        &self,
        call: &Call<'_>,
        logs_in: bool,
        send: impl AsyncFn(&Request<'_>, Moment) -> Result<Got<T>, HttpFault>,
    ) -> Result<Answered<'_, T>, Failure> {
        let members = self.config.endpoints.len().max(1);
        let mut backoff = Backoff::new(self.clock.now().0);
        let (mut next, mut failed) = (None, 0);
        loop {
            let token = if logs_in { self.token(call.deadline).await.map_err(Failure::Failed)? } else { None };
            // Others ask meanwhile, and each asks all members in turn.
            let member = next.take().unwrap_or(self.member.get());
            let (next_member, last) = match self.exchange(call, member, token.as_deref(), &send).await {
                Ok(answer) => {
                    self.member.set(member);
                    return Ok((answer, self.authority(member)));
                }
                Err(Step::Over(failure)) => return Err(failure),
                Err(Step::Again { next_member, last }) => (next_member, last),
            };
            if next_member {
                next = Some(self.after(member));
                failed += 1;
                // All members are asked before there is a pause.
                if failed % members != 0 && self.clock.now() < call.deadline {
                    continue;
                }
            }
            if !backoff.wait_async(&self.clock, call.deadline).await {
                return Err(Failure::Failed(last));
            }
        }
    }

    /// One attempt, with one member.
    async fn exchange<T>(
        &self,
        call: &Call<'_>,
        member: usize,
        token: Option<&str>,
        send: &impl AsyncFn(&Request<'_>, Moment) -> Result<Got<T>, HttpFault>,
    ) -> Result<Answer<T>, Step> {
        let member = self.config.endpoints.get(member).or(self.config.endpoints.first());
        let Some(endpoint) = member else {
            return Err(Step::Over(Failure::Failed(Error::invalid("no etcd endpoint is configured"))));
        };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(token.map(|token| ("authorization", token)));
        // A member that does not answer must leave time for the others.
        let share = self.share(call.deadline);
        let deadline = if call.repeat == Repeat::Freely { share } else { call.deadline };
        let request = Request {
            method: Method::Post,
            scheme: endpoint.scheme,
            authority: &endpoint.authority,
            path: call.path,
            headers: &headers,
            body: call.body,
            connect_deadline: share,
            max_answer: call.max_answer,
        };
        match send(&request, deadline).await {
            Ok(Got::Done(answer)) => Ok(Answer::Done(answer)),
            Ok(Got::Refused(response)) => self.refused(call, &endpoint.authority, token, &response),
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
    fn refused<T>(
        &self,
        call: &Call<'_>,
        authority: &str,
        token: Option<&str>,
        response: &Response,
    ) -> Result<Answer<T>, Step> {
        let refusal = protocol::refusal(&response.body);
        match error::meaning(response.status, &refusal) {
            Meaning::Refused(error) => Err(Step::Over(Failure::Failed(error))),
            Meaning::NewLease => Ok(Answer::NewLease),
            Meaning::Compacted => Ok(Answer::Compacted),
            Meaning::TooManyOperations => Ok(Answer::TooManyOperations),
            Meaning::NewToken => {
                // Another call may have a new one already.
                self.token.borrow_mut().take_if(|kept| Some(&**kept) == token);
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
    /// rejects it. Who finds none logs in, and the others wait for that.
    async fn token(&self, deadline: Moment) -> Result<Option<Rc<str>>> {
        let Some(login) = &self.config.login else { return Ok(None) };
        if let Some(known) = self.known_token() {
            return Ok(known);
        }
        let turn = before(&self.clock, deadline, self.logging_in.lock()).await;
        let _turn = turn.ok_or_else(|| error::timed_out(&self.config, self.current().1))?;
        if let Some(known) = self.known_token() {
            return Ok(known);
        }
        // In a box, because it is a call of its own inside a call.
        let token: Option<Rc<str>> = Box::pin(self.log_in(login, deadline)).await?.map(Rc::from);
        self.no_logins.set(token.is_none());
        self.token.borrow_mut().clone_from(&token);
        Ok(token)
    }

    /// The token, or that none is needed, if either is known.
    fn known_token(&self) -> Option<Option<Rc<str>>> {
        if self.no_logins.get() {
            return Some(None);
        }
        self.token.borrow().clone().map(Some)
    }

    /// `None` if authentication is not enabled in the cluster.
    async fn log_in(&self, login: &Login, deadline: Moment) -> Result<Option<String>> {
        let body = protocol::encode(&Authenticate { name: &login.user, password: &login.password });
        let call =
            Call { path: protocol::AUTHENTICATE, body: &body, repeat: Repeat::Freely, max_answer: 1 << 20, deadline };
        match self.whole(&call, false).await.and_then(|answer| decoded::<Authenticated>(&call, answer)) {
            Ok((Answer::Done(answer), _)) => Ok(Some(answer.token)),
            Ok((_, from)) => Err(error::not_etcd(from)),
            // As in etcd's own clients, a login is only used where logins are enabled.
            Err(Failure::Failed(error)) if error.message().contains("authentication is not enabled") => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

fn decoded<'a, T: DeserializeOwned>(
    call: &Call<'_>,
    (answer, from): Answered<'a, Vec<u8>>,
) -> Result<Answered<'a, T>, Failure> {
    let answer = match answer {
        Answer::Done(body) => match protocol::decode(&body) {
            Some(answer) => Answer::Done(answer),
            None if call.repeat == Repeat::Never => {
                return Err(Failure::Unknown(error::unknown(from, "its answer is not one of etcd")));
            }
            None => return Err(Failure::Failed(error::not_etcd(from))),
        },
        Answer::NewLease => Answer::NewLease,
        Answer::Compacted => Answer::Compacted,
        Answer::TooManyOperations => Answer::TooManyOperations,
        Answer::TooLarge => Answer::TooLarge,
    };
    Ok((answer, from))
}
