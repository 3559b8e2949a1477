//! The conformance of the Redis and the etcd provider: the same cases that the file provider passes (`guests.rs`), fused
//! with each, on real servers.
//!
//! The servers are set up for the cases, which have values of 16 MiB: etcd's default limit for a request is 1.5 MiB
//! (`--max-request-bytes`).

use anyhow::{Context, Result};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::redis::Redis;
use kvfuse_tests::{Command, Program, fused_with};
use libtest_mimic::{Arguments, Trial};
use std::sync::Arc;

/// The guests whose cases any store has to pass.
const GUESTS: &[&str] = &["both", "draft", "draft2"];

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let etcd = Arc::new(Etcd::start(1, &["--max-request-bytes", "33554432"]));
    let mut trials = Vec::new();
    for guest in GUESTS {
        for provider in ["redis", "etcd"] {
            let program = Arc::new(Program::new(&fused_with(guest, &format!("keyvalue-{provider}"))?)?);
            for case in program.cases().context(guest)? {
                let (program, etcd, name) = (program.clone(), etcd.clone(), format!("{provider}::{guest}::{case}"));
                let prefix = format!("{name}/");
                trials.push(Trial::test(name, move || {
                    Ok(if provider == "redis" {
                        on_redis(&program, &case)
                    } else {
                        on_etcd(&program, &case, &prefix, &etcd)
                    }?)
                }));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // Not `exit`, which would leave the server running.
    drop(etcd);
    conclusion.exit()
}

fn on_redis(program: &Program, case: &str) -> Result<()> {
    let redis = Redis::start(&[]);
    run(program, Command::new(&[case]).network().env("KEYVALUE_REDIS_URL", &redis.url()))
}

fn on_etcd(program: &Program, case: &str, prefix: &str, etcd: &Etcd) -> Result<()> {
    let command = Command::new(&[case]).env("KEYVALUE_ETCD_ENDPOINTS", &etcd.endpoints());
    run(program, command.env("KEYVALUE_PREFIX", prefix))
}

fn run(program: &Program, command: Command) -> Result<()> {
    program.run(&command.env("KEYVALUE_TIMEOUT_MS", "60000"))?.succeeded()
}
