//! Bounded staleness in fused components, over every store: what an instance reads although another one has written, and
//! that it asks nobody.

use anyhow::{Result, ensure};
use kvfuse_servers::dynamodb::DynamoDb;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::process::wait_until;
use kvfuse_servers::proxy::Proxy;
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::fused_with;
use kvfuse_tests::session::Session;
use std::path::Path;
use tempfile::TempDir;

/// A guest fused with a store, and where its data is.
struct Setup<'a> {
    folder: TempDir,
    variables: Vec<&'a str>,
    directory: Option<&'a Path>,
}

impl Setup<'_> {
    fn instance(&self, stale_ms: &str) -> Result<Session> {
        let stale = format!("KEYVALUE_STALE_MS={stale_ms}");
        let variables = [&self.variables[..], &[&stale]].concat();
        Session::start(&self.folder.path().join("fused.wasm"), &variables, self.directory)
    }
}

fn setup<'a>(provider: &str, variables: &[&'a str], directory: Option<&'a Path>) -> Result<Setup<'a>> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("fused.wasm"), fused_with("remote", provider)?)?;
    Ok(Setup { folder, variables: variables.to_vec(), directory })
}

/// An hour is longer than this test, so within it nothing becomes too old. `asked` says whether the store was asked since
/// the last time, if that can be counted. Where it cannot, what another instance wrote would show.
fn reads_within_the_bound(setup: &Setup, mut asked: impl FnMut() -> Option<bool>) -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let (mut ours, mut theirs) = (setup.instance("3600000")?, setup.instance("")?);
    theirs.value("set a 1")?;
    theirs.value("set b 1")?;
    ensure!(ours.value("get a")? == "1" && ours.value("exists x")? == "false");
    theirs.value("set a 2")?;
    theirs.value("set x 1")?;
    asked();
    ensure!(ours.value("get a")? == "1" && ours.value("exists a")? == "true" && ours.value("get-many a x")? == "1");
    ensure!(ours.value("exists x")? == "false");
    ensure!(asked() != Some(true), "what was seen was asked for again");
    // A batch asks for the rest, and what decides a swap is never what was kept.
    ensure!(ours.value("get-many a b x")? == "2" && asked() != Some(false));
    ensure!(ours.value("cas a")? == "2" && asked() != Some(false));
    ensure!(ours.value("get a")? == "2");
    // Own writes show.
    ours.value("set a 3")?;
    ensure!(ours.value("get a")? == "3" && theirs.value("get a")? == "3");
    ours.value("incr n 5")?;
    theirs.value("incr n 1")?;
    ensure!(ours.value("get n")? == "5" && ours.value("incr n 1")? == "7" && ours.value("get n")? == "7");
    ours.value("delete a")?;
    theirs.value("set a 4")?;
    ensure!(ours.value("exists a")? == "false");
    // After a listing, nothing older than it.
    ensure!(ours.value("list")? == "4" && ours.value("get a")? == "4");
    Ok(())
}

fn reads_after_the_bound(setup: &Setup) -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let (mut ours, mut theirs) = (setup.instance("1")?, setup.instance("")?);
    theirs.value("set a 1")?;
    ensure!(ours.value("get a")? == "1");
    theirs.value("set a 2")?;
    let mut failed = None;
    wait_until("what another instance wrote shows", || match ours.value("get a") {
        Ok(value) => value == "2",
        Err(error) => {
            failed = Some(error);
            true
        }
    });
    failed.map_or(Ok(()), Err)
}

