//! Failures and error answers, in terms of the contract.

use crate::config::{BUCKET, Config, ENDPOINT, REGION};
use crate::layout::MAX_NAME;
use crate::protocol::Refusal;
use kvfuse_core::{Error, Kind};
use kvfuse_http::aws::credentials::Credentials;
use kvfuse_http::service::Service;
pub use kvfuse_transport::fault::Failure;

pub const S3: Service = Service("S3");

/// What an error answer means for the caller.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    /// A retry does not help.
    Refused(Error),
    /// Nothing was done, because the access key has expired. With another one, a retry may succeed.
    Expired(Error),
    /// The object does not exist.
    Missing,
    /// The object is not the expected one, or another write of it was on its way. Nothing was written.
    NotMet,
    /// The object has none of the bytes that were asked for: it is empty.
    Empty,
    /// Nothing was done, and a retry may succeed.
    Busy(String),
    /// A write may have been carried out.
    Uncertain(String),
}

/// Errors are recognized by their codes, which the API reference lists. `region` is what a header says of the bucket's.
pub fn meaning(config: &Config, keys: &Credentials, status: u16, refusal: &Refusal, region: Option<&str>) -> Meaning {
    let refused = |kind, message: &str| Meaning::Refused(Error::new(kind, message));
    match refusal.code.as_str() {
        "NoSuchKey" => Meaning::Missing,
        "PreconditionFailed" | "ConditionalRequestConflict" => Meaning::NotMet,
        "InvalidRange" => Meaning::Empty,
        "NoSuchBucket" => Meaning::Refused(no_bucket(config)),
        code @ ("SlowDown"
        | "SlowDownRead"
        | "SlowDownWrite"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "OperationAborted") => Meaning::Busy(code.to_string()),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Meaning::Refused(elsewhere(config, keys, refusal, region)),
        "" if matches!(status, 300..400) => Meaning::Refused(elsewhere(config, keys, refusal, region)),
        "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => {
            refused(Kind::Unavailable, "S3 rejected the time of the request: the clock of this machine is wrong")
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Meaning::Expired(Error::new(
            Kind::Unavailable,
            "the temporary credentials for S3 have expired; restart with new ones",
        )),
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidSecurity"
        | "NotSignedUp"
        | "InvalidSignature"
        | "SignatureVersionNotSupported" => refused(Kind::AccessDenied, "S3 rejected the access key or its signature"),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "MethodNotAllowed" => refused(
            Kind::AccessDenied,
            "the policies of the access key do not allow this call on the bucket; without s3:ListBucket not even an absent key \
             can be told",
        ),
        "InvalidObjectState" => {
            refused(Kind::Unavailable, "the object is archived, and has to be restored before it can be read")
        }
        "EntityTooLarge" | "MaxMessageLengthExceeded" => {
            refused(Kind::InvalidArgument, "the value is larger than this server accepts in one request (S3: 5 GiB)")
        }
        "KeyTooLongError" | "KeyTooLong" | "InvalidObjectName" | "XMinioInvalidObjectName" => {
            Meaning::Refused(Error::invalid(format!(
                "this server does not accept the name of the object, although it has at most {MAX_NAME} bytes: it has a part \
                 that is too long for it, or characters that it does not take"
            )))
        }
        "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "InsufficientCapacity" => {
            refused(Kind::QuotaExceeded, "the server has no room left for the value")
        }
        "NotImplemented" => Meaning::Refused(Error::unsupported(
            "this server does not implement a part of the request, such as a condition of a write (If-Match, If-None-Match)",
        )),
        "InvalidRequest"
        | "InvalidArgument"
        | "MalformedXML"
        | "InvalidURI"
        | "InvalidDigest"
        | "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "InvalidBucketName"
        | "KMS.DisabledException" => Meaning::Refused(Error::new(
            Kind::Other,
            format!("S3 answered with an error: {}: {}", keys.shown(&refusal.code), keys.shown(&refusal.message)),
        )),
        // Not every server, nor what is in between, has a text for these.
        "" if status == 412 => Meaning::NotMet,
        "" if status == 416 => Meaning::Empty,
        "" if matches!(status, 401 | 403) => {
            refused(Kind::AccessDenied, "S3, or something in between, rejected the access key or its signature")
        }
        "" if status == 429 => Meaning::Busy("HTTP status 429".into()),
        "" if matches!(status, 400 | 404 | 405) => Meaning::Refused(S3.stranger(&config.server)),
        "" => Meaning::Uncertain(format!("HTTP status {status}")),
        code => Meaning::Uncertain(keys.shown(code)),
    }
}

fn no_bucket(config: &Config) -> Error {
    let Config { bucket, server, .. } = config;
    Error::new(
        Kind::Unavailable,
        format!(
            "S3 at {} has no bucket {bucket}; make it (aws s3 mb s3://{bucket}), or name another one in {BUCKET} or the path of \
             {ENDPOINT}",
            server.authority
        ),
    )
}

