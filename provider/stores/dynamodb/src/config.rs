//! The settings.

use crate::client::Api;
use kvfuse_core::error::quoted;
use kvfuse_core::settings::LABEL;
use kvfuse_core::{Error, Result, Settings};
use kvfuse_http::aws;
use kvfuse_http::aws::credentials::Source;
pub use kvfuse_http::endpoint::Server;
use kvfuse_http::endpoint::{Endpoint, plain, required};
use kvfuse_transport::address;
use kvfuse_transport::clock;
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
const LAYOUT: &str = "KEYVALUE_DYNAMODB_LAYOUT";
const PREFIX: &str = "KEYVALUE_PREFIX";
const LIFE: &str = "KEYVALUE_TTL_S";
const EXAMPLE: &str = "https://dynamodb.eu-west-1.amazonaws.com";
const STREAMS_EXAMPLE: &str = "https://streams.dynamodb.eu-west-1.amazonaws.com";
/// A thousand years, in seconds.
const LONGEST_LIFE: u64 = 31_557_600_000;
/// The variables of an access key for this store alone.
const KEYS: [&str; 3] =
    ["KEYVALUE_DYNAMODB_ACCESS_KEY_ID", "KEYVALUE_DYNAMODB_SECRET_ACCESS_KEY", "KEYVALUE_DYNAMODB_SESSION_TOKEN"];

impl Config {
    /// What serves an API.
    pub fn of(&self, api: Api) -> &Server {
        match api {
            Api::Table => &self.server,
            Api::Streams => &self.streams,
        }
    }

    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let text = required(settings, ENDPOINT, EXAMPLE)?;
        let address = Endpoint::without_path(ENDPOINT, text, EXAMPLE)?;
        let streams = match settings.get(STREAMS) {
            Some(text) => Endpoint::without_path(STREAMS, text, STREAMS_EXAMPLE)?,
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
            credentials: aws::settings::credentials(settings, KEYS)?,
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

/// `eu-west-1` in `dynamodb.eu-west-1.amazonaws.com`, and in the names of the other kinds of endpoints.
fn region_of(host: &str) -> Option<String> {
    let mut labels = host.split('.').skip_while(|label| !matches!(*label, "dynamodb" | "dynamodb-fips"));
    labels.next()?;
    labels.next().filter(|_| labels.next().is_some()).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_core::Kind;
    use kvfuse_servers::settings;
    use kvfuse_transport::http::Scheme;

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
