//! Addresses of servers, as settings and flags give them: URLs, or `host:port`.
//!
//! The stores connect to what is parsed here, and `kvfuse run` grants what is parsed here, so the two agree.
#![deny(clippy::arithmetic_side_effects)]

use fluent_uri::UriRef;
use std::fmt;

/// The parts of `[scheme://][user[:password]@]host[:port][/path]`, in the syntax of RFC 3986.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// In lower case.
    pub scheme: Option<String>,
    /// Percent-decoded; `None` if it is missing or empty.
    pub user: Option<String>,
    /// Percent-decoded; `None` if it is missing or empty.
    pub password: Option<String>,
    /// A name or an IP address, IPv6 without brackets. Never empty.
    pub host: String,
    /// Never 0.
    pub port: Option<u16>,
    /// Empty, or begins with `/`.
    pub path: String,
}

/// Why a text is not an address. Its display follows the name of a setting. It never repeats any of the text, which may
/// contain a password anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It violates the syntax of URLs.
    Syntax,
    /// The host is missing.
    Host,
    /// The port is 0, too large, or empty.
    Port,
    /// The login does not decode to UTF-8.
    Login,
    /// There is a query or a fragment.
    Query,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => {
                "is not a valid URL (in a user name or password, percent-encode everything but letters, digits and \
                 -._~!$&'()*+,;=)"
            }
            Self::Host => "has no host",
            Self::Port => "has an invalid port",
            Self::Login => "has a login that is not UTF-8 when percent-decoded",
            Self::Query => {
                "has a query or a fragment, which mean nothing here (in a user name or password, percent-encode ? and #)"
            }
        })
    }
}

impl Address {
    /// Parses one address.
    ///
    /// ```
    /// use kvfuse_transport::address::{Address, Invalid};
    ///
    /// let address = Address::parse("db.example:6380").unwrap();
    /// assert_eq!((address.scheme, address.host.as_str(), address.port), (None, "db.example", Some(6380)));
    /// assert_eq!(Address::parse("redis://:secret@"), Err(Invalid::Host));
    /// ```
    ///
    /// # Errors
    /// [`Invalid`], with the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        // Without a scheme the text is what follows the `//` of a URL.
        let relative;
        let full = if text.as_bytes().windows(3).any(|bytes| bytes == b"://") {
            text
        } else {
            relative = format!("//{text}");
            &relative
        };
        let url = UriRef::parse(full).map_err(|_| Invalid::Syntax)?;
        let authority = url.authority().ok_or(Invalid::Syntax)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(Invalid::Host);
        }
        // Allowed in a URL, but not in the name of a server: this is a list of addresses.
        if host.contains(',') {
            return Err(Invalid::Syntax);
        }
        let port = match authority.port().map(|digits| digits.as_str()) {
            None => None,
            Some(digits) => Some(digits.parse().ok().filter(|port| *port != 0).ok_or(Invalid::Port)?),
        };
        if url.has_query() || url.has_fragment() {
            return Err(Invalid::Query);
        }
        let (user, password) = match authority.userinfo() {
            None => (None, None),
            Some(login) => match login.split_once(':') {
                None => (decoded(login.decode())?, None),
                Some((user, password)) => (decoded(user.decode())?, decoded(password.decode())?),
            },
        };
        Ok(Self {
            scheme: url.scheme().map(|scheme| scheme.as_str().to_ascii_lowercase()),
            user,
            password,
            host: host.to_string(),
            port,
            path: url.path().as_str().to_string(),
        })
    }

    /// Parses a list of addresses, separated by commas. A text that is one address as a whole is one, whatever commas
    /// its password has.
    ///
    /// ```
    /// use kvfuse_transport::address::Address;
    ///
    /// let addresses = Address::parse_list("http://one:2379, http://two:2379").unwrap();
    /// assert_eq!(addresses.iter().map(|address| address.host.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    /// assert_eq!(Address::parse_list("redis://:a,b@one").unwrap()[0].password.as_deref(), Some("a,b"));
    /// ```
    ///
    /// A scheme with a `+` is one of several servers that belong together, so those that follow it without a scheme have it as
    /// well:
    ///
    /// ```
    /// use kvfuse_transport::address::Address;
    ///
    /// let hosts = Address::parse_list("redis+sentinel://one,two:26380/mymaster").unwrap();
    /// assert_eq!(hosts.iter().map(Address::port_or_default).collect::<Vec<_>>(), [Some(26379), Some(26380)]);
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] for the first of them that is invalid; for the whole text if its commas are those of one login.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Invalid> {
        let whole = match Self::parse(text.trim()) {
            Ok(address) => return Ok(vec![address]),
            Err(invalid) => invalid,
        };
        let addresses: Result<Vec<Self>, Invalid> = text.split(',').map(|part| Self::parse(part.trim())).collect();
        let is_one_login = text.contains('@') && text.matches("://").count() == 1;
        let mut addresses = addresses.map_err(|of_part| if is_one_login { whole } else { of_part })?;
        let shared = addresses.first().and_then(|first| first.scheme.clone()).filter(|scheme| scheme.contains('+'));
        if let Some(shared) = shared {
            addresses.iter_mut().for_each(|address| _ = address.scheme.get_or_insert_with(|| shared.clone()));
        }
        Ok(addresses)
    }

    /// The port, or what its scheme implies.
    pub fn port_or_default(&self) -> Option<u16> {
        let default = match self.scheme.as_deref() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            Some(scheme) => match scheme.split_once('+').unwrap_or((scheme, "")) {
                ("redis" | "rediss" | "valkey" | "valkeys", "" | "cluster") => Some(6379),
                ("redis" | "rediss" | "valkey" | "valkeys", "sentinel") => Some(26379),
                ("memcached", "") => Some(11211),
                _ => None,
            },
            None => None,
        };
        self.port.or(default)
    }
}

