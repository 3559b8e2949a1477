//! A command that has the store three times: under two labels, and without one.
//!
//! `set BUCKET WORD` writes the key `key` in the bucket of that name through each, with the word and the import's name as
//! its value; `get BUCKET` prints what each of them finds there.

wit_bindgen::generate!({
    inline: "
        package kvfuse:labels;
        world labels {
            import sessions: wasi:keyvalue/store@0.2.0-draft2;
            import carts: wasi:keyvalue/store@0.2.0-draft2;
            import wasi:keyvalue/store@0.2.0-draft2;
        }
    ",
    generate_all,
    path: "../../wit/draft2",
});

use wasi::keyvalue::store as plain;
use wasip2::cli::{environment, stdout};

struct Labels;
wasip2::cli::command::export!(Labels);

/// What one import does, and how it ended in words.
macro_rules! through {
    ($import:ident, $command:expr, $bucket:expr, $word:expr) => {{
        let name = stringify!($import);
        let done = $import::open($bucket).and_then(|bucket| match $command {
            "set" => bucket.set("key", format!("{} of {name}", $word).as_bytes()).map(|()| "written".to_string()),
            _ => bucket.get("key").map(|value| match value {
                Some(value) => String::from_utf8_lossy(&value).into_owned(),
                None => "nothing".to_string(),
            }),
        });
        say(&match done {
            Ok(text) => format!("{name}: {text}"),
            Err($import::Error::Other(text)) => format!("{name}: error: {text}"),
            Err(error) => format!("{name}: error: {error:?}"),
        });
    }};
}

impl wasip2::exports::cli::run::Guest for Labels {
    fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let argument = |index: usize| arguments.get(index).map_or("", String::as_str);
        let (command, bucket, word) = (argument(1), argument(2), argument(3));
        through!(sessions, command, bucket, word);
        through!(carts, command, bucket, word);
        through!(plain, command, bucket, word);
        Ok(())
    }
}

fn say(line: &str) {
    // If standard output is gone, nobody reads this.
    drop(stdout::get_stdout().blocking_write_and_flush(format!("{line}\n").as_bytes()));
}
