//! Where a store is, as given on the command line: `files:./data`, `redis://127.0.0.1:6379`, or only its name.

use crate::choice::variable;
use crate::refusal::{Refusal, Result};
use crate::table::{COMMON, Grant, STORES, Store};
use kvfuse_core::store::{CACHE, POSITIONS};
use kvfuse_core::{Limits, Settings};
use kvfuse_transport::address::Address;
use std::path::{Path, PathBuf};

/// A store and its settings.
pub struct Place {
    pub store: &'static Store,
    /// `NAME=VALUE` or `NAME`, as `kvfuse run --env` takes them.
    pub env: Vec<String>,
    pub data: PathBuf,
    /// For messages: without a login.
    pub title: String,
}

impl Place {
    /// `data` is the directory if the text names none.
    pub fn parse(option: &str, text: &str, data: &Path, env: &[String]) -> Result<Self> {
        let (name, place) = text.split_once(':').map_or((text, None), |(name, place)| (name, Some(place)));
        let extending = |store: &&Store| store.extends.is_some_and(|extends| extends.schemes.contains(&name));
        // `rediss://…` as a whole is a URL whose scheme says which store it is for.
        let by_scheme = || STORES.iter().find(extending).filter(|_| place.is_some_and(|place| place.starts_with("//")));
        // And so is `redis+cluster://…`, whose scheme begins with the name of the store.
        let several = || {
            let (name, _) = name.split_once('+').filter(|_| place.is_some_and(|place| place.starts_with("//")))?;
            STORES.iter().find(|store| store.name == name)
        };
        let named = STORES.iter().find(|store| store.name == name);
        let Some(store) = named.or_else(by_scheme).or_else(several) else {
            let names: Vec<_> = STORES.iter().map(|store| store.name).collect();
            // Not the whole text: it may have a password in it.
            return Refusal::new(option, format!("there is no store called {name:?}"))
                .note(format!("the stores are: {}", names.join(", ")))
                .help("give a store by its name, or by its name and place: files:./data, redis://127.0.0.1:6379")
                .err();
        };
        // Every read must ask the store, also a second one.
        let mut settings = vec!["KEYVALUE_STALE_MS=".to_string()];
        settings.extend(env.iter().cloned());
        let mut data = data.to_path_buf();
        if let Some(place) = place {
            match store.endpoint() {
                _ if place.is_empty() => {
                    return Refusal::new(option, format!("{text:?} has no place after the colon")).err();
                }
                Some(variable) if place.starts_with("//") => {
                    let usual = variable.example.split(':').next().unwrap_or_default();
                    let scheme = if store.name == name { usual } else { name };
                    settings.push(format!("{}={scheme}:{place}", variable.name));
                }
                Some(variable) => settings.push(format!("{}={place}", variable.name)),
                None if store.grants().contains(&Grant::Directory) => data = PathBuf::from(place),
                None => {
                    return Refusal::new(option, format!("the store {name} takes no place")).help("leave it out").err();
                }
            }
        }
        let mut place = Self { store, env: settings, data, title: String::new() };
        // And so does the scheme of a URL that a variable has.
        let url = store.endpoint().and_then(|endpoint| place.variable(endpoint.name)).unwrap_or_default();
        place.store = store.for_url(&url);
        place.title = place.shown();
        Ok(place)
    }

    /// Refuses a directory that does not exist: reading creates none.
    pub fn must_exist(&self) -> Result<()> {
        if self.keeps_files() && !self.data.is_dir() {
            return Refusal::file(&self.data, "there is no such directory")
                .help("name the directory of the store: --store files:DIRECTORY")
                .err();
        }
        Ok(())
    }

    pub fn keeps_files(&self) -> bool {
        self.store.grants().contains(&Grant::Directory)
    }

    /// The value that a variable of the store has.
    fn variable(&self, name: &str) -> Option<String> {
        variable(&self.env, name)
    }

    /// The limits that apply to every store.
    pub fn limits(&self) -> Result<Limits> {
        let value = COMMON.iter().filter_map(|known| Some((known.name.to_string(), self.variable(known.name)?)));
        Limits::from_settings(&Settings::new(value))
            .map_err(|e| Box::new(Refusal::new(&self.title, e.message().to_string())))
    }

