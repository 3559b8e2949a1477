//! Signatures of requests: AWS Signature Version 4. No I/O.
//!
//! Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
#![deny(clippy::arithmetic_side_effects)]

use super::credentials::Credentials;
use crate::keyed::{hex, keyed};
use hmac::digest::InvalidLength;
use kvfuse_transport::http::Method;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What is signed of a request.
pub struct Signed<'a> {
    /// What it asks for.
    pub method: Method,
    /// As it is sent, without the query. Services other than S3 want it escaped twice, so for these it has to be `/`.
    pub path: &'a str,
    /// As it is sent: the parameters in the order of their names, each with an equals sign, and
    /// [`escaped`](crate::escape::escaped).
    pub query: &'a str,
    /// Their names are in lower case and in order. All of them are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// The [`hash`] of the body.
    pub body: &'a str,
}

/// What a signature is valid for, beside the request.
pub struct Scope<'a> {
    /// Where it is valid.
    pub region: &'a str,
    /// The service, by the name that it has in signatures.
    pub service: &'a str,
    /// As [`timestamp`](crate::calendar::timestamp) writes it; it has to be a signed header as well.
    pub timestamp: &'a str,
}

/// The hash of a body, as a signature has it.
pub fn hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// The value of the header `authorization`.
///
/// # Errors
/// If the secret access key cannot be used. Every length can.
pub fn authorization(
    signed: &Signed<'_>,
    scope: &Scope<'_>,
    credentials: &Credentials,
) -> Result<String, InvalidLength> {
    let Signed { method, path, query, headers, body } = signed;
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = format!("{}\n{path}\n{query}\n", method.name());
    for (name, value) in *headers {
        let _ = writeln!(canonical, "{name}:{value}");
    }
    let _ = write!(canonical, "\n{names}\n{body}");

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
    use crate::escape::escaped;

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
        let signed = Signed { method: Method::Post, path: "/", query: "", headers, body: &hash(body) };
        authorization(&signed, &scope, &credentials).unwrap()
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

    /// The examples of the documentation of S3, which has signatures of its own: the path is escaped once, and the hash of the
    /// body is a header as well.
    #[test]
    fn signatures_are_those_of_the_published_examples_of_s3() {
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let credentials = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let scope = Scope { region: "us-east-1", service: "s3", timestamp: "20130524T000000Z" };
        let signature = |method, path: &str, query: &str, more: &[(&str, &str)], body: &str| {
            let own = [("host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", body)];
            let mut headers = [&own[..], &[("x-amz-date", "20130524T000000Z")], more].concat();
            headers.sort_unstable();
            let signed = Signed { method, path, query, headers: &headers, body };
            let value = authorization(&signed, &scope, &credentials).unwrap();
            value.rsplit_once('=').unwrap().1.to_string()
        };
        assert_eq!(hash(b""), EMPTY);
        let range = [("range", "bytes=0-9")];
        assert_eq!(
            signature(Method::Get, "/test.txt", "", &range, EMPTY),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        let put = [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let path = escaped("/test$file.text", true);
        assert_eq!(
            signature(Method::Put, &path, "", &put, &hash(b"Welcome to Amazon S3.")),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            signature(Method::Get, "/", "lifecycle=", &[], EMPTY),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            signature(Method::Get, "/", "max-keys=2&prefix=J", &[], EMPTY),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }
}
