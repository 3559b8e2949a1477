//! The results of runs, and how they are written down.

use crate::guests::{GUESTS, Guest};
use crate::target::Target;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub enum Outcome {
    /// The case found what it expects.
    Passed,
    /// The case found something else, or the guest trapped or did not end. The text says what happened, on one line.
    Failed(String),
    /// The target refused an operation as unsupported. The text is that of the refusal.
    Unsupported(String),
}

impl Outcome {
    /// Reads what a guest wrote: `passed`, `failed: …` or `unsupported: …`. Anything else is a failure.
    pub fn parse(text: &str) -> Self {
        let text = text.trim_end_matches('\n');
        match text.split_once(": ") {
            Some(("failed", why)) => Self::Failed(why.to_string()),
            Some(("unsupported", why)) => Self::Unsupported(why.to_string()),
            _ if text == "passed" => Self::Passed,
            _ => Self::Failed(format!("the guest ended without a verdict and wrote {:?}", one_line(text))),
        }
    }
}

/// One case against one target.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// What the case is about, as a sentence.
    pub name: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// One guest against one target.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The name of the target.
    pub target: String,
    /// The name of the guest.
    pub generation: String,
    /// Why the target does not offer this generation at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
    /// The cases in the order of the guest; empty if the generation is not offered.
    pub cases: Vec<CaseReport>,
    /// The differences from what the target promises, one per line.
    pub unexpected: Vec<String>,
}

impl Run {
    /// A run with these results.
    pub fn of(target: &Target, guest: &Guest, cases: Vec<CaseReport>) -> Self {
        let unexpected = target.promise.broken(guest.name, &cases);
        Self { target: target.name.clone(), generation: guest.name.into(), not_offered: None, cases, unexpected }
    }

    /// A run of a generation that the target does not offer, with the reason.
    pub fn none(target: &Target, guest: &Guest, why: &str) -> Self {
        Self {
            target: target.name.clone(),
            generation: guest.name.into(),
            not_offered: Some(one_line(why)),
            cases: Vec::new(),
            unexpected: target.promise.broken_by_absence(guest.name),
        }
    }

    /// The number of cases with this outcome.
    pub fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.cases.iter().filter(|case| is(&case.outcome)).count()
    }

    /// Whether the run differs from what the target promises.
    pub fn is_bad(&self) -> bool {
        !self.unexpected.is_empty()
    }
}

/// All runs, and the targets that could not be run here.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The runs in the order in which they were made.
    pub runs: Vec<Run>,
    /// The names of targets that could not be run, and what was missing.
    pub not_run: Vec<(String, String)>,
}

/// The text on one line, cut after 300 characters.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", line.split_at(end).0),
        None => line,
    }
}

impl Report {
    /// Whether a run differs from what its target promises.
    pub fn is_bad(&self) -> bool {
        self.runs.iter().any(Run::is_bad)
    }

