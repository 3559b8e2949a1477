//! The guided tour: every part of the interface once, with its results.

use crate::bindings::wasi::keyvalue::atomics::{self, CasError};
use crate::bindings::wasi::keyvalue::{batch, store};
use crate::describe;
use serde::{Deserialize, Serialize};
use std::process::ExitCode;

/// Why the tour stopped: the store returned an error, or something other than the interface promises.
struct Stop(String);

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        Self(describe::error(&error))
    }
}

impl From<CasError> for Stop {
    fn from(error: CasError) -> Self {
        match error {
            CasError::StoreError(error) => error.into(),
            CasError::CasFailed(_) => Self("a swap conflicted although nobody else had written".to_string()),
        }
    }
}

type Step = Result<(), Stop>;

pub fn run() -> Result<ExitCode, String> {
    println!("kv_demo: a tour of wasi:keyvalue@0.2.0-draft2");
    let (bucket, durable) = match store::open("") {
        Ok(bucket) => (bucket, true),
        Err(error) => {
            println!("\nThe bucket \"default\" cannot be opened: {}", describe::error(&error));
            println!("So this tour uses the bucket \":memory:\", which only lasts for this run.");
            let bucket = store::open(":memory:")
                .map_err(|e| format!("the bucket \":memory:\" cannot be opened either: {}", describe::error(&e)))?;
            (bucket, false)
        }
    };
    tour(&bucket).map_err(|Stop(reason)| format!("the tour stopped: {reason}"))?;
    match runs(&bucket, durable) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Stop(reason)) => Err(format!("counting this run failed: {reason}")),
    }
}

fn tour(bucket: &store::Bucket) -> Step {
    crud(bucket)?;
    binary(bucket)?;
    pages(bucket)?;
    counter(bucket)?;
    conflict(bucket)?;
    several(bucket)?;
    record(bucket)
}

fn title(number: u8, text: &str) {
    println!("\n{number}. {text}");
}

fn expect(holds: bool, what: &str) -> Step {
    if holds { Ok(()) } else { Err(Stop(format!("the store broke a promise: {what}"))) }
}

fn crud(bucket: &store::Bucket) -> Step {
    title(1, "Set, get, exists, delete");
    bucket.set("tour/greeting", b"Hello, components")?;
    let value = bucket.get("tour/greeting")?;
    println!("   set tour/greeting, and get gives {}", value.as_deref().map_or("nothing".into(), describe::value));
    expect(value.as_deref() == Some(b"Hello, components"), "what was set is read")?;
    bucket.delete("tour/greeting")?;
    let exists = bucket.exists("tour/greeting")?;
    println!("   after delete, exists says {exists}, and deleting it again is not an error");
    expect(!exists, "a deleted key does not exist")?;
    Ok(bucket.delete("tour/greeting")?)
}

fn binary(bucket: &store::Bucket) -> Step {
    title(2, "Values are any bytes, keys any string");
    let bytes: Vec<u8> = (0..=255).collect();
    let key = "tour/../\0 Ключ 🗝";
    bucket.set(key, &bytes)?;
    let value = bucket.get(key)?;
    println!("   {key:?} holds {}", value.as_deref().map_or("nothing".into(), describe::value));
    expect(value == Some(bytes), "every byte comes back as it was")?;
    Ok(bucket.delete(key)?)
}

