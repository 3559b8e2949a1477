//! Counts the calls of spin:key-value@3.0.0. Its stores are a resource of the middleware's own, over the provider's; the stream of
//! keys is the provider's.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import spin:key-value/key-value@3.0.0;
            export spin:key-value/key-value@3.0.0;
            export kvfuse:counting/calls;
        }
    ",
    async: ["spin:key-value/key-value@3.0.0#[method]store.get-keys", "-all"],
    // An error is the same type on both sides, and so is a future of one.
    merge_structurally_equal_types: true,
    generate_all,
    path: ["wit", "../../wit/spin3"],
});

kvfuse_consumers::counting!();

use exports::spin::key_value::key_value::{Guest, GuestStore, Store};
use spin::key_value::key_value::{self, Error};
use wit_bindgen::{FutureReader, StreamReader};

struct Passing(key_value::Store);

impl Guest for Counting {
    type Store = Passing;
}

impl GuestStore for Passing {
    fn open(label: String) -> Result<Store, Error> {
        kvfuse_consumers::count();
        key_value::Store::open(&label).map(|store| Store::new(Self(store)))
    }

    fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        kvfuse_consumers::count();
        self.0.get(&key)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        kvfuse_consumers::count();
        self.0.set(&key, &value)
    }

    fn delete(&self, key: String) -> Result<(), Error> {
        kvfuse_consumers::count();
        self.0.delete(&key)
    }

    fn exists(&self, key: String) -> Result<bool, Error> {
        kvfuse_consumers::count();
        self.0.exists(&key)
    }

    async fn get_keys(&self) -> (StreamReader<String>, FutureReader<Result<(), Error>>) {
        kvfuse_consumers::count();
        self.0.get_keys().await
    }
}
