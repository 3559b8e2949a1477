//! A command for wasmCloud 2: counts its runs in `wasmcloud:keyvalue@0.2.0`, and prints the number. The first run also leaves a
//! note, which later ones do not replace.

mod common;

wit_bindgen::generate!({ path: "../../wit/wasmcloud_0_2", world: "wasmcloud:keyvalue/imports@0.2.0" });

use wasmcloud::keyvalue::types::{Error, SetOptions};
use wasmcloud::keyvalue::{atomics, store};

struct Runs;
wasip3::cli::command::export!(Runs);

async fn count() -> Result<String, Error> {
    let bucket = store::open(String::new()).await?;
    let sum = atomics::increment(&bucket, "runs".into(), 1).await?;
    let options = SetOptions { ttl_ms: None, if_not_exists: true };
    match bucket.set("first".into(), sum.to_string().into_bytes(), Some(options)).await {
        Ok(()) | Err(Error::PreconditionFailed) => {}
        Err(error) => return Err(error),
    }
    let first = bucket.get("first".into()).await?.unwrap_or_default();
    Ok(format!("{sum}, the first was {}\n", String::from_utf8_lossy(&first)))
}

impl wasip3::exports::cli::run::Guest for Runs {
    async fn run() -> Result<(), ()> {
        let counted = count().await;
        let text = match &counted {
            Ok(text) => text.clone(),
            Err(error) => format!("{error:?}\n"),
        };
        common::say(text).await?;
        counted.map(drop).map_err(drop)
    }
}
