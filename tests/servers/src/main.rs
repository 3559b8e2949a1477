//! Runs a command with servers beside it: `kvfuse-servers COMMAND…`.
//!
//! A Redis and an etcd of one member are started on free loopback ports, in folders of their own, and stopped when the
//! command has ended. It finds them by `KVFUSE_REDIS_URL` and `KVFUSE_ETCD_ENDPOINTS`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure is a failed run")]

use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: kvfuse-servers COMMAND…");
        return ExitCode::FAILURE;
    };
    let redis = Redis::start(&[]);
    // As etcd comes, but for the size of a request: values of the conformance suite have up to 16 MiB.
    let etcd = Etcd::start(1, &["--max-request-bytes", "33554432"]);
    let status = Command::new(&program)
        .args(words)
        .env("KVFUSE_REDIS_URL", redis.url())
        .env("KVFUSE_ETCD_ENDPOINTS", etcd.endpoints())
        .status();
    match status {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("{} does not start: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}