fn pages(bucket: &store::Bucket) -> Step {
    title(3, "Listing, page by page");
    let names: Vec<String> = (0..2500).map(|n| format!("tour/page/{n:04}")).collect();
    let pairs: Vec<(String, Vec<u8>)> = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    batch::set_many(bucket, &pairs)?;
    let (mut cursor, mut sizes, mut found) = (None, Vec::new(), Vec::new());
    loop {
        let page = bucket.list_keys(cursor.as_deref())?;
        sizes.push(page.keys.len().to_string());
        found.extend(page.keys.into_iter().filter(|key| key.starts_with("tour/page/")));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    println!("   2500 keys set in one batch came back in pages of {} keys", sizes.join(" + "));
    expect(found == names, "a listing gives every key once")?;
    Ok(batch::delete_many(bucket, &names)?)
}

fn counter(bucket: &store::Bucket) -> Step {
    title(4, "A counter");
    bucket.delete("tour/counter")?;
    let steps = [5, 10, -3].map(|delta| atomics::increment(bucket, "tour/counter", delta).map(|sum| (delta, sum)));
    let mut last = 0;
    for step in steps {
        let (delta, sum) = step?;
        println!("   adding {delta} gives {sum}");
        last = sum;
    }
    let raw = bucket.get("tour/counter")?;
    println!("   it is stored as {}", raw.as_deref().map_or("nothing".into(), describe::value));
    expect(last == 12 && raw.as_deref() == Some(b"12"), "counters add up and are decimal text")
}

fn conflict(bucket: &store::Bucket) -> Step {
    title(5, "Compare-and-swap: two writers and a conflict");
    bucket.set("tour/stock", b"7")?;
    let mine = atomics::Cas::new(bucket, "tour/stock")?;
    println!(
        "   I read {}; then someone else sells two",
        mine.current()?.map_or("nothing".into(), |v| describe::value(&v))
    );
    let theirs = atomics::Cas::new(bucket, "tour/stock")?;
    atomics::swap(theirs, b"5")?;
    match atomics::swap(mine, b"6") {
        Err(CasError::CasFailed(fresh)) => {
            let now = fresh.current()?.map_or("nothing".into(), |value| describe::value(&value));
            println!("   my swap to \"6\" fails, and returns the current value: {now}");
            atomics::swap(fresh, b"4")?;
        }
        Ok(()) => return expect(false, "a swap on a stale state fails"),
        Err(error) => return Err(error.into()),
    }
    let value = bucket.get("tour/stock")?;
    println!("   I swap again, from that to {}", value.as_deref().map_or("nothing".into(), describe::value));
    expect(value.as_deref() == Some(b"4"), "the second swap took effect")
}

fn several(bucket: &store::Bucket) -> Step {
    title(6, "Several keys in one call");
    let pairs = ["red", "green", "blue"].map(|name| (format!("tour/colour/{name}"), name.as_bytes().to_vec()));
    batch::set_many(bucket, &pairs)?;
    let mut keys: Vec<String> = pairs.iter().map(|(key, _)| key.clone()).collect();
    keys.push("tour/colour/none".to_string());
    for (key, value) in batch::get_many(bucket, &keys)? {
        println!("   {key}: {}", value.as_deref().map_or("nothing".into(), describe::value));
    }
    Ok(batch::delete_many(bucket, &keys)?)
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Ship {
    name: String,
    crew: u32,
    cargo: Vec<String>,
}

fn record(bucket: &store::Bucket) -> Step {
    title(7, "A record as JSON");
    let ship = Ship { name: "Beagle".into(), crew: 74, cargo: vec!["finches".into(), "barnacles".into()] };
    let json = |e: serde_json::Error| Stop(format!("JSON: {e}"));
    bucket.set("tour/ship", &serde_json::to_vec(&ship).map_err(json)?)?;
    let stored = bucket.get("tour/ship")?.unwrap_or_default();
    println!("   {}", String::from_utf8_lossy(&stored));
    let back: Ship = serde_json::from_slice(&stored).map_err(json)?;
    expect(back == ship, "the record comes back as it was")
}

fn runs(bucket: &store::Bucket, durable: bool) -> Step {
    let runs = atomics::increment(bucket, "tour/runs", 1)?;
    println!();
    if durable {
        println!("This tour has run {runs} {} on this store.", if runs == 1 { "time" } else { "times" });
        println!("The data is kept: run it again and the number goes up.");
    } else {
        println!("Nothing was kept. To keep data, grant a directory: wasmtime run --dir data::/ …");
    }
    Ok(())
}
