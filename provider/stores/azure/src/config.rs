//! The settings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kvfuse_core::{Error, Kind, Result, Settings};
use kvfuse_http::endpoint::{Endpoint, Server, plain, required};
use kvfuse_transport::clock;
use std::fmt;
use std::time::Duration;

/// Where the table is, who asks, and where keys are stored.
#[derive(Clone, Debug)]
pub struct Config {
    pub server: Server,
    /// What the path of every request begins with; empty if the name of the account is part of the host.
    pub path: String,
    pub table: String,
    pub credentials: Credentials,
    /// The prefix of every partition key.
    pub prefix: String,
    /// The time that a key lives after it was last written; forever if `None`.
    pub life: Option<Duration>,
    /// The time limit of one operation, retries included.
    pub time_limit: Duration,
}

/// Who asks. Its `Debug` hides everything but the name of the account.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// An account and its key.
    Key { account: String, key: Vec<u8>, text: String },
    /// A shared access signature: the query that every URL gets.
    Signature(String),
}

pub const ENDPOINT: &str = "KEYVALUE_AZURE_ENDPOINT";
pub const TABLE: &str = "KEYVALUE_AZURE_TABLE";
const ACCOUNT: &str = "KEYVALUE_AZURE_ACCOUNT";
const KEY: &str = "KEYVALUE_AZURE_KEY";
const SAS: &str = "KEYVALUE_AZURE_SAS";
const LIFE: &str = "KEYVALUE_TTL_S";
const EXAMPLE: &str = "https://ACCOUNT.table.core.windows.net";
/// A thousand years, in seconds.
const LONGEST_LIFE: u64 = 31_557_600_000;

impl Config {
    pub fn from_settings(settings: &Settings) -> Result<Self> {
        let text = required(settings, ENDPOINT, EXAMPLE)?;
        let (endpoint, path) = Endpoint::parse(ENDPOINT, text, EXAMPLE)?;
        let path = path.trim_end_matches('/').to_string();
        Ok(Self {
            credentials: credentials(settings, &endpoint.host, &path)?,
            server: endpoint.server(ENDPOINT),
            path,
            table: table(settings.get(TABLE).unwrap_or("keyvalue"))?,
            prefix: settings.get("KEYVALUE_PREFIX").unwrap_or_default().to_string(),
            life: settings.seconds(LIFE, 1..=LONGEST_LIFE)?,
            time_limit: clock::time_limit(settings)?,
        })
    }
}

/// Names of tables have 3 to 63 letters and digits, of which the first is a letter.
fn table(name: &str) -> Result<String> {
    let allowed = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if allowed && (3..=63).contains(&name.len()) && name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return Ok(name.to_string());
    }
    Err(Error::invalid(format!(
        "{TABLE} is not the name of a table: these have 3 to 63 letters and digits, of which the first is a letter"
    )))
}

fn credentials(settings: &Settings, host: &str, path: &str) -> Result<Credentials> {
    let get = |name| settings.get(name).map(|text| plain(name, text.trim())).transpose();
    match (get(KEY)?, get(SAS)?) {
        (Some(_), Some(_)) => Err(Error::invalid(format!("{KEY} and {SAS} are both set; one of them is enough"))),
        (Some(text), None) => {
            let key = STANDARD.decode(text).ok().filter(|key| !key.is_empty());
            let key =
                key.ok_or_else(|| Error::invalid(format!("{KEY} is not the key of an account: it is not base64")))?;
            let account = get(ACCOUNT)?.map(str::to_string).or_else(|| account_of(host, path)).ok_or_else(|| {
                Error::invalid(format!("the name of the account is not part of {ENDPOINT}; set the variable {ACCOUNT}"))
            })?;
            Ok(Credentials::Key { account, key, text: text.to_string() })
        }
        (None, Some(text)) => {
            let query = text.trim_start_matches('?');
            let has_signature = query.split('&').any(|part| part.len() > 4 && part.starts_with("sig="));
            if !has_signature || query.contains('#') {
                return Err(Error::invalid(format!(
                    "{SAS} is not a shared access signature, which is the query of a URL with the parameter sig"
                )));
            }
            Ok(Credentials::Signature(query.to_string()))
        }
        (None, None) => Err(Error::new(
            Kind::Unavailable,
            format!("no credentials are configured: set the variable {KEY}, or {SAS} for a shared access signature"),
        )),
    }
}

/// The path, as emulators have it, or what the name of the host begins with.
fn account_of(host: &str, path: &str) -> Option<String> {
    if let Some(account) = path.rsplit('/').next().filter(|account| !account.is_empty()) {
        return Some(account.to_string());
    }
    let is_address = host.contains(':') || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let (account, _) = host.split_once('.').filter(|_| !is_address)?;
    // The secondary endpoint of an account has another name, and the same key.
    Some(account.strip_suffix("-secondary").unwrap_or(account).to_string())
}

