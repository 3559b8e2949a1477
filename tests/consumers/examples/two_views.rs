//! Gets of 100 bytes over 1,000 keys of one bucket, through `wasi:keyvalue@0.2.0-draft2` and through `wasmcloud:keyvalue@0.2.0`
//! called synchronously, in turns. The argument is how many of each; prints the nanoseconds of one through either.

mod common;

mod draft2 {
    wit_bindgen::generate!({ path: "../../wit/draft2", world: "wasi:keyvalue/imports@0.2.0-draft2" });
}
mod wasmcloud {
    wit_bindgen::generate!({
        path: "../../wit/wasmcloud_0_2",
        world: "wasmcloud:keyvalue/imports@0.2.0",
        async: false,
    });
}

use wasip3::clocks::monotonic_clock;

struct TwoViews;
wasip3::cli::command::export!(TwoViews);

const TURN: usize = 100;

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}

/// The nanoseconds of one call of a turn.
fn turn(from: usize, mut get: impl FnMut(&str) -> Result<Option<Vec<u8>>, String>) -> Result<u64, String> {
    let keys: Vec<String> = (from..from + TURN).map(|n| key(n * 7919)).collect();
    let began = monotonic_clock::now();
    for key in &keys {
        if get(key)?.is_none_or(|value| value.len() != 100) {
            return Err(format!("{key} is not what was set"));
        }
    }
    Ok((monotonic_clock::now() - began) / TURN as u64)
}

fn key(n: usize) -> String {
    format!("key {:04}", n % 1000)
}

fn median(mut all: Vec<u64>) -> u64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

fn measure(times: usize) -> Result<String, String> {
    let plain = draft2::wasi::keyvalue::store::open("two views").map_err(text)?;
    let cloud = wasmcloud::wasmcloud::keyvalue::store::open("two views").map_err(text)?;
    for n in 0..1000 {
        plain.set(&key(n), &[b'v'; 100]).map_err(text)?;
    }
    let (mut by_plain, mut by_cloud) = (Vec::new(), Vec::new());
    for from in (0..times).step_by(TURN) {
        by_plain.push(turn(from, |key| plain.get(key).map_err(text))?);
        by_cloud.push(turn(from, |key| cloud.get(key).map_err(text))?);
    }
    Ok(format!("{} {}\n", median(by_plain), median(by_cloud)))
}

impl wasip3::exports::cli::run::Guest for TwoViews {
    async fn run() -> Result<(), ()> {
        let times =
            wasip3::cli::environment::get_arguments().get(1).and_then(|times| times.parse().ok()).unwrap_or(TURN);
        let answer = measure(times);
        let (Ok(text) | Err(text)) = answer.clone();
        common::say(text).await?;
        answer.map(drop).map_err(drop)
    }
}
