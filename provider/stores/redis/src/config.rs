//! What a user sets.

use kvfuse_core::{Error, Kind, Result, Settings};
use kvfuse_transport::clock;
use std::fmt;
use std::time::Duration;

/// Where the server is, who we are there, and how keys are laid out. Its `Debug` hides the password.
#[derive(Clone)]
pub struct Config {
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: u32,
    pub layout: Layout,
    /// What every Redis key begins with, before what the layout adds.
    pub prefix: String,
    /// The longest that one operation may take.
    pub time_limit: Duration,
}

/// How a bucket's keys become Redis keys; each is what some other implementation of the interface does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A string under `{prefix}{bucket}:{key}`, as wasmCloud's host does.
    Prefix,
    /// A string under `{prefix}{key}`, whatever the bucket, as Spin and wrpc do.
    Raw,
    /// A field of the hash `{prefix}{bucket}`, as componentized's valkey and Golem do.
    Hash,
}

const URL: &str = "KEYVALUE_REDIS_URL";
const EXAMPLE: &str = "redis://127.0.0.1:6379/0";

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let url = settings.get(URL).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!("no server is named: set the variable {URL} to where Redis or Valkey is, such as {EXAMPLE}"),
            )
        })?;
        let mut config = Self {
            layout: settings.choice(
                "KEYVALUE_REDIS_LAYOUT",
                &[("prefix", Layout::Prefix), ("raw", Layout::Raw), ("hash", Layout::Hash)],
            )?,
            prefix: settings.get("KEYVALUE_PREFIX").unwrap_or_default().to_string(),
            time_limit: clock::time_limit(settings)?,
            ..Self::from_url(url)?
        };
        if let Some(user) = settings.get("KEYVALUE_REDIS_USERNAME") {
            config.user = Some(user.to_string());
        }
        if let Some(password) = settings.get("KEYVALUE_REDIS_PASSWORD") {
            config.password = Some(password.to_string());
        }
        if config.user.is_some() && config.password.is_none() {
            return Err(Error::invalid(format!(
                "a Redis user is named but no password: add it to {URL} or set KEYVALUE_REDIS_PASSWORD"
            )));
        }
        if settings.get("KEYVALUE_TTL_S").is_some() {
            return Err(Error::unsupported(
                "KEYVALUE_TTL_S is not offered with Redis; unset it, or use the etcd provider for keys that expire",
            ));
        }
        Ok(config)
    }

    /// `redis://[[user][:password]@]host[:port][/database]`. The URL itself never appears in an error: it may hold a
    /// password in any of its parts, mistyped as it is.
    fn from_url(url: &str) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("{URL} {what}; it reads like {EXAMPLE}"));
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        match scheme {
            "redis" | "valkey" => {}
            "rediss" | "valkeys" => return Err(no_tls(scheme)),
            _ => return Err(wrong("has a scheme that is neither redis nor valkey")),
        }
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None => (None, None),
            Some((user, password)) => {
                let text = |part: &str| match part {
                    "" => Ok(None),
                    part => percent_decoded(part).map(Some).ok_or_else(|| wrong("has a login that is not URL text")),
                };
                (text(user)?, text(password)?)
            }
        };
        let (host, port) = split_address(address).ok_or_else(|| wrong("has no host, or a port that is none"))?;
        let database = match database {
            "" => 0,
            digits => digits.parse().map_err(|_| wrong("ends in something that is no database number"))?,
        };
        Ok(Self {
            host: host.to_string(),
            port,
            user,
            password,
            database,
            layout: Layout::Prefix,
            prefix: String::new(),
            time_limit: Duration::ZERO,
        })
    }

    /// The server's address, for messages.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn no_tls(scheme: &str) -> Error {
    Error::unsupported(format!(
        "{URL} asks for TLS ({scheme}://), which a component on wasi:sockets cannot do: WASI 0.2 has no TLS. Use the \
         server's plain port on a network you trust, or run a TLS tunnel such as stunnel or an Envoy sidecar beside the \
         host and give its local address as redis://127.0.0.1:port"
    ))
}

fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = match port {
        None => 6379,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) => return None,
    };
    (!host.is_empty() && port != 0).then_some((host, port))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
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
        Config::from_settings(&settings(variables))
    }

    fn url(url: &str) -> Result<Config> {
        config(&[(URL, url)])
    }

    #[test]
    fn a_url_gives_address_login_and_database() {
        let plain = url("redis://localhost").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.database), ("localhost", 6379, 0));
        assert_eq!((plain.user, plain.password, plain.layout), (None, None, Layout::Prefix));

        let full = url("redis://ann:s%3Acret%40@[::1]:7000/3").unwrap();
        assert_eq!((full.host.as_str(), full.port, full.database), ("::1", 7000, 3));
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("ann"), Some("s:cret@")));

        let password = url("valkey://:pw@h").unwrap();
        assert_eq!((password.user, password.password.as_deref()), (None, Some("pw")));
    }

    #[test]
    fn the_login_can_be_kept_out_of_the_url() {
        let config =
            config(&[(URL, "redis://h"), ("KEYVALUE_REDIS_USERNAME", "ann"), ("KEYVALUE_REDIS_PASSWORD", "pw")]);
        let config = config.unwrap();
        assert_eq!((config.user.as_deref(), config.password.as_deref()), (Some("ann"), Some("pw")));
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
        ] {
            let error = url(text).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument, "{text}");
            assert!(error.message().contains(URL), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn tls_is_refused_with_the_reason_and_a_way_out() {
        let error = url("rediss://:hunter2@h").unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        for part in ["TLS", "WASI 0.2", "stunnel"] {
            assert!(error.message().contains(part), "{error}");
        }
        assert!(!error.message().contains("hunter2"), "{error}");
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
