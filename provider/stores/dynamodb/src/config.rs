//! The settings.

use crate::client::Api;
use crate::credentials::{Agent, Credentials, Issuer, Source};
use kvfuse_core::error::quoted;
use kvfuse_core::settings::LABEL;
use kvfuse_core::{Error, Kind, Result, Settings};
pub use kvfuse_http::endpoint::Server;
use kvfuse_http::endpoint::{Endpoint, plain};
use kvfuse_transport::address;
use kvfuse_transport::clock;
use kvfuse_transport::http::Scheme;
use std::rc::Rc;
use std::time::Duration;

/// Where the table is, who asks, and where keys are stored.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    /// What serves the table's stream.
    pub streams: Server,
    pub region: String,
    pub table: String,
    pub credentials: Source,
    pub layout: Layout,
    /// The prefix of every partition key.
    pub prefix: String,
    /// The time that a key lives after it was last written; forever if `None`.
    pub life: Option<Duration>,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

/// How keys and values are items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// That of `docs/dynamodb.md`.
    Own,
    /// That of Spin, which has one bucket.
    Spin,
}

const ENDPOINT: &str = "KEYVALUE_DYNAMODB_ENDPOINT";
const STREAMS: &str = "KEYVALUE_DYNAMODB_STREAMS_ENDPOINT";
const REGION: &str = "KEYVALUE_DYNAMODB_REGION";
const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const AUTHORIZATION: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
const AUTHORIZATION_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
/// What a path in [`RELATIVE`] is relative to.
const CONTAINER: &str = "http://169.254.170.2";
const INSTANCE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const INSTANCE_EXAMPLE: &str = "http://169.254.169.254";
const LAYOUT: &str = "KEYVALUE_DYNAMODB_LAYOUT";
const PREFIX: &str = "KEYVALUE_PREFIX";
const LIFE: &str = "KEYVALUE_TTL_S";
const EXAMPLE: &str = "https://dynamodb.eu-west-1.amazonaws.com";
const STREAMS_EXAMPLE: &str = "https://streams.dynamodb.eu-west-1.amazonaws.com";
/// A thousand years, in seconds.
const LONGEST_LIFE: u64 = 31_557_600_000;
/// The variables of an access key. Those of the first row that is set count, and no others.
const KEYS: [[&str; 3]; 2] = [
    ["KEYVALUE_DYNAMODB_ACCESS_KEY_ID", "KEYVALUE_DYNAMODB_SECRET_ACCESS_KEY", "KEYVALUE_DYNAMODB_SESSION_TOKEN"],
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
];

impl Config {
    /// What serves an API.
    pub fn of(&self, api: Api) -> &Server {
        match api {
            Api::Table => &self.server,
            Api::Streams => &self.streams,
        }
    }

    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let text = settings.get(ENDPOINT).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!("no endpoint is configured: set the variable {ENDPOINT}, such as {EXAMPLE}"),
            )
        })?;
        let address = endpoint(ENDPOINT, text, EXAMPLE)?;
        let streams = match settings.get(STREAMS) {
            Some(text) => endpoint(STREAMS, text, STREAMS_EXAMPLE)?,
            None => match address::beside(&address.host) {
                Some(host) => Endpoint { host, ..address.clone() },
                None => address.clone(),
            },
        };
        let region = settings.get(REGION).map(str::to_string).or_else(|| region_of(&address.host));
        let region = region.or_else(|| settings.get("AWS_REGION").map(str::to_string)).ok_or_else(|| {
            Error::invalid(format!(
                "the region is not part of {ENDPOINT}; set the variable {REGION}, such as us-east-1"
            ))
        })?;
        let layout = settings.choice(LAYOUT, &[("own", Layout::Own), ("spin", Layout::Spin)])?;
        if layout == Layout::Spin {
            refuse_beside_spin(settings)?;
        }
        Ok(Self {
            layout,
            server: address.server(ENDPOINT),
            streams: streams.server(STREAMS),
            region: plain(REGION, &region)?.to_string(),
            table: settings.get("KEYVALUE_DYNAMODB_TABLE").unwrap_or("keyvalue").to_string(),
            credentials: credentials(settings)?,
            prefix: settings.get(PREFIX).unwrap_or("keyvalue/").to_string(),
            life: settings.seconds(LIFE, 1..=LONGEST_LIFE)?,
            time_limit: clock::time_limit(settings)?,
        })
    }
}

