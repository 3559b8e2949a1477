//! Several stores behind one provider: each bucket is in the store that its name is routed to.

use crate::label::Labelled;
use crate::names::full;
use kvfuse_core::settings::{DEFAULT_STORE, FUSED_STORES, ROUTES};
use kvfuse_core::{Body, Bucket, Error, Kind, Result, Settings, Store, error::quoted};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

/// Makes a store from the settings.
pub type Make = fn(&Settings) -> Result<Box<dyn Store>>;

/// Stores by the names of their buckets.
///
/// `KEYVALUE_ROUTES` says which bucket is in which store, with the names of buckets percent-encoded. All other buckets
/// are in `KEYVALUE_STORE` or, without that, in the first store. A store is made when the first of its buckets is
/// opened: a store to which nothing is routed needs no settings and no grants. The bucket of the cache is in the
/// default store.
pub struct Routes {
    plan: Result<Plan>,
    stores: Vec<Lazy>,
}

struct Plan {
    default: usize,
    routes: Vec<(String, usize)>,
    /// The stores that may be used.
    fused: Vec<usize>,
}

struct Lazy {
    name: &'static str,
    make: Make,
    settings: Rc<Settings>,
    made: OnceCell<Result<Labelled<Box<dyn Store>>>>,
}

impl Routes {
    /// These stores, by their names, under the label in the settings, if there is one.
    pub fn new(settings: &Settings, stores: &[(&'static str, Make)]) -> Self {
        let plan = Plan::from_settings(settings, &stores.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let settings = Rc::new(settings.clone());
        let lazy = |(name, make): &(&'static str, Make)| Lazy {
            name,
            make: *make,
            settings: settings.clone(),
            made: OnceCell::new(),
        };
        Self { plan, stores: stores.iter().map(lazy).collect() }
    }

    fn store(&self, index: usize) -> Result<&dyn Store> {
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        let lazy = self.stores.get(index).ok_or_else(|| Error::new(Kind::Other, "there is no such store"))?;
        if !plan.fused.contains(&index) {
            let fused: Vec<_> = plan.fused.iter().filter_map(|fused| self.stores.get(*fused)).map(|s| s.name).collect();
            return Err(Error::new(
                Kind::Unavailable,
                format!(
                    "this component was fused with the stores {} and without {name}: fuse it with --store {name} or \
                     --bucket NAME={name}, or change {ROUTES} and {DEFAULT_STORE}",
                    fused.join(", "),
                    name = lazy.name
                ),
            ));
        }
        let made = lazy.made.get_or_init(|| Labelled::new(&lazy.settings, (lazy.make)(&lazy.settings)));
        made.as_ref().map(|store| store as &dyn Store).map_err(Clone::clone)
    }

    fn default(&self) -> Result<&dyn Store> {
        self.store(self.plan.as_ref().map_err(Clone::clone)?.default)
    }
}

impl Plan {
    fn from_settings(settings: &Settings, stores: &[&str]) -> Result<Self> {
        let find = |setting: &str, name: &str| {
            stores.iter().position(|store| *store == name).ok_or_else(|| {
                Error::invalid(format!("{setting} names the store {}; there are {}", quoted(name), stores.join(", ")))
            })
        };
        let list = |setting: &'static str| {
            let text = settings.get(setting).unwrap_or_default();
            text.split(',').map(str::trim).filter(|part| !part.is_empty())
        };
        let default = settings.get(DEFAULT_STORE).map_or(Ok(0), |name| find(DEFAULT_STORE, name))?;
        let mut routes: Vec<(String, usize)> = Vec::new();
        for part in list(ROUTES) {
            let (bucket, store) = part.rsplit_once('=').ok_or_else(|| {
                Error::invalid(format!(
                    "{ROUTES} has {}, which is not a bucket and a store: write bucket=store, separated by commas",
                    quoted(part)
                ))
            })?;
            let name = decoded(bucket.trim()).ok_or_else(|| {
                Error::invalid(format!(
                    "{ROUTES} has the bucket {}, which is not percent-encoded: write %25 for %, and %2C for a comma",
                    quoted(bucket)
                ))
            })?;
            let (bucket, store) = (full(&name), find(ROUTES, store.trim())?);
            match routes.iter().find(|(known, _)| known == bucket) {
                Some((_, other)) if *other != store => {
                    return Err(Error::invalid(format!("{ROUTES} puts the bucket {} into two stores", quoted(bucket))));
                }
                _ => routes.push((bucket.to_string(), store)),
            }
        }
        let fused: Vec<usize> = list(FUSED_STORES).map(|name| find(FUSED_STORES, name)).collect::<Result<_>>()?;
        let fused = if fused.is_empty() { (0..stores.len()).collect() } else { fused };
        Ok(Self { default, routes, fused })
    }

    fn of(&self, bucket: &str) -> usize {
        self.routes.iter().find(|(name, _)| name == bucket).map_or(self.default, |(_, store)| *store)
    }
}

/// `None` if a percent sign is not followed by two hexadecimal digits, or the bytes are not UTF-8.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    let digits = |rest: &str| rest.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !text.split('%').skip(1).all(digits) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

impl Store for Routes {
    fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        self.store(plan.of(bucket))?.open(bucket)
    }

    /// The name space in the bucket's store. No two stores return the same one: it is the bucket's name, or a name that
    /// no bucket has.
    fn space<'a>(&'a self, bucket: &'a str) -> &'a str {
        let plan = self.plan.as_ref().ok();
        let store = plan.and_then(|plan| self.store(plan.of(bucket)).ok());
        store.map_or(bucket, |store| store.space(bucket))
    }

    fn open_cache(&self) -> Result<Rc<dyn Bucket>> {
        self.default()?.open_cache()
    }

    fn open_positions(&self) -> Result<Rc<dyn Bucket>> {
        self.default()?.open_positions()
    }

    /// A body is created before its bucket is known. So the default store creates it or, if that does not support
    /// bodies, the first store in use that does. A bucket in another store refuses it.
    fn create_body(&self) -> Result<Box<dyn Body>> {
        let mut refused = match self.default()?.create_body() {
            Err(error) if error.kind() == Kind::Unsupported => error,
            made => return made,
        };
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        for (_, store) in &plan.routes {
            match self.store(*store).and_then(Store::create_body) {
                Ok(body) => return Ok(body),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gate;
    use kvfuse_memory::MemoryStore;
    use std::any::Any;
    use std::cell::Cell;

    thread_local! {
        static MADE: Cell<usize> = const { Cell::new(0) };
    }

    fn memory(_: &Settings) -> Result<Box<dyn Store>> {
        MADE.set(MADE.get() + 1);
        Ok(Box::new(MemoryStore::default()))
    }

    fn unreachable(_: &Settings) -> Result<Box<dyn Store>> {
        Err(Error::new(Kind::Unavailable, "no server is configured"))
    }

    struct Bodies;

    struct Nothing;

    impl Body for Nothing {
        fn take_stream(&mut self) -> Result<Box<dyn Any>> {
            Ok(Box::new(()))
        }

        fn as_any(&mut self) -> &mut dyn Any {
            self
        }
    }

    impl Store for Bodies {
        fn open(&self, bucket: &str) -> Result<Rc<dyn Bucket>> {
            MemoryStore::default().open(bucket)
        }

        fn create_body(&self) -> Result<Box<dyn Body>> {
            Ok(Box::new(Nothing))
        }
    }

    fn bodies(_: &Settings) -> Result<Box<dyn Store>> {
        Ok(Box::new(Bodies))
    }

    const STORES: &[(&str, Make)] =
        &[("first", memory), ("second", memory), ("server", unreachable), ("bodies", bodies)];

    fn routes(settings: &[(&str, &str)]) -> Gate<Routes> {
        let settings = Settings::new(settings.iter().map(|(name, value)| (name.to_string(), value.to_string())));
        Gate::new(&settings, Ok(Routes::new(&settings, STORES)), kvfuse_servers::clock::SystemClock)
    }

    fn error(settings: &[(&str, &str)], bucket: &str) -> Error {
        routes(settings).open(bucket).err().unwrap()
    }

    #[test]
    fn each_bucket_is_in_the_store_it_is_routed_to_and_the_others_in_the_default_one() {
        let gate = routes(&[(DEFAULT_STORE, "second"), (ROUTES, " carts = first ,a=b=server, default=first")]);
        gate.open("carts").unwrap().set("key", b"first").unwrap();
        gate.open("other").unwrap().set("key", b"second").unwrap();
        assert_eq!(gate.open("carts").unwrap().get("key"), Ok(Some(b"first".to_vec())));
        assert_eq!(gate.open("other").unwrap().get("key"), Ok(Some(b"second".to_vec())));
        // The empty name is the bucket `default`, which is routed; the last `=` separates.
        gate.open("").unwrap().set("key", b"default").unwrap();
        assert_eq!(gate.open("default").unwrap().get("key"), Ok(Some(b"default".to_vec())));
        assert_eq!(gate.open("a=b").err().unwrap().message(), "no server is configured");
        assert!(gate.open("a").is_ok());
    }

    #[test]
    fn a_bucket_of_any_name_can_be_routed() {
        for (name, written) in
            [("a,b", "a%2Cb"), ("100%", "100%25"), (" x ", "%20x%20"), ("ü=\n", "%C3%BC=%0a"), ("%2C", "%252C")]
        {
            let gate = routes(&[(ROUTES, &format!("{written}=server"))]);
            assert_eq!(gate.open(name).err().unwrap().message(), "no server is configured", "{name:?}");
            assert!(gate.open(written).is_ok() || name == written, "{written}");
        }
    }

    #[test]
    fn a_store_is_made_when_the_first_of_its_buckets_is_opened_and_only_once() {
        MADE.set(0);
        let gate = routes(&[(ROUTES, "b=second,c=server")]);
        assert_eq!(MADE.get(), 0);
        for _ in 0..3 {
            drop(gate.open("a").unwrap());
        }
        assert_eq!(MADE.get(), 1);
        drop(gate.open("b").unwrap());
        assert_eq!(MADE.get(), 2);
        // A missing server is an error for its own bucket only.
        assert_eq!(gate.open("c").err().unwrap().message(), "no server is configured");
        assert!(gate.open("a").is_ok() && gate.open_cache().is_ok());
    }

    #[test]
    fn a_store_that_is_not_in_the_component_is_never_made() {
        let settings = [(FUSED_STORES, "first,server"), (ROUTES, "b=second")];
        let gate = routes(&settings);
        assert!(gate.open("a").is_ok());
        let error = gate.open("b").err().unwrap();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.message().contains("stores first, server and without second"), "{error}");
    }

    #[test]
    fn settings_that_say_nothing_clear_are_refused_with_the_setting() {
        for (settings, said) in [
            ([(DEFAULT_STORE, "floppy")], "KEYVALUE_STORE names the store \"floppy\"; there are first, second, server"),
            ([(ROUTES, "a=floppy")], "KEYVALUE_ROUTES names the store \"floppy\"; there are"),
            ([(ROUTES, "carts")], "KEYVALUE_ROUTES has \"carts\", which is not a bucket and a store"),
            (
                [(ROUTES, "100%=first")],
                "KEYVALUE_ROUTES has the bucket \"100%\", which is not percent-encoded: write %25",
            ),
            ([(ROUTES, "%ff=first")], "KEYVALUE_ROUTES has the bucket \"%ff\", which is not percent-encoded"),
            ([(ROUTES, "a=first,a=second")], "KEYVALUE_ROUTES puts the bucket \"a\" into two stores"),
        ] {
            let error = error(&settings, "x");
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.message().starts_with(said), "{error}");
        }
    }

    #[test]
    fn streams_are_those_of_the_first_store_in_use_that_has_them() {
        assert_eq!(routes(&[]).create_body().err().unwrap().kind(), Kind::Unsupported);
        assert!(routes(&[(DEFAULT_STORE, "bodies")]).create_body().is_ok());
        assert!(routes(&[(ROUTES, "a=second,b=bodies")]).create_body().is_ok());
    }
}
