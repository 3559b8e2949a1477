//! The settings.

use kvfuse_core::{Error, Kind, Result, Settings, error::quoted, settings::LABEL};
use kvfuse_transport::address::{self, Address};
use kvfuse_transport::clock;
use std::fmt;
use std::time::Duration;

/// Where the server is, how to log in, and how keys are laid out. Its `Debug` hides the password.
#[derive(Clone)]
pub struct Config {
    pub servers: Servers,
    /// Those that others may name beside these; if there are none, any.
    pub named: Vec<Endpoint>,
    pub user: Option<String>,
    pub password: Option<String>,
    /// The login at the sentinels.
    pub sentinel_user: Option<String>,
    pub sentinel_password: Option<String>,
    pub database: u32,
    pub layout: Layout,
    /// The prefix of every Redis key, in front of what the layout adds.
    pub prefix: String,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

/// Which servers there are. The URL says so: what a server says of itself would come too late for what the host grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    One(Endpoint),
    /// The sentinels that know where the primary is, and the name that it has among them.
    Sentinels(Vec<Endpoint>, String),
    /// Some nodes of a cluster, which know the others.
    Cluster(Vec<Endpoint>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

impl Endpoint {
    /// What a server says of another one, unless it cannot be an address.
    pub fn told(host: &[u8], port: &[u8]) -> Option<Self> {
        let host = std::str::from_utf8(host).ok().filter(|host| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
            (1..=255).contains(&host.len()) && host.bytes().all(fits)
        })?;
        let port = std::str::from_utf8(port).ok()?.parse().ok().filter(|port| *port != 0)?;
        Some(Self { host: host.to_string(), port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address::authority(&self.host, self.port))
    }
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
const NAMED: &str = "KEYVALUE_REDIS_SERVERS";
const SENTINEL_USERNAME: &str = "KEYVALUE_REDIS_SENTINEL_USERNAME";
const SENTINEL_PASSWORD: &str = "KEYVALUE_REDIS_SENTINEL_PASSWORD";

/// Whether the URL of the server asks for TLS.
pub fn asks_for_tls(settings: &Settings) -> bool {
    settings.get(URL).and_then(scheme).is_some_and(|scheme| is_tls(of_server(&scheme)))
}

fn scheme(url: &str) -> Option<String> {
    url.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
}

/// A valid URL of the kind that this one is. It repeats nothing of it but a scheme that is known.
fn example(url: &str) -> String {
    let scheme = scheme(url).unwrap_or_default();
    let (server, several) = scheme.split_once('+').unwrap_or((&scheme, ""));
    let rest = match (server, several) {
        ("redis" | "rediss" | "valkey" | "valkeys", "cluster") => "10.0.0.4:6379,10.0.0.5:6379",
        ("redis" | "rediss" | "valkey" | "valkeys", "sentinel") => "10.0.0.4:26379,10.0.0.5:26379/mymaster",
        _ => return EXAMPLE.to_string(),
    };
    format!("{scheme}://{rest}")
}

/// The scheme without what says that there are several servers.
fn of_server(scheme: &str) -> &str {
    scheme.split('+').next().unwrap_or_default()
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
        if let Some(named) = settings.get(NAMED) {
            let wrong =
                |what: &str| Error::invalid(format!("{NAMED} {what}; a valid one is 10.0.0.4:6379,10.0.0.5:6379"));
            let addresses = Address::parse_list(named).map_err(|invalid| wrong(&invalid.to_string()))?;
            config.named = addresses
                .into_iter()
                .map(|address| Endpoint { port: address.port_or_default().unwrap_or(6379), host: address.host })
                .collect();
        }
        config.sentinel_user = settings.get(SENTINEL_USERNAME).map(str::to_string);
        config.sentinel_password = settings.get(SENTINEL_PASSWORD).map(str::to_string);
        if config.sentinel_user.is_some() && config.sentinel_password.is_none() {
            return Err(Error::invalid(format!(
                "{SENTINEL_USERNAME} is set and {SENTINEL_PASSWORD} is not: set both, or neither"
            )));
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

    /// `redis://[[user][:password]@]host[:port][/database]`, the same with `rediss://`, or with several hosts
    /// `redis+sentinel://…/name[/database]` and `redis+cluster://…`. The URL itself never appears in an error: if it is mistyped,
    /// any part of it may be the password.
    fn from_url(url: &str, encrypts: bool) -> Result<Self> {
        let wrong = |what: &str| Error::invalid(format!("{URL} {what}; a valid one is {}", example(url)));
        let addresses = Address::parse_list(url).map_err(|invalid| wrong(&invalid.to_string()))?;
        let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else { return Err(wrong("has no host")) };
        let scheme = first.scheme.as_deref().ok_or_else(|| wrong("has no scheme"))?;
        match of_server(scheme) {
            "redis" | "valkey" => {}
            secure if is_tls(secure) && encrypts => {}
            secure if is_tls(secure) => return Err(no_tls(scheme)),
            _ => return Err(wrong("has a scheme other than redis and valkey")),
        }
        let differs = |address: &Address| {
            address.scheme.as_deref() != Some(scheme) || address.user.is_some() || address.password.is_some()
        };
        let more_than_a_path = |address: &Address| !matches!(address.path.as_str(), "" | "/");
        if addresses.iter().skip(1).any(differs) || addresses.iter().rev().skip(1).any(more_than_a_path) {
            return Err(wrong("has a scheme or a login after its first host, or a path before its last one"));
        }
        let endpoints = addresses.iter().map(|address| {
            let port = address.port_or_default().ok_or_else(|| wrong("has a scheme that is not known"))?;
            Ok(Endpoint { host: address.host.clone(), port })
        });
        let mut endpoints = endpoints.collect::<Result<Vec<_>>>()?;
        let path = last.path.strip_prefix('/').unwrap_or_default();
        let (servers, number) = match (scheme.split_once('+').map(|(_, several)| several), endpoints.pop()) {
            (None, Some(only)) if endpoints.is_empty() => (Servers::One(only), path),
            (None, _) => return Err(wrong("has several hosts; they need redis+cluster:// or redis+sentinel://")),
            (Some("cluster"), last) => {
                endpoints.extend(last);
                if !matches!(path, "" | "0") {
                    return Err(wrong("asks for a database other than 0, and a Redis Cluster has no other"));
                }
                (Servers::Cluster(endpoints), "")
            }
            (Some("sentinel"), last) => {
                endpoints.extend(last);
                let (name, number) = path.split_once('/').unwrap_or((path, ""));
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                if name.is_empty() || !name.bytes().all(fits) {
                    return Err(wrong("does not name the primary that the sentinels watch"));
                }
                (Servers::Sentinels(endpoints, name.to_string()), number)
            }
            (Some(_), _) => return Err(wrong("has a scheme that is not known")),
        };
        let database = match number {
            "" => 0,
            digits => digits.parse().map_err(|_| wrong("has something other than a database number as its path"))?,
        };
        Ok(Self {
            servers,
            named: Vec::new(),
            user: first.user.clone(),
            password: first.password.clone(),
            sentinel_user: None,
            sentinel_password: None,
            database,
            layout: Layout::Prefix,
            prefix: String::new(),
            time_limit: Duration::ZERO,
        })
    }

    /// Where the server is, for messages.
    pub fn address(&self) -> String {
        let listed = |endpoints: &[Endpoint]| endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match &self.servers {
            Servers::One(endpoint) => endpoint.to_string(),
            Servers::Sentinels(sentinels, name) => format!("{name} (of the sentinels at {})", listed(sentinels)),
            Servers::Cluster(nodes) => format!("{} (a cluster)", listed(nodes)),
        }
    }

    /// Checks that a server may be connected to that another one has named, or the settings. Nothing was sent to one that may not.
    pub fn admit(&self, endpoint: &Endpoint) -> Result<()> {
        let (Servers::Cluster(own) | Servers::Sentinels(own, _)) = &self.servers else { return Ok(()) };
        if self.named.is_empty() || self.named.contains(endpoint) || own.contains(endpoint) {
            return Ok(());
        }
        Err(Error::new(
            Kind::AccessDenied,
            format!("the servers name {endpoint}, which is neither in {NAMED} nor in {URL}, so nothing was sent to it"),
        ))
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
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
            .field("sentinel_user", &self.sentinel_user)
            .field("sentinel_password", &self.sentinel_password.as_ref().map(|_| "(hidden)"))
            .field("database", &self.database)
            .field("layout", &self.layout)
            .field("prefix", &self.prefix)
            .field("time_limit", &self.time_limit)
            .finish()
    }
}

#[cfg(test)]
mod tests;