fn decoded(text: fluent_uri::pct_enc::Decode<'_>) -> Result<Option<String>, Invalid> {
    let text = String::from_utf8(text.to_bytes().into_owned()).map_err(|_| Invalid::Login)?;
    Ok((!text.is_empty()).then_some(text))
}

/// `host:port`, with an IPv6 address in brackets.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host of a second service that goes with the one at a host, if its name follows from that one's: DynamoDB has
/// another endpoint for its streams.
///
/// ```
/// use kvfuse_transport::address::beside;
///
/// let host = beside("dynamodb.eu-west-1.amazonaws.com");
/// assert_eq!(host.as_deref(), Some("streams.dynamodb.eu-west-1.amazonaws.com"));
/// assert_eq!(beside("localhost"), None);
/// ```
pub fn beside(host: &str) -> Option<String> {
    let (service, place) = host.split_once('.')?;
    let (account, service, place) = match service {
        "dynamodb" | "dynamodb-fips" => (None, service, place),
        _ => {
            let (inner, place) = place.split_once('.').filter(|(inner, _)| matches!(*inner, "ddb" | "ddb-fips"))?;
            (Some(service), inner, place)
        }
    };
    let (region, domain) = place.split_once('.').filter(|(region, _)| !region.is_empty())?;
    match (account, domain) {
        (Some(account), "amazonaws.com" | "amazonaws.com.cn" | "api.aws") => {
            Some(format!("{account}.streams-{service}.{region}.{domain}"))
        }
        (None, "amazonaws.com" | "amazonaws.com.cn") => Some(format!("streams.{service}.{region}.{domain}")),
        (None, "api.aws") => Some(format!("streams-{service}.{region}.{domain}")),
        _ => None,
    }
}

