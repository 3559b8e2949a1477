//! What came out.

use crate::guests::{GUESTS, Guest};
use crate::target::Target;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome", content = "why")]
pub enum Outcome {
    Passed,
    Failed(String),
    Unsupported(String),
}

impl Outcome {
    /// Reads what a guest wrote. A guest that wrote nothing of the kind has not shown anything.
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

#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    pub name: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// One guest against one target.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub target: String,
    pub generation: String,
    pub must_pass: bool,
    /// Why the target does not offer this generation at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
    pub cases: Vec<CaseReport>,
}

impl Run {
    pub fn of(target: &Target, guest: &Guest, cases: Vec<CaseReport>) -> Self {
        let must_pass = target.must_pass.iter().any(|name| name == guest.name);
        Self { target: target.name.clone(), generation: guest.name.into(), must_pass, not_offered: None, cases }
    }

    pub fn none(target: &Target, guest: &Guest, why: &str) -> Self {
        Self { not_offered: Some(one_line(why)), ..Self::of(target, guest, Vec::new()) }
    }

    pub fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.cases.iter().filter(|case| is(&case.outcome)).count()
    }

    /// Whether this is less than the target must do.
    pub fn is_bad(&self) -> bool {
        self.must_pass && (self.not_offered.is_some() || self.count(|o| matches!(o, Outcome::Failed(_))) > 0)
    }
}

/// All that was run, and the targets that could not be run here.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub runs: Vec<Run>,
    /// Targets and what they lack.
    pub not_run: Vec<(String, String)>,
}

/// Text without line breaks and of bearable length.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", line.split_at(end).0),
        None => line,
    }
}

impl Report {
    pub fn is_bad(&self) -> bool {
        self.runs.iter().any(Run::is_bad)
    }

    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// For people: a line a run, and every case that did not pass.
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

    /// The matrix of generations and targets.
    pub fn table(&self, targets: &[Target]) -> String {
        let columns: Vec<_> =
            self.columns(targets).into_iter().map(|target| (target.title.as_str(), vec![target])).collect();
        self.matrix(&columns)
    }

    /// The matrix of generations and stores, with one column for all artefacts of a store.
    pub fn summary(&self, targets: &[Target]) -> String {
        let mut columns: Vec<(&str, Vec<&Target>)> = Vec::new();
        for target in self.columns(targets) {
            let title = target.store.unwrap_or(&target.title);
            match columns.iter_mut().find(|(known, _)| *known == title) {
                Some((_, targets)) => targets.push(target),
                None => columns.push((title, vec![target])),
            }
        }
        self.matrix(&columns)
    }

    fn matrix(&self, columns: &[(&str, Vec<&Target>)]) -> String {
        let mut out = String::from("| generation |");
        for (title, _) in columns {
            let _ = write!(out, " `{title}` |");
        }
        out.push_str("\n|---|");
        columns.iter().for_each(|_| out.push_str("---|"));
        for guest in GUESTS {
            let _ = write!(out, "\n| {} |", guest.title);
            for (_, targets) in columns {
                let of_column = |run: &&Run| targets.iter().any(|target| run.target == target.name);
                let runs = self.runs.iter().filter(of_column).filter(|run| run.generation == guest.name);
                // Of several artefacts that offer it, the one that does worst.
                let passed = |run: &&Run| run.count(|outcome| *outcome == Outcome::Passed);
                let offered = runs.clone().filter(|run| run.not_offered.is_none()).min_by_key(passed);
                let _ = write!(out, " {} |", offered.or(runs.clone().next()).map_or("".into(), cell));
            }
        }
        out.push('\n');
        out
    }

