//! Failures and error answers, in terms of the contract.

use crate::client::Api;
use crate::config::{Config, Layout};
use crate::protocol::{Item, Refusal};
use kvfuse_core::{Error, Kind};
use kvfuse_http::aws::credentials::Credentials;
use kvfuse_http::service::Service;
pub use kvfuse_transport::fault::Failure;

pub const DYNAMODB: Service = Service("DynamoDB");

/// What an error answer means for the caller.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    /// A retry does not help.
    Refused(Error),
    /// Nothing was done, because the access key has expired. With another one, a retry may succeed.
    Expired(Error),
    /// The condition of a write is not met, by this item or by none.
    NotMet(Option<Item>),
    /// Nothing was done, and a retry may succeed.
    Busy(String),
    /// A write may have been carried out.
    Uncertain(String),
    /// What was asked for of a stream is not there any more.
    Lapsed(Lapse),
}

/// What is not there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The records: they are older than DynamoDB keeps them.
    Trimmed,
    /// The iterator: it is older than 15 minutes.
    Expired,
    /// The stream, or the shard.
    Gone,
}

/// Errors are recognized by the names of their exceptions, which the API reference lists.
pub fn meaning(config: &Config, keys: &Credentials, api: Api, status: u16, refusal: Refusal) -> Meaning {
    let server = config.of(api);
    let refused = |kind, message: String| Meaning::Refused(Error::new(kind, message));
    match refusal.name() {
        "ConditionalCheckFailedException" => Meaning::NotMet(refusal.item),
        name @ ("ProvisionedThroughputExceededException"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TransactionConflictException"
        | "ReplicatedWriteConflictException"
        | "LimitExceededException") => Meaning::Busy(name.to_string()),
        "TrimmedDataAccessException" if api == Api::Streams => Meaning::Lapsed(Lapse::Trimmed),
        "ExpiredIteratorException" if api == Api::Streams => Meaning::Lapsed(Lapse::Expired),
        "ResourceNotFoundException" if api == Api::Streams => Meaning::Lapsed(Lapse::Gone),
        "ResourceNotFoundException" => refused(
            Kind::Unavailable,
            format!(
                "DynamoDB at {} has no table with the name in KEYVALUE_DYNAMODB_TABLE (\"keyvalue\" if it is not set) in the \
                 region {}; docs/dynamodb.md has the command that creates it",
                server.authority, config.region
            ),
        ),
        "ItemCollectionSizeLimitExceededException" => {
            refused(Kind::QuotaExceeded, "the bucket has reached DynamoDB's limit for one partition key (10 GB)".into())
        }
        "ExpiredTokenException" | "ExpiredToken" => Meaning::Expired(Error::new(
            Kind::Unavailable,
            "the temporary credentials for DynamoDB have expired; restart with new ones",
        )),
        // The message tells a wrong clock from a wrong key, and may repeat the request, so it is not passed on.
        "InvalidSignatureException" if ["expired", "not yet current"].iter().any(|w| refusal.message.contains(w)) => {
            refused(
                Kind::Unavailable,
                "DynamoDB rejected the time of the request: the clock of this machine is wrong".into(),
            )
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignatureException"
        | "IncompleteSignature" => {
            refused(Kind::AccessDenied, "DynamoDB rejected the access key or its signature".into())
        }
        "AccessDeniedException" => {
            refused(Kind::AccessDenied, "the policies of the access key do not allow this call on the table".into())
        }
        "KMSAccessDeniedException" | "InaccessibleEncryptionCredentialsException" => {
            refused(Kind::Unavailable, "DynamoDB cannot use the key that the table is encrypted with".into())
        }
        "ValidationException" if refusal.message.contains("Item size") => refused(
            Kind::InvalidArgument,
            "the item would be larger than DynamoDB supports (400 KB, with the key and the bucket)".into(),
        ),
        "ValidationException"
            if ["schema", "Type mismatch", "Missing the key"].iter().any(|w| refusal.message.contains(w)) =>
        {
            let keys = match config.layout {
                Layout::Own => "the partition key pk and the sort key sk, both strings",
                Layout::Spin => "the partition key PK, a string, and no sort key",
            };
            refused(Kind::Unavailable, format!("the table in DynamoDB has other keys: it needs {keys}"))
        }
        "UnknownOperationException" => Meaning::Refused(DYNAMODB.stranger(server)),
        "ValidationException" | "SerializationException" => {
            refused(Kind::Other, format!("DynamoDB answered with an error: {}", keys.shown(&refusal.message)))
        }
        "" if matches!(status, 401 | 403) => refused(
            Kind::AccessDenied,
            "DynamoDB, or something in between, rejected the access key or its signature".into(),
        ),
        "" if matches!(status, 404 | 405) => Meaning::Refused(DYNAMODB.stranger(server)),
        "" => Meaning::Uncertain(format!("HTTP status {status}")),
        name => Meaning::Uncertain(keys.shown(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::settings;

    fn of(status: u16, name: &str, message: &str) -> Meaning {
        from(Api::Table, status, name, message)
    }

    fn from(api: Api, status: u16, name: &str, message: &str) -> Meaning {
        let settings = settings(&[
            ("KEYVALUE_DYNAMODB_ENDPOINT", "http://db:1"),
            ("AWS_REGION", "r"),
            ("AWS_ACCESS_KEY_ID", "hunter1"),
            ("AWS_SECRET_ACCESS_KEY", "hunter2"),
            ("AWS_SESSION_TOKEN", "hunter3"),
        ]);
        let refusal = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{name}","message":"{message}"}}"#);
        let config = Config::from_settings(&settings).unwrap();
        let kvfuse_http::aws::credentials::Source::Given(keys) = &config.credentials else { panic!("they are set") };
        meaning(&config, keys, api, status, crate::protocol::refusal(refusal.as_bytes()))
    }

    #[test]
    fn error_answers_mean_what_the_reference_says_they_mean() {
        assert_eq!(of(400, "ConditionalCheckFailedException", "x"), Meaning::NotMet(None));
        for name in ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"] {
            assert!(matches!(of(400, name, ""), Meaning::Busy(_)), "{name}");
        }
        for (status, name) in
            [(500, "InternalServerError"), (503, "ServiceUnavailable"), (502, ""), (400, "NewException")]
        {
            assert!(matches!(of(status, name, ""), Meaning::Uncertain(_)), "{name}");
        }
        for (name, message, kind) in [
            ("UnrecognizedClientException", "", Kind::AccessDenied),
            ("InvalidSignatureException", "does not match", Kind::AccessDenied),
            ("InvalidSignatureException", "Signature expired: 1 is now earlier than 2", Kind::Unavailable),
            ("AccessDeniedException", "", Kind::AccessDenied),
            ("ResourceNotFoundException", "", Kind::Unavailable),
            ("ValidationException", "Item size has exceeded the maximum allowed size", Kind::InvalidArgument),
            ("ValidationException", "The provided key element does not match the schema", Kind::Unavailable),
            ("ValidationException", "something else", Kind::Other),
        ] {
            let Meaning::Refused(error) = of(400, name, message) else { panic!("{name}") };
            assert_eq!(error.kind(), kind, "{name}");
        }
        assert!(
            matches!(of(400, "ExpiredTokenException", ""), Meaning::Expired(error) if error.kind() == Kind::Unavailable)
        );
    }

    #[test]
    fn what_a_stream_does_not_have_any_more_is_told_from_a_table_that_does_not_exist() {
        for (name, lapse) in [
            ("TrimmedDataAccessException", Lapse::Trimmed),
            ("ExpiredIteratorException", Lapse::Expired),
            ("ResourceNotFoundException", Lapse::Gone),
        ] {
            assert_eq!(from(Api::Streams, 400, name, ""), Meaning::Lapsed(lapse));
            assert!(!matches!(of(400, name, ""), Meaning::Lapsed(_)), "{name}");
        }
        assert!(matches!(from(Api::Streams, 400, "LimitExceededException", ""), Meaning::Busy(_)));
    }

    #[test]
    fn a_server_that_repeats_a_credential_does_not_get_it_into_an_error() {
        for secret in ["hunter1", "hunter2", "hunter3"] {
            for name in ["ValidationException", "AccessDeniedException", "InvalidSignatureException", secret] {
                let text = format!("{:?}", of(400, name, &format!("you said {secret}")));
                assert!(!text.contains("hunter"), "{text}");
            }
        }
    }
}
