//! The parts that several generations before 2024-04 share word for word, as macros over the bindings of the module
//! that uses them. Rust has no other way to write one implementation of two generated traits.
//!
//! Each macro needs certain names in the scope of that module, which its documentation lists. Lower-case ones are
//! modules of generated bindings (`exports` is their root), `Facade` is the module's own type, and the others are those
//! of [`values`](crate::values) and [`caching`](crate::caching).

/// `types` without the incoming value, and the interface `$error` of the error resource.
///
/// Needs in scope: `exports`, `types`, `Bucket`, `Incoming`, `Outgoing`, `Facade`.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_types {
    ($error:ident) => {
        impl From<kvfuse_core::Error> for exports::wasi::keyvalue::$error::Error {
            fn from(error: kvfuse_core::Error) -> Self {
                Self::new($crate::values::Trace(error))
            }
        }

        impl<P: $crate::Caching> exports::wasi::keyvalue::$error::Guest for Facade<P> {
            type Error = $crate::values::Trace;
        }

        impl exports::wasi::keyvalue::$error::GuestError for $crate::values::Trace {
            fn trace(&self) -> String {
                self.0.message().to_string()
            }
        }

        impl<P: $crate::Caching> types::Guest for Facade<P> {
            type Bucket = Bucket<P>;
            type OutgoingValue = Outgoing<P>;
            type IncomingValue = Incoming;
        }

        impl<P: $crate::Caching> types::GuestBucket for Bucket<P> {
            fn open_bucket(name: String) -> Result<types::Bucket, types::Error> {
                Ok(types::Bucket::new(Self::open(&name)?))
            }
        }

        impl<P: $crate::Caching> types::GuestOutgoingValue for Outgoing<P> {
            fn new_outgoing_value() -> types::OutgoingValue {
                types::OutgoingValue::new(Self::empty())
            }

            fn outgoing_value_write_body_async(&self) -> Result<types::OutputStream, types::Error> {
                Ok(self.stream()?)
            }

            fn outgoing_value_write_body_sync(&self, value: Vec<u8>) -> Result<(), types::Error> {
                Ok(self.write(value)?)
            }
        }
    };
}

/// The incoming value of generations in which consuming it is a static function.
///
/// Needs in scope: `types`, `Incoming`.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_consume_static {
    () => {
        impl types::GuestIncomingValue for Incoming {
            fn incoming_value_consume_sync(this: types::IncomingValue) -> Result<Vec<u8>, types::Error> {
                Ok(this.into_inner::<Self>().consume()?)
            }

            fn incoming_value_consume_async(this: types::IncomingValue) -> Result<types::InputStream, types::Error> {
                Ok(this.into_inner::<Self>().consume_stream()?)
            }

            fn incoming_value_size(&self) -> Result<u64, types::Error> {
                Ok(self.size)
            }
        }
    };
}

/// Everything but the incoming value, of generations with the interfaces `eventual` and `eventual-batch`.
///
/// Needs in scope: `exports`, `cache`, `eventual`, `eventual_batch`, `types`, `Bucket`, `Incoming`, `Outgoing`,
/// `Cache`, `Entry`, `FutureDone`, `FutureEntry`, `FutureExists`, `FutureGet`, `Vacancy`, `Facade`.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_eventual {
    () => {
        $crate::classic_types!(wasi_keyvalue_error);
        $crate::classic_atomic!();
        $crate::classic_cache!();

        impl<P: $crate::Caching> eventual::Guest for Facade<P> {
            fn get(bucket: types::BucketBorrow<'_>, key: String) -> Result<Option<types::IncomingValue>, types::Error> {
                let value = Incoming::get(&*bucket.get::<Bucket<P>>().0, &key)?;
                Ok(value.map(types::IncomingValue::new))
            }

            $crate::classic_single!();
        }

        impl<P: $crate::Caching> eventual_batch::Guest for Facade<P> {
            fn get_many(
                bucket: types::BucketBorrow<'_>,
                keys: Vec<String>,
            ) -> Result<Vec<Option<types::IncomingValue>>, types::Error> {
                let values = bucket.get::<Bucket<P>>().0.get_many(&$crate::shared::strs(&keys))?;
                Ok(values.into_iter().map(|value| Some(types::IncomingValue::new(Incoming::whole(value?)))).collect())
            }

            fn keys(bucket: types::BucketBorrow<'_>) -> Result<Vec<String>, types::Error> {
                Ok($crate::shared::all_keys(&*bucket.get::<Bucket<P>>().0)?)
            }

            $crate::classic_batch!();
        }
    };
}

/// The functions on single keys that `eventual` and `readwrite` have in common: all but `get`.
///
/// Needs in scope: `types`, `Bucket`, `Outgoing`, and `P`, the provider.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_single {
    () => {
        fn set(
            bucket: types::BucketBorrow<'_>,
            key: String,
            value: types::OutgoingValueBorrow<'_>,
        ) -> Result<(), types::Error> {
            Ok(value.get::<Outgoing<P>>().set(&*bucket.get::<Bucket<P>>().0, &key)?)
        }

        fn delete(bucket: types::BucketBorrow<'_>, key: String) -> Result<(), types::Error> {
            Ok(bucket.get::<Bucket<P>>().0.delete(&key)?)
        }

        fn exists(bucket: types::BucketBorrow<'_>, key: String) -> Result<bool, types::Error> {
            Ok(bucket.get::<Bucket<P>>().0.exists(&key)?)
        }
    };
}

