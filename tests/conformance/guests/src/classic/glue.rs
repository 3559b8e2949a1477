//! [`Classic`](super::Classic) over the bindings of the guest that calls the macro.

/// `$eventual` and `$batch` are the modules of single keys and of batches, the rest how the shapes differ.
#[macro_export]
macro_rules! classic {
    (
        single: $eventual:ident, batch: $batch:ident, keys: $keys:expr, found: $found:expr,
        consume: $consume:expr, consume_stream: $consume_stream:expr, size: $size:expr $(,)?
    ) => {
        struct Generation;

        fn trace<T>(result: Result<T, types::Error>) -> Result<T, String> {
            result.map_err(|error| error.trace())
        }

        fn strings(keys: &[&str]) -> Vec<String> {
            keys.iter().map(ToString::to_string).collect()
        }

        macro_rules! future {
            ($future:expr, $get:ident, $listen:ident, $map:expr) => {{
                let future = std::rc::Rc::new($future);
                let get = future.clone();
                $crate::classic::Future {
                    get: Box::new(move || get.$get().map(|result| trace(result).map($map))),
                    listen: Box::new(move || future.$listen()),
                }
            }};
        }

        impl $crate::classic::Classic for Generation {
            type Bucket = types::Bucket;
            type Outgoing = types::OutgoingValue;
            type Incoming = types::IncomingValue;
            type Vacancy = cache::Vacancy;

            fn open(name: &str) -> Result<types::Bucket, String> {
                trace(types::Bucket::open_bucket(name))
            }
            fn outgoing() -> types::OutgoingValue {
                types::OutgoingValue::new_outgoing_value()
            }
            fn write(value: &types::OutgoingValue, bytes: &[u8]) -> Result<(), String> {
                trace(value.outgoing_value_write_body_sync(bytes))
            }
            fn write_stream(value: &types::OutgoingValue) -> Result<wasip2::io::streams::OutputStream, String> {
                trace(value.outgoing_value_write_body_async())
            }
            fn consume(value: types::IncomingValue) -> Result<Vec<u8>, String> {
                trace($consume(value))
            }
            fn consume_stream(value: types::IncomingValue) -> Result<wasip2::io::streams::InputStream, String> {
                trace($consume_stream(value))
            }
            fn size(value: &types::IncomingValue) -> Result<u64, String> {
                trace($size(value))
            }
            fn get(bucket: &types::Bucket, key: &str) -> Result<Option<types::IncomingValue>, String> {
                trace($eventual::get(bucket, key)).map($found)
            }
            fn set(bucket: &types::Bucket, key: &str, value: &types::OutgoingValue) -> Result<(), String> {
                trace($eventual::set(bucket, key, value))
            }
            fn delete(bucket: &types::Bucket, key: &str) -> Result<(), String> {
                trace($eventual::delete(bucket, key))
            }
            fn exists(bucket: &types::Bucket, key: &str) -> Result<bool, String> {
                trace($eventual::exists(bucket, key))
            }
            fn keys(bucket: &types::Bucket) -> Result<Vec<String>, String> {
                trace($keys(bucket))
            }
            fn get_many(bucket: &types::Bucket, keys: &[&str]) -> Result<Vec<Option<types::IncomingValue>>, String> {
                Ok(trace($batch::get_many(bucket, &strings(keys)))?.into_iter().map($found).collect())
            }
            fn set_many(bucket: &types::Bucket, values: &[(&str, types::OutgoingValue)]) -> Result<(), String> {
                let values: Vec<_> = values.iter().map(|(key, value)| (key.to_string(), value)).collect();
                trace($batch::set_many(bucket, &values))
            }
            fn delete_many(bucket: &types::Bucket, keys: &[&str]) -> Result<(), String> {
                trace($batch::delete_many(bucket, &strings(keys)))
            }
            fn increment(bucket: &types::Bucket, key: &str, delta: u64) -> Result<u64, String> {
                trace(atomic::increment(bucket, key, delta))
            }
            fn compare_and_swap(bucket: &types::Bucket, key: &str, old: u64, new: u64) -> Result<bool, String> {
                trace(atomic::compare_and_swap(bucket, key, old, new))
            }

            fn cache_get(key: &str) -> $crate::classic::Future<Option<types::IncomingValue>> {
                future!(cache::get(key), future_get_result_get, listen_to_future_get_result, |value| value)
            }
            fn cache_exists(key: &str) -> $crate::classic::Future<bool> {
                future!(cache::exists(key), future_exists_result_get, listen_to_future_exists_result, |there| there)
            }
            fn cache_set(key: &str, value: &types::OutgoingValue, ttl: Option<u32>) -> $crate::classic::Future<()> {
                future!(cache::set(key, value, ttl), future_result_get, listen_to_future_result, |done| done)
            }
            fn cache_delete(key: &str) -> $crate::classic::Future<()> {
                future!(cache::delete(key), future_result_get, listen_to_future_result, |done| done)
            }
            fn cache_get_or_set(key: &str) -> $crate::classic::Future<$crate::classic::Entry<Self>> {
                future!(
                    cache::get_or_set(key),
                    future_get_or_set_result_get,
                    listen_to_future_get_or_set_result,
                    |entry| match entry {
                        cache::GetOrSetEntry::Occupied(value) => $crate::classic::Entry::Occupied(value),
                        cache::GetOrSetEntry::Vacant(vacancy) => $crate::classic::Entry::Vacant(vacancy),
                    }
                )
            }
            fn fill(vacancy: &cache::Vacancy, ttl: Option<u32>) -> types::OutgoingValue {
                vacancy.vacancy_fill(ttl)
            }
        }
    };
}

/// The same where single keys are in `eventual`, and the guest of it: these shapes differ in how a value is consumed.
#[macro_export]
macro_rules! eventual {
    (consume: $consume:expr, consume_stream: $consume_stream:expr $(,)?) => {
        $crate::classic! {
            single: eventual,
            batch: eventual_batch,
            keys: eventual_batch::keys,
            found: |value| value,
            consume: $consume,
            consume_stream: $consume_stream,
            size: types::IncomingValue::incoming_value_size,
        }
        $crate::guest! {
            $crate::classic::opener::<Generation>,
            $crate::common::ALL,
            $crate::classic::cases::<Generation>(),
        }
    };
}
