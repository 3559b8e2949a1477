//! Labelled imports whose buckets are of one type: a small component between each and the provider, which opens buckets for its
//! label.

use crate::Interfaces;
use crate::error::{Error, Source};
use crate::fit::Wire;
use crate::world::{Item, World};
use std::fmt::Write;

/// The function that the component is made for, written out.
const OPEN: &str = "open: async func(identifier: string) -> result<bucket, variant { no-such-store, access-denied, \
                    invalid-argument, precondition-failed, timeout, store-unavailable, quota-exceeded, other(string) }>";
/// Where the label is in memory, after the result of a call.
const LABEL: usize = 64;

/// Whether an import opens buckets whose type is that of another interface, in the way of `wasmcloud:keyvalue@0.2.0`: imports
/// of it under several labels have to be served by one instance of a provider.
pub fn opens_shared(item: &Item) -> bool {
    item.borrows.len() == 1
        && matches!(item.functions.get("open"), Some(open) if open.shape == OPEN)
        && item.functions.len() == 1
}

/// A component between an import of a consumer and the provider that opens its buckets.
pub(crate) struct Opener {
    pub component: Vec<u8>,
    /// The import of the consumer.
    pub import: String,
    /// The exports of the provider that it imports. It exports the second one as well.
    pub types: String,
    pub store: String,
}

impl Opener {
    /// For the import of this name, connected as the wires say. `label` is put before each identifier, with a slash.
    pub(crate) fn new(consumer: &World, wires: &[Wire], import: &str, label: &str) -> Result<Self, Error> {
        let failed = |reason: &str| Error::Mismatch(Source::from(format!("{import} cannot be labelled: {reason}")));
        let item = consumer.imports.iter().find(|item| item.name == import).filter(|item| opens_shared(item));
        let item = item.ok_or_else(|| failed("it does not open buckets of another interface's type"))?;
        let export = |import: &String| {
            let wire = wires.iter().find(|wire| wire.import == *import);
            wire.map(|wire| wire.export.clone()).ok_or_else(|| failed(&format!("{import} is not connected")))
        };
        let types = item.borrows.first().ok_or_else(|| failed("it has no bucket")).and_then(export)?;
        let store = export(&item.name)?;
        let component = component(&types, &store, label)?;
        Ok(Self { component, import: import.into(), types, store })
    }
}

fn component(types: &str, store: &str, label: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = String::new();
    for byte in label.bytes().chain(*b"/") {
        let _ = write!(bytes, "\\{byte:02x}");
    }
    let values = [
        ("TYPES", types.to_string()),
        ("STORE", store.to_string()),
        ("LABEL_AT", LABEL.to_string()),
        ("LABEL_SIZE", (label.len() + 1).to_string()),
        ("LABEL", bytes),
    ];
    let mut source = include_str!("opened.wat").to_string();
    for (name, value) in values {
        source = source.replace(&format!("{{{name}}}"), &value);
    }
    let component = wat::parse_str(source).map_err(|e| Error::Mismatch(e.into()))?;
    // The result is read back: a name with a quote in it would have made a different component.
    let names = Interfaces::of(&component)?;
    if names.imports != [types, store] || names.exports != [store] {
        return Err(Error::Mismatch(Source::from(format!("{types:?} or {store:?} is not the name of an interface"))));
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_component_that_exports_what_it_imports() {
        let (types, store) = ("wasmcloud:keyvalue/types@0.2.0", "wasmcloud:keyvalue/store@0.2.0");
        let world = World::of(&component(types, store, "team-a").unwrap()).unwrap();
        assert!(opens_shared(&world.imports[1]), "{:?}", world.imports[1]);
        assert_eq!(world.imports[1].functions, world.exports[0].functions);
        assert_eq!(world.exports[0].borrows, [types]);
        assert!(component("a:b/c\" (instance)) (import \"a:b/d", store, "team-a").is_err());
    }
}
