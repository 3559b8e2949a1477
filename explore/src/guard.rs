//! Who may ask.
//!
//! The page shows and changes data, so it answers only requests to its full address, which contains a secret token as
//! the first part of every path: `http://127.0.0.1:40123/TOKEN/`. A page of another origin does not know the token.
//! Even if it did, the browser says where a request comes from, and that is checked as well.

use std::fmt;

/// The variable with the token.
pub const TOKEN: &str = "EXPLORE_TOKEN";
/// The variable with the hosts under which the page is reached, separated by commas. Without it, only the names of the
/// loopback interface are accepted, with any port.
pub const HOSTS: &str = "EXPLORE_HOSTS";

/// The shortest token, in characters.
pub const SHORTEST: usize = 16;

/// The names of the loopback interface, as a request has them.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Compares requests with a token and with the hosts under which the page may be reached.
#[derive(Clone)]
pub struct Guard {
    token: String,
    hosts: Vec<String>,
}

/// Where a request comes from, and where it was sent to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    /// The host to which it was sent, with its port: the authority, or the header `host`.
    pub host: Option<&'a str>,
    /// The header `origin`.
    pub origin: Option<&'a str>,
    /// The header `sec-fetch-site`.
    pub site: Option<&'a str>,
}

/// Why a request is not answered. Says nothing about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No token was set, or one that can be guessed.
    Unset,
    /// The path does not begin with the token.
    Token,
    /// The request was sent to another host.
    Host,
    /// A page of another origin sent it.
    Origin,
}

impl Guard {
    /// A guard with this token, which has at least [`SHORTEST`] letters, digits, `-` or `_`. Without `hosts` the page
    /// is reached by the names of the loopback interface.
    ///
    /// ```
    /// use kvfuse_explorer::guard::{Guard, Refused, Sent};
    ///
    /// let guard = Guard::new("0123456789abcdef", "")?;
    /// let sent = Sent { host: Some("127.0.0.1:40123"), ..Sent::default() };
    /// let path = "/0123456789abcdef/page.js";
    /// assert_eq!(guard.admit(path, &sent), Ok("page.js"));
    /// assert_eq!(guard.admit(path, &Sent { site: Some("cross-site"), ..sent }), Err(Refused::Origin));
    /// # Ok::<(), Refused>(())
    /// ```
    ///
    /// # Errors
    /// [`Refused::Unset`] for any other token.
    pub fn new(token: &str, hosts: &str) -> Result<Self, Refused> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if token.len() < SHORTEST || !token.bytes().all(safe) {
            return Err(Refused::Unset);
        }
        let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
        Ok(Self { token: token.into(), hosts: hosts.map(str::to_ascii_lowercase).collect() })
    }

    /// The part of the path after the token, without a query, if the request may be answered.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit<'a>(&self, path: &'a str, sent: &Sent<'_>) -> Result<&'a str, Refused> {
        let path = path.split('?').next().unwrap_or_default();
        let (token, rest) = path.strip_prefix('/').unwrap_or_default().split_once('/').ok_or(Refused::Token)?;
        if !same(token.as_bytes(), self.token.as_bytes()) {
            return Err(Refused::Token);
        }
        let host = sent.host.filter(|host| self.is_ours(host)).ok_or(Refused::Host)?;
        let ours = |origin: &str| {
            let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
        };
        let alone = |site: &str| matches!(site, "same-origin" | "none");
        if sent.origin.is_some_and(|origin| !ours(origin)) || sent.site.is_some_and(|site| !alone(site)) {
            return Err(Refused::Origin);
        }
        Ok(rest)
    }

    fn is_ours(&self, host: &str) -> bool {
        if self.hosts.is_empty() {
            // A name that an attacker's DNS server leads here is not among these.
            return LOOPBACK.iter().any(|name| {
                let port = host.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
                port.and_then(|_| host.get(name.len()..)).is_some_and(|port| port.is_empty() || port.starts_with(':'))
            });
        }
        self.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))
    }
}

