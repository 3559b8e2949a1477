//! Failures and error answers, in terms of the contract.

use crate::config::{Config, TABLE};
use crate::protocol::Refusal;
use kvfuse_core::{Error, Kind};
use kvfuse_http::service::Service;
pub use kvfuse_transport::fault::Failure;

pub const AZURE: Service = Service("Azure Tables");

/// What an error answer means for the caller.
#[derive(Debug, PartialEq)]
pub enum Meaning {
    /// A retry does not help.
    Refused(Error),
    /// The entity does not exist; of several writes, the one of this number.
    Missing(Option<usize>),
    /// The entity exists.
    Exists,
    /// The entity is not the expected one.
    NotMet,
    /// The table does not exist.
    NoTable,
    /// Nothing was done, and a retry may succeed.
    Busy(String),
    /// A write may have been carried out.
    Uncertain(String),
}

/// Errors are recognized by their codes, which the API reference lists.
pub fn meaning(config: &Config, status: u16, refusal: &Refusal) -> Meaning {
    let refused = |kind, message: &str| Meaning::Refused(Error::new(kind, message));
    match refusal.code.as_str() {
        "ResourceNotFound" | "EntityNotFound" => Meaning::Missing(refusal.operation()),
        "EntityAlreadyExists" => Meaning::Exists,
        "UpdateConditionNotSatisfied" | "ConditionNotMet" => Meaning::NotMet,
        "TableNotFound" => Meaning::NoTable,
        code @ ("ServerBusy" | "TooManyRequests" | "TableBeingDeleted" | "AccountBeingCreated") => {
            Meaning::Busy(code.to_string())
        }
        // The message tells a wrong clock from a wrong key, and may repeat the request, so it is not passed on.
        "AuthenticationFailed" if refusal.message.to_ascii_lowercase().contains("date header") => refused(
            Kind::Unavailable,
            "Azure Tables rejected the time of the request: the clock of this machine is wrong",
        ),
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" | "AccountIsDisabled" => {
            refused(
                Kind::AccessDenied,
                "Azure Tables rejected the key of the account or the shared access signature, which may have expired",
            )
        }
        code if code.starts_with("Authorization") || code.starts_with("Insufficient") => {
            refused(Kind::AccessDenied, "the key or the shared access signature does not allow this call on the table")
        }
        "EntityTooLarge" | "RequestBodyTooLarge" | "PropertyValueTooLarge" | "TooManyProperties" => refused(
            Kind::InvalidArgument,
            "the entity would be larger than the service supports (1 MiB, with the key and the bucket)",
        ),
        "OutOfRangeInput" | "InvalidInput" | "InvalidValueType" | "InvalidHeaderValue" | "NotImplemented"
        | "KeyValueTooLarge" => Meaning::Refused(Error::new(
            Kind::Other,
            format!("Azure Tables answered with an error: {}", shown(config, &refusal.message)),
        )),
        "" if matches!(status, 401 | 403) => refused(
            Kind::AccessDenied,
            "Azure Tables, or something in between, rejected the key of the account or the shared access signature",
        ),
        "" if status == 429 => Meaning::Busy("HTTP status 429".into()),
        "" if matches!(status, 400 | 404 | 405) => Meaning::Refused(AZURE.stranger(&config.server)),
        "" => Meaning::Uncertain(format!("HTTP status {status}")),
        code => Meaning::Uncertain(shown(config, code)),
    }
}

/// A text of the server's on one line of limited length, unless it has a credential in it.
fn shown(config: &Config, text: &str) -> String {
    if config.credentials.secrets().iter().any(|secret| text.contains(secret.as_str())) {
        return "(hidden, because it repeats a credential)".into();
    }
    // What follows are numbers of the request.
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect()
}

/// The table does not exist and was not made either.
pub fn no_table(config: &Config, why: &str) -> Error {
    Error::new(
        Kind::Unavailable,
        format!(
            "Azure Tables at {} has no table {}, the name in {TABLE}, and it cannot be made ({why}); make it: az storage table \
             create --name {}",
            config.server.authority, config.table, config.table
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ENDPOINT;
    use kvfuse_servers::settings;

    fn with(credential: (&str, &str), status: u16, code: &str, message: &str) -> Meaning {
        let config = Config::from_settings(&settings(&[(ENDPOINT, "http://db:1/account"), credential])).unwrap();
        meaning(&config, status, &Refusal { code: code.into(), message: message.into() })
    }

    fn of(status: u16, code: &str, message: &str) -> Meaning {
        with(("KEYVALUE_AZURE_KEY", "aHVudGVyMg=="), status, code, message)
    }

    #[test]
    fn error_answers_mean_what_the_reference_says_they_mean() {
        assert_eq!(of(404, "ResourceNotFound", "The specified resource does not exist."), Meaning::Missing(None));
        assert_eq!(of(404, "ResourceNotFound", "7:The specified resource does not exist."), Meaning::Missing(Some(7)));
        assert_eq!(of(409, "EntityAlreadyExists", ""), Meaning::Exists);
        assert_eq!(of(412, "UpdateConditionNotSatisfied", ""), Meaning::NotMet);
        assert_eq!(of(404, "TableNotFound", ""), Meaning::NoTable);
        for (status, code) in [(503, "ServerBusy"), (429, "TooManyRequests"), (409, "TableBeingDeleted"), (429, "")] {
            assert!(matches!(of(status, code, ""), Meaning::Busy(_)), "{code}");
        }
        for (status, code) in
            [(500, "InternalError"), (500, "OperationTimedOut"), (502, ""), (503, ""), (400, "NewCode")]
        {
            assert!(matches!(of(status, code, ""), Meaning::Uncertain(_)), "{code}");
        }
        for (status, code, message, kind) in [
            (403, "AuthenticationFailed", "Server failed to authenticate the request.", Kind::AccessDenied),
            (403, "AuthenticationFailed", "Request date header too old: 'x'", Kind::Unavailable),
            (403, "AuthorizationPermissionMismatch", "", Kind::AccessDenied),
            (403, "InsufficientAccountPermissions", "", Kind::AccessDenied),
            (403, "", "", Kind::AccessDenied),
            (400, "EntityTooLarge", "", Kind::InvalidArgument),
            (413, "RequestBodyTooLarge", "", Kind::InvalidArgument),
            (400, "InvalidInput", "x", Kind::Other),
            (404, "", "", Kind::Unavailable),
        ] {
            let Meaning::Refused(error) = of(status, code, message) else { panic!("{code}") };
            assert_eq!(error.kind(), kind, "{code}");
        }
    }

    #[test]
    fn a_server_that_repeats_a_credential_does_not_get_it_into_an_error() {
        for (name, secret, repeated) in [
            ("KEYVALUE_AZURE_KEY", "aHVudGVyMg==", "aHVudGVyMg=="),
            ("KEYVALUE_AZURE_SAS", "sv=1&sig=hunter2%2B%3D", "hunter2%2B%3D"),
            ("KEYVALUE_AZURE_SAS", "sv=1&sig=hunter2%2B%3D", "hunter2+="),
        ] {
            for code in ["InvalidInput", "AuthenticationFailed", "AuthorizationFailure", repeated] {
                let text = format!("{:?}", with((name, secret), 400, code, &format!("you said {repeated}")));
                assert!(!text.contains("hunter") && !text.contains(repeated), "{text}");
            }
        }
    }
}
