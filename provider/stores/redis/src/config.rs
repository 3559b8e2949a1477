//! The settings.

use kvfuse_core::{Error, Kind, Result, Settings, error::quoted, settings::LABEL};
use kvfuse_transport::address::{self, Address};
use kvfuse_transport::clock;
use std::fmt;
use std::time::Duration;

/// Where the server is, how to log in, and how keys are laid out. Its `Debug` hides the password.
#[derive(Clone)]
pub struct Config {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: u32,
    pub layout: Layout,
    /// The prefix of every Redis key, in front of what the layout adds.
    pub prefix: String,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

/// How the keys of a bucket map to Redis keys. Other implementations of the interface use the same layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A string under `{prefix}{bucket}:{key}`, as in wasmCloud's host.
    Prefix,
    /// A string under `{prefix}{key}`, whatever the bucket, as in Spin and wrpc.
    Raw,
    /// A field of the hash `{prefix}{bucket}`, as in componentized's valkey and Golem.
    Hash,
}

const URL: &str = "KEYVALUE_REDIS_URL";
const EXAMPLE: &str = "redis://127.0.0.1:6379/0";

/// Whether the URL of the server asks for TLS.
pub fn asks_for_tls(settings: &Settings) -> bool {
    let address = settings.get(URL).and_then(|url| Address::parse(url).ok());
    address.and_then(|address| address.scheme).is_some_and(|scheme| is_tls(&scheme))
}

fn is_tls(scheme: &str) -> bool {
    matches!(scheme, "rediss" | "valkeys")
}

impl Config {
    /// `encrypts` is whether connections are encrypted: they are if and only if the URL asks for it.
    pub fn from_settings(settings: &Settings, encrypts: bool) -> Result<Self> {
        let url = settings.get(URL).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!("no server is configured: set the variable {URL} to the address of Redis or Valkey, such as {EXAMPLE}"),
            )
        })?;
        let mut config = Self {
            layout: settings.choice(
                "KEYVALUE_REDIS_LAYOUT",
                &[("prefix", Layout::Prefix), ("raw", Layout::Raw), ("hash", Layout::Hash)],
            )?,
            prefix: settings.get("KEYVALUE_PREFIX").unwrap_or_default().to_string(),
            time_limit: clock::time_limit(settings)?,
            ..Self::from_url(url, encrypts)?
        };
        if let Some(user) = settings.get("KEYVALUE_REDIS_USERNAME") {
            config.user = Some(user.to_string());
        }
        if let Some(password) = settings.get("KEYVALUE_REDIS_PASSWORD") {
            config.password = Some(password.to_string());
        }
        if config.user.is_some() && config.password.is_none() {
            return Err(Error::invalid(format!(
                "a Redis user without a password is configured: add the password to {URL} or set KEYVALUE_REDIS_PASSWORD"
            )));
        }
        if let (Layout::Raw, Some(label)) = (config.layout, settings.get(LABEL)) {
            return Err(Error::invalid(format!(
                "KEYVALUE_REDIS_LAYOUT=raw keeps no buckets apart, so it cannot keep those of the label {} apart from \
                 others; choose prefix or hash",
                quoted(label)
            )));
        }
        if settings.get("KEYVALUE_TTL_S").is_some() {
            return Err(Error::unsupported(
                "KEYVALUE_TTL_S is not supported with Redis; unset it, or use the etcd provider for keys that expire",
            ));
        }
        Ok(config)
    }

    /// `redis://[[user][:password]@]host[:port][/database]`, or the same with `rediss://`. The URL itself never appears in
    /// an error: if it is mistyped, any part of it may be the password.
    fn from_url(url: &str, encrypts: bool) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("{URL} {what}; a valid one is {EXAMPLE}"));
        let address = Address::parse(url).map_err(|invalid| wrong(&invalid.to_string()))?;
        match address.scheme.as_deref() {
            Some("redis" | "valkey") => {}
            Some(scheme) if is_tls(scheme) && encrypts => {}
            Some(scheme) if is_tls(scheme) => return Err(no_tls(scheme)),
            Some(_) => return Err(wrong("has a scheme other than redis and valkey")),
            None => return Err(wrong("has no scheme")),
        }
        let database = match address.path.strip_prefix('/').unwrap_or_default() {
            "" => 0,
            digits => digits.parse().map_err(|_| wrong("has something other than a database number as its path"))?,
        };
        Ok(Self {
            port: address.port_or_default().unwrap_or(6379),
            host: address.host,
            user: address.user,
            password: address.password,
            database,
            layout: Layout::Prefix,
            prefix: String::new(),
            time_limit: Duration::ZERO,
        })
    }

    /// The server's address, for messages.
    pub fn address(&self) -> String {
        address::authority(&self.host, self.port)
    }
}