/// Hides the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("scheme", &self.scheme)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "(hidden)"))
            .field("host", &self.host)
            .field("port", &self.port)
            .field("path", &self.path)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the rules of AWS' own clients have them.
    #[test]
    fn the_streams_of_dynamodb_have_an_endpoint_of_the_same_kind_in_the_same_region() {
        for (host, streams) in [
            ("dynamodb.us-east-1.amazonaws.com", "streams.dynamodb.us-east-1.amazonaws.com"),
            ("dynamodb.cn-north-1.amazonaws.com.cn", "streams.dynamodb.cn-north-1.amazonaws.com.cn"),
            ("dynamodb-fips.us-east-1.amazonaws.com", "streams.dynamodb-fips.us-east-1.amazonaws.com"),
            ("dynamodb.us-east-1.api.aws", "streams-dynamodb.us-east-1.api.aws"),
            ("dynamodb-fips.us-east-1.api.aws", "streams-dynamodb-fips.us-east-1.api.aws"),
            ("123456789012.ddb.us-east-1.amazonaws.com", "123456789012.streams-ddb.us-east-1.amazonaws.com"),
        ] {
            assert_eq!(beside(host).as_deref(), Some(streams), "{host}");
        }
        for host in [
            "",
            "dynamodb",
            "dynamodb..amazonaws.com",
            "dynamodb.local",
            "dynamodb.us-east-1.example.com",
            "vpce-1a2b.dynamodb.us-east-1.vpce.amazonaws.com",
            "streams.dynamodb.us-east-1.amazonaws.com",
            "127.0.0.1",
            "::1",
        ] {
            assert_eq!(beside(host), None, "{host}");
        }
    }

    #[test]
    fn the_parts_are_those_of_the_url() {
        let full = Address::parse("Redis://ann:s%3Acret%40@[::1]:7000/3").unwrap();
        assert_eq!(full.scheme.as_deref(), Some("redis"));
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("ann"), Some("s:cret@")));
        assert_eq!((full.host.as_str(), full.port, full.path.as_str()), ("::1", Some(7000), "/3"));

        let short = Address::parse("cache").unwrap();
        assert_eq!((short.scheme, short.user, short.password), (None, None, None));
        assert_eq!((short.host.as_str(), short.port, short.path.as_str()), ("cache", None, ""));

        let login = |text: &str| Address::parse(text).map(|address| (address.user, address.password)).unwrap();
        assert_eq!(login("redis://:pw@h"), (None, Some("pw".into())));
        assert_eq!(login("redis://ann@h"), (Some("ann".into()), None));
        assert_eq!(login("redis://:@h"), (None, None));
        assert_eq!(login("redis://:a:b@h"), (None, Some("a:b".into())));
        // Every character that RFC 3986 allows without encoding it.
        assert_eq!(login("redis://:-._~!$&'()*+,;=@h"), (None, Some("-._~!$&'()*+,;=".into())));
    }

    #[test]
    fn the_reason_says_what_is_wrong_and_repeats_nothing() {
        for (text, reason) in [
            ("", Invalid::Host),
            ("redis://", Invalid::Host),
            ("redis://hunter2@", Invalid::Host),
            ("http://:80", Invalid::Host),
            ("host:hunter2", Invalid::Syntax),
            ("h:", Invalid::Port),
            ("h:0", Invalid::Port),
            ("h:70000", Invalid::Port),
            ("h:+1", Invalid::Syntax),
            ("http://::1:1", Invalid::Syntax),
            ("redis://:hunter2@[::1", Invalid::Syntax),
            ("redis://:hunter2%zz@h", Invalid::Syntax),
            ("redis://:hunter2%ff@h", Invalid::Login),
            ("redis://:hunter 2@h", Invalid::Syntax),
            ("redis://:hunter@2@h", Invalid::Syntax),
            ("redis://ann:hunter2#@h", Invalid::Syntax),
            ("redis://hunter2?@h", Invalid::Query),
            ("redis://h/0?hunter2", Invalid::Query),
            ("a:1,b:2", Invalid::Syntax),
            ("http://a,b:2", Invalid::Syntax),
        ] {
            let invalid = Address::parse(text).unwrap_err();
            assert_eq!(invalid, reason, "{text}");
            assert!(!invalid.to_string().contains("hunter"));
        }
    }

    #[test]
    fn a_comma_separates_addresses_and_not_a_password() {
        let hosts = |text: &str| -> Result<Vec<(String, Option<u16>)>, Invalid> {
            Ok(Address::parse_list(text)?.into_iter().map(|address| (address.host, address.port)).collect())
        };
        assert_eq!(
            hosts("http://a:1, https://b:2/,c:3"),
            Ok(vec![("a".into(), Some(1)), ("b".into(), Some(2)), ("c".into(), Some(3))])
        );
        assert_eq!(hosts("redis://:a,b@h"), Ok(vec![("h".into(), None)]));
        assert_eq!(Address::parse_list("redis://:a,b@h").unwrap()[0].password.as_deref(), Some("a,b"));
        assert_eq!(hosts("http://a:1,"), Err(Invalid::Host));
        assert_eq!(hosts("redis+sentinel://:a%2Cb@h,i:1/m"), Ok(vec![("h".into(), None), ("i".into(), Some(1))]));
        // The reason is that of the whole, not of what a comma in a password cut off.
        assert_eq!(hosts("redis://:a,b@h:0"), Err(Invalid::Port));
        assert_eq!(hosts("redis://:a,b#c@h"), Err(Invalid::Syntax));
        assert_eq!(hosts("redis://:a,b%ff@h"), Err(Invalid::Login));
    }

    #[test]
    fn schemes_imply_ports() {
        for (text, port) in [
            ("http://h", Some(80)),
            ("https://h", Some(443)),
            ("rediss://h", Some(6379)),
            ("redis://h:1", Some(1)),
            ("valkey+cluster://h", Some(6379)),
            ("rediss+sentinel://h", Some(26379)),
            ("http+cluster://h", None),
            ("h:2", Some(2)),
            ("ftp://h", None),
            ("h", None),
        ] {
            assert_eq!(Address::parse(text).unwrap().port_or_default(), port, "{text}");
        }
    }

    #[test]
    fn only_the_scheme_of_servers_that_belong_together_is_that_of_those_that_follow() {
        let schemes = |text: &str| {
            let list = Address::parse_list(text).unwrap().into_iter();
            list.map(|address| address.scheme.unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(schemes("redis+cluster://a,b:1"), ["redis+cluster", "redis+cluster"]);
        assert_eq!(schemes("http://a,b:1"), ["http", ""]);
    }

    #[test]
    fn an_ipv6_address_has_brackets_before_its_port() {
        assert_eq!(authority("::1", 3), "[::1]:3");
        assert_eq!(authority("host", 3), "host:3");
    }

    #[test]
    fn debug_output_hides_the_password() {
        let text = format!("{:?}", Address::parse("redis://ann:hunter2@h").unwrap());
        assert!(text.contains("ann") && !text.contains("hunter2"), "{text}");
    }
}
