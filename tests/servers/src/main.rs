//! Runs a command with servers: `kvfuse-servers COMMAND…`.
//!
//! Starts a Redis, a Memcached, an etcd with one member and emulators of DynamoDB, Azure Tables and S3 on free loopback ports,
//! in their own folders, and stops them when the command has exited. The command finds them through `KVFUSE_REDIS_URL`,
//! `KVFUSE_REDIS_TLS_URL` with `KVFUSE_REDIS_TLS_CA`, `KVFUSE_MEMCACHED_SERVERS`, `KVFUSE_ETCD_ENDPOINTS`,
//! `KVFUSE_DYNAMODB_ENDPOINT`, `KVFUSE_AZURE_ENDPOINT` with `KVFUSE_AZURE_KEY`, and `KVFUSE_S3_ENDPOINT` with
//! `KVFUSE_S3_ACCESS_KEY_ID` and `KVFUSE_S3_SECRET_ACCESS_KEY`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failure is a failed run")]

use kvfuse_servers::all::Servers;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: kvfuse-servers COMMAND…");
        return ExitCode::FAILURE;
    };
    let servers = Servers::start();
    let status = Command::new(&program).args(words).envs(servers.variables()).status();
    match status {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("cannot start {}: {error}", program.display());
            ExitCode::FAILURE
        }
    }
}
