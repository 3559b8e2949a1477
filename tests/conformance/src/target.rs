//! What the guests run against.

use crate::expected::{Expected, Promise};
use anyhow::{Context, Result};
use kvfuse_table::Artefact;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One target: an artefact, a host as `hosts.json` describes it, or what the command line names.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its name on the command line.
    pub name: String,
    /// Its title in the tables.
    pub title: String,
    /// The store of an artefact. All artefacts of a store share a column in the table of generations.
    #[serde(skip)]
    pub store: Option<&'static str>,
    /// What it is, and how it is run.
    #[serde(flatten)]
    pub kind: Kind,
    /// What it promises. Everything is run, whatever that is.
    #[serde(skip)]
    pub promise: Promise,
    /// The bucket that a case works on; `{case}` becomes something that no other case and no other run has. A case needs an
    /// empty bucket, so a target that keeps data between cases must use it.
    #[serde(default)]
    pub bucket: String,
    /// Why cases fail, where more is known than what the guest sees. For the documentation.
    #[serde(default)]
    pub explained: BTreeMap<String, String>,
}

/// The two kinds of targets.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Kind {
    /// A provider, fused with each guest and run in wasmtime.
    Component {
        /// Its path.
        component: String,
        /// Its environment variables. In a value, `{case}` becomes the case's bucket: a case needs an empty cache as well
        /// as an empty bucket.
        #[serde(default)]
        environment: BTreeMap<String, String>,
        /// What it is granted.
        #[serde(default)]
        grants: Vec<Grant>,
    },
    /// A host that implements the interface: a command line that runs the component `{guest}` with the arguments that
    /// are appended to it.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
    },
}

/// What a fused component is granted besides the standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// An empty directory as `/`, a fresh one for each case.
    Directory,
    /// TCP and name resolution.
    Network,
    /// Outgoing HTTP requests.
    Http,
}

impl Target {
    /// A target with this name and title, and nothing else set.
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_string(),
            title: name.to_string(),
            store: None,
            kind,
            promise: Promise::Nothing,
            bucket: String::new(),
            explained: BTreeMap::new(),
        }
    }

    /// The targets that the project itself checks: every artefact, and the hosts of `hosts.json`. The paths of their
    /// components begin at the top of the repository.
    ///
    /// # Errors
    /// If the list of hosts, or that of what is not supported, is malformed.
    pub fn all() -> Result<Vec<Self>> {
        let hosts: Vec<Self> = serde_json::from_str(include_str!("../hosts.json")).context("hosts.json")?;
        kvfuse_table::artefacts().map(Self::of_artefact).chain(hosts.into_iter().map(Ok)).collect()
    }

    fn of_artefact(artefact: Artefact) -> Result<Self> {
        let store = artefact.store;
        let suffix = artefact.suffix().map(|suffix| format!("-{suffix}")).unwrap_or_default();
        let pairs = store.tested_with.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let grant = |grant| match grant {
            kvfuse_table::Grant::Directory => Grant::Directory,
            kvfuse_table::Grant::Network => Grant::Network,
            kvfuse_table::Grant::Http => Grant::Http,
        };
        // A server keeps its data from case to case.
        let bucket = if store.tested_with.is_empty() { String::new() } else { "t-{case}".into() };
        Ok(Self {
            name: format!("{}{suffix}", store.name),
            title: artefact.file(),
            store: Some(store.name),
            kind: Kind::Component {
                component: format!("components/{}", artefact.file()),
                environment: pairs.collect(),
                grants: store.grants().into_iter().map(grant).collect(),
            },
            promise: Promise::Exactly(Expected::of(&artefact)?),
            bucket,
            explained: BTreeMap::new(),
        })
    }

    /// The title of its column in the table of generations.
    pub fn column(&self) -> String {
        format!("`{}`", self.store.unwrap_or(&self.title))
    }

    /// The bucket for one case of a run: with `{case}` in the bucket's name, a fresh one each time.
    pub fn bucket(&self, case: usize) -> String {
        self.bucket.replace("{case}", &format!("{}-{case}-{}", std::process::id(), unique()))
    }

    /// Replaces `${NAME}` in the command and in the environment by what `variable` gives for the name, such as
    /// `|name| std::env::var(name).ok()`.
    ///
    /// # Errors
    /// The name of a variable that is not set: then the target cannot be run here.
    pub fn expanded(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let expand = |text: &mut String| expand(text, &variable);
        match &mut self.kind {
            Kind::Component { environment, .. } => environment.values_mut().try_for_each(expand)?,
            Kind::Command { command } => command.iter_mut().try_for_each(expand)?,
        }
        Ok(self)
    }

    /// A provider component that is named on the command line. No case may fail.
    pub fn of_arguments(component: &str, environment: &[(String, String)], grants: &[Grant], bucket: &str) -> Self {
        let kind = Kind::Component {
            component: component.to_string(),
            environment: environment.iter().cloned().collect(),
            grants: grants.to_vec(),
        };
        Self { bucket: bucket.to_string(), promise: Promise::NoFailure, ..Self::new(component, kind) }
    }
}

/// A number that grows with each call. It begins with the current time, so it differs from run to run.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let began = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_micros() as u64);
    let _ = NEXT.compare_exchange(0, began(), Ordering::Relaxed, Ordering::Relaxed);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn expand(text: &mut String, variable: &impl Fn(&str) -> Option<String>) -> Result<(), String> {
    while let Some((before, name, after)) = text.split_once("${").and_then(|(before, rest)| {
        let (name, after) = rest.split_once('}')?;
        Some((before.to_string(), name.to_string(), after.to_string()))
    }) {
        let value = variable(&name).ok_or_else(|| format!("the variable {name} is not set"))?;
        *text = format!("{before}{value}{after}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_of_this_repository_can_be_read() {
        let targets = Target::all().unwrap();
        assert!(targets.iter().any(|target| matches!(target.kind, Kind::Command { .. })));
        let Kind::Component { grants, .. } = &targets[0].kind else { panic!("a component") };
        assert_eq!(grants, &[Grant::Directory]);
    }

    #[test]
    fn a_bucket_with_a_case_in_its_name_is_never_given_twice() {
        let target = Target::of_arguments("x.wasm", &[], &[], "t-{case}");
        assert_ne!(target.bucket(1), target.bucket(1));
        assert!(target.bucket(1).starts_with("t-"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let target = Target::of_arguments("x.wasm", &[("URL".into(), "http://${HOST}/".into())], &[], "");
        assert_eq!(target.clone().expanded(|_| None).unwrap_err(), "the variable HOST is not set");
        let Kind::Component { environment, .. } = target.expanded(|name| Some(name.to_lowercase())).unwrap().kind
        else {
            panic!("a component")
        };
        assert_eq!(environment.get("URL").unwrap(), "http://host/");
    }
}
