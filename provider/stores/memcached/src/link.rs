//! One connection to a server: the handshake, and requests with their replies.

use crate::config::Config;
use crate::error::{self, Failure};
use crate::protocol::{Decoder, Malformed, Reply, Request};
use kvfuse_core::{Error, Kind};
use kvfuse_transport::clock::{AsyncClock, Moment};
use kvfuse_transport::fault::{Cause, Fault};
use kvfuse_transport::sockets::{Input, Network, Output};
use std::time::Duration;

pub struct Link<N: Network> {
    input: N::Input,
    output: N::Output,
    decoder: Decoder,
    /// The deadline of the operation that used it last.
    pub last_deadline: Moment,
    /// The server process at its other end. A process that is started again has other connections.
    pub process: Process,
}

/// What a server process says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Which process it is: its number, and the second in which it was started.
    pub id: u64,
    /// The seconds since 1970 by its clock, at the moment `at` or up to a second and the handshake before.
    time: u64,
    at: Option<Moment>,
    /// The largest item, in bytes.
    largest: usize,
    /// Whether its items have versions.
    pub has_versions: bool,
}

/// The time after which a server is asked for its time again: clocks drift.
const SAME_TIME: Duration = Duration::from_secs(600);

/// The last second that a server can represent, in 2038.
const LAST_SECOND: u64 = i32::MAX as u64;

/// What an item takes beside its name and its value: its header, version, client flags and two ends.
const ITEM: usize = 48 + 8 + 4 + 1 + 2;

impl Process {
    /// When a lifetime that begins now ends, in seconds since 1970: not before, and two seconds and the time of the handshake
    /// later at most. `None` if a server cannot represent it.
    pub fn end_of(&self, lifetime: Duration, now: Moment) -> Option<u64> {
        let seconds = self.elapsed(now).saturating_add(lifetime).as_nanos().div_ceil(1_000_000_000);
        let end = u64::try_from(seconds).ok()?.checked_add(self.time)?.checked_add(1)?;
        (end <= LAST_SECOND).then_some(end)
    }

    /// Whether a lifetime of which so many seconds are left ends in this second, as far as can be known.
    pub fn is_end(&self, second: u64, left: u64, now: Moment) -> bool {
        let end = self.time.saturating_add(self.elapsed(now).as_secs()).saturating_add(left);
        second.abs_diff(end) <= 3
    }

    fn elapsed(&self, now: Moment) -> Duration {
        self.at.map_or(Duration::ZERO, |at| now.since(at))
    }

    /// Refuses what is larger than an item can be. A server that refuses it deletes the value that the key had.
    pub fn check_size(&self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        if ITEM + name.len() + value.len() <= self.largest {
            return Ok(());
        }
        Err(Failure::Refused(Error::invalid(format!(
            "a value of {} bytes: this Memcached does not support items of more than {} bytes, in which the key, the name of the \
             bucket and {ITEM} bytes more count as well; its option -I sets the limit",
            value.len(),
            self.largest
        ))))
    }
}

impl<N: Network> Link<N> {
    /// Connects, logs in, and asks the server which process it is, what its limits are, and what time it is. None of this changes
    /// any data.
    pub async fn open(
        network: &N,
        config: &Config,
        server: usize,
        clock: &impl AsyncClock,
        deadline: Moment,
    ) -> Result<Self, Failure> {
        let no_server = || Failure::Refused(Error::new(Kind::Other, "there is no such server"));
        let server = config.servers.get(server).ok_or_else(no_server)?;
        let connected = network.connect(&server.host, server.port, deadline).await;
        let (input, output) = connected.map_err(Failure::not_done)?;
        let (decoder, process) = (Decoder::new(), Process::default());
        let mut link = Self { input, output, decoder, last_deadline: deadline, process };
        let mut greeting = Request::default();
        if let Some(login) = &config.login {
            greeting.log_in(&login.user, &login.password);
        }
        link.learn(greeting, clock, deadline).await?;
        link.decoder.accept_values(link.process.largest);
        Ok(link)
    }

    /// Asks for the server's time again, if that was long ago.
    pub async fn keep_time(&mut self, clock: &impl AsyncClock, deadline: Moment) -> Result<(), Failure> {
        if self.process.elapsed(clock.now()) < SAME_TIME {
            return Ok(());
        }
        self.learn(Request::default(), clock, deadline).await
    }

    /// Sends what comes first, and asks the server about itself.
    async fn learn(&mut self, mut first: Request, clock: &impl AsyncClock, deadline: Moment) -> Result<(), Failure> {
        first.statistics("").statistics("settings");
        let mut process = Process { at: Some(clock.now()), largest: 1 << 20, has_versions: true, ..Process::default() };
        let (mut number, mut uptime) = (None, None);
        let told = self.converse(&first, deadline, |reply| match reply {
            Reply::Statistic(name, value) => {
                match name.as_str() {
                    "pid" => number = value.parse::<u64>().ok(),
                    "uptime" => uptime = value.parse::<u64>().ok(),
                    "time" => process.time = value.parse().unwrap_or_default(),
                    "item_size_max" => process.largest = value.parse().unwrap_or(process.largest),
                    "cas_enabled" => process.has_versions = value == "yes",
                    _ => {}
                }
                Ok(false)
            }
            Reply::End | Reply::LoggedIn => Ok(true),
            Reply::Error(line) if error::is_busy(&line) => Err(Failure::Busy),
            Reply::Error(line) => Err(Failure::Rejected(error::from_reply(&line))),
            _ => Err(Failure::Rejected(error::unexpected("stats"))),
        });
        told.await.map_err(Failure::of_read)?;
        let started = uptime.and_then(|uptime| process.time.checked_sub(uptime));
        let (Some(number), Some(started)) = (number, started) else {
            return Err(Failure::Rejected(Error::unsupported(
                "the server does not support what tells one Memcached process from the next: stats with pid, time and uptime; \
                 use Memcached itself, without a proxy that leaves these out",
            )));
        };
        process.id = (started << 32) ^ number;
        self.process = process;
        Ok(())
    }

