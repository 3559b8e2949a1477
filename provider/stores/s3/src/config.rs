//! The settings.

use crate::layout;
use kvfuse_core::{Error, Kind, Limits, Result, Settings};
use kvfuse_http::aws;
use kvfuse_http::aws::credentials::Source;
use kvfuse_http::endpoint::{Endpoint, Server, plain, required};
use kvfuse_transport::clock;
use std::time::Duration;

/// Where the objects are, who asks, and how they are named.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    /// What the path of every request begins with: a slash and the bucket of S3, or nothing if the host is that of the bucket.
    pub path: String,
    /// The bucket of S3, for messages.
    pub bucket: String,
    pub region: String,
    pub credentials: Source,
    /// The prefix of every name.
    pub prefix: String,
    /// The largest value that is read as a whole, in bytes.
    pub largest: usize,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

pub const ENDPOINT: &str = "KEYVALUE_S3_ENDPOINT";
pub const BUCKET: &str = "KEYVALUE_S3_BUCKET";
pub const REGION: &str = "KEYVALUE_S3_REGION";
const PREFIX: &str = "KEYVALUE_PREFIX";
const EXAMPLE: &str = "https://s3.eu-west-1.amazonaws.com/BUCKET";
/// The variables of an access key for this store alone.
const KEYS: [&str; 3] = ["KEYVALUE_S3_ACCESS_KEY_ID", "KEYVALUE_S3_SECRET_ACCESS_KEY", "KEYVALUE_S3_SESSION_TOKEN"];
/// What signatures have where no region is known: servers other than AWS take it as their own.
const DEFAULT_REGION: &str = "us-east-1";

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let text = required(settings, ENDPOINT, EXAMPLE)?;
        let (endpoint, path) = Endpoint::parse(ENDPOINT, text, EXAMPLE)?;
        let (bucket, path) = bucket(settings.get(BUCKET), &endpoint.host, path.trim_matches('/'))?;
        let region = settings.get(REGION).map(str::to_string).or_else(|| region_of(&endpoint.host));
        let region = region.or_else(|| settings.get("AWS_REGION").map(str::to_string));
        let prefix = settings.get(PREFIX).unwrap_or_default();
        if !layout::is_prefix(prefix) {
            return Err(Error::invalid(format!(
                "{PREFIX} cannot begin the names of objects: none of its parts between slashes may be empty or begin with a dot, \
                 and it may have no %, no backslash and no control characters"
            )));
        }
        Ok(Self {
            server: endpoint.server(ENDPOINT),
            path,
            bucket,
            region: plain(REGION, region.as_deref().unwrap_or(DEFAULT_REGION))?.to_string(),
            credentials: aws::settings::credentials(settings, KEYS)?,
            prefix: prefix.to_string(),
            largest: Limits::from_settings(settings)?.max_value,
            time_limit: clock::time_limit(settings)?,
        })
    }
}

/// The name of the bucket, and what paths begin with.
fn bucket(named: Option<&str>, host: &str, path: &str) -> Result<(String, String)> {
    let in_path = |bucket: &str| (bucket.to_string(), format!("/{bucket}"));
    let (name, found) = match (named, path) {
        (Some(name), "") if host.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) => {
            (BUCKET, (name.to_string(), String::new()))
        }
        (Some(name), "") => (BUCKET, in_path(name)),
        (Some(name), path) if name == path => (BUCKET, in_path(name)),
        (Some(_), _) => {
            return Err(Error::invalid(format!(
                "{BUCKET} and the path of {ENDPOINT} name different buckets; one of them is enough"
            )));
        }
        (None, "") => match bucket_of(host) {
            Some(bucket) => (ENDPOINT, (bucket.to_string(), String::new())),
            None => {
                return Err(Error::new(
                    Kind::Unavailable,
                    format!(
                        "no bucket of S3 is configured: set the variable {BUCKET}, or add it to {ENDPOINT} as its path"
                    ),
                ));
            }
        },
        (None, path) => (ENDPOINT, in_path(path)),
    };
    // Older buckets have capitals and underscores.
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let bucket = &found.0;
    if bucket.len() > 255 || bucket.starts_with('.') || !bucket.bytes().all(allowed) {
        return Err(Error::invalid(format!(
            "{name} does not name a bucket of S3: these have letters, digits, dots and hyphens; a valid one is {EXAMPLE}"
        )));
    }
    Ok(found)
}

/// `name` in `name.s3.eu-west-1.amazonaws.com`, as the services name the hosts of buckets.
fn bucket_of(host: &str) -> Option<&str> {
    let (at, _) = host.match_indices('.').find(|(at, _)| host.get(at + 1..).is_some_and(is_s3))?;
    host.get(..at)
}

/// Whether a host is that of S3 in a region.
fn is_s3(host: &str) -> bool {
    host.split('.').next().is_some_and(|label| label == "s3" || label.starts_with("s3-")) && host.contains('.')
}

