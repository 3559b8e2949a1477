//! A command built for WASI 0.3: counts its runs, and prints the number.

mod common;

wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });

use wasi::keyvalue::{atomics, store};

struct Runs;
wasip3::cli::command::export!(Runs);

impl wasip3::exports::cli::run::Guest for Runs {
    async fn run() -> Result<(), ()> {
        let sum = store::open("").and_then(|bucket| atomics::increment(&bucket, "runs", 1));
        let text = match &sum {
            Ok(sum) => format!("{sum}\n"),
            Err(error) => format!("{error:?}\n"),
        };
        common::say(text).await?;
        sum.map(drop).map_err(drop)
    }
}