/// The bucket is in another region.
fn elsewhere(config: &Config, keys: &Credentials, refusal: &Refusal, region: Option<&str>) -> Error {
    let region = [region.unwrap_or_default(), &refusal.region].into_iter().find(|region| !region.is_empty());
    let place = region.map_or("elsewhere".to_string(), |region| format!("in the region {}", keys.shown(region)));
    Error::new(
        Kind::Unavailable,
        format!(
            "the bucket {} is {place}, and {} was asked, with a signature for the region {}; set {ENDPOINT} and {REGION} to \
             where it is",
            config.bucket, config.server.authority, config.region
        ),
    )
}

/// The object has more bytes than a value.
pub fn too_large(config: &Config) -> Error {
    Error::invalid(format!(
        "the value is larger than the limit of {} bytes; set the variable KEYVALUE_MAX_VALUE to raise it, or read the value as a \
         stream",
        config.largest
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_http::aws::credentials::Source;
    use kvfuse_servers::settings;

    fn of(status: u16, code: &str, message: &str, region: Option<&str>) -> Meaning {
        let settings = settings(&[
            (ENDPOINT, "http://s3:1/photos"),
            ("AWS_ACCESS_KEY_ID", "hunter1"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "hunter3"),
        ]);
        let config = Config::from_settings(&settings).unwrap();
        let Source::Given(keys) = &config.credentials else { panic!("they are set") };
        let refusal = Refusal { code: code.into(), message: message.into(), region: String::new() };
        meaning(&config, keys, status, &refusal, region)
    }

    #[test]
    fn error_answers_mean_what_the_reference_says_they_mean() {
        assert_eq!(of(404, "NoSuchKey", "", None), Meaning::Missing);
        for (status, code) in [(412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (412, "")] {
            assert_eq!(of(status, code, "", None), Meaning::NotMet);
        }
        assert_eq!(of(416, "InvalidRange", "", None), Meaning::Empty);
        for (status, code) in [(503, "SlowDown"), (409, "OperationAborted"), (429, "TooManyRequests"), (429, "")] {
            assert!(matches!(of(status, code, "", None), Meaning::Busy(_)), "{code}");
        }
        for (status, code) in
            [(500, "InternalError"), (503, "ServiceUnavailable"), (502, ""), (400, "RequestTimeout"), (400, "New")]
        {
            assert!(matches!(of(status, code, "", None), Meaning::Uncertain(_)), "{code}");
        }
        for (status, code, kind) in [
            (403, "SignatureDoesNotMatch", Kind::AccessDenied),
            (403, "InvalidAccessKeyId", Kind::AccessDenied),
            (403, "AccessDenied", Kind::AccessDenied),
            (403, "", Kind::AccessDenied),
            (403, "RequestTimeTooSkewed", Kind::Unavailable),
            (403, "InvalidObjectState", Kind::Unavailable),
            (404, "NoSuchBucket", Kind::Unavailable),
            (404, "", Kind::Unavailable),
            (400, "EntityTooLarge", Kind::InvalidArgument),
            (400, "KeyTooLongError", Kind::InvalidArgument),
            (507, "XMinioStorageFull", Kind::QuotaExceeded),
            (501, "NotImplemented", Kind::Unsupported),
            (400, "MalformedXML", Kind::Other),
        ] {
            let Meaning::Refused(error) = of(status, code, "", None) else { panic!("{code}") };
            assert_eq!(error.kind(), kind, "{code}");
        }
        assert!(
            matches!(of(400, "ExpiredToken", "", None), Meaning::Expired(error) if error.kind() == Kind::Unavailable)
        );
        let Meaning::Refused(error) = of(404, "NoSuchBucket", "", None) else { panic!("it is refused") };
        assert!(error.message().contains("aws s3 mb s3://photos"), "{error}");
    }

    #[test]
    fn a_bucket_in_another_region_is_an_error_that_names_the_region() {
        for (status, code) in [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (301, "")] {
            let Meaning::Refused(error) = of(status, code, "", Some("eu-west-1")) else { panic!("{code}") };
            assert_eq!(error.kind(), Kind::Unavailable);
            assert!(error.message().contains("in the region eu-west-1"), "{error}");
        }
        let Meaning::Refused(error) = of(400, "AuthorizationHeaderMalformed", "", None) else {
            panic!("it is refused")
        };
        assert!(error.message().contains("photos is elsewhere") && error.message().contains(REGION), "{error}");
    }

    #[test]
    fn a_server_that_repeats_a_credential_does_not_get_it_into_an_error() {
        for secret in ["hunter1", "hunter2", "hunter3"] {
            for code in ["InvalidRequest", "AccessDenied", "SignatureDoesNotMatch", "PermanentRedirect", secret] {
                let text = format!("{:?}", of(400, code, &format!("you said {secret}"), Some(secret)));
                assert!(!text.contains("hunter"), "{text}");
            }
        }
    }
}