fn no_tls(scheme: &str) -> Error {
    Error::unsupported(format!(
        "{URL} asks for TLS ({scheme}://), and this component was fused with the Redis provider that has none inside: fuse \
         it with --store redis-tls, which has the same settings and reads the same data"
    ))
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address())
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("database", &self.database)
            .field("layout", &self.layout)
            .field("prefix", &self.prefix)
            .field("time_limit", &self.time_limit)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::settings;

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        Config::from_settings(&settings(variables), false)
    }

    fn url(url: &str) -> Result<Config> {
        config(&[(URL, url)])
    }

    #[test]
    fn a_url_holds_address_login_and_database() {
        let plain = url("redis://localhost").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.database), ("localhost", 6379, 0));
        assert_eq!((plain.user, plain.password, plain.layout), (None, None, Layout::Prefix));

        let full = url("redis://ann:s%3Acret%40@[::1]:7000/3").unwrap();
        assert_eq!((full.host.as_str(), full.port, full.database), ("::1", 7000, 3));
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("ann"), Some("s:cret@")));

        let password = url("valkey://:pw@h").unwrap();
        assert_eq!((password.user, password.password.as_deref()), (None, Some("pw")));
        assert_eq!(url("redis://:p,w@h").unwrap().password.as_deref(), Some("p,w"), "a comma separates nothing here");
    }

    #[test]
    fn the_login_can_be_set_apart_from_the_url() {
        let config =
            config(&[(URL, "redis://h"), ("KEYVALUE_REDIS_USERNAME", "ann"), ("KEYVALUE_REDIS_PASSWORD", "pw")]);
        let config = config.unwrap();
        assert_eq!((config.user.as_deref(), config.password.as_deref()), (Some("ann"), Some("pw")));
    }

    #[test]
    fn the_raw_layout_holds_no_label_because_it_keeps_no_buckets_apart() {
        let with = |layout| config(&[(URL, "redis://h"), ("KEYVALUE_REDIS_LAYOUT", layout), (LABEL, "sessions")]);
        let error = with("raw").unwrap_err();
        assert!(error.message().contains("raw") && error.message().contains("\"sessions\""), "{error}");
        assert!(with("prefix").is_ok() && with("hash").is_ok());
    }

    #[test]
    fn a_wrong_url_is_refused_without_repeating_it() {
        for text in [
            "hunter2",
            "http://hunter2@h",
            "redis://",
            "redis://hunter2@",
            "redis://:hunter2@h:0",
            "redis://:hunter2@h:70000",
            "redis://:hunter2@h:+1",
            "redis://:hunter2@[::1",
            "redis://:hunter2%zz@h",
            "redis://:hunter2@h/db",
            "redis://hunter2@h",
            "redis://:hunter#2@h",
            "redis://a:1,hunter2:2",
        ] {
            let error = url(text).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument, "{text}");
            assert!(error.message().contains(URL), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn without_tls_inside_a_url_that_asks_for_it_is_refused_with_the_way_out() {
        for scheme in ["rediss", "valkeys"] {
            let error = url(&format!("{scheme}://:hunter2@h")).unwrap_err();
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.message().contains("TLS") && error.message().contains("--store redis-tls"), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn tls_is_asked_for_by_the_scheme_and_nothing_else() {
        for (text, asked) in
            [("rediss://h", true), ("VALKEYS://h", true), ("redis://h", false), ("redis://rediss", false), ("", false)]
        {
            assert_eq!(asks_for_tls(&settings(&[(URL, text)])), asked, "{text}");
        }
        let encrypted = Config::from_settings(&settings(&[(URL, "rediss://:pw@h")]), true).unwrap();
        assert_eq!((encrypted.host.as_str(), encrypted.port, encrypted.password.as_deref()), ("h", 6379, Some("pw")));
    }

    #[test]
    fn without_a_url_the_error_names_the_variable() {
        let error = config(&[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("KEYVALUE_REDIS_URL"), "{error}");
    }

    #[test]
    fn debug_output_hides_the_password() {
        let text = format!("{:?}", url("redis://ann:hunter2@h").unwrap());
        assert!(text.contains("ann") && !text.contains("hunter2"), "{text}");
    }
}
