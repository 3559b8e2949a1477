//! Counts the calls of `batch` in wrpc:keyvalue@0.2.0-draft.

wit_bindgen::generate!({
    inline: "
        package kvfuse:counting;
        interface calls {
            total: func() -> u64;
        }
        world middleware {
            import wrpc:keyvalue/batch@0.2.0-draft;
            export wrpc:keyvalue/batch@0.2.0-draft;
            export calls;
        }
    ",
    generate_all,
    path: ["../../wit/wrpc"],
});

use wrpc::keyvalue::batch;
use wrpc::keyvalue::store::Error;

struct Counting;
export!(Counting);

impl exports::kvfuse::counting::calls::Guest for Counting {
    fn total() -> u64 {
        kvfuse_consumers::total()
    }
}

impl exports::wrpc::keyvalue::batch::Guest for Counting {
    fn get_many(bucket: String, keys: Vec<String>) -> Result<Vec<Option<(String, Vec<u8>)>>, Error> {
        kvfuse_consumers::count();
        batch::get_many(&bucket, &keys)
    }

    fn set_many(bucket: String, key_values: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        kvfuse_consumers::count();
        batch::set_many(&bucket, &key_values)
    }

    fn delete_many(bucket: String, keys: Vec<String>) -> Result<(), Error> {
        kvfuse_consumers::count();
        batch::delete_many(&bucket, &keys)
    }
}
