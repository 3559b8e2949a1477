//! Labels: several imports of one component that share a store without seeing each other's buckets.

use kvfuse_core::store::{CACHE, POSITIONS};
use kvfuse_core::{Body, Bucket, Error, Result, Settings, Store, error::quoted, settings::LABEL};
use std::borrow::Cow;
use std::rc::Rc;

/// The longest label, in bytes.
pub const MAX_LABEL: usize = 128;

/// A store whose buckets belong to a label: the bucket `carts` of the label `shop` is the bucket `:shop/carts:`.
///
/// No bucket of another label, and none without a label, has such a name. A label has no `/`, so the name can be split
/// in only one way; and consumers cannot ask for a name that starts and ends with a colon, because the gate reserves
/// those.
pub struct Labelled<S> {
    pub(crate) store: S,
    label: Option<String>,
}

impl<S: Store> Labelled<S> {
    /// The store under the label in the settings, if there is one.
    ///
    /// # Errors
    /// The store's, and [`InvalidArgument`](kvfuse_core::Kind::InvalidArgument) if the label is malformed.
    pub fn new(settings: &Settings, store: Result<S>) -> Result<Self> {
        let label = settings.get(LABEL);
        if let Some(label) = label.filter(|label| !is_label(label)) {
            return Err(Error::invalid(format!(
                "{LABEL}={} is not a label: write up to {MAX_LABEL} letters, digits and hyphens",
                quoted(label)
            )));
        }
        Ok(Self { store: store?, label: label.map(str::to_string) })
    }

    pub(crate) fn name<'a>(&self, bucket: &'a str) -> Cow<'a, str> {
        match &self.label {
            Some(label) => Cow::Owned(format!(":{label}/{bucket}:")),
            None => Cow::Borrowed(bucket),
        }
    }
}

impl<S: Store> Store for Labelled<S> {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        self.store.open(&self.name(bucket))
    }

    /// Buckets of a label are separate in every store that takes labels.
    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        match self.label {
            Some(_) => bucket,
            None => self.store.space(bucket),
        }
    }

    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        match self.label {
            Some(_) => self.open(CACHE),
            None => self.store.open_cache(),
        }
    }

    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        match self.label {
            Some(_) => self.open(POSITIONS),
            None => self.store.open_positions(),
        }
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.store.create_body()
    }
}

fn is_label(text: &str) -> bool {
    (1..=MAX_LABEL).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Gate, MAX_NAME, MEMORY};
    use kvfuse_core::Kind;
    use kvfuse_memory::MemoryStore;

    /// One store for all gates, as a directory or a server is.
    #[derive(Clone, Default)]
    struct Shared(Rc<MemoryStore>);

    impl Store for Shared {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            self.0.open(bucket)
        }
    }

    fn gate(store: &Shared, settings: &[(&str, &str)]) -> Gate<Labelled<Shared>> {
        let settings = Settings::new(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        Gate::new(&settings, Labelled::new(&settings, Ok(store.clone())), kvfuse_servers::clock::SystemClock)
    }

    #[test]
    fn buckets_of_one_name_are_apart_for_every_label_and_without_one() {
        let store = Shared::default();
        let gates = [vec![], vec![(LABEL, "a")], vec![(LABEL, "b")], vec![(LABEL, "cache")], vec![(LABEL, "memory")]];
        let gates: Vec<_> = gates.iter().map(|settings| gate(&store, settings)).collect();
        for (number, gate) in gates.iter().enumerate() {
            gate.open("bucket").unwrap().set("key", &[number as u8]).unwrap();
            gate.open_cache().unwrap().set("key", &[number as u8 + 100]).unwrap();
        }
        for (number, gate) in gates.iter().enumerate() {
            assert_eq!(gate.open("bucket").unwrap().get("key"), Ok(Some(vec![number as u8])));
            assert_eq!(gate.open_cache().unwrap().get("key"), Ok(Some(vec![number as u8 + 100])));
        }
    }

    #[test]
    fn no_name_that_can_be_asked_for_leads_into_a_label() {
        let store = Shared::default();
        let (labelled, plain) = (gate(&store, &[(LABEL, "a")]), gate(&store, &[]));
        let nested = gate(&store, &[(LABEL, "a-b")]);
        labelled.open("c").unwrap().set("key", b"a").unwrap();
        for name in [":a/c:", ":a/c", "a/c:", "a/c", ":a:", "c"] {
            for gate in [&plain, &nested] {
                match gate.open(name) {
                    Ok(bucket) => assert_eq!(bucket.get("key"), Ok(None), "{name}"),
                    Err(error) => assert!(error.message().contains("reserved"), "{error}"),
                }
            }
        }
        // Nor does a slash in a name lead from one bucket to another.
        labelled.open("x/y").unwrap().set("key", b"x/y").unwrap();
        assert_eq!(labelled.open("x").unwrap().get("key"), Ok(None));
    }

    #[test]
    fn the_allow_list_the_limits_and_the_errors_speak_of_names_as_the_consumer_writes_them() {
        let store = Shared::default();
        let labelled = gate(&store, &[(LABEL, "a"), ("KEYVALUE_BUCKETS", "carts,default")]);
        for name in ["carts", "", MEMORY] {
            assert!(labelled.open(name).is_ok(), "{name}");
        }
        let error = labelled.open("users").err().unwrap();
        assert_eq!(error.kind(), Kind::AccessDenied);
        assert!(error.message().contains("the bucket \"users\" is not"), "{error}");
        assert!(gate(&store, &[(LABEL, "a")]).open(&"x".repeat(MAX_NAME)).is_ok());
    }

    #[test]
    fn what_is_no_label_is_refused_before_anything_is_opened() {
        let store = Shared::default();
        for label in ["a/b", ":", "a:", " ", "ä", &"x".repeat(MAX_LABEL + 1)] {
            let error = gate(&store, &[(LABEL, label)]).open("bucket").err().unwrap();
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.message().starts_with("KEYVALUE_LABEL="), "{error}");
        }
        // As every empty setting, it counts as not set.
        assert!(gate(&store, &[(LABEL, "")]).open("bucket").is_ok());
    }
}
