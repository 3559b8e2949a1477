//! A command over `wrpc:keyvalue`: counts the words of its arguments in the bucket `tally` and prints each with its count
//! over all runs.

wit_bindgen::generate!({ path: "../../wit/wrpc", world: "wrpc:keyvalue/imports@0.2.0-draft" });

use wasip2::cli::{environment, stdout};
use wrpc::keyvalue::{atomics, batch, store};

const BUCKET: &str = "tally";

struct Tally;
wasip2::cli::command::export!(Tally);

impl wasip2::exports::cli::run::Guest for Tally {
    fn run() -> Result<(), ()> {
        for word in environment::get_arguments().iter().skip(1) {
            atomics::increment(BUCKET, word, 1).map_err(told)?;
        }
        let mut page = store::list_keys(BUCKET, None).map_err(told)?;
        let mut words = page.keys;
        while page.cursor.is_some() {
            page = store::list_keys(BUCKET, page.cursor).map_err(told)?;
            words.append(&mut page.keys);
        }
        words.sort();
        for (word, count) in batch::get_many(BUCKET, &words).map_err(told)?.into_iter().flatten() {
            say(&format!("{word} {}", String::from_utf8_lossy(&count)));
        }
        Ok(())
    }
}

fn told(error: store::Error) {
    say(&format!("{error:?}"));
}

fn say(line: &str) {
    // If standard output is gone, nobody reads this.
    drop(stdout::get_stdout().blocking_write_and_flush(format!("{line}\n").as_bytes()));
}
