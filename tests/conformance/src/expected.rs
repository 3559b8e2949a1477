//! What is expected of the project's own artefacts, case by case: every case passes in every generation that an artefact
//! exports, except for those that `not-supported.json` lists.

use crate::report::{CaseReport, Outcome};
use anyhow::{Context, Result, ensure};
use kvfuse_table::{Artefact, GENERATIONS, STORES};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a target promises.
#[derive(Clone, Debug, Default)]
pub enum Promise {
    /// Nothing: it is run for the record.
    #[default]
    Nothing,
    /// That no case fails.
    NoFailure,
    /// Exactly this.
    Exactly(Expected),
}

impl Promise {
    /// The results that the promise does not allow, one per line.
    pub(crate) fn broken(&self, generation: &str, cases: &[CaseReport]) -> Vec<String> {
        match self {
            Self::Nothing => Vec::new(),
            Self::NoFailure => {
                cases.iter().filter_map(|case| Some(format!("{}: {}", case.name, failure(case)?))).collect()
            }
            Self::Exactly(expected) => expected.surprises(generation, cases),
        }
    }

    /// The same for a generation that is not offered.
    pub(crate) fn broken_by_absence(&self, generation: &str) -> Vec<String> {
        match self {
            Self::Exactly(expected) if expected.offers(generation) => vec!["it does not offer this generation".into()],
            _ => Vec::new(),
        }
    }
}

fn failure(case: &CaseReport) -> Option<String> {
    match &case.outcome {
        Outcome::Failed(why) => Some(format!("it failed: {why}")),
        Outcome::Passed | Outcome::Unsupported(_) => None,
    }
}

/// The generations that a target offers, and the cases in them that are not supported. All others pass.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    generations: BTreeSet<String>,
    /// The text of each refusal, by generation and case.
    not_supported: BTreeMap<(String, String), String>,
}

/// An entry of the list: each of the cases, in each of the generations, with each of the stores.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    stores: Vec<String>,
    generations: Vec<String>,
    says: String,
    cases: Vec<String>,
}

impl Expected {
    /// What an artefact of the project promises.
    ///
    /// # Errors
    /// If the list is malformed, names a store or a generation that does not exist, or has a case twice.
    pub fn of(artefact: &Artefact) -> Result<Self> {
        let entries = serde_json::from_str(include_str!("../not-supported.json")).context("not-supported.json")?;
        let generations: Vec<_> = artefact.generations().iter().map(|generation| generation.name).collect();
        Self::new(&generations, artefact.store.name, entries).context("not-supported.json")
    }

    fn new(generations: &[&str], store: &str, entries: Vec<Entry>) -> Result<Self> {
        let mut expected =
            Self { generations: generations.iter().map(ToString::to_string).collect(), ..Self::default() };
        for entry in entries {
            for name in &entry.stores {
                ensure!(STORES.iter().any(|store| store.name == name), "there is no store {name:?}");
            }
            for name in &entry.generations {
                ensure!(GENERATIONS.iter().any(|known| known.name == name), "there is no generation {name:?}");
            }
            if !entry.stores.iter().any(|name| name == store) {
                continue;
            }
            for generation in entry.generations.iter().filter(|name| expected.generations.contains(*name)) {
                for case in &entry.cases {
                    let before = expected.not_supported.insert((generation.clone(), case.clone()), entry.says.clone());
                    ensure!(before.is_none(), "{case:?} is there twice for {store} and {generation}");
                }
            }
        }
        Ok(expected)
    }

    /// The cases that are not supported in a generation, as the list has them.
    pub fn not_supported(&self, generation: &str) -> BTreeMap<&str, &str> {
        let here = self.not_supported.iter().filter(|((of, _), _)| of == generation);
        here.map(|((_, case), says)| (case.as_str(), says.as_str())).collect()
    }

    /// Whether the target offers a generation.
    pub fn offers(&self, generation: &str) -> bool {
        self.generations.contains(generation)
    }

