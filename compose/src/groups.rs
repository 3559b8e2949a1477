//! Which imports have to be satisfied by one and the same instance of a provider.

use crate::world::Item;

/// Imports that share their resources, so that one instance of a provider has to satisfy all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The label, if this is one labelled import by itself. `None` for those that were imported by their names.
    pub label: Option<&'a str>,
    /// The imports, in the order of the component.
    pub items: Vec<&'a Item>,
}

/// Splits imports into groups, the one without a label first.
///
/// Imports by name are one group: they are views of one store. A labelled import is a group of its own, because its
/// resources are types that no other import knows. The exception is one that takes resources of another interface: in
/// WIT these are those of the import by name, so it belongs to that group. If all imports by name only carry types,
/// they go to the first label.
///
/// ```
/// use kvfuse_compose::{Item, Signature, groups};
///
/// # let functions = || [("f".to_string(), Signature { text: "f: func()".into(), shape: "f: func()".into() })].into();
/// let store = "wasi:keyvalue/store@0.2.0-draft2";
/// let batch = "wasi:keyvalue/batch@0.2.0-draft2";
/// let item = |name: &str, implements: Option<&str>, borrows: &[&str]| Item {
///     name: name.into(),
///     implements: implements.map(str::to_string),
///     borrows: borrows.iter().map(|name| name.to_string()).collect(),
///     # functions: functions(),
///     ..Item::default()
/// };
/// let (plain, sessions, bulk) =
///     (item(store, None, &[]), item("sessions", Some(store), &[]), item("bulk", Some(batch), &[store]));
/// let groups = groups(&[&sessions, &plain, &bulk]);
/// assert_eq!(groups[0].label, None);
/// assert_eq!(groups[0].items, [&plain, &bulk]);
/// assert_eq!(groups[1].label, Some("sessions"));
/// assert_eq!(groups[1].items, [&sessions]);
/// ```
pub fn groups<'a>(imports: &[&'a Item]) -> Vec<Group<'a>> {
    let named = |name: &String| imports.iter().any(|item| item.implements.is_none() && item.name == *name);
    let apart = |item: &&&Item| item.implements.is_some() && !item.borrows.iter().any(named);
    let together: Vec<&Item> = imports.iter().filter(|item| !apart(item)).copied().collect();
    let labelled = imports.iter().filter(apart).map(|item| Group { label: Some(&item.name), items: vec![item] });
    let mut labelled: Vec<_> = labelled.collect();
    // Interfaces with only types need no provider: the types come from the interfaces that use them.
    if together.iter().all(|item| item.functions.is_empty())
        && let Some(first) = labelled.first_mut()
    {
        first.items.splice(0..0, together);
        return labelled;
    }
    let together = Some(Group { label: None, items: together }).filter(|group| !group.items.is_empty());
    together.into_iter().chain(labelled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Signature;

    #[test]
    fn an_interface_of_which_only_types_are_imported_is_no_group_of_its_own() {
        let signature = Signature { text: String::new(), shape: String::new() };
        let types = Item { name: "a:b/store".into(), ..Item::default() };
        let counts = Item {
            name: "counts".into(),
            implements: Some("a:b/atomics".into()),
            functions: [("increment".to_string(), signature)].into(),
            uses: vec!["a:b/store".into()],
            ..Item::default()
        };
        let expected = [Group { label: Some("counts"), items: vec![&types, &counts] }];
        assert_eq!(groups(&[&types, &counts]), expected);
        assert_eq!(groups(&[&types]), [Group { label: None, items: vec![&types] }]);
        assert_eq!(groups(&[]), []);
    }
}
