//! A command that streams a value into the store and out again, and compares the two. Its argument is the size in MiB; with
//! `read` after it, the value is there already.

wit_bindgen::generate!({
    path: ["../../wit/io", "../../wit/v0_1"],
    world: "wasi:keyvalue/imports@0.1.0",
    with: {
        "wasi:io/error@0.2.12": wasip2::io::error,
        "wasi:io/poll@0.2.12": wasip2::io::poll,
        "wasi:io/streams@0.2.12": wasip2::io::streams,
    },
});

use wasi::keyvalue::{eventual, types};
use wasip2::cli::{environment, stdout};
use wasip2::io::streams::StreamError;

const CHUNK: usize = 1 << 16;

struct Large;
wasip2::cli::command::export!(Large);

impl wasip2::exports::cli::run::Guest for Large {
    fn run() -> Result<(), ()> {
        let said = round_trip().unwrap_or_else(|error| format!("failed: {error}"));
        // If standard output is gone, nobody reads this.
        drop(stdout::get_stdout().blocking_write_and_flush(format!("{said}\n").as_bytes()));
        Ok(())
    }
}

/// The bytes at one place of the value; no two chunks are the same.
fn chunk(number: u64) -> Vec<u8> {
    (0..CHUNK as u64 / 8).flat_map(|n| (number << 32 | n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect()
}

fn trace(error: types::Error) -> String {
    error.trace()
}

fn text(error: StreamError) -> String {
    format!("{error:?}")
}

fn round_trip() -> Result<String, String> {
    let mib: u64 = environment::get_arguments().get(1).and_then(|n| n.parse().ok()).ok_or("how many MiB?")?;
    let chunks = (mib << 20) / CHUNK as u64;
    let bucket = types::Bucket::open_bucket("large").map_err(trace)?;
    if environment::get_arguments().get(2).map(String::as_str) != Some("read") {
        write(&bucket, chunks)?;
    }
    read(&bucket, chunks)
}

fn write(bucket: &types::Bucket, chunks: u64) -> Result<(), String> {
    let value = types::OutgoingValue::new_outgoing_value();
    let stream = value.outgoing_value_write_body_async().map_err(trace)?;
    for number in 0..chunks {
        let bytes = chunk(number);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let permit = usize::try_from(stream.check_write().map_err(text)?).unwrap_or(usize::MAX);
            if permit == 0 {
                stream.subscribe().block();
                continue;
            }
            let (now, later) = rest.split_at(permit.min(rest.len()));
            stream.write(now).map_err(text)?;
            rest = later;
        }
        stream.blocking_flush().map_err(text)?;
    }
    drop(stream);
    eventual::set(bucket, "key", &value).map_err(trace)
}

fn read(bucket: &types::Bucket, chunks: u64) -> Result<String, String> {
    let value = eventual::get(bucket, "key").map_err(trace)?.ok_or("missing")?;
    let size = value.incoming_value_size().map_err(trace)?;
    let stream = types::IncomingValue::incoming_value_consume_async(value).map_err(trace)?;
    let (mut number, mut have) = (0, Vec::with_capacity(2 * CHUNK));
    loop {
        match stream.blocking_read(CHUNK as u64) {
            Ok(bytes) => have.extend_from_slice(&bytes),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(text(error)),
        }
        while have.len() >= CHUNK {
            if have.get(..CHUNK) != Some(chunk(number).as_slice()) {
                return Err(format!("chunk {number} came back different"));
            }
            have.drain(..CHUNK);
            number += 1;
        }
    }
    Ok(format!("{size} bytes, {number} chunks of {chunks} and {} bytes came back", have.len()))
}