    /// The report for programs, as JSON.
    ///
    /// # Errors
    /// If the report cannot be serialized, which does not happen.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// The report for people: a line for each run, and every case that did not pass.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for run in &self.runs {
            out.push_str(&run_text(run));
        }
        for (target, why) in &self.not_run {
            let _ = writeln!(out, "{target}: not run here, {why}");
        }
        let total = |is: fn(&Outcome) -> bool| self.runs.iter().map(|run| run.count(is)).sum::<usize>();
        let (passed, failed) = (total(|o| *o == Outcome::Passed), total(|o| matches!(o, Outcome::Failed(_))));
        let unsupported = total(|o| matches!(o, Outcome::Unsupported(_)));
        let _ = writeln!(out, "{passed} passed, {failed} failed, {unsupported} not supported");
        out
    }

    /// The results of every generation in every column. A column is a store with all its artefacts, or a host.
    pub fn table(&self, targets: &[Target]) -> String {
        let columns = self.columns(targets);
        let mut out = String::from("| generation |");
        for column in &columns {
            let _ = write!(out, " {column} |");
        }
        out.push_str("\n|---|");
        columns.iter().for_each(|_| out.push_str("---|"));
        for guest in GUESTS {
            let _ = write!(out, "\n| {} |", guest.title);
            for column in &columns {
                let of_column = |run: &&Run| {
                    let mut targets = targets.iter().filter(|target| target.column() == *column);
                    run.generation == guest.name && targets.any(|target| target.name == run.target)
                };
                // The weakest among those that offer the generation, so that the table is true of all of them.
                let offered = self.runs.iter().filter(of_column).filter(|run| run.not_offered.is_none());
                let weakest = offered.min_by_key(|run| run.count(|outcome| *outcome == Outcome::Passed));
                let _ = write!(out, " {} |", weakest.map_or("–".into(), cell));
            }
        }
        out.push('\n');
        out
    }

    /// What each target offers, and how much of it passed.
    fn by_target(&self, targets: &[Target]) -> String {
        let mut out = String::from("| target | does not offer | cases |\n|---|---|---|\n");
        for target in targets {
            let runs: Vec<_> = self.runs.iter().filter(|run| run.target == target.name).collect();
            if runs.is_empty() {
                continue;
            }
            let missing =
                |guest: &&Guest| runs.iter().any(|run| run.generation == guest.name && run.not_offered.is_some());
            let missing: Vec<_> = GUESTS.iter().filter(missing).map(|guest| guest.title).collect();
            let cases = counts(&runs);
            let _ = writeln!(out, "| `{}` | {} | {cases} |", target.title, missing.join("; "));
        }
        out
    }

    /// Why cases did not pass: each case once, with all the columns and generations where it ended in this way.
    pub fn notes(&self, targets: &[Target]) -> String {
        let mut notes: BTreeMap<(&str, &str, &str), BTreeMap<String, BTreeSet<&str>>> = BTreeMap::new();
        for target in targets {
            for run in self.runs.iter().filter(|run| run.target == target.name) {
                for case in &run.cases {
                    let (word, why) = match &case.outcome {
                        Outcome::Passed => continue,
                        Outcome::Failed(why) => ("failed", why),
                        Outcome::Unsupported(why) => ("not supported", why),
                    };
                    let why = target.explained.get(&case.name).unwrap_or(why);
                    let places = notes.entry((word, why, &case.name)).or_default();
                    places.entry(target.column()).or_default().insert(&run.generation);
                }
            }
        }
        let mut out = String::new();
        let mut last = None;
        for ((word, why, case), places) in notes {
            if last.replace((word, why)) != Some((word, why)) {
                let _ = write!(out, "\n{}: {why}\n\n", if word == "failed" { "Failed" } else { "Not supported" });
            }
            let places: Vec<_> = places
                .iter()
                .map(|(column, generations)| {
                    format!("{column} ({})", generations.iter().copied().collect::<Vec<_>>().join(", "))
                })
                .collect();
            let _ = writeln!(out, "- *{case}*: {}", places.join(", "));
        }
        out
    }

    /// The columns in the order of the targets, without those in which nothing was run.
    fn columns(&self, targets: &[Target]) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for target in targets.iter().filter(|target| self.runs.iter().any(|run| run.target == target.name)) {
            if !columns.contains(&target.column()) {
                columns.push(target.column());
            }
        }
        columns
    }

    /// The page for the documentation.
    pub fn page(&self, targets: &[Target]) -> String {
        let mut out = format!(
            "# Conformance\n\nWritten by `make conformance`. Each cell says how many cases of a generation's guest passed; \
             `–` means that the\ngeneration is not offered. A store has several artefacts, because a component can export \
             only one of two shapes that\nwere published under one version; the cell shows the weakest result among those \
             that offer the generation.\n\n{}\n## Each artefact\n\n{}",
            self.table(targets),
            self.by_target(targets)
        );
        let notes = self.notes(targets);
        if !notes.is_empty() {
            let _ = write!(out, "\n## What did not pass\n{notes}");
        }
        for (target, why) in &self.not_run {
            let _ = write!(out, "\nThe target {target} was not run: {why}.\n");
        }
        out
    }

    /// Puts the table into a text, between the two comments that mark its place.
    ///
    /// # Errors
    /// If the text does not have them.
    pub fn put_table(&self, targets: &[Target], text: &str) -> Result<String> {
        let (before, rest) = text.split_once(TABLE_BEGINS).with_context(|| format!("no {TABLE_BEGINS}"))?;
        let (_, after) = rest.split_once(TABLE_ENDS).with_context(|| format!("no {TABLE_ENDS}"))?;
        Ok(format!("{before}{TABLE_BEGINS}\n{}{TABLE_ENDS}{after}", self.table(targets)))
    }
}