/// Spin's items have neither a prefix nor a bucket nor an end.
fn refuse_beside_spin(settings: &Settings) -> Result<()> {
    if let Some(label) = settings.get(LABEL) {
        return Err(Error::invalid(format!(
            "{LAYOUT}=spin keeps no buckets apart, so it cannot keep those of the label {} apart from others; use a table of its \
             own without a label, or the layout own",
            quoted(label)
        )));
    }
    match [PREFIX, LIFE].into_iter().find(|name| settings.get(name).is_some()) {
        Some(name) => Err(Error::unsupported(format!(
            "{name} is not supported with {LAYOUT}=spin, whose items have no place for it; unset it, or use the layout own"
        ))),
        None => Ok(()),
    }
}

/// The endpoint in a setting. It never appears in an error, because it may contain a password, although that is not
/// allowed.
fn endpoint(name: &str, text: &str, example: &str) -> Result<Endpoint> {
    let (endpoint, path) = Endpoint::parse(name, text, example)?;
    match path.as_str() {
        "" | "/" => Ok(endpoint),
        _ => Err(Error::invalid(format!("{name} has a path; a valid one is {example}"))),
    }
}

/// `eu-west-1` in `dynamodb.eu-west-1.amazonaws.com`, and in the names of the other kinds of endpoints.
fn region_of(host: &str) -> Option<String> {
    let mut labels = host.split('.').skip_while(|label| !matches!(*label, "dynamodb" | "dynamodb-fips"));
    labels.next()?;
    labels.next().filter(|_| labels.next().is_some()).map(str::to_string)
}

