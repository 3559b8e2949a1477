//! The settings.

use kvfuse_core::{Error, Kind, Result, Settings};
use kvfuse_transport::address::{self, Address};
use kvfuse_transport::clock;
use kvfuse_transport::http::Scheme;
use std::fmt;
use std::time::Duration;

/// Where the cluster is, how to log in, and where keys are stored.
#[derive(Clone, Debug)]
pub struct Config {
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    pub login: Option<Login>,
    /// The prefix of every etcd key.
    pub prefix: String,
    /// The least time that a key lives after it was last written; forever if `None`.
    pub life: Option<Duration>,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

/// The client address of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub scheme: Scheme,
    /// `host:port`.
    pub authority: String,
}

/// Its `Debug` hides the password.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
}

const ENDPOINTS: &str = "KEYVALUE_ETCD_ENDPOINTS";
const USER: &str = "KEYVALUE_ETCD_USERNAME";
const PASSWORD: &str = "KEYVALUE_ETCD_PASSWORD";
const LIFE: &str = "KEYVALUE_TTL_S";
const EXAMPLE: &str = "http://127.0.0.1:2379";
/// The longest life of a lease in etcd, in seconds.
const LONGEST_LIFE: u64 = 9_000_000_000;

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let list = settings.get(ENDPOINTS).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!(
                    "no server is configured: set the variable {ENDPOINTS} to the address of etcd, such as {EXAMPLE}"
                ),
            )
        })?;
        let login = match (settings.get(USER), settings.get(PASSWORD)) {
            (None, None) => None,
            (Some(user), Some(password)) => Some(Login { user: user.to_string(), password: password.to_string() }),
            _ => return Err(Error::invalid(format!("{USER} and {PASSWORD} must be set together, or neither"))),
        };
        Ok(Self {
            endpoints: endpoints(list)?,
            login,
            prefix: settings.get("KEYVALUE_PREFIX").unwrap_or("keyvalue/").to_string(),
            life: settings.seconds(LIFE, 1..=LONGEST_LIFE)?,
            time_limit: clock::time_limit(settings)?,
        })
    }
}

/// One or more `[http[s]://]host:port`, separated by commas. The addresses never appear in an error, because one of them
/// may contain a login with its password, although that is not allowed.
fn endpoints(list: &str) -> Result<Vec<Endpoint>> {
    let wrong = |what: &str| {
        Error::invalid(format!(
            "an address in {ENDPOINTS} {what}; a valid one is {EXAMPLE}, and commas separate several"
        ))
    };
    let addresses = Address::parse_list(list).map_err(|invalid| wrong(&invalid.to_string()))?;
    let endpoint = |address: Address| {
        let scheme = match address.scheme.as_deref() {
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(wrong("has a scheme other than http and https")),
        };
        if address.user.is_some() || address.password.is_some() {
            return Err(wrong(&format!("contains a login; use {USER} and {PASSWORD}")));
        }
        if !matches!(address.path.as_str(), "" | "/") {
            return Err(wrong("has a path"));
        }
        let port = address.port.ok_or_else(|| wrong("has no port (etcd's is 2379)"))?;
        Ok(Endpoint { scheme, authority: address::authority(&address.host, port) })
    };
    addresses.into_iter().map(endpoint).collect()
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).field("password", &"(hidden)").finish()
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
    fn endpoints_are_a_list_of_addresses() {
        let config = config(&[(ENDPOINTS, "http://a:2379, https://b:1/,c:2,http://[::1]:3")]).unwrap();
        let expected =
            [(Scheme::Http, "a:2379"), (Scheme::Https, "b:1"), (Scheme::Http, "c:2"), (Scheme::Http, "[::1]:3")];
        let endpoints: Vec<_> = config.endpoints.iter().map(|e| (e.scheme, e.authority.as_str())).collect();
        assert_eq!(endpoints, expected);
        assert_eq!((config.prefix.as_str(), config.life), ("keyvalue/", None));
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "http://",
            "ftp://hunter2:1",
            "http://a:hunter2@b:1",
            "http://hunter2",
            "http://hunter2/x:1",
            "http://hunter2:99999",
            "http://a:1,",
            "http://::1:hunter2",
            "http://::1:1",
            "hunter 2:1",
        ] {
            let error = config(&[(ENDPOINTS, text)]).unwrap_err();
            assert!(error.message().contains(ENDPOINTS), "{error}");
            assert!(!error.message().contains("hunter"), "{error}");
        }
    }

    #[test]
    fn a_login_has_two_halves() {
        let with = |user, password| config(&[(ENDPOINTS, "a:1"), (USER, user), (PASSWORD, password)]);
        assert_eq!(with("ann", "hunter2").unwrap().login.unwrap().user, "ann");
        for error in [with("ann", "").unwrap_err(), with("", "hunter2").unwrap_err()] {
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_the_password() {
        let text = format!("{:?}", config(&[(ENDPOINTS, "a:1"), (USER, "ann"), (PASSWORD, "hunter2")]).unwrap());
        assert!(text.contains("ann") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_lifetime_is_a_number_of_seconds() {
        let with = |text| config(&[(ENDPOINTS, "a:1"), (LIFE, text)]).map(|config| config.life);
        assert_eq!(with("60"), Ok(Some(Duration::from_secs(60))));
        for text in ["0", "-1", "1.5", "60s", "9000000001"] {
            assert!(with(text).unwrap_err().message().contains(LIFE), "{text}");
        }
    }
}
