//! The settings of an access key, which every client of AWS has.

use super::credentials::{Agent, Credentials, Issuer, Source};
use crate::endpoint::{Endpoint, plain};
use kvfuse_core::{Error, Kind, Result, Settings};
use kvfuse_transport::http::Scheme;
use std::rc::Rc;

const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const AUTHORIZATION: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const AUTHORIZATION_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// What a path in [`RELATIVE`] is relative to.
const CONTAINER: &str = "http://169.254.170.2";
const INSTANCE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const INSTANCE_EXAMPLE: &str = "http://169.254.169.254";
/// The variables of an access key. Those of one store alone go before them, if any of these is set.
const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Where the access key comes from. `own` are the variables of an access key for one store alone: its name, the secret, and the
/// session token of a temporary one.
///
/// # Errors
/// [`Unavailable`](Kind::Unavailable) if there is none, [`InvalidArgument`](Kind::InvalidArgument) for a setting that is not
/// valid.
pub fn credentials(settings: &Settings, own: [&str; 3]) -> Result<Source> {
    for [id_name, secret_name, token_name] in [own, KEYS] {
        let get = |name| settings.get(name).map(|text| plain(name, text).map(str::to_string)).transpose();
        match (get(id_name)?, get(secret_name)?, get(token_name)?) {
            (None, None, None) => {}
            (Some(id), Some(secret), token) => return Ok(Source::Given(Rc::new(Credentials { id, secret, token }))),
            _ => {
                return Err(Error::invalid(format!(
                    "{id_name} and {secret_name} must be set together ({token_name} only with both)"
                )));
            }
        }
    }
    if let Some(agent) = agent(settings)? {
        return Ok(Source::Issued(Issuer::Container(agent)));
    }
    if let Some(text) = settings.get(INSTANCE) {
        let server = Endpoint::without_path(INSTANCE, text, INSTANCE_EXAMPLE)?.server(INSTANCE);
        return Ok(Source::Issued(Issuer::Instance(server)));
    }
    let [id, secret, token] = KEYS;
    Err(Error::new(
        Kind::Unavailable,
        format!(
            "no credentials are configured: set the variables {id} and {secret}, and for temporary ones {token}; or {INSTANCE} \
             to {INSTANCE_EXAMPLE} on an instance of EC2 with a role"
        ),
    ))
}

/// What gives out credentials in a container.
fn agent(settings: &Settings) -> Result<Option<Agent>> {
    let (name, text) = match (settings.get(RELATIVE), settings.get(FULL)) {
        (Some(path), _) if path.starts_with('/') => (RELATIVE, format!("{CONTAINER}{path}")),
        (Some(_), _) => return Err(Error::invalid(format!("{RELATIVE} is not a path: it has to begin with /"))),
        (None, Some(text)) => (FULL, text.to_string()),
        (None, None) => return Ok(None),
    };
    let example = "http://169.254.170.23/v1/credentials";
    let (endpoint, path) = Endpoint::parse(name, plain(name, text.trim())?, example)?;
    if endpoint.scheme == Scheme::Http && !is_local(&endpoint.host) {
        return Err(Error::invalid(format!(
            "{name} would send credentials over a network in clear text; use https, or an address of this machine"
        )));
    }
    let token = settings.get(AUTHORIZATION).map(|token| token.trim().to_string());
    if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')) {
        return Err(Error::invalid(format!("{AUTHORIZATION} contains characters other than ASCII")));
    }
    if token.is_none() && settings.get(AUTHORIZATION_FILE).is_some() {
        return Err(Error::invalid(format!(
            "{AUTHORIZATION_FILE} names a file, and this provider reads none; set {AUTHORIZATION} to what it contains"
        )));
    }
    let path = if path.is_empty() { "/".to_string() } else { path };
    Ok(Some(Agent { server: endpoint.server(name), path, token }))
}

/// Whether a host is this machine, or one of the addresses at which a container finds its agent.
fn is_local(host: &str) -> bool {
    let agents = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    host == "localhost"
        || agents.contains(&host)
        || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]
mod tests {
    use super::*;

    const OWN: [&str; 3] = ["OWN_ACCESS_KEY_ID", "OWN_SECRET_ACCESS_KEY", "OWN_SESSION_TOKEN"];

