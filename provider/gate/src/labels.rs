//! Several labels of one instance.

use crate::Gate;
use kvfuse_core::settings::LABELS;
use kvfuse_core::{AsyncStore, Body, Bucket, Error, Kind, Result, Settings, Store, error::quoted};
use std::cell::RefCell;
use std::rc::Rc;

/// The gates of one instance: that of imports without a label, and one for each label in `KEYVALUE_LABELS`.
///
/// An instance for each label is simpler, and most generations have that. It is impossible where the buckets of all imports are
/// of one type, as in `wasmcloud:keyvalue@0.2.0`: one instance makes them. There, every import opens its buckets through a small
/// component, which puts its label and a slash before the identifier, or only a slash. So no identifier that a consumer
/// writes leads to another label's buckets. Without `KEYVALUE_LABELS`, identifiers are as consumers wrote them.
pub struct Labels<S> {
    settings: Settings,
    make: fn(&Settings) -> Gate<S>,
    plain: Rc<Gate<S>>,
    /// Those of labels, each made when the first of its buckets is opened.
    apart: RefCell<Vec<(String, Rc<Gate<S>>)>>,
}

impl<S> Labels<S> {
    /// The gates that `make` makes of the settings, which are not yet those of a label.
    pub fn new(settings: Settings, make: fn(&Settings) -> Gate<S>) -> Self {
        let plain = Rc::new(make(&settings.clone().for_its_label()));
        Self { settings, make, plain, apart: RefCell::default() }
    }

    /// The gate of the import through which a bucket is opened, and the identifier as the consumer wrote it.
    fn of<'a>(&self, identifier: &'a str) -> Result<(Rc<Gate<S>>, &'a str)> {
        let Some(labels) = self.settings.get(LABELS) else { return Ok((self.plain.clone(), identifier)) };
        let (label, name) = identifier.split_once('/').ok_or_else(|| {
            Error::invalid(format!(
                "{LABELS} is set by kvfuse where a component has labels, and this one has none: leave it out"
            ))
        })?;
        if label.is_empty() {
            return Ok((self.plain.clone(), name));
        }
        if !labels.split(',').any(|known| known == label) {
            let labels = quoted(labels);
            return Err(Error::new(
                Kind::AccessDenied,
                format!("the label {} is not among those of this component: {labels}", quoted(label)),
            ));
        }
        let mut apart = self.apart.borrow_mut();
        if let Some((_, gate)) = apart.iter().find(|(known, _)| known == label) {
            return Ok((gate.clone(), name));
        }
        let gate = Rc::new((self.make)(&self.settings.under(label)));
        apart.push((label.to_string(), gate.clone()));
        Ok((gate, name))
    }
}

/// The cache, the positions and bodies are those of imports without a label.
impl<S: Store> Store for Labels<S> {
    fn open(&self, identifier: &str) -> Result<Rc<dyn Bucket>> {
        let (gate, name) = self.of(identifier)?;
        gate.open(name)
    }

    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        self.plain.open_cache()
    }

    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        self.plain.open_positions()
    }

    fn create_body(&self) -> Result<Box<dyn Body>> {
        self.plain.create_body()
    }
}

impl<S: Store> AsyncStore for Labels<S>
where
    Gate<S>: AsyncStore,
{
    type Bucket = <Gate<S> as AsyncStore>::Bucket;

    fn open_async(&self, identifier: &str) -> Result<Self::Bucket> {
        let (gate, name) = self.of(identifier)?;
        gate.open_async(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Labelled;
    use kvfuse_core::settings::LABEL;
    use kvfuse_memory::MemoryStore;
    use std::cell::Cell;

    thread_local! {
        /// One store for all gates, as a directory or a server is.
        static STORE: Rc<MemoryStore> = Rc::default();
        static MADE: Cell<usize> = const { Cell::new(0) };
    }

    struct Shared;

    impl Store for Shared {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            STORE.with(|store| store.open(bucket))
        }
    }

    fn gate(settings: &Settings) -> Gate<Labelled<Shared>> {
        MADE.set(MADE.get() + 1);
        Gate::new(settings, Labelled::new(settings, Ok(Shared)), kvfuse_servers::clock::SystemClock)
    }

    fn labels(settings: &[(&str, &str)]) -> Labels<Labelled<Shared>> {
        let settings = Settings::new(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        Labels::new(settings, gate)
    }

    #[test]
    fn buckets_of_one_name_are_apart_for_every_label_and_are_those_of_an_instance_with_that_label() {
        let all = labels(&[(LABELS, "a,b")]);
        for name in ["/c", "a/c", "b/c"] {
            all.open(name).unwrap().set("key", name.as_bytes()).unwrap();
        }
        for name in ["/c", "a/c", "b/c"] {
            assert_eq!(all.open(name).unwrap().get("key"), Ok(Some(name.as_bytes().to_vec())), "{name}");
        }
        let alone = labels(&[(LABEL, "a")]);
        assert_eq!(alone.open("c").unwrap().get("key"), Ok(Some(b"a/c".to_vec())));
        assert_eq!(labels(&[]).open("c").unwrap().get("key"), Ok(Some(b"/c".to_vec())));
        // The empty identifier names the bucket `default` of each.
        all.open("a/").unwrap().set("key", b"own").unwrap();
        assert_eq!(alone.open("default").unwrap().get("key"), Ok(Some(b"own".to_vec())));
        assert_eq!(all.open("/").unwrap().get("key"), Ok(None));
    }

    #[test]
    fn no_identifier_leads_from_one_label_to_another() {
        let all = labels(&[(LABELS, "a,b")]);
        all.open("a/x").unwrap().set("key", b"a").unwrap();
        for name in ["/a/x", "b/a/x", "b//x", "/x", "b/x"] {
            assert_eq!(all.open(name).unwrap().get("key"), Ok(None), "{name}");
        }
        for name in ["/:a/x:", "b/:a/x:"] {
            assert!(all.open(name).err().unwrap().message().contains("reserved"), "{name}");
        }
    }

    #[test]
    fn a_label_has_its_own_settings_and_its_gate_is_made_once() {
        let all = labels(&[(LABELS, "a,b"), (LABEL, "b"), ("KEYVALUE_BUCKETS", "all"), ("A_KEYVALUE_BUCKETS", "own")]);
        let made = MADE.get();
        for _ in 0..3 {
            assert!(all.open("a/own").is_ok());
            assert_eq!(all.open("a/all").err().unwrap().kind(), Kind::AccessDenied);
            assert!(all.open("/all").is_ok() && all.open("b/all").is_ok());
        }
        assert_eq!(MADE.get(), made + 2);
    }

    #[test]
    fn what_comes_through_no_import_of_this_component_is_refused() {
        let all = labels(&[(LABELS, "a,b")]);
        assert_eq!(all.open("c/x").err().unwrap().kind(), Kind::AccessDenied);
        assert_eq!(all.open("x").err().unwrap().kind(), Kind::InvalidArgument);
        assert!(labels(&[]).open("c/x").is_ok(), "without labels a slash is a character like any other");
    }
}
