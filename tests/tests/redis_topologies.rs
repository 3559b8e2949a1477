//! Redis Cluster and Redis with sentinels, fused, under the wasmtime command line, while primaries are killed.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::process::wait_until;
use kvfuse_servers::redis_cluster::RedisCluster;
use kvfuse_servers::sentinels::Sentinels;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::lean::example;
use kvfuse_tests::session::Session;
use kvfuse_tests::{command_line, component, fused_with};
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// A running instance of the guest `remote`, fused with the Redis provider.
fn remote(url: &str) -> Result<(Session, TempDir)> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("fused.wasm");
    std::fs::write(&program, fused_with("remote", "keyvalue-redis")?)?;
    let url = format!("KEYVALUE_REDIS_URL={url}");
    Ok((Session::start(&program, &[&url, "KEYVALUE_TIMEOUT_MS=40000"], None)?, folder))
}

/// The same instance uses the store before and after something happens.
fn goes_on(url: &str, happens: impl FnOnce() -> Result<()>) -> Result<()> {
    let (mut session, _folder) = remote(url)?;
    for number in 0..30 {
        session.value(&format!("set {number} value"))?;
    }
    ensure!(session.value("incr n 41")? == "41");
    let keys: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    let all = format!("get-many {} x", keys.join(" "));
    ensure!(session.value(&all)? == "30");
    ensure!(session.value("list")? == "31");
    happens()?;
    ensure!(session.value(&all)? == "30");
    ensure!(session.value("incr n 1")? == "42");
    ensure!(session.value("list")? == "31");
    for number in 0..30 {
        ensure!(session.value(&format!("get {number}"))? == "value");
        session.value(&format!("delete {number}"))?;
    }
    ensure!(session.value("list")? == "1");
    Ok(())
}

#[test]
fn an_instance_follows_a_failover_of_sentinels() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let mut sentinels = Sentinels::start();
    goes_on(&sentinels.url(), || {
        sentinels.wait_until_replicated();
        let primary = sentinels.primary();
        sentinels.servers.get_mut(primary).context("a server")?.kill();
        Ok(())
    })
}

#[test]
fn instances_of_both_worlds_follow_a_failover_of_a_cluster() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let mut cluster = RedisCluster::of_six(&[]);
    let url = cluster.url();
    let (counts, _folder) = many(&url, &["count", "counter", "20000", "64"])?;
    goes_on(&url, || {
        // Not the one with the counter, so that it is known what is in it: Redis replicates after it has answered.
        let owner = cluster.owner("many:counter");
        let killed = (owner + 1) % 3;
        let value = |cluster: &RedisCluster| {
            let node = cluster.nodes.get(owner).expect("a node");
            node.command(&["GET", "many:counter"]).parse::<u64>().unwrap_or(0)
        };
        wait_until("the load goes on", || value(&cluster) >= 1000);
        cluster.wait_for_replica(killed, &cluster.key_at(killed));
        cluster.nodes.get_mut(killed).context("a node")?.kill();
        let counted = String::from_utf8(counts.wait_with_output()?.stdout)?;
        let (known, unknown) = counted.trim().split_once(' ').with_context(|| counted.clone())?;
        let (known, unknown, value) = (known.parse::<u64>()?, unknown.parse::<u64>()?, value(&cluster));
        ensure!(known <= value && value <= known + unknown, "{known} known, {unknown} unknown, and it is {value}");
        ensure!(known > 19_000, "{known} known of 20000: the others were retried");
        Ok(())
    })
}

/// The guest `many_wasmcloud`, whose calls wait beside each other.
fn many(url: &str, arguments: &[&str]) -> Result<(Child, TempDir)> {
    let folder = tempfile::tempdir()?;
    let fused = folder.path().join("fused.wasm");
    let component = kvfuse_compose::compose(&example("many_wasmcloud")?, &component("keyvalue-redis-async")?)?;
    std::fs::write(&fused, component)?;
    let mut command = command_line()?;
    command.args(["run", "-S", "inherit-network,tcp", "--env", &format!("KEYVALUE_REDIS_URL={url}")]);
    command.args(["--env", "KEYVALUE_TIMEOUT_MS=40000"]).arg(&fused).args(arguments);
    Ok((command.stdout(Stdio::piped()).spawn()?, folder))
}
