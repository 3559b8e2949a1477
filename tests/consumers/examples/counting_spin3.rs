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
    generate_all,
    path: ["wit", "../../wit/spin3"],
});

kvfuse_consumers::counting!();

use exports::spin::key_value::key_value::{Error, Guest, GuestStore, Store};
use spin::key_value::key_value;
use wit_bindgen::{FutureReader, StreamReader};

struct Passing(key_value::Store);

fn same(error: key_value::Error) -> Error {
    match error {
        key_value::Error::StoreTableFull => Error::StoreTableFull,
        key_value::Error::NoSuchStore => Error::NoSuchStore,
        key_value::Error::AccessDenied => Error::AccessDenied,
        key_value::Error::Other(text) => Error::Other(text),
    }
}

impl Guest for Counting {
    type Store = Passing;
}

impl GuestStore for Passing {
    fn open(label: String) -> Result<Store, Error> {
        kvfuse_consumers::count();
        key_value::Store::open(&label).map(|store| Store::new(Self(store))).map_err(same)
    }

    fn get(&self, key: String) -> Result<Option<Vec<u8>>, Error> {
        kvfuse_consumers::count();
        self.0.get(&key).map_err(same)
    }

    fn set(&self, key: String, value: Vec<u8>) -> Result<(), Error> {
        kvfuse_consumers::count();
        self.0.set(&key, &value).map_err(same)
    }

    fn delete(&self, key: String) -> Result<(), Error> {
        kvfuse_consumers::count();
        self.0.delete(&key).map_err(same)
    }

    fn exists(&self, key: String) -> Result<bool, Error> {
        kvfuse_consumers::count();
        self.0.exists(&key).map_err(same)
    }

    async fn get_keys(&self) -> (StreamReader<String>, FutureReader<Result<(), Error>>) {
        kvfuse_consumers::count();
        let (keys, ended) = self.0.get_keys().await;
        let (outcome, passed_on) = wit_future::new(|| Err(Error::Other("the middleware ended".into())));
        wit_bindgen::spawn_local(async move { drop(outcome.write(ended.await.map_err(same)).await) });
        (keys, passed_on)
    }
}
