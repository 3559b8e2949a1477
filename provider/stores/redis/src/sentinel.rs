//! Sentinels: which server is the primary.
//!
//! Every new connection asks one of them, and takes the server only if that says to be a primary itself: a sentinel may be the
//! last to learn of a failover. Nothing is remembered but who answered last, so a connection that breaks, or a server that has
//! become read-only, is all it takes to follow.

use crate::config::{Config, Endpoint};
use crate::error::{self, Failure};
use crate::link::Link;
use crate::protocol::Reply;
use kvfuse_core::{Error, Kind, error::quoted};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::Network;
use std::cell::Cell;

/// Whom to ask first.
#[derive(Default)]
pub struct Sentinels(Cell<usize>);

impl Sentinels {
    /// A connection to the primary with this name. Each sentinel gets its share of the time, so that one that hangs does not
    /// take that of the others.
    pub async fn connect<N: Network>(
        &self,
        network: &N,
        clock: &impl AsyncClock,
        config: &Config,
        (sentinels, name): (&[Endpoint], &str),
        deadline: Moment,
    ) -> Result<Link<N>, Failure> {
        let first = self.0.get();
        let mut failed = None;
        for (turn, number) in (0..sentinels.len()).map(|turn| (turn, first.wrapping_add(turn))) {
            let Some(sentinel) = number.checked_rem(sentinels.len()).and_then(|number| sentinels.get(number)) else {
                continue;
            };
            let until = share(clock, deadline, sentinels.len() - turn);
            match address::<N>(network, config, sentinel, name, until).await {
                Ok(primary) => {
                    config.admit(&primary).map_err(Failure::Refused)?;
                    let opened = Link::open(network, config, &primary, true, deadline).await;
                    // If it is none, another sentinel may know better.
                    self.0.set(if opened.is_ok() { number } else { number.wrapping_add(1) });
                    return opened.map_err(|failure| failure.at(&primary));
                }
                Err(failure) => failed = Some(telling(failed, in_share(failure, clock, deadline).at(sentinel))),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::not_done(Fault::timed_out())))
    }
}

/// The end of the time for one of several servers that are asked in turn, and of what is done afterwards.
pub fn share(clock: &impl AsyncClock, deadline: Moment, servers: usize) -> Moment {
    let now = clock.now();
    let parts = u32::try_from(servers).unwrap_or(u32::MAX).saturating_add(1);
    now + deadline.since(now) / parts
}

/// The failure of a server that did not answer in its share of the time: there is time for others.
pub fn in_share(failure: Failure, clock: &impl AsyncClock, deadline: Moment) -> Failure {
    match failure {
        Failure::Lost { maybe_done, fault } if fault.cause == Cause::TimedOut && clock.now() < deadline => {
            Failure::Lost { maybe_done, fault: Fault::new(Cause::Unreachable, "no answer") }
        }
        other => other,
    }
}

/// The one of two failures that tells more.
pub fn telling(one: Option<Failure>, other: Failure) -> Failure {
    match one {
        Some(refused @ Failure::Refused(_)) => refused,
        Some(busy @ Failure::Busy(_)) if matches!(other, Failure::Lost { .. }) => busy,
        _ => other,
    }
}

/// What a sentinel says.
async fn address<N: Network>(
    network: &N,
    config: &Config,
    sentinel: &Endpoint,
    name: &str,
    until: Moment,
) -> Result<Endpoint, Failure> {
    let mut link = Link::<N>::connect(network, sentinel, until).await?;
    if let Some(password) = &config.sentinel_password {
        let login = link.log_in(config.sentinel_user.as_deref(), password.as_bytes(), until).await;
        login.map_err(|failure| match failure {
            Failure::Refused(error) if error.kind() == Kind::AccessDenied => denied(sentinel),
            other => other,
        })?;
    }
    let refused = |error| Err(Failure::Refused(error));
    match link.ask_one(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", name.as_bytes()], until).await? {
        Reply::Array(parts) => {
            let mut parts = parts.into_iter().map(Reply::into_bytes);
            let (host, port) = (parts.next().flatten(), parts.next().flatten());
            let endpoint = host.zip(port).and_then(|(host, port)| Endpoint::told(&host, &port));
            endpoint.ok_or_else(|| Failure::Refused(error::unexpected("SENTINEL GET-MASTER-ADDR-BY-NAME")))
        }
        Reply::Null => refused(Error::invalid(format!(
            "the sentinel at {sentinel} knows no primary called {}; KEYVALUE_REDIS_URL ends with its name",
            quoted(name)
        ))),
        Reply::Error(line) => match error::code(&line) {
            "IDONTKNOW" => Err(Failure::Busy("IDONTKNOW".into())),
            "NOAUTH" | "NOPERM" => Err(denied(sentinel)),
            _ if error::denies_command(&line) => refused(Error::invalid(format!(
                "the server at {sentinel} is no sentinel; the port of a sentinel is usually 26379"
            ))),
            _ => Err(error::refusal(&line)),
        },
        _ => refused(error::unexpected("SENTINEL GET-MASTER-ADDR-BY-NAME")),
    }
}

fn denied(sentinel: &Endpoint) -> Failure {
    Failure::Refused(Error::new(
        Kind::AccessDenied,
        format!(
            "the sentinel at {sentinel} rejects the login; KEYVALUE_REDIS_SENTINEL_PASSWORD (and KEYVALUE_REDIS_SENTINEL_USERNAME \
             for an ACL user) is the one for sentinels"
        ),
    ))
}