    fn shown(&self) -> String {
        let name = self.store.name;
        if self.keeps_files() {
            return format!("{name}:{}", self.data.display());
        }
        let endpoint = self.store.endpoint();
        let addresses = endpoint.and_then(|variable| self.variable(variable.name));
        let addresses = addresses.and_then(|text| Address::parse_list(&text).ok()).unwrap_or_default();
        let hosts: Vec<_> = addresses
            .iter()
            .map(|address| match address.port_or_default() {
                Some(port) => format!("{}:{port}", address.host),
                None => address.host.clone(),
            })
            .collect();
        if hosts.is_empty() { name.into() } else { format!("{name} at {}", hosts.join(", ")) }
    }

    /// The names of its buckets.
    pub fn buckets(&self) -> Result<Vec<String>> {
        if !self.keeps_files() {
            return Refusal::new(&self.title, "this store does not know its buckets")
                .note("a bucket is only a part of the names of its keys, so nothing lists the buckets")
                .help("name the buckets: --bucket default")
                .err();
        }
        let mut names = Vec::new();
        for (directory, name) in self.directories("kv buckets")? {
            let Some(name) = name else {
                return Refusal::new(&self.title, "the name of a bucket is not known")
                    .note(format!("its directory, {directory}, has only a hash of it, because it is long"))
                    .help("name the buckets, with --bucket")
                    .err();
            };
            names.push(name);
        }
        Ok(names)
    }

    /// The directories of the buckets of a store that keeps files, and their names where these can be known.
    pub fn directories(&self, command: &str) -> Result<Vec<(String, Option<String>)>> {
        use crate::commands::store;
        let found = store::Place::open(&self.directory(), command)?.store_or_none()?;
        let named = found.into_iter().map(|directory| {
            let name = store::Place::bucket(&directory);
            (directory, name)
        });
        let kept = |name: &str| [CACHE, POSITIONS].contains(&name);
        Ok(named.filter(|(_, name)| !name.as_deref().is_some_and(kept)).collect())
    }

    /// The directory with the buckets, which `KEYVALUE_DIR` may put inside the one that is granted.
    pub fn directory(&self) -> PathBuf {
        let inside = self.variable("KEYVALUE_DIR").filter(|text| !text.is_empty());
        inside.map_or_else(|| self.data.clone(), |path| self.data.join(path.trim_start_matches('/')))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_the_address_of_a_server() {
        let parse = |text: &str| Place::parse("--store", text, Path::new("data"), &[]).unwrap();
        assert_eq!(parse("files").data, Path::new("data"));
        assert_eq!(parse("files:./other").data, Path::new("./other"));
        let cases = [
            ("redis://:secret@cache:7000/1", "KEYVALUE_REDIS_URL=redis://:secret@cache:7000/1", "redis at cache:7000"),
            ("etcd:http://a,http://b:1", "KEYVALUE_ETCD_ENDPOINTS=http://a,http://b:1", "etcd at a:80, b:1"),
            ("rediss://:secret@cache", "KEYVALUE_REDIS_URL=rediss://:secret@cache", "redis-tls at cache:6379"),
            ("redis:rediss://cache:1", "KEYVALUE_REDIS_URL=rediss://cache:1", "redis-tls at cache:1"),
            (
                "redis+cluster://:secret@a:1,b",
                "KEYVALUE_REDIS_URL=redis+cluster://:secret@a:1,b",
                "redis at a:1, b:6379",
            ),
            (
                "rediss+sentinel://a,b:2/mymaster",
                "KEYVALUE_REDIS_URL=rediss+sentinel://a,b:2/mymaster",
                "redis-tls at a:26379, b:2",
            ),
            ("redis-tls://cache", "KEYVALUE_REDIS_URL=rediss://cache", "redis-tls at cache:6379"),
            ("redis-tls:redis://cache", "KEYVALUE_REDIS_URL=redis://cache", "redis-tls at cache:6379"),
            ("etcd://a:2379", "KEYVALUE_ETCD_ENDPOINTS=http://a:2379", "etcd at a:2379"),
            ("dynamodb://a", "KEYVALUE_DYNAMODB_ENDPOINT=https://a", "dynamodb at a:443"),
        ];
        for (text, variable, title) in cases {
            let place = parse(text);
            assert_eq!((place.env[1].as_str(), place.title.as_str()), (variable, title));
        }
    }

    #[test]
    fn what_is_no_place_is_refused_without_its_password() {
        for text in ["tape", "files:", "postgres://:secret@db", "rediss", "tape+cluster://:secret@a"] {
            let refused = Place::parse("--store", text, Path::new("data"), &[]).err().unwrap().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
