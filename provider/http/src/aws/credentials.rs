//! The access key: from the settings, or temporary ones that a service beside the program gives out and that are renewed before
//! they expire.
//!
//! Sources: <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>.
#![deny(clippy::arithmetic_side_effects)]

use crate::calendar;
use crate::endpoint::{Server, plain};
use futures_util::lock::Mutex;
use kvfuse_core::{Error, Kind};
use kvfuse_transport::clock::{AsyncClock, Backoff, Moment, before};
use kvfuse_transport::http::{AsyncHttpClient, Method, Request, Response};
use serde::Deserialize;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// An access key. Its `Debug` hides everything.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// What names the key. It is not printed either.
    pub id: String,
    /// What signs.
    pub secret: String,
    /// Of temporary credentials.
    pub token: Option<String>,
}

/// Where the access key comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The settings.
    Given(Rc<Credentials>),
    /// A service beside the program, which gives out temporary ones.
    Issued(Issuer),
}

/// What gives out credentials.
#[derive(Clone, Debug)]
pub enum Issuer {
    /// The agent of a container, which answers one request.
    Container(Agent),
    /// The metadata service of an instance, in its second version.
    Instance(Server),
}

/// The agent of a container. Its `Debug` hides the path and the token, which are as good as the access key.
#[derive(Clone)]
pub struct Agent {
    /// Where it is.
    pub server: Server,
    /// What it is asked for.
    pub path: String,
    /// The header `authorization`.
    pub token: Option<String>,
}

/// How long before they expire credentials are renewed. New ones are there at least five minutes before the old ones expire.
const BEFORE: Duration = Duration::from_secs(5 * 60);
/// How long the old ones are used, if they are valid, before a renewal that failed is tried again.
const PAUSE: Duration = Duration::from_secs(30);
/// The largest answer, in bytes. A session token has a few thousand.
const MAX_ANSWER: usize = 64 << 10;
/// How long the token for a metadata service lives, in seconds. It serves for one renewal.
const TOKEN_LIFE: &str = "60";
const TOKEN: &str = "x-aws-ec2-metadata-token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// The access key of an instance of a store.
pub struct Keys {
    source: Source,
    /// What the key is for.
    service: &'static str,
    held: RefCell<Option<Held>>,
    /// The turn to renew them. The others wait for that.
    renewing: Mutex<()>,
}

struct Held {
    credentials: Rc<Credentials>,
    /// As the time since 1970; `None` if they do not expire.
    expires: Option<Duration>,
    /// When to ask for new ones.
    renewed: Option<Duration>,
}

impl Held {
    fn is_valid(&self, now: Duration) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// An answer with credentials.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Issued {
    /// Only a metadata service has it.
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

impl Keys {
    /// The access key for a service, of which errors have the name.
    pub fn new(source: Source, service: &'static str) -> Self {
        Self { source, service, held: RefCell::new(None), renewing: Mutex::default() }
    }

    /// The access key to sign with. `now` is the time since 1970.
    ///
    /// # Errors
    /// If there is none that is valid, and none could be had before the deadline.
    pub async fn current<H: AsyncHttpClient, C: AsyncClock>(
        &self,
        http: &H,
        clock: &C,
        now: Duration,
        deadline: Moment,
    ) -> Result<Rc<Credentials>, Error> {
        let issuer = match &self.source {
            Source::Given(credentials) => return Ok(credentials.clone()),
            Source::Issued(issuer) => issuer,
        };
        if let Some(fresh) = self.fresh(now) {
            return Ok(fresh);
        }
        let turn = before(clock, deadline, self.renewing.lock()).await;
        let turn = turn.ok_or_else(|| failed(issuer.server(), "timed out"));
        let _turn = turn.map_err(|error| self.none(error))?;
        if let Some(fresh) = self.fresh(now) {
            return Ok(fresh);
        }
        // In a box, because it is rare and large.
        let issued = Box::pin(issuer.issue(&Asking { http, clock, deadline })).await;
        let issued = issued.map_err(|error| self.none(error));
        let mut held = self.held.borrow_mut();
        match (issued, &mut *held) {
            (Ok((credentials, expires)), held) => {
                let renewed = expires.map(|expires| expires.saturating_sub(BEFORE).max(now.saturating_add(PAUSE)));
                *held = Some(Held { credentials: credentials.clone(), expires, renewed });
                Ok(credentials)
            }
            (Err(_), Some(old)) if old.is_valid(now) => {
                old.renewed = Some(now.saturating_add(PAUSE));
                Ok(old.credentials.clone())
            }
            (Err(error), _) => Err(error),
        }
    }

    fn none(&self, why: Error) -> Error {
        why.within(format_args!("no credentials for {}", self.service))
    }

    /// The credentials, if it is not time to renew them.
    fn fresh(&self, now: Duration) -> Option<Rc<Credentials>> {
        let held = self.held.borrow();
        let fresh = held.as_ref().filter(|held| held.renewed.is_none_or(|renewed| now < renewed));
        fresh.map(|held| held.credentials.clone())
    }