fn credentials(settings: &Settings) -> Result<Source> {
    for [id_name, secret_name, token_name] in KEYS {
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
        let server = endpoint(INSTANCE, text, INSTANCE_EXAMPLE)?.server(INSTANCE);
        return Ok(Source::Issued(Issuer::Instance(server)));
    }
    let [_, [id, secret, token]] = KEYS;
    Err(Error::new(
        Kind::Unavailable,
        format!(
            "no credentials are configured: set the variables {id} and {secret}, and for temporary ones {token}; or {INSTANCE} to \
             {INSTANCE_EXAMPLE} on an instance of EC2 with a role"
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
mod tests {
    use super::*;
    use kvfuse_servers::settings;

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        let keys = [("AWS_ACCESS_KEY_ID", "hunter1"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
        Config::from_settings(&settings(&[&keys, variables].concat()))
    }

    #[test]
    fn the_region_is_that_of_the_endpoint_unless_it_is_named() {
        for (endpoint, region) in [
            ("https://dynamodb.eu-west-1.amazonaws.com", "eu-west-1"),
            ("https://dynamodb-fips.us-gov-west-1.amazonaws.com/", "us-gov-west-1"),
            ("https://dynamodb.cn-north-1.amazonaws.com.cn:443", "cn-north-1"),
            ("https://vpce-1a2b-3c.dynamodb.us-east-2.vpce.amazonaws.com", "us-east-2"),
            ("https://123456789012.ddb.us-east-1.amazonaws.com", "elsewhere"),
            ("http://127.0.0.1:8000", "elsewhere"),
        ] {
            let region_of = |variables: &[(&str, &str)]| config(&[&[(ENDPOINT, endpoint)], variables].concat());
            assert_eq!(region_of(&[("AWS_REGION", "elsewhere")]).unwrap().region, region, "{endpoint}");
            let named = [("AWS_REGION", "elsewhere"), (REGION, "named")];
            assert_eq!(region_of(&named).unwrap().region, "named", "{endpoint}");
        }
        let error = config(&[(ENDPOINT, "http://127.0.0.1:8000")]).unwrap_err();
        assert!(error.message().contains(REGION), "{error}");
    }

    #[test]
    fn the_authority_is_what_clients_send_as_the_host() {
        for (endpoint, scheme, authority) in [
            ("https://dynamodb.eu-west-1.amazonaws.com:443", Scheme::Https, "dynamodb.eu-west-1.amazonaws.com"),
            ("http://localhost:8000", Scheme::Http, "localhost:8000"),
            ("http://localhost:80/", Scheme::Http, "localhost"),
            ("http://[::1]:443", Scheme::Http, "[::1]:443"),
            ("http://[::1]", Scheme::Http, "[::1]"),
        ] {
            let config = config(&[(ENDPOINT, endpoint), (REGION, "r")]).unwrap();
            assert_eq!((config.server.scheme, config.server.authority.as_str()), (scheme, authority));
        }
    }

    #[test]
    fn the_stream_is_served_beside_the_table_in_aws_and_by_the_same_server_elsewhere() {
        let streams = |variables: &[(&str, &str)]| config(&[&[(REGION, "r")], variables].concat()).unwrap().streams;
        for (endpoint, scheme, authority) in [
            (EXAMPLE, Scheme::Https, "streams.dynamodb.eu-west-1.amazonaws.com"),
            ("http://localhost:8000", Scheme::Http, "localhost:8000"),
            ("http://[::1]", Scheme::Http, "[::1]"),
        ] {
            let expected = Server { scheme, authority: authority.into(), setting: STREAMS };
            assert_eq!(streams(&[(ENDPOINT, endpoint)]), expected);
            let other = Server { scheme: Scheme::Http, authority: "other:1".into(), setting: STREAMS };
            assert_eq!(streams(&[(ENDPOINT, endpoint), (STREAMS, "http://other:1")]), other);
        }
        let error = config(&[(ENDPOINT, EXAMPLE), (STREAMS, "https://a:hunter2@b")]).unwrap_err();
        assert!(error.message().contains(STREAMS) && !error.message().contains("hunter"), "{error}");
    }

    #[test]
    fn a_wrong_endpoint_is_refused_without_repeating_it() {
        for text in [
            "http://",
            "ftp://hunter2",
            "hunter2:8000",
            "https://a:hunter2@b",
            "https://b/hunter2",
            "https://b?hunter2",
            "a b",
        ] {
            let error = config(&[(ENDPOINT, text), (REGION, "r")]).unwrap_err();
            assert!(error.message().contains(ENDPOINT) && !error.message().contains("hunter"), "{error}");
        }
        assert_eq!(config(&[]).unwrap_err().kind(), Kind::Unavailable);
    }

    #[test]
    fn an_access_key_is_that_of_this_store_or_that_of_aws_and_never_a_mixture() {
        let with = |variables: &[(&str, &str)]| {
            let endpoint = [(ENDPOINT, "http://a"), (REGION, "r")];
            Config::from_settings(&settings(&[&endpoint, variables].concat())).map(|config| config.credentials)
        };
        let [[id, secret, token], [aws_id, aws_secret, aws_token]] = KEYS;
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
        let with = |variables: &[(&str, &str)]| {
            let endpoint = [(ENDPOINT, "http://a"), (REGION, "r")];
            Config::from_settings(&settings(&[&endpoint, variables].concat())).map(|config| config.credentials)
        };
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

    #[test]
    fn debug_output_hides_the_access_key() {
        let text = format!("{:?}", config(&[(ENDPOINT, "http://a"), (REGION, "r")]).unwrap());
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn a_lifetime_is_a_number_of_seconds() {
        let with = |text| config(&[(ENDPOINT, "http://a"), (REGION, "r"), (LIFE, text)]).map(|config| config.life);
        assert_eq!(with("60"), Ok(Some(Duration::from_secs(60))));
        for text in ["0", "-1", "1.5", "60s", "31557600001"] {
            assert!(with(text).unwrap_err().message().contains(LIFE), "{text}");
        }
    }
}