/// `eu-west-1` in `s3.eu-west-1.amazonaws.com`, and in the names of the other kinds of endpoints of AWS.
fn region_of(host: &str) -> Option<String> {
    let before = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let region = before.rsplit('.').next().filter(|label| !label.starts_with("s3"))?;
    (region != "vpce").then(|| region.to_string()).or_else(|| before.rsplit('.').nth(1).map(str::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::settings;
    use kvfuse_transport::http::Scheme;

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        let keys = [("AWS_ACCESS_KEY_ID", "hunter1"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
        Config::from_settings(&settings(&[&keys, variables].concat()))
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_host_or_named() {
        let aws = "my-bucket.s3.eu-west-1.amazonaws.com";
        for (endpoint, named, authority, path, bucket) in [
            ("http://127.0.0.1:9000", "b1", "127.0.0.1:9000", "/b1", "b1"),
            ("http://127.0.0.1:9000/b1", "", "127.0.0.1:9000", "/b1", "b1"),
            ("http://127.0.0.1:9000/b1/", "b1", "127.0.0.1:9000", "/b1", "b1"),
            ("https://s3.eu-west-1.amazonaws.com", "b.1", "s3.eu-west-1.amazonaws.com", "/b.1", "b.1"),
            ("https://my-bucket.s3.eu-west-1.amazonaws.com", "", aws, "", "my-bucket"),
            ("https://my-bucket.s3.eu-west-1.amazonaws.com:443/", "my-bucket", aws, "", "my-bucket"),
            ("https://b.oss-cn-hangzhou.aliyuncs.com", "b", "b.oss-cn-hangzhou.aliyuncs.com", "", "b"),
            ("https://s3.example.com", "s3", "s3.example.com", "", "s3"),
            (
                "https://a.b.s3-fips.us-gov-west-1.amazonaws.com",
                "",
                "a.b.s3-fips.us-gov-west-1.amazonaws.com",
                "",
                "a.b",
            ),
        ] {
            let config = config(&[(ENDPOINT, endpoint), (BUCKET, named)]).unwrap();
            assert_eq!((config.server.authority.as_str(), config.path.as_str()), (authority, path), "{endpoint}");
            assert_eq!(config.bucket, bucket, "{endpoint}");
        }
        for endpoint in ["http://127.0.0.1:9000", "https://s3.eu-west-1.amazonaws.com/", "http://s3", "http://a.s3"] {
            let error = config(&[(ENDPOINT, endpoint)]).unwrap_err();
            assert!(error.message().contains(BUCKET), "{error}");
        }
        assert_eq!(config(&[]).unwrap_err().kind(), Kind::Unavailable);
    }

    #[test]
    fn the_region_is_named_or_that_of_the_endpoint_or_that_of_aws_or_the_usual_one() {
        for (endpoint, region) in [
            ("https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
            ("https://b.s3.dualstack.us-west-2.amazonaws.com", "us-west-2"),
            ("https://s3-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
            ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("https://bucket.vpce-1a2b-3c.s3.us-east-2.vpce.amazonaws.com", "us-east-2"),
            ("https://s3.amazonaws.com", "elsewhere"),
            ("http://127.0.0.1:9000", "elsewhere"),
        ] {
            let of = |more: &[(&str, &str)]| {
                config(&[&[(ENDPOINT, endpoint), (BUCKET, "b")], more].concat()).unwrap().region
            };
            assert_eq!(of(&[("AWS_REGION", "elsewhere")]), region, "{endpoint}");
            assert_eq!(of(&[("AWS_REGION", "elsewhere"), (REGION, "named")]), "named", "{endpoint}");
        }
        assert_eq!(config(&[(ENDPOINT, "http://127.0.0.1:9000/b")]).unwrap().region, "us-east-1");
    }

    #[test]
    fn a_setting_that_is_wrong_is_refused_without_repeating_it() {
        let endpoint = (ENDPOINT, "http://a:1");
        for (variables, name) in [
            (&[(ENDPOINT, "http://a:hunter2@b/c")][..], ENDPOINT),
            (&[(ENDPOINT, "hunter2")], ENDPOINT),
            (&[(ENDPOINT, "http://a/hunter2/b")], ENDPOINT),
            (&[(ENDPOINT, "http://a/hunter2?")], ENDPOINT),
            (&[(ENDPOINT, "http://a/hunter2"), (BUCKET, "hunter3")], BUCKET),
            (&[endpoint, (BUCKET, "hunter/2")], BUCKET),
            (&[endpoint, (BUCKET, "..")], BUCKET),
            (&[endpoint, (BUCKET, "b"), (REGION, "hunter 2")], REGION),
            (&[endpoint, (BUCKET, "b"), (PREFIX, "/hunter2")], PREFIX),
        ] {
            let error = config(variables).unwrap_err();
            assert!(error.message().contains(name) && !error.message().contains("hunter"), "{error}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let config = config(&[(ENDPOINT, "http://a:1/b"), ("AWS_SESSION_TOKEN", "hunter3")]).unwrap();
        assert_eq!(config.server.scheme, Scheme::Http);
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
