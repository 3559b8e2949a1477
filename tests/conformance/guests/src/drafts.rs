//! The generations since 2024-04: [`Bucket`](crate::Bucket) over the bindings of the guest that calls the macro, and
//! the cases that work on these bindings directly.

use std::fmt::Display;

/// What `get-many` gives for a key, in either of its shapes.
pub trait Pair {
    fn new(key: &str, value: &[u8]) -> Self;
    fn value(self) -> Option<Vec<u8>>;
}

/// Every key asked for, with its value if it is there.
impl Pair for (String, Option<Vec<u8>>) {
    fn new(key: &str, value: &[u8]) -> Self {
        (key.to_string(), Some(value.to_vec()))
    }

    fn value(self) -> Option<Vec<u8>> {
        self.1
    }
}

/// The key with its value, if it is there.
impl Pair for Option<(String, Vec<u8>)> {
    fn new(key: &str, value: &[u8]) -> Self {
        Some((key.to_string(), value.to_vec()))
    }

    fn value(self) -> Option<Vec<u8>> {
        self.map(|(_, value)| value)
    }
}

/// A cursor where cursors are numbers.
pub fn number(cursor: &str) -> Result<u64, String> {
    cursor.parse().map_err(|_| "not a cursor".to_string())
}

/// A delta in the type that the generation's counters take.
pub fn delta<T: TryFrom<u64, Error: Display>>(delta: u64) -> Result<T, String> {
    T::try_from(delta).map_err(|error| error.to_string())
}

pub fn strings(keys: &[&str]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

pub fn owned(pairs: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_vec())).collect()
}

/// `$bucket` is the type of a bucket in calls, and `$open` makes one from a name; `$single` is the module or the type that
/// has the calls for single keys. `$cursor` reads a cursor, and `$strange` is one that was never given.
#[macro_export]
macro_rules! drafts {
    (
        bucket: $bucket:ty, open: $open:expr, single: $single:ident,
        cursor: $cursor:expr, strange: $strange:literal $(,)?
    ) => {
        struct Handle($bucket);

        fn open(name: &str) -> Result<Box<dyn $crate::Bucket>, String> {
            Ok(Box::new(Handle($open(name).map_err(text)?)))
        }

        fn open_here(subject: &$crate::Subject) -> Result<$bucket, $crate::Failure> {
            $crate::check::ok("open", $open(subject.name).map_err(text))
        }

        fn text(error: store::Error) -> String {
            match error {
                store::Error::NoSuchStore => "no-such-store".into(),
                store::Error::AccessDenied => "access-denied".into(),
                store::Error::Other(message) => message,
            }
        }

        impl $crate::Bucket for Handle {
            fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
                $single::get(&self.0, key).map_err(text)
            }

            fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
                $single::set(&self.0, key, value).map_err(text)
            }

            fn delete(&self, key: &str) -> Result<(), String> {
                $single::delete(&self.0, key).map_err(text)
            }

            fn exists(&self, key: &str) -> Result<bool, String> {
                $single::exists(&self.0, key).map_err(text)
            }

            fn list(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), String> {
                let cursor = cursor.map($cursor).transpose()?;
                let page = $single::list_keys(&self.0, cursor).map_err(text)?;
                Ok((page.keys, page.cursor.map(|cursor| cursor.to_string())))
            }

            fn increment(&self, key: &str, delta: u64) -> Result<i128, String> {
                atomics::increment(&self.0, key, $crate::drafts::delta(delta)?).map(i128::from).map_err(text)
            }

            fn get_many(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, String> {
                let pairs = batch::get_many(&self.0, &$crate::drafts::strings(keys)).map_err(text)?;
                Ok(pairs.into_iter().map($crate::drafts::Pair::value).collect())
            }

            fn set_many(&self, pairs: &[(&str, &[u8])]) -> Result<(), String> {
                batch::set_many(&self.0, &$crate::drafts::owned(pairs)).map_err(text)
            }

            fn delete_many(&self, keys: &[&str]) -> Result<(), String> {
                batch::delete_many(&self.0, &$crate::drafts::strings(keys)).map_err(text)
            }
        }

        /// Pairs.
        const PAIRS: &[$crate::Case] = &[("get-many gives each pair with its key", pairs_have_keys)];

        fn pairs_have_keys(subject: &$crate::Subject) -> $crate::Verdict {
            use $crate::check::{ok, same};
            use $crate::drafts::{Pair, owned, strings};

            let bucket = open_here(subject)?;
            let pairs = owned(&[("a", b"1"), ("b", b"2")]);
            ok("set-many", batch::set_many(&bucket, &pairs).map_err(text))?;
            let got = ok("get-many", batch::get_many(&bucket, &strings(&["b", "a"])).map_err(text))?;
            same("get-many", got, vec![Pair::new("b", b"2"), Pair::new("a", b"1")])
        }

        /// Cursors.
        const CURSORS: &[$crate::Case] =
            &[("a cursor that was never given is refused, or lists no key twice", strange_cursor)];

        fn strange_cursor(subject: &$crate::Subject) -> $crate::Verdict {
            let bucket = subject.open()?;
            $crate::check::ok("set", bucket.set("key", b"value"))?;
            let Ok((keys, _)) = bucket.list(Some($strange)) else { return Ok(()) };
            $crate::check::holds("a listing from nowhere gave a key more than once", keys.len() <= 1)
        }
    };
}
