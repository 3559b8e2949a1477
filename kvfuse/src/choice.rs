//! The stores that the command line names.

use crate::catalogue::{self, Provider};
use crate::cli::Chosen;
use crate::form::Wanted;
use crate::needs::quote;
use crate::refusal::{Refusal, Result};
use crate::table::{STORES, Store};
use kvfuse_compose::Memories;
use kvfuse_core::settings::label_prefix;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Characters that are encoded in the bucket names of `KEYVALUE_ROUTES`, where spaces around names do not count.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');

/// The choice of stores for imports and buckets.
pub enum Choice {
    /// The user's own provider, for everything.
    Provider(Box<Provider>),
    /// Stores that this program carries.
    Stores(Stores),
}

pub struct Stores {
    /// For everything that is not named.
    pub default: &'static Store,
    /// Labels with a store of their own.
    pub labels: Vec<(String, &'static Store)>,
    /// Buckets with a store of their own, where the default store is used.
    pub buckets: Vec<(String, &'static Store)>,
}

impl Stores {
    /// The stores for imports without a store of their own: the default one, and those of buckets.
    pub fn routed(&self) -> Vec<&'static Store> {
        let mut stores = vec![self.default];
        for (_, store) in &self.buckets {
            if !stores.iter().any(|known| known.name == store.name) {
                stores.push(store);
            }
        }
        stores
    }

    /// The value of `KEYVALUE_ROUTES`.
    pub fn routes(&self) -> String {
        let route =
            |(bucket, store): &(String, &Store)| format!("{}={}", utf8_percent_encode(bucket, ENCODED), store.name);
        self.buckets.iter().map(route).collect::<Vec<_>>().join(",")
    }
}

impl Chosen {
    /// The same, with the store that the URL in a store's variable is for: `redis` with `rediss://` is `redis-tls`. The
    /// variables are those of the command line, `NAME=VALUE` or `NAME`, and of the environment.
    pub fn by_urls(&self, env: &[String]) -> Self {
        let named = |text: &String| match text.rsplit_once('=') {
            Some((label, name)) => format!("{label}={}", by_url(name, &label_prefix(label), env)),
            None => by_url(text, "", env).to_string(),
        };
        let routed = |text: &String| match text.rsplit_once('=') {
            Some((bucket, name)) => format!("{bucket}={}", by_url(name, "", env)),
            None => text.clone(),
        };
        Self {
            store: self.store.iter().map(named).collect(),
            bucket: self.bucket.iter().map(routed).collect(),
            ..self.clone()
        }
    }

    pub fn choice(&self) -> Result<Choice> {
        if let Some(path) = &self.provider {
            return Ok(Choice::Provider(Box::new(Provider::from_file(path)?)));
        }
        let mut default = None;
        let mut labels: Vec<(String, &Store)> = Vec::new();
        for text in &self.store {
            match text.split_once('=') {
                Some((label, store)) => {
                    once(&labels, label, "--store", "label")?;
                    labels.push((label.into(), catalogue::store("--store", store)?));
                }
                None if default.is_some() => {
                    return Refusal::new("--store", "two stores are named for the same imports")
                        .help("--store LABEL=STORE is for one labelled import, --bucket BUCKET=STORE for one bucket")
                        .err();
                }
                None => default = Some(catalogue::store("--store", text)?),
            }
        }
        let mut buckets: Vec<(String, &Store)> = Vec::new();
        for text in &self.bucket {
            // The last one separates: the name of a store has none.
            let Some((bucket, store)) = text.rsplit_once('=') else {
                return Refusal::new("--bucket", format!("{text:?} is not a bucket and a store"))
                    .help("--bucket sessions=redis")
                    .err();
            };
            let bucket = if bucket.is_empty() { "default" } else { bucket };
            once(&buckets, bucket, "--bucket", "bucket")?;
            buckets.push((bucket.into(), catalogue::store("--bucket", store)?));
        }
        let first = || catalogue::store("--store", STORES.first().map_or("", |store| store.name));
        let default = default.map_or_else(first, Ok)?;
        let stores = Stores { default, labels, buckets };
        let routed = stores.routed();
        match routed.iter().find_map(|store| Some((store.name, store.extends?.store))) {
            Some((name, plain)) if routed.len() > 1 => {
                Refusal::new("--bucket", format!("the store {name} cannot be one of several in one component"))
                    .note(format!("the components that choose a store by the bucket's name have {plain}, without TLS"))
                    .help(format!(
                        "give a labelled import of its own to it: --store LABEL={name}; or leave out --bucket"
                    ))
                    .err()
            }
            _ => Ok(Choice::Stores(stores)),
        }
    }

    /// As on the command line; empty for the default.
    pub fn words(&self) -> String {
        let provider = self.provider.iter().map(|path| format!(" --provider {}", quote(&path.display().to_string())));
        let stores = self.store.iter().filter(|store| STORES.first().is_none_or(|first| first.name != **store));
        let stores = stores.map(|store| format!(" --store {}", quote(store)));
        let buckets = self.bucket.iter().map(|bucket| format!(" --bucket {}", quote(bucket)));
        let composed = self.composed.then(|| " --composed".to_string());
        let single_memory = self.single_memory.then(|| " --single-memory".to_string());
        let trap = self.unknown_imports_trap.then(|| " --unknown-imports-trap".to_string());
        provider.chain(stores).chain(buckets).chain(composed).chain(single_memory).chain(trap).collect()
    }

    pub fn form(&self) -> Wanted {
        match (self.composed, self.single_memory) {
            (true, _) => Wanted::Composed,
            (false, true) => Wanted::Flat(Memories::One),
            (false, false) => Wanted::Flat(Memories::Two),
        }
    }
}

/// The name of the store for the URL in the variables of this one, of which those for a label count first.
fn by_url<'a>(name: &'a str, prefix: &str, env: &[String]) -> &'a str {
    let Some(store) = STORES.iter().find(|store| store.name == name) else { return name };
    let value = |name: &str| variable(env, name).filter(|value| !value.is_empty());
    let url =
        store.endpoint().and_then(|known| value(&format!("{prefix}{}", known.name)).or_else(|| value(known.name)));
    url.map_or(name, |url| store.for_url(&url).name)
}

/// The value of a variable, given as `NAME=VALUE` or `NAME`, of which the last counts, or in the environment.
pub fn variable(env: &[String], name: &str) -> Option<String> {
    let given = env.iter().rev().find_map(|text| match text.split_once('=') {
        Some((given, value)) => (given == name).then(|| value.to_string()),
        None => (text == name).then(|| std::env::var(name).ok()).flatten(),
    });
    given.or_else(|| std::env::var(name).ok())
}

fn once(known: &[(String, &'static Store)], name: &str, option: &str, what: &str) -> Result<()> {
    match known.iter().any(|(known, _)| known == name) {
        true => Refusal::new(option, format!("the {what} {name:?} is given two stores")).help("name it once").err(),
        false => Ok(()),
    }
}
