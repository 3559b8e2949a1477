//! Failures and error answers, in terms of the contract.

use crate::config::Config;
use crate::protocol::Refusal;
use kvfuse_core::{Error, Kind};
pub use kvfuse_transport::fault::Failure;
use kvfuse_transport::fault::{Cause, Fault};

/// What an error answer means for the caller.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    /// A retry does not help.
    Refused(Error),
    /// The token is no longer valid: log in again.
    NewToken,
    /// The lease no longer exists: get a new one.
    NewLease,
    /// The requested revision has been compacted.
    Compacted,
    /// The transaction has more operations than the server allows.
    TooManyOperations,
    /// Nothing was done, and a retry may succeed, or another member.
    Busy(String),
    /// A write may have been carried out.
    Uncertain(String),
}

/// Errors are recognized by etcd's texts, as in its own clients (`rpctypes/error.go`).
pub fn meaning(status: u16, refusal: &Refusal) -> Meaning {
    let text = refusal.text();
    let has = |part: &str| text.contains(part);
    if has("invalid auth token") || has("revision of auth store is old") {
        return Meaning::NewToken;
    }
    if has("requested lease not found") {
        return Meaning::NewLease;
    }
    if has("required revision has been compacted") {
        return Meaning::Compacted;
    }
    if has("too many operations in txn request") {
        return Meaning::TooManyOperations;
    }
    if has("too many requests") || has("raft proposal dropped") || has("not supported for learner") || has("no leader")
    {
        return Meaning::Busy(shortened(text));
    }
    let refused = |kind, message: &str| Meaning::Refused(Error::new(kind, message));
    if has("user name is empty") || has("user name not found") {
        return refused(
            Kind::AccessDenied,
            "etcd requires a login; set KEYVALUE_ETCD_USERNAME and KEYVALUE_ETCD_PASSWORD",
        );
    }
    if has("authentication failed") {
        return refused(Kind::AccessDenied, "etcd rejected the user name or password");
    }
    if has("permission denied") {
        return refused(Kind::AccessDenied, "the roles of the etcd user do not allow access to this key");
    }
    if has("request is too large") || has("message larger than max") {
        return refused(
            Kind::InvalidArgument,
            "the key and value together exceed etcd's limit for one request (1.5 MiB by default; the server's flag \
             --max-request-bytes raises it)",
        );
    }
    if has("database space exceeded") {
        return refused(
            Kind::QuotaExceeded,
            "etcd's database is full (the server's flag --quota-backend-bytes sets its size)",
        );
    }
    if has("required revision is a future revision") {
        return refused(Kind::InvalidArgument, "this cursor is not from this cluster; start again without one");
    }
    // gRPC's codes: 3 invalid argument, 5 not found, 7 permission denied, 9 failed precondition, 12 unimplemented,
    // 16 unauthenticated. All others mean that the request may have been carried out.
    match refusal.code {
        7 | 16 => refused(Kind::AccessDenied, "etcd denied access"),
        3 | 5 | 9 | 12 => {
            Meaning::Refused(Error::new(Kind::Other, format!("etcd answered with an error: {}", shortened(text))))
        }
        0 if status == 404 => refused(
            Kind::Unavailable,
            "the server has no /v3 gateway, so it is not etcd 3.4 or newer; check KEYVALUE_ETCD_ENDPOINTS",
        ),
        _ if text.is_empty() => Meaning::Uncertain(format!("HTTP status {status}")),
        _ => Meaning::Uncertain(shortened(text)),
    }
}

/// A text of etcd's on one line of limited length. It never contains what was sent.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

pub fn unavailable(authority: &str, why: &str) -> Error {
    Error::new(Kind::Unavailable, format!("etcd at {authority} is temporarily unable to serve: {why}"))
}

pub fn unknown(authority: &str, why: &str) -> Error {
    Error::new(
        Kind::OutcomeUnknown,
        format!(
            "sent to etcd at {authority}, but there was no usable answer ({why}): it may or may not have happened; read \
             before trying again"
        ),
    )
}

/// The error of a request that was not carried out.
pub fn unreachable(config: &Config, authority: &str, fault: &Fault) -> Error {
    match fault.cause {
        Cause::Denied => Error::new(
            Kind::Unavailable,
            format!(
                "etcd at {authority} cannot be reached ({fault}): the host does not allow this component to make HTTP \
                 requests; with wasmtime, add -S http"
            ),
        ),
        Cause::TimedOut => timed_out(config, authority),
        Cause::Tls => Error::new(
            Kind::Unavailable,
            format!(
                "TLS with etcd at {authority} failed ({fault}), so nothing was sent: either the port does not speak TLS, or \
                 the host does not trust the server's certificate; hosts such as wasmtime only trust public authorities, \
                 and docs/etcd.md says what to do with a private one"
            ),
        ),
        Cause::Malformed | Cause::TooLarge => not_etcd(authority),
        _ => Error::new(Kind::Unavailable, format!("etcd at {authority} cannot be reached: {fault}")),
    }
}

pub fn timed_out(config: &Config, authority: &str) -> Error {
    Error::new(
        Kind::Timeout,
        format!(
            "etcd at {authority} did not answer within {} ms; the variable KEYVALUE_TIMEOUT_MS sets the limit",
            config.time_limit.as_millis()
        ),
    )
}

pub fn not_etcd(authority: &str) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("the server at {authority} does not answer like etcd; check KEYVALUE_ETCD_ENDPOINTS"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32, message: &str) -> Meaning {
        meaning(400, &Refusal { error: String::new(), message: message.into(), code })
    }

    #[test]
    fn error_answers_mean_what_etcd_says_they_mean() {
        assert_eq!(of(16, "etcdserver: invalid auth token"), Meaning::NewToken);
        assert_eq!(of(3, "etcdserver: revision of auth store is old"), Meaning::NewToken);
        assert_eq!(of(5, "etcdserver: requested lease not found"), Meaning::NewLease);
        assert_eq!(of(11, "etcdserver: mvcc: required revision has been compacted"), Meaning::Compacted);
        assert_eq!(of(3, "etcdserver: too many operations in txn request"), Meaning::TooManyOperations);
        assert!(matches!(of(8, "etcdserver: too many requests"), Meaning::Busy(_)));
        for text in [
            "etcdserver: request timed out",
            "etcdserver: request timed out, possibly due to previous leader failure",
            "etcdserver: leader changed",
            "etcdserver: server stopped",
            "context deadline exceeded",
            "transport is closing",
        ] {
            assert!(matches!(of(14, text), Meaning::Uncertain(_)), "{text}");
        }
        for (code, text, kind) in [
            (3, "etcdserver: user name is empty", Kind::AccessDenied),
            (3, "etcdserver: authentication failed, invalid user ID or password", Kind::AccessDenied),
            (7, "etcdserver: permission denied", Kind::AccessDenied),
            (3, "etcdserver: request is too large", Kind::InvalidArgument),
            (8, "etcdserver: mvcc: database space exceeded", Kind::QuotaExceeded),
            (11, "etcdserver: mvcc: required revision is a future revision", Kind::InvalidArgument),
            (3, "etcdserver: key is not provided", Kind::Other),
        ] {
            let Meaning::Refused(error) = of(code, text) else { panic!("{text}") };
            assert_eq!(error.kind(), kind, "{text}");
        }
    }

    #[test]
    fn an_answer_without_a_body_is_uncertain_by_its_status() {
        assert!(matches!(meaning(502, &Refusal::default()), Meaning::Uncertain(_)));
        assert!(matches!(meaning(404, &Refusal::default()), Meaning::Refused(_)));
    }
}