/// The cell of a table written by [`Report::table`], found anywhere in a text.
pub fn cell_of<'a>(text: &'a str, generation: &str, column: &str) -> Option<&'a str> {
    fn cells(line: &str) -> impl Iterator<Item = &str> {
        line.split('|').map(str::trim)
    }
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| generation |"));
    let place = cells(lines.next()?).position(|title| title == column)?;
    let mut rows = lines.take_while(|line| line.starts_with('|'));
    cells(rows.find(|line| cells(line).nth(1) == Some(generation))?).nth(place)
}

/// The comment before the table in the README.
pub const TABLE_BEGINS: &str = "<!-- conformance: `make conformance` writes this table -->";
/// The comment after it.
pub const TABLE_ENDS: &str = "<!-- end of conformance -->";

fn run_text(run: &Run) -> String {
    let mut out = format!("{} / {}: ", run.target, run.generation);
    if let Some(why) = &run.not_offered {
        let word = if run.is_bad() { "UNEXPECTED, " } else { "" };
        return format!("{out}{word}not offered ({why})\n");
    }
    let passed = run.count(|outcome| *outcome == Outcome::Passed);
    let _ = writeln!(out, "{passed} of {} passed", run.cases.len());
    for case in &run.cases {
        match &case.outcome {
            Outcome::Passed => {}
            Outcome::Failed(why) => drop(writeln!(out, "  FAILED {}\n         {why}", case.name)),
            Outcome::Unsupported(why) => drop(writeln!(out, "  not supported: {}\n         {why}", case.name)),
        }
    }
    for line in &run.unexpected {
        let _ = writeln!(out, "  UNEXPECTED {line}");
    }
    out
}

/// The text of a run's cell in the tables.
pub fn cell(run: &Run) -> String {
    counts(&[run])
}