/// Bounded staleness of buckets that are routed, under a label: what is kept goes by the bucket as it is in its store.
#[test]
fn under_a_label_and_with_routes_each_bucket_is_kept_for_itself_whichever_store_it_is_in() -> Result<()> {
    let _watchdog = Watchdog::of_the_test();
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let data = tempfile::tempdir()?;
    let url = format!("KEYVALUE_REDIS_URL=redis://127.0.0.1:{}", proxy.port());
    let variables = [&*url, "KEYVALUE_STORE=files", "KEYVALUE_ROUTES=default=redis"];
    let setup = setup("keyvalue-stores", &variables, Some(data.path()))?;
    let labelled = |label: &str, stale: &str| {
        let label = format!("KEYVALUE_LABEL={label}");
        let stale = format!("KEYVALUE_STALE_MS={stale}");
        let variables = [&variables[..], &[&*label, &*stale]].concat();
        Session::start(&setup.folder.path().join("fused.wasm"), &variables, Some(data.path()))
    };
    let (mut ours, mut theirs) = (labelled("a", "3600000")?, labelled("a", "")?);
    let (mut other, mut plain) = (labelled("b", "3600000")?, setup.instance("3600000")?);
    // `in files` is a bucket of the default store, and the one without a name is routed to Redis.
    for bucket in ["", "in files"] {
        for order in [format!("in {bucket}: set k 1"), format!("in {bucket}: get k")] {
            theirs.value(&order)?;
        }
        ensure!(ours.value(&format!("in {bucket}: get k"))? == "1");
        theirs.value(&format!("in {bucket}: set k 2"))?;
        proxy.count();
        ensure!(ours.value(&format!("in {bucket}: get k"))? == "1", "{bucket:?}: it was asked for again");
        ensure!(proxy.count().0 == 0, "{bucket:?}: something was sent");
        // Neither another label nor what has none reads of it, before or after they have written themselves.
        for (name, instance) in [("other", &mut other), ("plain", &mut plain)] {
            ensure!(instance.value(&format!("in {bucket}: get k"))?.is_empty());
            instance.value(&format!("in {bucket}: set k {name}"))?;
            ensure!(instance.value(&format!("in {bucket}: get k"))? == name);
        }
        ensure!(ours.value(&format!("in {bucket}: get k"))? == "1");
        ours.value(&format!("in {bucket}: set k 3"))?;
        ensure!(
            ours.value(&format!("in {bucket}: get k"))? == "3" && theirs.value(&format!("in {bucket}: get k"))? == "3"
        );
    }
    ensure!(redis.command(&["DBSIZE"]) == ":3", "{}", redis.command(&["DBSIZE"]));
    Ok(())
}

#[test]
fn over_files_reads_within_the_bound_are_answered_without_the_file_system() -> Result<()> {
    let data = tempfile::tempdir()?;
    let setup = setup("keyvalue", &[], Some(data.path()))?;
    reads_after_the_bound(&setup)?;
    let data = tempfile::tempdir()?;
    let setup = self::setup("keyvalue", &[], Some(data.path()))?;
    reads_within_the_bound(&setup, || None)
}

#[test]
fn over_redis_reads_within_the_bound_send_nothing() -> Result<()> {
    let redis = Redis::start(&[]);
    let proxy = Proxy::start(redis.port());
    let url = format!("KEYVALUE_REDIS_URL=redis://127.0.0.1:{}", proxy.port());
    let setup = setup("keyvalue-redis", &[&url], None)?;
    reads_after_the_bound(&setup)?;
    redis.command(&["FLUSHALL"]);
    reads_within_the_bound(&setup, || Some(proxy.count().0 > 0))
}

#[test]
fn over_etcd_reads_within_the_bound_send_nothing() -> Result<()> {
    let etcd = Etcd::start(1, &[]);
    let proxy = Proxy::start(etcd.ports()[0]);
    let endpoint = format!("KEYVALUE_ETCD_ENDPOINTS=http://127.0.0.1:{}", proxy.port());
    let setup = setup("keyvalue-etcd", &[&endpoint, "KEYVALUE_PREFIX=one/"], None)?;
    reads_after_the_bound(&setup)?;
    let setup = self::setup("keyvalue-etcd", &[&endpoint, "KEYVALUE_PREFIX=two/"], None)?;
    reads_within_the_bound(&setup, || Some(proxy.count().0 > 0))
}

#[test]
fn over_dynamodb_reads_within_the_bound_send_nothing() -> Result<()> {
    let dynamodb = DynamoDb::start();
    let proxy = Proxy::start(dynamodb.port());
    let endpoint = format!("KEYVALUE_DYNAMODB_ENDPOINT=http://127.0.0.1:{}", proxy.port());
    let (id, secret) = &dynamodb.access_key;
    let id = format!("KEYVALUE_DYNAMODB_ACCESS_KEY_ID={id}");
    let secret = format!("KEYVALUE_DYNAMODB_SECRET_ACCESS_KEY={secret}");
    let variables = |prefix| [&*endpoint, "KEYVALUE_DYNAMODB_REGION=us-east-1", &*id, &*secret, prefix];
    reads_after_the_bound(&setup("keyvalue-dynamodb", &variables("KEYVALUE_PREFIX=one/"), None)?)?;
    let setup = setup("keyvalue-dynamodb", &variables("KEYVALUE_PREFIX=two/"), None)?;
    reads_within_the_bound(&setup, || Some(proxy.count().0 > 0))
}