    /// Why what did not pass did not: each case once for all the generations and targets where it ended so.
    pub fn notes(&self, targets: &[Target]) -> String {
        let mut notes: BTreeMap<(&str, &str, &str), BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
        for target in self.columns(targets) {
            for run in self.runs.iter().filter(|run| run.target == target.name) {
                for case in &run.cases {
                    let (word, why) = match &case.outcome {
                        Outcome::Passed => continue,
                        Outcome::Failed(why) => ("failed", why),
                        Outcome::Unsupported(why) => ("not supported", why),
                    };
                    let why = target.explained.get(&case.name).unwrap_or(why);
                    let places = notes.entry((word, &case.name, why)).or_default();
                    places.entry(&target.title).or_default().push(&run.generation);
                }
            }
        }
        let mut out = String::new();
        for ((word, case, why), places) in notes {
            let places: Vec<_> =
                places.iter().map(|(title, generations)| format!("`{title}` ({})", generations.join(", "))).collect();
            let _ = writeln!(out, "- *{case}*: {word} with {}: {why}", places.join(", "));
        }
        out
    }

    fn columns<'a>(&self, targets: &'a [Target]) -> Vec<&'a Target> {
        targets.iter().filter(|target| self.runs.iter().any(|run| run.target == target.name)).collect()
    }

    /// The page for the documentation.
    pub fn page(&self, targets: &[Target]) -> String {
        let mut out = format!(
            "# Conformance\n\nWritten by `make conformance`. Each cell says how many cases of that generation's guest \
             passed.\n*Not offered*: the target does not have this shape of the interface; of two shapes under one \
             version string an\nartefact has one.\n\n{}",
            self.table(targets)
        );
        let notes = self.notes(targets);
        if !notes.is_empty() {
            let _ = write!(out, "\n## What did not pass\n\n{notes}");
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
        Ok(format!("{before}{TABLE_BEGINS}\n{}{TABLE_ENDS}{after}", self.summary(targets)))
    }
}

/// Where the table goes.
pub const TABLE_BEGINS: &str = "<!-- conformance: `make conformance` writes this table -->";
pub const TABLE_ENDS: &str = "<!-- end of conformance -->";

fn run_text(run: &Run) -> String {
    let mut out = format!("{} / {}: ", run.target, run.generation);
    if let Some(why) = &run.not_offered {
        let word = if run.must_pass { "FAILED, " } else { "" };
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
    out
}

fn cell(run: &Run) -> String {
    if run.not_offered.is_some() {
        return "not offered".into();
    }
    let failed = run.count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let unsupported = run.count(|outcome| matches!(outcome, Outcome::Unsupported(_)));
    let mut text = format!("{} of {}", run.cases.len() - failed - unsupported, run.cases.len());
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
    fn a_store_has_one_column_that_shows_the_artefact_that_does_worst() {
        let targets = Target::all().unwrap();
        let run = |target: usize, outcomes: &[Outcome]| {
            let cases = outcomes.iter().map(|outcome| CaseReport { name: "a case".into(), outcome: outcome.clone() });
            Run::of(&targets[target], &GUESTS[0], cases.collect())
        };
        assert_eq!(
            (targets[0].store, targets[1].store, targets[2].store),
            (Some("files"), Some("files"), Some("files"))
        );
        let (good, bad) = (Outcome::Passed, Outcome::Failed("why".into()));
        let runs = vec![
            run(0, &[good.clone(), good.clone()]),
            Run::none(&targets[1], &GUESTS[0], "another shape"),
            run(2, &[good.clone(), bad]),
        ];
        let table = Report { runs, not_run: Vec::new() }.summary(&targets);
        let lines: Vec<_> = table.lines().take(3).collect();
        assert_eq!(lines, ["| generation | `files` |", "|---|---|", "| 0.2.0-draft2 | 1 of 2, 1 failed |"]);
    }

    #[test]
    fn what_must_pass_is_bad_if_a_case_fails_or_the_generation_is_not_offered() {
        let target = Target::all().unwrap().remove(0);
        let cases = |outcome: Outcome| vec![CaseReport { name: "a case".into(), outcome }];
        let guest = |name: &str| GUESTS.iter().find(|guest| guest.name == name).unwrap();
        assert!(Run::of(&target, guest("draft2"), cases(Outcome::Failed("why".into()))).is_bad());
        assert!(Run::none(&target, guest("draft2"), "no such export").is_bad());
        assert!(!Run::of(&target, guest("draft2"), cases(Outcome::Unsupported("why".into()))).is_bad());
        assert!(!Run::none(&target, guest("draft2_optional_pairs"), "another shape").is_bad());
    }
}