/// How many cases of these runs passed, failed and were not supported.
fn counts(runs: &[&Run]) -> String {
    let count = |is: fn(&Outcome) -> bool| runs.iter().map(|run| run.count(is)).sum::<usize>();
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let unsupported = count(|outcome| matches!(outcome, Outcome::Unsupported(_)));
    let mut text = format!("{} of {}", count(|outcome| *outcome == Outcome::Passed), count(|_| true));
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    }
    if unsupported > 0 {
        let _ = write!(text, ", {unsupported} not supported");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_counts_as_one() {
        assert_eq!(Outcome::parse("passed\n"), Outcome::Passed);
        assert_eq!(Outcome::parse("failed: a: b\n"), Outcome::Failed("a: b".into()));
        assert_eq!(Outcome::parse("unsupported: no streams\n"), Outcome::Unsupported("no streams".into()));
        for text in ["", "passed\npassed\n", "PASSED", "ok"] {
            assert!(matches!(Outcome::parse(text), Outcome::Failed(_)), "{text}");
        }
    }

    #[test]
    fn the_table_goes_between_its_marks_and_nowhere_else() {
        let report = Report::default();
        let text = format!("a\n{TABLE_BEGINS}\nold\n{TABLE_ENDS}\nb\n");
        let put = report.put_table(&[], &text).unwrap();
        assert!(put.starts_with(&format!("a\n{TABLE_BEGINS}\n| generation |")) && put.ends_with("\nb\n"), "{put}");
        assert!(!put.contains("old"));
        assert_eq!(report.put_table(&[], &put).unwrap(), put);
        assert!(report.put_table(&[], "nothing").is_err());
    }

    #[test]
    fn a_column_has_the_weakest_of_the_artefacts_that_offer_a_generation() {
        let target = |name: &str, store: Option<&'static str>| Target {
            store,
            ..Target::new(name, crate::target::Kind::Command { command: Vec::new() })
        };
        let targets = [
            target("one", Some("store")),
            target("two", Some("store")),
            target("three", Some("store")),
            target("host", None),
        ];
        let case = |outcome: Outcome| CaseReport { name: "a case".into(), outcome };
        let weak = vec![case(Outcome::Passed), case(Outcome::Failed("why".into()))];
        let [one, two, three, host] = &targets;
        let runs = vec![
            Run::of(one, &GUESTS[0], vec![case(Outcome::Passed), case(Outcome::Passed)]),
            Run::of(two, &GUESTS[0], weak),
            Run::none(three, &GUESTS[0], "another shape"),
            Run::of(host, &GUESTS[0], vec![case(Outcome::Unsupported("why".into()))]),
        ];
        let report = Report { runs, not_run: Vec::new() };
        let table = report.table(&targets);
        let mut lines = table.lines();
        assert_eq!(lines.next(), Some("| generation | `store` | `host` |"));
        let row = format!("| {} | 1 of 2, 1 failed | 0 of 1, 1 not supported |", GUESTS[0].title);
        assert_eq!(lines.nth(1), Some(row.as_str()));
        assert_eq!(lines.next(), Some(format!("| {} | – | – |", GUESTS[1].title).as_str()));
        let page = report.page(&targets);
        assert_eq!(cell_of(&page, GUESTS[0].title, "`store`"), Some("1 of 2, 1 failed"));
        assert_eq!(cell_of(&page, GUESTS[1].title, "`host`"), Some("–"));
        assert_eq!(cell_of(&page, GUESTS[0].title, "`another`"), None);
        assert!(report.page(&targets).contains("\nFailed: why\n\n- *a case*: `store` ("));
    }

    #[test]
    fn a_run_is_bad_if_a_case_or_the_offer_is_not_as_it_was_promised() {
        let artefact = Target::all().unwrap().remove(0);
        let cases = |outcome: Outcome| vec![CaseReport { name: "a case".into(), outcome }];
        let guest = |name: &str| GUESTS.iter().find(|guest| guest.name == name).unwrap();
        let (failed, refused) = (Outcome::Failed("why".into()), Outcome::Unsupported("why".into()));
        assert!(!Run::of(&artefact, guest("draft2"), cases(Outcome::Passed)).is_bad());
        assert!(Run::of(&artefact, guest("draft2"), cases(failed.clone())).is_bad());
        assert!(Run::of(&artefact, guest("draft2"), cases(refused.clone())).is_bad());
        assert!(Run::none(&artefact, guest("draft2"), "no such export").is_bad());
        assert!(!Run::none(&artefact, guest("draft2_optional_pairs"), "another shape").is_bad());
        // One that is named by hand may refuse what it likes; one that is run for the record may fail as well.
        let by_hand = Target::of_arguments("x.wasm", &[], &[], "");
        assert!(Run::of(&by_hand, guest("draft2"), cases(failed.clone())).is_bad());
        assert!(!Run::of(&by_hand, guest("draft2"), cases(refused)).is_bad());
        let host = Target::new("host", crate::target::Kind::Command { command: Vec::new() });
        assert!(!Run::of(&host, guest("draft2"), cases(failed)).is_bad());
    }
}