    /// Gives up credentials that the service called expired. Returns whether others can be had.
    pub fn expired(&self, credentials: &Rc<Credentials>) -> bool {
        // Another call may have new ones already.
        self.held.borrow_mut().take_if(|held| Rc::ptr_eq(&held.credentials, credentials));
        matches!(self.source, Source::Issued(_))
    }
}

impl Issuer {
    fn server(&self) -> &Server {
        match self {
            Self::Container(Agent { server, .. }) | Self::Instance(server) => server,
        }
    }

    async fn issue<H: AsyncHttpClient, C: AsyncClock>(
        &self,
        asking: &Asking<'_, H, C>,
    ) -> Result<(Rc<Credentials>, Option<Duration>), Error> {
        match self {
            Self::Container(Agent { server, path, token }) => {
                let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
                let answer = asking.answer(server, Method::Get, path, &headers).await?;
                issued(server, &answer)
            }
            Self::Instance(server) => {
                let life = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_LIFE)];
                let token = asking.text(server, Method::Put, "/latest/api/token", &life).await?;
                let token = [(TOKEN, token.as_str())];
                let roles = asking.text(server, Method::Get, ROLES, &token).await?;
                let role = roles.lines().next().unwrap_or_default();
                let answer = asking.answer(server, Method::Get, &format!("{ROLES}{role}"), &token).await?;
                issued(server, &answer)
            }
        }
    }
}

/// How to ask for credentials.
struct Asking<'a, H, C> {
    http: &'a H,
    clock: &'a C,
    deadline: Moment,
}

impl<H: AsyncHttpClient, C: AsyncClock> Asking<'_, H, C> {
    /// The answer to a request, which is repeated until the deadline where that may help.
    async fn answer(
        &self,
        server: &Server,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Vec<u8>, Error> {
        let request = Request {
            method,
            scheme: server.scheme,
            authority: &server.authority,
            path,
            headers,
            body: b"",
            connect_deadline: self.deadline,
            max_answer: MAX_ANSWER,
        };
        let mut backoff = Backoff::new(self.clock.now().0);
        loop {
            let last = match self.http.exchange(&request, self.deadline).await {
                Ok(Response { status: 200, body, .. }) => return Ok(body),
                Ok(Response { status, .. }) if status < 500 && status != 429 => return Err(refused(server, status)),
                Ok(Response { status, .. }) => failed(server, &format!("HTTP status {status}")),
                Err(failure) => failed(server, &failure.fault.to_string()),
            };
            if !backoff.wait_async(self.clock, self.deadline).await {
                return Err(last);
            }
        }
    }

    /// The same for an answer that becomes a part of the next request.
    async fn text(
        &self,
        server: &Server,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<String, Error> {
        let text = String::from_utf8(self.answer(server, method, path, headers).await?).unwrap_or_default();
        let text = text.trim();
        // Roles are separated by lines.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b'\n') {
            return Err(not_credentials(server));
        }
        Ok(text.to_string())
    }
}

/// The credentials in an answer, and when they expire.
fn issued(server: &Server, answer: &[u8]) -> Result<(Rc<Credentials>, Option<Duration>), Error> {
    let issued: Issued = serde_json::from_slice(answer).map_err(|_| not_credentials(server))?;
    let fine = issued.code.is_none_or(|code| code == "Success");
    let text = |text: Option<String>| text.filter(|text| !text.is_empty() && plain(server.setting, text).is_ok());
    let (Some(id), Some(secret), true) = (text(issued.access_key_id), text(issued.secret_access_key), fine) else {
        return Err(not_credentials(server));
    };
    let expires = match issued.expiration {
        Some(time) => Some(calendar::since_1970(&time).ok_or_else(|| not_credentials(server))?),
        None => None,
    };
    Ok((Rc::new(Credentials { id, secret, token: text(issued.token) }), expires))
}

fn about(server: &Server, what: &str) -> String {
    format!("the service at {}, which {} names, {what}", server.authority, server.setting)
}

fn failed(server: &Server, why: &str) -> Error {
    Error::new(Kind::Unavailable, about(server, &format!("did not give any ({why})")))
}

fn refused(server: &Server, status: u16) -> Error {
    Error::new(
        Kind::Unavailable,
        about(server, &format!("refused with HTTP status {status}; 404 means that nothing here has a role")),
    )
}

fn not_credentials(server: &Server) -> Error {
    Error::new(Kind::Unavailable, about(server, "did not answer with credentials"))
}

impl Credentials {
    /// A text of the server's on one line of limited length, unless it has the access key in it.
    pub fn shown(&self, text: &str) -> String {
        let secrets = [Some(&self.id), Some(&self.secret), self.token.as_ref()];
        if secrets.into_iter().flatten().any(|secret| text.contains(secret.as_str())) {
            return "(hidden, because it repeats a credential)".into();
        }
        text.chars().filter(|c| !c.is_control()).take(120).collect()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("server", &self.server).finish_non_exhaustive()
    }
}
