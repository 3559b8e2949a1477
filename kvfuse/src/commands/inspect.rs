//! `kvfuse inspect`.

use super::{default_output, print, print_json};
use crate::catalogue;
use crate::cli::Inspect;
use crate::generation;
use crate::needs::quote;
use crate::plan::Plan;
use crate::refusal::{Refusal, Result, chain};
use crate::subject::{Subject, packages};
use crate::summary::{Fits, Summary};
use crate::table::STORES;
use kvfuse_compose::fit;
use std::process::ExitCode;

pub fn inspect(options: &Inspect) -> Result<ExitCode> {
    let subject = Subject::read(&options.component)?;
    let summary = summarise(&subject, options)?;
    if options.json {
        return print_json(&summary);
    }
    let mut text = summary.text().unwrap_or_default();
    if options.verbose {
        let all = kvfuse_compose::describe(&subject.bytes);
        let all =
            all.map_err(|e| Refusal::new(options.component.display(), "its metadata cannot be read").note(chain(&e)))?;
        text.push('\n');
        text.push_str(&all);
    }
    print(&text)
}

fn summarise(subject: &Subject, options: &Inspect) -> Result<Summary> {
    let providers = options.chosen.providers()?;
    // A component that needs no store, or one that no store has, is described as well; only `fuse` refuses it.
    let nothing = providers.iter().all(|provider| subject.wanted(&provider.world.exports).is_empty());
    let others = generation::others(&subject.world.imports);
    let of_keyvalue = subject.keyvalue();
    let unserved = options.chosen.provider.is_none()
        && packages(&of_keyvalue).iter().any(|package| others.iter().any(|other| other.package == *package));
    if nothing || unserved {
        return Ok(Summary::plain(subject));
    }
    let plan = Plan::new(subject, providers)?;
    let output = default_output(&subject.path).display().to_string();
    let fuse = format!("kvfuse fuse {}{}", quote(&subject.path.display().to_string()), options.chosen.words());
    Ok(Summary::planned(subject, &plan, fitting(subject, &plan)?, &output, fuse))
}

/// The chosen provider first, then one from every other store that fits.
fn fitting(subject: &Subject, plan: &Plan) -> Result<Vec<Fits>> {
    let chosen = plan.provider.store.map(|store| store.name);
    let mut fits = vec![Fits { store: chosen, provider: plan.provider.file.clone() }];
    for store in STORES.iter().filter(|store| Some(store.name) != chosen) {
        let wanted = subject.keyvalue();
        let first = catalogue::providers(store)?.into_iter().find(|p| fit(&wanted, &p.world.exports).is_ok());
        fits.extend(first.map(|provider| Fits { store: Some(store.name), provider: provider.file }));
    }
    Ok(fits)
}
