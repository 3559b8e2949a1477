//! What the implementations on WASI 0.2 and on WASI 0.3 share.

use super::Request;
use crate::clock::Moment;
use crate::fault::{Cause, Fault};

/// The headers of a request. They state the length of its body, which the host would send in chunks otherwise.
pub fn headers(request: &Request<'_>) -> Vec<(String, Vec<u8>)> {
    let given = request.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let length = ("content-length".to_string(), request.body.len().to_string().into_bytes());
    given.chain([length]).collect()
}

/// The time limit to give to the host: at least a nanosecond, because none at all means that there is no limit.
pub fn nanoseconds(now: Moment, until: Moment) -> u64 {
    u64::try_from(until.since(now).as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// The host does not accept a part of a request.
pub fn rejected(what: &str) -> Fault {
    Fault::new(Cause::Other, format!("the host rejected the {what}"))
}

/// The function `address` for the requests of one version of the interface: they have the same methods in both.
macro_rules! addressing {
    ($outgoing:ty, $method:ident, $scheme:ident) => {
        /// Sets what a request asks for, and of whom.
        fn address(outgoing: &$outgoing, request: &Request<'_>) -> Result<(), Fault> {
            let method = match request.method {
                super::Method::Get => $method::Get,
                super::Method::Post => $method::Post,
                super::Method::Put => $method::Put,
                super::Method::Delete => $method::Delete,
            };
            let scheme = match request.scheme {
                super::Scheme::Http => $scheme::Http,
                super::Scheme::Https => $scheme::Https,
            };
            outgoing.set_method(&method).map_err(|()| rejected("method"))?;
            outgoing.set_scheme(Some(&scheme)).map_err(|()| rejected("scheme"))?;
            outgoing.set_authority(Some(request.authority)).map_err(|()| rejected("address"))?;
            outgoing.set_path_with_query(Some(request.path)).map_err(|()| rejected("path"))
        }
    };
}
pub(super) use addressing;

/// The function `fault` for the errors of one version of the interface: they have the same names in both.
macro_rules! faults {
    ($code:ident) => {
        /// Converts an error of the host. Unless the error rules it out, the request may have been sent.
        fn fault(code: &$code) -> HttpFault {
            let (sent, cause, text) = match code {
                $code::DnsTimeout => (false, Cause::Unreachable, "name resolution is temporarily unavailable"),
                $code::DnsError(_) | $code::DestinationNotFound => {
                    (false, Cause::NameUnknown, "the name cannot be resolved")
                }
                $code::DestinationUnavailable | $code::DestinationIpUnroutable => {
                    (false, Cause::Unreachable, "no route to the server")
                }
                $code::DestinationIpProhibited | $code::HttpRequestDenied => (false, Cause::Denied, "request denied"),
                $code::ConnectionRefused => (false, Cause::Refused, "connection refused"),
                $code::ConnectionTimeout => (false, Cause::TimedOut, "no connection within the time limit"),
                $code::ConnectionLimitReached => (false, Cause::Other, "the host has run out of connections"),
                // wasmtime returns this for every cause; its log has the reason.
                $code::TlsProtocolError => (false, Cause::Tls, "the TLS handshake failed"),
                $code::TlsCertificateError => (false, Cause::Tls, "the certificate is not trusted"),
                $code::TlsAlertReceived(_) => (false, Cause::Tls, "the server aborted the TLS handshake"),
                $code::ConnectionReadTimeout | $code::ConnectionWriteTimeout | $code::HttpResponseTimeout => {
                    (true, Cause::TimedOut, "no answer within the time limit")
                }
                $code::ConnectionTerminated | $code::HttpResponseIncomplete => {
                    (true, Cause::Closed, "the server closed the connection")
                }
                // Either a server that closed the connection in the middle of its answer, as a restarted one does, or one that
                // does not speak HTTP. The host does not say which, and only the first may succeed later.
                $code::HttpProtocolError => {
                    (true, Cause::Closed, "the answer was cut off, or the server does not speak HTTP")
                }
                $code::HttpResponseBodySize(_) => (true, Cause::TooLarge, "the answer is larger than the host accepts"),
                _ => (true, Cause::Other, "the host's HTTP client failed"),
            };
            HttpFault { sent, fault: Fault::new(cause, text) }
        }
    };
}
pub(super) use faults;
