//! Why a handshake failed, and what to do about it. Everything here is for the one who runs the component: which
//! variable to set, or what to change on the server.

use crate::trust::CA;
use kvfuse_transport::fault::{Cause, Fault};
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// The fault for a failure of the protocol, in the handshake or after it.
pub fn fault(host: &str, in_handshake: bool, error: &Error) -> Fault {
    let text = match error {
        Error::AlertReceived(AlertDescription::CertificateRequired) => needs_certificate(),
        Error::AlertReceived(alert) if !in_handshake => format!("the server broke off the TLS session ({alert:?})"),
        other if !in_handshake => format!("what the server sent over TLS cannot be read: {other}"),
        Error::InvalidCertificate(reason) => certificate(host, reason),
        Error::NoCertificatesPresented => "the server presented no certificate".into(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "the server does not speak TLS on this port: use its TLS port, or the URL without TLS on a trusted network"
                .into()
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            format!(
                "the server aborted the TLS handshake: it may allow none of the algorithms offered, or {}",
                needs_certificate()
            )
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server offers neither TLS 1.3 nor TLS 1.2: allow one of them there".into()
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            format!("the server knows no host called {host}: use the name that its certificate is for")
        }
        Error::AlertReceived(alert) => format!("the server aborted the TLS handshake ({alert:?})"),
        other => format!("the TLS handshake failed: {other}"),
    };
    Fault::new(Cause::Tls, text)
}

fn certificate(host: &str, reason: &CertificateError) -> String {
    match reason {
        CertificateError::UnknownIssuer => format!(
            "the server's certificate is from an authority that is not trusted: set {CA} to the authority's certificate in \
             PEM, as in {CA}=\"$(cat ca.pem)\", and let the server send its intermediate certificates"
        ),
        CertificateError::NotValidForName => wrong_name(host, &[]),
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(host, presented),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it there, or, if it has not, set the clock of this host".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: set the clock of this host, or of the one where it was made".into()
        }
        CertificateError::BadSignature => {
            format!(
                "the signature of the server's certificate is wrong, or made with an RSA key that is too short or too long \
                 (2048 to 8192 bits are accepted): check that {CA} is that of its authority"
            )
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the server's certificate is signed with an algorithm that is not supported here: use RSA of 2048 to 8192 bits, \
             or ECDSA on P-256 or P-384, with SHA-256, SHA-384 or SHA-512"
                .into()
        }
        // Without `std`, rustls keeps the reason to itself. It is hardly ever another one.
        CertificateError::Other(_) => "the server's certificate is not one for a server, but that of an authority, or one that \
             breaks the rules for certificates: give the server a certificate from the authority (openssl req -x509 makes one \
             that is no authority's with -addext basicConstraints=critical,CA:FALSE)"
            .into(),
        other => format!("the server's certificate is not valid: {other}"),
    }
}

fn wrong_name(host: &str, presented: &[String]) -> String {
    let names = |name: &String| {
        // What certificates call names, `DnsName("a.example")` or `IpAddress(127.0.0.1)`, without the rest.
        let quoted = name.split('"').nth(1);
        let inside = || name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        quoted.or_else(inside).unwrap_or(name).chars().filter(|c| !c.is_control()).take(100).collect::<String>()
    };
    let names: Vec<_> = presented.iter().take(5).map(names).collect();
    let presented = if names.is_empty() { "another name".into() } else { names.join(", ") };
    format!("the server's certificate is for {presented} and not for {host}: use a name in the URL that it is for")
}

fn needs_certificate() -> String {
    "the server asks for a certificate of the client, which is not supported here: let it do without (Redis: \
     tls-auth-clients no)"
        .into()
}
