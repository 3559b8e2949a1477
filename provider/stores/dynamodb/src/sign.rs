//! Signatures of requests: AWS Signature Version 4. No I/O.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. Only what the
//! requests of this store need: `POST /`, without a query.
#![deny(clippy::arithmetic_side_effects)]

use crate::credentials::Credentials;
use hmac::digest::InvalidLength;
use kvfuse_http::keyed::{hex, keyed};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What a signature is valid for, beside the request.
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
    /// As [`timestamp`](kvfuse_http::calendar::timestamp) writes it; it has to be a signed header as well.
    pub timestamp: &'a str,
}

/// The value of the header `authorization`. The names of the headers are in lower case and in order; all of them are
/// signed.
pub fn authorization(
    headers: &[(&str, &str)],
    body: &[u8],
    scope: &Scope<'_>,
    credentials: &Credentials,
) -> Result<String, InvalidLength> {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = "POST\n/\n\n".to_string();
    for (name, value) in headers {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{}", hex(&Sha256::digest(body)));

    let Scope { region, service, timestamp } = scope;
    let day = timestamp.get(..8).unwrap_or_default();
    let valid_for = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{timestamp}\n{valid_for}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = format!("AWS4{}", credentials.secret).into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = keyed(&key, part)?;
    }
    let signature = hex(&keyed(&key, &text)?);
    Ok(format!(
        "AWS4-HMAC-SHA256 Credential={}/{valid_for}, SignedHeaders={names}, Signature={signature}",
        credentials.id
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: (&str, &str) = ("x-amz-date", "20150830T123600Z");
    const HOST: (&str, &str) = ("host", "example.amazonaws.com");
    // The session token of the published example.
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn signed(headers: &[(&str, &str)], body: &[u8]) -> String {
        let credentials = Credentials {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let scope = Scope { region: "us-east-1", service: "service", timestamp: "20150830T123600Z" };
        authorization(headers, body, &scope, &credentials).unwrap()
    }

    fn expected(names: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={names}, Signature={signature}"
        )
    }

    /// Cases of AWS' published test suite, by their names there.
    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        // post-vanilla
        assert_eq!(
            signed(&[HOST, DATE], b""),
            expected("host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
        );
        // post-x-www-form-urlencoded
        assert_eq!(
            signed(&[("content-type", "application/x-www-form-urlencoded"), HOST, DATE], b"Param1=value1"),
            expected(
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
            )
        );
        // post-sts-header-before
        assert_eq!(
            signed(&[HOST, DATE, ("x-amz-security-token", TOKEN)], b""),
            expected(
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"
            )
        );
    }
}
