//! Counts the calls of fermyon:spin/key-value without a version.

wit_bindgen::generate!({
    inline: "
        package kvfuse:middleware;
        world middleware {
            import fermyon:spin/key-value;
            export fermyon:spin/key-value;
            export kvfuse:counting/calls;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/spin1"],
});

kvfuse_consumers::counting!();

use exports::fermyon::spin::key_value::{Error, Guest};
use fermyon::spin::key_value;

fn same(error: key_value::Error) -> Error {
    match error {
        key_value::Error::StoreTableFull => Error::StoreTableFull,
        key_value::Error::NoSuchStore => Error::NoSuchStore,
        key_value::Error::AccessDenied => Error::AccessDenied,
        key_value::Error::InvalidStore => Error::InvalidStore,
        key_value::Error::NoSuchKey => Error::NoSuchKey,
        key_value::Error::Io(text) => Error::Io(text),
    }
}

impl Guest for Counting {
    fn open(name: String) -> Result<u32, Error> {
        kvfuse_consumers::count();
        key_value::open(&name).map_err(same)
    }

    fn get(store: u32, key: String) -> Result<Vec<u8>, Error> {
        kvfuse_consumers::count();
        key_value::get(store, &key).map_err(same)
    }

    fn set(store: u32, key: String, value: Vec<u8>) -> Result<(), Error> {
        kvfuse_consumers::count();
        key_value::set(store, &key, &value).map_err(same)
    }

    fn delete(store: u32, key: String) -> Result<(), Error> {
        kvfuse_consumers::count();
        key_value::delete(store, &key).map_err(same)
    }

    fn exists(store: u32, key: String) -> Result<bool, Error> {
        kvfuse_consumers::count();
        key_value::exists(store, &key).map_err(same)
    }

    fn get_keys(store: u32) -> Result<Vec<String>, Error> {
        kvfuse_consumers::count();
        key_value::get_keys(store).map_err(same)
    }

    fn close(store: u32) {
        kvfuse_consumers::count();
        key_value::close(store);
    }
}