/// Takes as long for a wrong token as for the right one, so the time does not tell how much of it is right.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => write!(
                f,
                "the explorer answers nobody without a token: set {TOKEN} to {SHORTEST} or more random letters and digits, and \
                 open /TOKEN/"
            ),
            Self::Token => f.write_str("the address lacks the token: open the address that was printed at the start"),
            Self::Host => write!(
                f,
                "the explorer is not reached by this name: open the address that was printed at the start, or name the host in \
                 {HOSTS}"
            ),
            Self::Origin => f.write_str(
                "another page sent this request: type or paste the explorer's address into the address bar instead",
            ),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "test code")]
mod tests {
    use super::*;

    const T: &str = "0123456789abcdef";

    const PATH: &str = "/0123456789abcdef/";

    fn to(host: &str) -> Sent<'_> {
        Sent { host: Some(host), ..Sent::default() }
    }

    #[test]
    fn only_a_path_with_the_token_is_answered() {
        let guard = Guard::new(T, "").unwrap();
        let admit = |path: &str| guard.admit(path, &to("127.0.0.1:1")).map(str::to_string);
        assert_eq!(admit("/0123456789abcdef/"), Ok(String::new()));
        assert_eq!(admit("/0123456789abcdef/api/keys?x=/y"), Ok("api/keys".into()));
        for path in [
            "",
            "/",
            "/0123456789abcdef",
            "0123456789abcdef/",
            "//0123456789abcdef/",
            "/0123456789abcdeF/",
            "/0123456789abcde/",
            "/0123456789abcdef0/",
            "/?0123456789abcdef/",
        ] {
            assert_eq!(admit(path), Err(Refused::Token), "{path}");
        }
    }

    #[test]
    fn a_token_that_can_be_guessed_is_none() {
        for token in ["", "0123456789abcde", "0123456789abcdef/", "0123456789 abcdef", "ä123456789abcdef"] {
            assert_eq!(Guard::new(token, "").err(), Some(Refused::Unset), "{token}");
        }
    }

    #[test]
    fn the_host_is_the_loopback_interface_or_one_that_was_named() {
        let loopback = Guard::new(T, "").unwrap();
        for host in ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:8080"] {
            assert_eq!(loopback.admit(PATH, &to(host)), Ok(""), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "127.0.0.12", "10.0.0.1"]
        {
            assert_eq!(loopback.admit(PATH, &to(host)), Err(Refused::Host), "{host}");
        }
        assert_eq!(loopback.admit(PATH, &Sent::default()), Err(Refused::Host));
        let named = Guard::new(T, "kv.example:8080, other.example").unwrap();
        for (host, ours) in
            [("KV.example:8080", true), ("other.example", true), ("kv.example", false), ("127.0.0.1", false)]
        {
            assert_eq!(named.admit(PATH, &to(host)).is_ok(), ours, "{host}");
        }
    }

    #[test]
    fn a_request_of_another_origin_is_refused() {
        let guard = Guard::new(T, "").unwrap();
        let from = |origin, site| guard.admit(PATH, &Sent { origin, site, ..to("127.0.0.1:8080") }).map(|_| ());
        for (origin, site) in [
            (None, None),
            (None, Some("none")),
            (Some("http://127.0.0.1:8080"), Some("same-origin")),
            (Some("https://127.0.0.1:8080"), None),
        ] {
            assert_eq!(from(origin, site), Ok(()), "{origin:?} {site:?}");
        }
        for (origin, site) in [
            (Some("http://127.0.0.1:8081"), None),
            (Some("http://localhost:8080"), None),
            (Some("null"), None),
            (Some("http://evil.example"), Some("same-origin")),
            (None, Some("cross-site")),
            (None, Some("same-site")),
            (Some("http://127.0.0.1:8080"), Some("cross-site")),
        ] {
            assert_eq!(from(origin, site), Err(Refused::Origin), "{origin:?} {site:?}");
        }
    }
}