    /// The unexpected results in a generation that the target offers, one per line.
    fn surprises(&self, generation: &str, cases: &[CaseReport]) -> Vec<String> {
        if !self.offers(generation) {
            return vec!["it offers this generation, and should not".into()];
        }
        let listed = self.not_supported(generation);
        let known: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
        let missing = listed.keys().filter(|case| !known.contains(*case));
        let missing = missing.map(|case| format!("{case}: listed as not supported, and there is no such case"));
        let wrong = cases.iter().filter_map(|case| {
            let what = match (&case.outcome, listed.get(case.name.as_str())) {
                (Outcome::Passed, None) => return None,
                (Outcome::Unsupported(why), Some(says)) if why == says => return None,
                (Outcome::Passed, Some(_)) => "it passed, and is listed as not supported".into(),
                (Outcome::Failed(_), _) => failure(case)?,
                (Outcome::Unsupported(why), None) => format!("it is not supported, and not listed as that: {why}"),
                (Outcome::Unsupported(why), Some(says)) => format!("it is refused with {why:?} instead of {says:?}"),
            };
            Some(format!("{}: {what}", case.name))
        });
        wrong.chain(missing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvfuse_table::artefacts;

    const LIST: &str = r#"[{
        "stores": ["redis"], "generations": ["v0_1", "unversioned"], "says": "no streams",
        "cases": ["streams in", "streams out"]
    }]"#;

    fn expected(store: &str, list: &str) -> Result<Expected> {
        Expected::new(&["draft2", "v0_1"], store, serde_json::from_str(list)?)
    }

    fn surprises(store: &str, generation: &str, cases: &[(&str, Outcome)]) -> Vec<String> {
        let case = |(name, outcome): &(&str, Outcome)| CaseReport { name: name.to_string(), outcome: outcome.clone() };
        let cases: Vec<_> = cases.iter().map(case).collect();
        expected(store, LIST).unwrap().surprises(generation, &cases)
    }

    fn refused() -> Outcome {
        Outcome::Unsupported("no streams".into())
    }

    #[test]
    fn what_is_listed_is_refused_and_everything_else_passes() {
        let outcomes = [("a case", Outcome::Passed), ("streams in", refused()), ("streams out", refused())];
        assert_eq!(surprises("redis", "v0_1", &outcomes), [""; 0]);
        assert_eq!(surprises("redis", "draft2", &outcomes[..1]), [""; 0]);
        assert_eq!(surprises("files", "v0_1", &[("streams in", Outcome::Passed)]), [""; 0]);
    }

    #[test]
    fn a_case_that_fails_is_a_surprise_even_if_it_is_listed() {
        let failed = || Outcome::Failed("the stream broke".into());
        let outcomes = [("a case", failed()), ("streams in", failed()), ("streams out", refused())];
        let lines = ["a case: it failed: the stream broke", "streams in: it failed: the stream broke"];
        assert_eq!(surprises("redis", "v0_1", &outcomes), lines);
    }

    #[test]
    fn a_case_that_passes_and_is_listed_as_not_supported_is_a_surprise() {
        let outcomes = [("streams in", Outcome::Passed), ("streams out", refused())];
        let lines = ["streams in: it passed, and is listed as not supported"];
        assert_eq!(surprises("redis", "v0_1", &outcomes), lines);
    }

    #[test]
    fn a_case_that_is_refused_and_not_listed_is_a_surprise() {
        let lines = ["streams in: it is not supported, and not listed as that: no streams"];
        assert_eq!(surprises("files", "v0_1", &[("streams in", refused())]), lines);
        assert_eq!(surprises("redis", "draft2", &[("streams in", refused())]), lines);
    }

    #[test]
    fn a_refusal_with_another_reason_is_a_surprise() {
        let outcomes = [("streams in", Outcome::Unsupported("not today".into())), ("streams out", refused())];
        let lines = [r#"streams in: it is refused with "not today" instead of "no streams""#];
        assert_eq!(surprises("redis", "v0_1", &outcomes), lines);
    }

    #[test]
    fn a_case_that_is_listed_and_does_not_exist_is_a_surprise() {
        let lines = ["streams out: listed as not supported, and there is no such case"];
        assert_eq!(surprises("redis", "v0_1", &[("streams in", refused())]), lines);
    }

    #[test]
    fn a_generation_that_is_offered_and_should_not_be_is_a_surprise() {
        assert_eq!(surprises("redis", "unversioned", &[]), ["it offers this generation, and should not"]);
    }

    #[test]
    fn a_list_that_names_what_does_not_exist_or_a_case_twice_is_malformed() {
        let malformed = |list: &str| format!("{:#}", expected("redis", list).unwrap_err());
        assert!(malformed(&LIST.replace("redis", "radish")).contains("no store \"radish\""));
        assert!(malformed(&LIST.replace("unversioned", "v9")).contains("no generation \"v9\""));
        assert!(malformed(&LIST.replace("streams out", "streams in")).contains("twice for redis and v0_1"));
        assert!(malformed(&LIST.replace("says", "means")).contains("unknown field"));
    }

    #[test]
    fn the_list_of_this_repository_can_be_read() {
        artefacts().for_each(|artefact| drop(Expected::of(&artefact).unwrap()));
    }
}