impl Credentials {
    /// What must not appear in a message.
    pub fn secrets(&self) -> Vec<String> {
        match self {
            Self::Key { text, .. } => vec![text.clone()],
            Self::Signature(query) => {
                let signature = query.split('&').find_map(|part| part.strip_prefix("sig=")).unwrap_or_default();
                // A signature is base64, of which these are the characters that a URL escapes.
                let escapes = [("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%3D", "="), ("%3d", "=")];
                let plain = escapes.iter().fold(signature.to_string(), |text, (from, to)| text.replace(from, to));
                vec![query.clone(), signature.to_string(), plain]
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { account, .. } => write!(f, "Key {{ account: {account:?}, key: (hidden) }}"),
            Self::Signature(_) => f.write_str("Signature((hidden))"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_servers::settings;
    use kvfuse_transport::http::Scheme;

    const HUNTER2: &str = "aHVudGVyMg==";

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        Config::from_settings(&settings(variables))
    }

    #[test]
    fn the_account_is_that_of_the_endpoint_unless_it_is_named() {
        for (endpoint, authority, path, account) in [
            ("https://ann.table.core.windows.net", "ann.table.core.windows.net", "", "ann"),
            ("https://ann-secondary.table.core.windows.net/", "ann-secondary.table.core.windows.net", "", "ann"),
            ("https://ann.table.cosmos.azure.com:443/", "ann.table.cosmos.azure.com", "", "ann"),
            ("http://127.0.0.1:10002/devstoreaccount1/", "127.0.0.1:10002", "/devstoreaccount1", "devstoreaccount1"),
        ] {
            let config =
                |more: &[(&str, &str)]| config(&[&[(ENDPOINT, endpoint), (KEY, HUNTER2)], more].concat()).unwrap();
            let found = config(&[]);
            assert_eq!((found.server.authority.as_str(), found.path.as_str()), (authority, path));
            assert!(
                matches!(found.credentials, Credentials::Key { account: found, .. } if found == account),
                "{endpoint}"
            );
            let named = config(&[(ACCOUNT, "bob")]).credentials;
            assert!(matches!(named, Credentials::Key { account, .. } if account == "bob"), "{endpoint}");
        }
        for endpoint in ["http://127.0.0.1:10002", "http://[::1]:10002", "http://tables"] {
            let error = config(&[(ENDPOINT, endpoint), (KEY, HUNTER2)]).unwrap_err();
            assert!(error.message().contains(ACCOUNT), "{error}");
            // A shared access signature needs no account.
            assert_eq!(config(&[(ENDPOINT, endpoint), (SAS, "?sv=1&sig=x")]).unwrap().server.scheme, Scheme::Http);
        }
    }

    #[test]
    fn a_setting_that_is_wrong_is_refused_without_repeating_a_secret() {
        let endpoint = (ENDPOINT, "http://a:1/hunter0");
        for (variables, name) in [
            (&[(ENDPOINT, "http://a:hunter2@b"), (KEY, HUNTER2)][..], ENDPOINT),
            (&[(ENDPOINT, "hunter2"), (KEY, HUNTER2)], ENDPOINT),
            (&[endpoint], KEY),
            (&[endpoint, (KEY, "hunter2 ")], KEY),
            (&[endpoint, (KEY, "hunter 2")], KEY),
            (&[endpoint, (KEY, HUNTER2), (SAS, "sig=hunter2")], SAS),
            (&[endpoint, (SAS, "hunter2")], SAS),
            (&[endpoint, (SAS, "sig=hunter2#")], SAS),
            (&[endpoint, (SAS, "sig=hunter2\r\nx: y")], SAS),
            (&[endpoint, (KEY, HUNTER2), (TABLE, "hunter-2")], TABLE),
            (&[endpoint, (KEY, HUNTER2), (TABLE, "2hunter")], TABLE),
        ] {
            let error = config(variables).unwrap_err();
            assert!(error.message().contains(name), "{error}");
            assert!(!error.message().contains("hunter"), "{error}");
        }
    }

    #[test]
    fn debug_output_shows_no_secret() {
        for secret in [(KEY, HUNTER2), (SAS, "sv=1&sig=hunter2")] {
            let shown = format!("{:?}", config(&[(ENDPOINT, "http://a:1/account"), secret]).unwrap());
            assert!(!shown.contains("hunter2") && !shown.contains(HUNTER2), "{shown}");
            assert!(!shown.contains(&format!("{:?}", b"hunter2")), "{shown}");
        }
    }
}
