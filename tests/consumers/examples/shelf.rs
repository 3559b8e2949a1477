//! A library that keeps what it knows in a store. Nothing of that shows in what it exports.

wit_bindgen::generate!({
    inline: "
        package kvfuse:library;
        world library {
            import wasi:keyvalue/atomics@0.2.0-draft2;
            export kvfuse:counting/shelf;
        }
    ",
    generate_all,
    path: ["wit", "../../wit/draft2"],
});

use wasi::keyvalue::{atomics, store};

struct Shelf;
export!(Shelf);

impl exports::kvfuse::counting::shelf::Guest for Shelf {
    fn take(book: String) -> Result<i64, String> {
        let bucket = store::open("books").map_err(|error| format!("{error:?}"))?;
        atomics::increment(&bucket, &book, 1).map_err(|error| format!("{error:?}"))
    }
}
