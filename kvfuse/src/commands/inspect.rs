//! `kvfuse inspect`.

use super::{default_output, print, print_json};
use crate::catalogue;
use crate::choice::Choice;
use crate::cli::Inspect;
use crate::generation;
use crate::needs::quote;
use crate::plan::Plan;
use crate::refusal::{Refusal, Result, chain};
use crate::subject::{Subject, packages};
use crate::summary::{Fits, Summary};
use crate::table::{STORES, Store};
use kvfuse_compose::fit;
use std::process::ExitCode;

pub fn inspect(options: &Inspect) -> Result<ExitCode> {
    let subject = Subject::read(&options.component, &options.chosen)?;
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
    let choice = options.chosen.choice()?;
    // A component that needs no store, or one that no store has, is described as well; only `fuse` refuses it.
    let (nothing, unserved) = match &choice {
        Choice::Provider(provider) => (subject.wanted(&provider.world.exports).is_empty(), false),
        Choice::Stores(_) => {
            let of_keyvalue = subject.keyvalue();
            let others = generation::others(&subject.world.imports);
            let other = |package: &String| others.iter().any(|other| other.package == *package);
            (of_keyvalue.is_empty(), packages(&of_keyvalue).iter().any(other))
        }
    };
    if nothing {
        return Ok(Summary::plain(subject));
    }
    let plan = match Plan::new(subject, &choice) {
        // Another version may have the same functions, and then it fits.
        Err(_) if unserved => return Ok(Summary::plain(subject)),
        plan => plan?,
    };
    let output = default_output(&subject.path).display().to_string();
    let fuse = format!("kvfuse fuse {}{}", quote(&subject.path.display().to_string()), options.chosen.words());
    let outcome = plan.outcome(subject, options.chosen.form())?;
    Ok(Summary::planned(subject, &plan, outcome, fitting(subject, &plan)?, &output, fuse))
}

/// What was chosen first, then one provider from every other store that fits.
fn fitting(subject: &Subject, plan: &Plan) -> Result<Vec<Fits>> {
    let mut fits = Vec::new();
    for part in &plan.parts {
        for (store, label) in part.stores.clone() {
            fits.push(Fits { store, provider: part.provider.file.clone(), label });
        }
    }
    let chosen = |store: &Store| plan.provider.stores.iter().any(|known| known.name == store.name);
    for store in STORES.iter().filter(|store| !chosen(store)) {
        let wanted = subject.keyvalue();
        let first = catalogue::providers(store)?.into_iter().find(|p| fit(&wanted, &p.world.exports).is_ok());
        fits.extend(first.map(|provider| Fits { store: Some(store.name), provider: provider.file, label: None }));
    }
    Ok(fits)
}
