//! The settings.

use crate::layout;
use kvfuse_core::{Error, Kind, Result, Settings};
use kvfuse_transport::address::{self, Address};
use kvfuse_transport::clock;
use std::fmt;
use std::time::Duration;

/// Where the servers are, and how to log in. Its `Debug` hides the login.
#[derive(Clone)]
pub struct Config {
    /// At least one.
    pub servers: Vec<Server>,
    pub login: Option<Login>,
    /// What every name begins with, escaped.
    pub prefix: Vec<u8>,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub host: String,
    pub port: u16,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl Server {
    /// Its address: for messages, and for the choice of the server that has a key.
    pub fn address(&self) -> String {
        address::authority(&self.host, self.port)
    }
}

const SERVERS: &str = "KEYVALUE_MEMCACHED_SERVERS";
const USERNAME: &str = "KEYVALUE_MEMCACHED_USERNAME";
const PASSWORD: &str = "KEYVALUE_MEMCACHED_PASSWORD";
const PREFIX: &str = "KEYVALUE_PREFIX";
const EXAMPLE: &str = "memcached://127.0.0.1:11211";
const PORT: u16 = 11211;

/// The longest prefix, in bytes as it is sent: there has to be room for the digest of a long key.
const LONGEST_PREFIX: usize = 128;

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let list = settings.get(SERVERS).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!(
                    "no server is configured: set the variable {SERVERS} to the address of Memcached, such as {EXAMPLE}"
                ),
            )
        })?;
        if settings.get("KEYVALUE_TTL_S").is_some() {
            return Err(Error::unsupported(
                "KEYVALUE_TTL_S is not supported with Memcached; unset it, and set keys with lifetimes of their own",
            ));
        }
        let prefix = layout::escaped_prefix(settings.get(PREFIX).unwrap_or_default());
        if prefix.len() > LONGEST_PREFIX {
            return Err(Error::invalid(format!(
                "{PREFIX} takes {} bytes in the names of Memcached, whose limit is 250 bytes in all; use a prefix of at most \
                 {LONGEST_PREFIX} bytes",
                prefix.len()
            )));
        }
        let time_limit = clock::time_limit(settings)?;
        Ok(Self { servers: servers(list)?, login: login(settings)?, prefix, time_limit })
    }
}

/// `memcached://host[:port]` or `host:port`, separated by commas. The text never appears in an error: if it is mistyped, any
/// part of it may be a password.
fn servers(list: &str) -> Result<Vec<Server>> {
    let wrong = |what: &str| Error::invalid(format!("{SERVERS} {what}; a valid one is {EXAMPLE}"));
    let mut servers: Vec<Server> = Vec::new();
    for address in Address::parse_list(list).map_err(|invalid| wrong(&invalid.to_string()))? {
        match address.scheme.as_deref() {
            Some("memcached") => {}
            None if address.port.is_some() => {}
            None => return Err(wrong("has an address with neither memcached:// nor a port")),
            Some("memcacheds") => {
                return Err(Error::unsupported(format!(
                    "{SERVERS} asks for TLS, which is not supported with Memcached; use a tunnel next to the host, and its \
                     local address with memcached://"
                )));
            }
            Some(_) => return Err(wrong("has a scheme other than memcached")),
        }
        if address.user.is_some() || address.password.is_some() {
            return Err(wrong(&format!("has a login in an address, and takes none: set {USERNAME} and {PASSWORD}")));
        }
        if !matches!(address.path.as_str(), "" | "/") {
            return Err(wrong("has a path, which means nothing here"));
        }
        let server = Server { host: address.host, port: address.port.unwrap_or(PORT) };
        if servers.contains(&server) {
            return Err(wrong("has an address twice"));
        }
        servers.push(server);
    }
    if servers.is_empty() { Err(wrong("is empty")) } else { Ok(servers) }
}

fn login(settings: &Settings) -> Result<Option<Login>> {
    let (user, password) = match (settings.get(USERNAME), settings.get(PASSWORD)) {
        (None, None) => return Ok(None),
        (Some(user), Some(password)) => (user, password),
        _ => return Err(Error::invalid(format!("a login needs both {USERNAME} and {PASSWORD}"))),
    };
    // What separates the two, and what ends them.
    if user.contains([' ', '\r', '\n']) || password.contains(['\r', '\n']) {
        return Err(Error::invalid(format!(
            "Memcached takes no space in {USERNAME}, and no line break in it or in {PASSWORD}"
        )));
    }
    Ok(Some(Login { user: user.into(), password: password.into() }))
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("login", &self.login.as_ref().map(|_| "(hidden)"))
            .field("prefix", &String::from_utf8_lossy(&self.prefix))
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

    #[test]
    fn servers_are_a_list_of_addresses() {
        let of = |list: &str| {
            let servers = config(&[(SERVERS, list)]).unwrap().servers;
            servers.iter().map(Server::address).collect::<Vec<_>>()
        };
        assert_eq!(of("memcached://cache"), ["cache:11211"]);
        assert_eq!(of("memcached://cache:7000/"), ["cache:7000"]);
        assert_eq!(of("a:1, b:2,memcached://[::1]"), ["a:1", "b:2", "[::1]:11211"]);
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_it() {
        for list in [
            "hunter2",
            "redis://hunter2:1",
            "memcached://",
            "memcached://ann:hunter2@h",
            "memcached://hunter2:0",
            "memcached://hunter2:+1",
            "memcached://h/hunter2",
            "hunter2:1,hunter2:1",
            "hunter2:1,",
            ",",
        ] {
            let error = config(&[(SERVERS, list)]).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument, "{list}");
            assert!(error.message().contains(SERVERS) && !error.message().contains("hunter2"), "{error}");
        }
        let error = config(&[(SERVERS, "memcacheds://h")]).unwrap_err();
        assert!(error.kind() == Kind::Unsupported && error.message().contains("TLS"), "{error}");
    }

    #[test]
    fn a_login_has_two_parts_and_appears_nowhere() {
        let with = |user, password| config(&[(SERVERS, "h:1"), (USERNAME, user), (PASSWORD, password)]);
        let config = with("ann", "hunter2 and more").unwrap();
        assert!(config.login.is_some());
        let text = format!("{config:?}");
        assert!(!text.contains("ann") && !text.contains("hunter2"), "{text}");
        for (user, password) in
            [("ann", ""), ("", "hunter2"), ("an n", "hunter2"), ("ann", "hunter2\r\n"), ("a\nn", "hunter2")]
        {
            let error = with(user, password).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.message().contains(PASSWORD) && !error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn without_a_server_the_error_names_the_variable() {
        let error = config(&[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains(SERVERS), "{error}");
    }

    #[test]
    fn settings_that_cannot_be_kept_are_refused() {
        let error = config(&[(SERVERS, "h:1"), ("KEYVALUE_TTL_S", "5")]).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported, "{error}");
        let with = |length| config(&[(SERVERS, "h:1"), (PREFIX, &"p".repeat(length))]);
        assert!(with(LONGEST_PREFIX).is_ok());
        assert_eq!(with(LONGEST_PREFIX + 1).unwrap_err().kind(), Kind::InvalidArgument);
    }
}