/// The functions that `eventual-batch` and `batch` have in common.
///
/// Needs in scope: `types`, `Bucket`, `Outgoing`, and `P`, the provider.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_batch {
    () => {
        fn set_many(
            bucket: types::BucketBorrow<'_>,
            key_values: Vec<(String, types::OutgoingValueBorrow<'_>)>,
        ) -> Result<(), types::Error> {
            let values: Vec<_> = key_values.iter().map(|(key, value)| (key.clone(), value.get())).collect();
            Ok(Outgoing::<P>::set_many(&*bucket.get::<Bucket<P>>().0, &values)?)
        }

        fn delete_many(bucket: types::BucketBorrow<'_>, keys: Vec<String>) -> Result<(), types::Error> {
            Ok(bucket.get::<Bucket<P>>().0.delete_many(&$crate::shared::strs(&keys))?)
        }
    };
}

/// `atomic`.
///
/// Needs in scope: `exports`, `types`, `Bucket`, `Facade`.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_atomic {
    () => {
        impl<P: $crate::Caching> exports::wasi::keyvalue::atomic::Guest for Facade<P> {
            fn increment(bucket: types::BucketBorrow<'_>, key: String, delta: u64) -> Result<u64, types::Error> {
                Ok($crate::shared::increment(&*bucket.get::<Bucket<P>>().0, &key, delta)?)
            }

            fn compare_and_swap(
                bucket: types::BucketBorrow<'_>,
                key: String,
                old: u64,
                new: u64,
            ) -> Result<bool, types::Error> {
                Ok($crate::shared::compare_and_swap(&*bucket.get::<Bucket<P>>().0, &key, old, new)?)
            }
        }
    };
}

/// `cache`.
///
/// Needs in scope: `cache`, `types`, `Incoming`, `Cache`, `Entry`, `FutureDone`, `FutureEntry`, `FutureExists`,
/// `FutureGet`, `Vacancy`, `Facade`.
#[doc(hidden)]
#[macro_export]
macro_rules! classic_cache {
    () => {
        impl<P: $crate::Caching> cache::Guest for Facade<P> {
            type FutureGetResult = FutureGet<P>;
            type FutureExistsResult = FutureExists<P>;
            type FutureResult = FutureDone<P>;
            type FutureGetOrSetResult = FutureEntry<P>;
            type Vacancy = Vacancy<P>;

            fn get(key: String) -> cache::FutureGetResult {
                cache::FutureGetResult::new(FutureGet::<P>::new(Cache::<P>::get(&key)))
            }

            fn exists(key: String) -> cache::FutureExistsResult {
                cache::FutureExistsResult::new(FutureExists::<P>::new(Cache::<P>::get(&key).map(|v| v.is_some())))
            }

            fn set(key: String, value: types::OutgoingValueBorrow<'_>, ttl_ms: Option<u32>) -> cache::FutureResult {
                let result = Cache::<P>::set_value(&key, value.get(), ttl_ms);
                cache::FutureResult::new(FutureDone::<P>::new(result))
            }

            fn get_or_set(key: String) -> cache::FutureGetOrSetResult {
                cache::FutureGetOrSetResult::new(FutureEntry::<P>::new(key))
            }

            fn delete(key: String) -> cache::FutureResult {
                cache::FutureResult::new(FutureDone::<P>::new(Cache::<P>::delete(&key)))
            }
        }

        impl<P: $crate::Caching> cache::GuestFutureGetResult for FutureGet<P> {
            fn future_get_result_get(&self) -> Option<Result<Option<types::IncomingValue>, types::Error>> {
                let value = self.result().map(|value| value.map(|v| types::IncomingValue::new(Incoming::whole(v))));
                Some(value.map_err(Into::into))
            }

            fn listen_to_future_get_result(&self) -> cache::Pollable {
                self.pollable()
            }
        }

        impl<P: $crate::Caching> cache::GuestFutureExistsResult for FutureExists<P> {
            fn future_exists_result_get(&self) -> Option<Result<bool, types::Error>> {
                Some(self.result().map_err(Into::into))
            }

            fn listen_to_future_exists_result(&self) -> cache::Pollable {
                self.pollable()
            }
        }

        impl<P: $crate::Caching> cache::GuestFutureResult for FutureDone<P> {
            fn future_result_get(&self) -> Option<Result<(), types::Error>> {
                Some(self.result().map_err(Into::into))
            }

            fn listen_to_future_result(&self) -> cache::Pollable {
                self.pollable()
            }
        }

        impl<P: $crate::Caching> cache::GuestFutureGetOrSetResult for FutureEntry<P> {
            fn future_get_or_set_result_get(&self) -> Option<Result<cache::GetOrSetEntry, types::Error>> {
                let entry = self.entry()?.map(|entry| match entry {
                    Entry::Occupied(value) => cache::GetOrSetEntry::Occupied(types::IncomingValue::new(value)),
                    Entry::Vacant(vacancy) => cache::GetOrSetEntry::Vacant(cache::Vacancy::new(vacancy)),
                });
                Some(entry.map_err(Into::into))
            }

            fn listen_to_future_get_or_set_result(&self) -> cache::Pollable {
                self.pollable()
            }
        }

        impl<P: $crate::Caching> cache::GuestVacancy for Vacancy<P> {
            fn vacancy_fill(&self, ttl_ms: Option<u32>) -> types::OutgoingValue {
                types::OutgoingValue::new(self.fill(ttl_ms))
            }
        }
    };
}