    fn with(variables: &[(&str, &str)]) -> Result<Source> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        credentials(&Settings::new(variables), OWN)
    }

    #[test]
    fn an_access_key_is_that_of_this_store_or_that_of_aws_and_never_a_mixture() {
        let ([id, secret, token], [aws_id, aws_secret, aws_token]) = (OWN, KEYS);
        let aws = [(aws_id, "hunter3"), (aws_secret, "hunter4"), (aws_token, "hunter5")];
        let given = |variables: &[(&str, &str)]| match with(variables) {
            Ok(Source::Given(credentials)) => credentials,
            other => panic!("{other:?}"),
        };
        let found = given(&[&aws[..], &[(id, "hunter1"), (secret, "hunter2")]].concat());
        assert_eq!((found.id.as_str(), found.secret.as_str(), found.token.as_deref()), ("hunter1", "hunter2", None));
        let found = given(&aws);
        assert_eq!((found.id.as_str(), found.token.as_deref()), ("hunter3", Some("hunter5")));
        let halves: [&[(&str, &str)]; 4] =
            [&[(id, "hunter1")], &[(secret, "hunter2")], &[(token, "hunter6")], &[(id, "hunter 1"), (secret, "a")]];
        for half in halves {
            let error = with(&[&aws, half].concat()).unwrap_err();
            assert!(!error.message().contains("hunter"), "{error}");
        }
        assert!(with(&[]).unwrap_err().message().contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn a_service_that_gives_out_credentials_counts_only_without_an_access_key() {
        let relative = [(RELATIVE, "/v2/credentials/hunter1")];
        match with(&relative).unwrap() {
            Source::Issued(Issuer::Container(agent)) => {
                assert_eq!(agent.server.authority, "169.254.170.2");
                assert_eq!((agent.path.as_str(), agent.token), ("/v2/credentials/hunter1", None));
            }
            other => panic!("{other:?}"),
        }
        let full = [(FULL, "http://169.254.170.23/v1/hunter1"), (AUTHORIZATION, "Basic hunter2")];
        match with(&full).unwrap() {
            Source::Issued(Issuer::Container(agent)) => {
                assert_eq!((agent.server.authority.as_str(), agent.path.as_str()), ("169.254.170.23", "/v1/hunter1"));
                assert_eq!(agent.token.as_deref(), Some("Basic hunter2"));
                assert!(!format!("{agent:?}").contains("hunter"));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(with(&[(INSTANCE, "http://[fd00:ec2::254]")]), Ok(Source::Issued(Issuer::Instance(_)))));
        let keys = [("AWS_ACCESS_KEY_ID", "hunter1"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
        let both = [&keys[..], &relative, &full[..1], &[(INSTANCE, "http://b")]].concat();
        assert!(matches!(with(&both), Ok(Source::Given(_))));
        for (name, text, said) in [
            (RELATIVE, "hunter1", "begin with /"),
            (RELATIVE, "@evil/hunter1", "begin with /"),
            (FULL, "http://elsewhere/hunter1", "clear text"),
            (FULL, "http://169.254.170.2.example/hunter1", "clear text"),
            (FULL, "ftp://127.0.0.1/hunter1", "scheme"),
            (INSTANCE, "http://169.254.169.254/hunter1", "path"),
            (INSTANCE, "hunter1", "scheme"),
        ] {
            let error = with(&[(name, text)]).unwrap_err();
            assert!(error.message().contains(name) && error.message().contains(said), "{error}");
            assert!(!error.message().contains("hunter"), "{error}");
        }
        for url in ["http://127.0.0.1:8080/a", "http://[::1]/a", "http://localhost/a", "https://elsewhere/a"] {
            assert!(matches!(with(&[(FULL, url)]), Ok(Source::Issued(Issuer::Container(_)))), "{url}");
        }
        let error = with(&[full[0], (AUTHORIZATION_FILE, "/var/run/hunter")]).unwrap_err();
        assert!(error.message().contains("reads none") && !error.message().contains("hunter"), "{error}");
        assert!(with(&[full[0], (AUTHORIZATION, "hunter\r\nx: y")]).is_err());
    }
}
