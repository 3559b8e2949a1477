//! Labels of imports.

use crate::choice::Stores;
use crate::refusal::{Refusal, Result};
use crate::subject::Subject;
use crate::table::Store;
use kvfuse_compose::{Group, Item, groups, opens_shared, split_name};

/// Which imports one instance of a provider has to serve, as [`groups`] has it. Where several labels open buckets of one type, all
/// interfaces of that package are a group by themselves: what the provider is told there, the label before each identifier, is
/// not said through the others.
pub fn grouped<'a>(wanted: &[&'a Item]) -> Vec<Group<'a>> {
    let mut found = Vec::new();
    for group in groups(wanted) {
        let package = shared(&group).first().and_then(|item| split_name(item.interface())).map(|(package, _)| package);
        let of_package = |item: &&Item| split_name(item.interface()).map(|(package, _)| package) == package;
        let (own, rest) = match package.is_some() {
            true => group.items.into_iter().partition(of_package),
            false => (group.items, Vec::new()),
        };
        let others = Group { label: None, items: rest };
        found.extend([Group { label: group.label, items: own }, others].into_iter().filter(|g| !g.items.is_empty()));
    }
    found
}

/// The imports of a group that open buckets of one type, if any of them has a label.
pub fn shared<'a>(group: &Group<'a>) -> Vec<&'a Item> {
    let opening: Vec<&Item> = group.items.iter().copied().filter(|item| opens_shared(item)).collect();
    match group.label.is_none() && opening.iter().any(|item| item.implements.is_some()) {
        true => opening,
        false => Vec::new(),
    }
}

/// The labels of a group that have a store of their own; `None` is for the imports without one.
pub fn of<'a>(group: &Group<'a>) -> Vec<Option<&'a str>> {
    match (group.label, shared(group)) {
        (Some(label), _) => vec![Some(label)],
        (None, shared) if shared.is_empty() => vec![None],
        (None, shared) => shared.iter().map(|item| item.implements.as_ref().map(|_| item.name.as_str())).collect(),
    }
}

/// Checks that every label and bucket of the command line has an effect.
pub fn check(subject: &Subject, stores: &Stores, groups: &[Group]) -> Result<()> {
    let all: Vec<_> = groups.iter().flat_map(of).collect();
    let known: Vec<_> = all.iter().copied().flatten().collect();
    let list = || if known.is_empty() { "none".into() } else { known.join(", ") };
    for (label, store) in &stores.labels {
        if known.contains(&label.as_str()) {
            continue;
        }
        let refusal = Refusal::new(subject.path.display(), format!("no store can be given to the label {label:?}"));
        let labelled = |item: &Item| item.name == *label && item.implements.is_some();
        return match subject.world.imports.iter().any(labelled) {
            true => refusal
                .note("this import takes its buckets from the imports without a label, so it has their store")
                .help(format!("--store {} is for all of them", store.name)),
            false => refusal.note(format!("labelled key-value imports with a store of their own: {}", list())),
        }
        .err();
    }
    if all.iter().all(|label| own(stores, *label).is_some()) && !stores.buckets.is_empty() {
        return Refusal::new("--bucket", "no import is left for it")
            .note("every labelled import was given a store by --store LABEL=STORE, and that is for all its buckets")
            .err();
    }
    Ok(())
}

/// The store that the command line gives to a label.
pub fn own(stores: &Stores, label: Option<&str>) -> Option<&'static Store> {
    stores.labels.iter().find(|(known, _)| Some(known.as_str()) == label).map(|(_, store)| *store)
}

/// The stores that a group uses, each with the label that it is for.
pub fn used(stores: &Stores, group: &Group) -> Vec<(&'static Store, Option<String>)> {
    let of_label = |label: Option<&str>| {
        let used = own(stores, label).map_or_else(|| stores.routed(), |store| vec![store]);
        let label = label.map(str::to_string);
        used.into_iter().map(move |store| (store, label.clone())).collect::<Vec<_>>()
    };
    of(group).into_iter().flat_map(of_label).collect()
}
