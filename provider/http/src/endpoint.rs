//! The address of a service, as a setting has it. No I/O.

use kvfuse_core::{Error, Kind, Result, Settings};
use kvfuse_transport::address::{self, Address};
use kvfuse_transport::http::Scheme;

/// How to reach a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How to connect.
    pub scheme: Scheme,
    /// `host` or `host:port`.
    pub authority: String,
    /// The variable that sets it.
    pub setting: &'static str,
}

/// An endpoint as it is configured.
#[derive(Clone)]
pub struct Endpoint {
    /// How to connect.
    pub scheme: Scheme,
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    /// The port, if it is given.
    pub port: Option<u16>,
}

impl Endpoint {
    /// The endpoint in a setting, and its path. The text never appears in an error, because it may contain a password,
    /// although that is not allowed.
    ///
    /// # Errors
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument), with the example.
    pub fn parse(name: &str, text: &str, example: &str) -> Result<(Self, String)> {
        let wrong = |what: &str| Error::invalid(format!("{name} {what}; a valid one is {example}"));
        let address = Address::parse(text.trim()).map_err(|invalid| wrong(&invalid.to_string()))?;
        let scheme = match address.scheme.as_deref() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(wrong("has neither the scheme http nor https")),
        };
        if address.user.is_some() || address.password.is_some() {
            return Err(wrong("contains a login; credentials have variables of their own"));
        }
        Ok((Self { scheme, host: address.host, port: address.port }, address.path))
    }

    /// The same for a setting that cannot have a path.
    ///
    /// # Errors
    /// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument), with the example.
    pub fn without_path(name: &str, text: &str, example: &str) -> Result<Self> {
        let (endpoint, path) = Self::parse(name, text, example)?;
        match path.as_str() {
            "" | "/" => Ok(endpoint),
            _ => Err(Error::invalid(format!("{name} has a path; a valid one is {example}"))),
        }
    }

    /// What serves it, as the setting of this name says.
    pub fn server(self, setting: &'static str) -> Server {
        let default = Some(if self.scheme == Scheme::Https { 443 } else { 80 });
        let authority = match self.port {
            // Clients do not send the port that the scheme implies in the header `host`, which may be signed.
            Some(port) if Some(port) != default => address::authority(&self.host, port),
            _ if self.host.contains(':') => format!("[{}]", self.host),
            _ => self.host,
        };
        Server { scheme: self.scheme, authority, setting }
    }
}

/// The endpoint that a store cannot work without.
///
/// # Errors
/// [`Unavailable`](Kind::Unavailable) if it is not set.
pub fn required<'a>(settings: &'a Settings, name: &str, example: &str) -> Result<&'a str> {
    settings.get(name).ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("no endpoint is configured: set the variable {name}, such as {example}"))
    })
}

/// Text that goes into a header or a URL. It is not repeated.
///
/// # Errors
/// [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) if it has other characters than ASCII, or spaces.
pub fn plain<'a>(name: &str, text: &'a str) -> Result<&'a str> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(Error::invalid(format!("{name} contains characters other than ASCII without spaces")))
}