    /// Whether the connection cannot be used for another request.
    pub async fn is_stale(&mut self) -> bool {
        !self.decoder.is_between_replies() || !matches!(self.input.at_hand().await, Ok(None))
    }

    /// Sends read-only commands, which may be sent again whatever goes wrong.
    pub async fn ask(&mut self, request: &Request, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        self.tell(request, deadline).await.map_err(Failure::of_read)
    }

    /// Sends commands that write, in one round trip. Returns one reply for each.
    pub async fn tell(&mut self, request: &Request, deadline: Moment) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::with_capacity(request.commands());
        let told = self.converse(request, deadline, |reply| match reply {
            // The server goes on after this one: it has skipped what belongs to the command.
            Reply::Error(line) if !line.starts_with("SERVER_ERROR") => Err(Failure::Rejected(error::from_reply(&line))),
            reply => {
                replies.push(reply);
                Ok(true)
            }
        });
        told.await?;
        Ok(replies)
    }

    /// Sends commands, and hands over the replies. `each` says whether a reply is the last one to its command.
    async fn converse(
        &mut self,
        request: &Request,
        deadline: Moment,
        mut each: impl FnMut(Reply) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut sent = 0;
        if let Err(fault) = self.output.write(request.bytes(), &mut sent, deadline).await {
            return Err(Failure::Lost { maybe_done: request.may_be_done(sent), fault });
        }
        let lost = |fault| Failure::Lost { maybe_done: true, fault };
        let mut answered = 0;
        while answered < request.commands() {
            let bytes = self.input.read(deadline).await.map_err(lost)?;
            if bytes.is_empty() {
                return Err(lost(Fault::closed()));
            }
            let mut bytes = bytes.as_slice();
            while !bytes.is_empty() {
                let Some(reply) = self.decoder.push(&mut bytes).map_err(|malformed| lost(fault(malformed)))? else {
                    break;
                };
                if answered == request.commands() {
                    return Err(lost(Fault::new(Cause::Malformed, "there are more replies than commands")));
                }
                answered += usize::from(each(reply)?);
            }
        }
        Ok(())
    }
}

fn fault(malformed: Malformed) -> Fault {
    let cause = match malformed {
        Malformed::TooLarge | Malformed::NoMemory => Cause::TooLarge,
        Malformed::Line | Malformed::Value => Cause::Malformed,
    };
    Fault::new(cause, malformed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn process(time: u64) -> Process {
        Process { time, at: Some(Moment(5 * SECOND)), largest: 1000, ..Process::default() }
    }

    #[test]
    fn a_lifetime_ends_in_the_second_after_its_end_or_the_next() {
        let process = process(1_800_000_000);
        let end = |lifetime, now| process.end_of(Duration::from_millis(lifetime), Moment(now));
        assert_eq!(end(1, 5 * SECOND), Some(1_800_000_002));
        assert_eq!(end(1000, 5 * SECOND), Some(1_800_000_002));
        assert_eq!(end(1001, 5 * SECOND), Some(1_800_000_003));
        assert_eq!(end(1000, 7 * SECOND + 1), Some(1_800_000_005));
        assert_eq!(end((LAST_SECOND - 1_800_000_001) * 1000, 5 * SECOND), Some(LAST_SECOND));
        assert_eq!(end((LAST_SECOND - 1_800_000_001) * 1000 + 1, 5 * SECOND), None);
        assert_eq!(process.end_of(Duration::MAX, Moment(u64::MAX)), None);
    }

    #[test]
    fn the_end_of_a_lifetime_is_known_by_what_is_left_of_it() {
        let process = process(1_800_000_000);
        let now = Moment(15 * SECOND);
        assert!(process.is_end(1_800_000_040, 30, now) && process.is_end(1_800_000_042, 30, now));
        assert!(!process.is_end(0, 30, now) && !process.is_end(1_800_000_030, 30, now) && !process.is_end(30, 30, now));
    }

    #[test]
    fn what_is_too_large_is_refused_with_both_sizes() {
        let process = process(0);
        assert!(process.check_size(&[b'k'; 100], &vec![0; 900 - ITEM]).is_ok());
        let Err(Failure::Refused(error)) = process.check_size(&[b'k'; 100], &vec![0; 901 - ITEM]) else {
            panic!("it is one byte too large");
        };
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message().contains("1000 bytes") && error.message().contains("not support"), "{error}");
    }
}
