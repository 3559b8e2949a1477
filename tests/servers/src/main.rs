//! Runs a command with servers: `kvfuse-servers COMMAND…`.
//!
//! Starts a Redis, an etcd with one member and an emulator of DynamoDB on free loopback ports, in their own folders, and
//! stops them when the command has exited. The command finds them through `KVFUSE_REDIS_URL`, `KVFUSE_REDIS_TLS_URL` with
//! `KVFUSE_REDIS_TLS_CA`, `KVFUSE_ETCD_ENDPOINTS` and `KVFUSE_DYNAMODB_ENDPOINT`; an emulator of Azure Tables through
//! `KVFUSE_AZURE_ENDPOINT` and `KVFUSE_AZURE_KEY`.
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
