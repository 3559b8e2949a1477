//! What goes wrong with a service, in terms of the contract, and what follows for a call. No I/O.

use crate::attempts::{Repeat, Step};
use crate::endpoint::Server;
use kvfuse_core::{Error, Kind};
use kvfuse_transport::fault::{Cause, Failure, Fault};
use kvfuse_transport::http::HttpFault;
use std::time::Duration;

/// The name of a service, which its errors have.
#[derive(Clone, Copy, Debug)]
pub struct Service(pub &'static str);

impl Service {
    /// It did nothing, and may do it later.
    pub fn unavailable(self, server: &Server, why: &str) -> Error {
        Error::new(
            Kind::Unavailable,
            format!("{} at {} is temporarily unable to serve: {why}", self.0, server.authority),
        )
    }

    /// It may have done what it was asked for.
    pub fn unknown(self, server: &Server, why: &str) -> Error {
        Error::new(
            Kind::OutcomeUnknown,
            format!(
                "sent to {} at {}, but there was no usable answer ({why}): it may or may not have happened; read before trying \
                 again",
                self.0, server.authority
            ),
        )
    }

    /// It is another one.
    pub fn stranger(self, server: &Server) -> Error {
        Error::new(
            Kind::Unavailable,
            format!("the server at {} does not answer like {}; check {}", server.authority, self.0, server.setting),
        )
    }

    /// A request was not carried out. `time_limit` is that of one operation.
    pub fn unreachable(self, server: &Server, time_limit: Duration, fault: &Fault) -> Error {
        let (name, authority) = (self.0, &server.authority);
        let message = match fault.cause {
            Cause::TimedOut => {
                return Error::new(
                    Kind::Timeout,
                    format!(
                        "{name} at {authority} did not answer within {} ms; the variable KEYVALUE_TIMEOUT_MS sets the limit",
                        time_limit.as_millis()
                    ),
                );
            }
            Cause::Malformed | Cause::TooLarge => return self.stranger(server),
            Cause::Denied => format!(
                "{name} at {authority} cannot be reached ({fault}): the host does not allow this component to make HTTP \
                 requests; with wasmtime, add -S http"
            ),
            Cause::Tls => format!(
                "TLS with {name} at {authority} failed ({fault}), so nothing was sent: either the port does not speak TLS, or \
                 the host does not trust the server's certificate"
            ),
            _ => format!("{name} at {authority} cannot be reached: {fault}"),
        };
        Error::new(Kind::Unavailable, message)
    }

    /// The consequence of an attempt that may or may not have been carried out.
    pub fn uncertain<F: From<Failure>>(self, server: &Server, repeat: Repeat, why: &str) -> Step<F> {
        match repeat {
            Repeat::Freely => Step::Again(self.unavailable(server, why)),
            Repeat::Never => Step::Over(Failure::Unknown(self.unknown(server, why)).into()),
        }
    }

    /// The consequence of an exchange without an answer.
    pub fn failed<F: From<Failure>>(
        self,
        server: &Server,
        time_limit: Duration,
        repeat: Repeat,
        failed: &HttpFault,
    ) -> Step<F> {
        let fault = &failed.fault;
        if failed.sent && repeat == Repeat::Never {
            return self.uncertain(server, repeat, &fault.detail);
        }
        let last = self.unreachable(server, time_limit, fault);
        match fault.cause {
            Cause::Denied | Cause::Malformed | Cause::TooLarge => Step::Over(Failure::from(last).into()),
            _ => Step::Again(last),
        }
    }
}
