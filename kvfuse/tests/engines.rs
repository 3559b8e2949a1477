//! The stores over servers, on real ones: fused by `kvfuse fuse --store`, run by wasmtime and by `kvfuse run`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use kvfuse_servers::azure::{AzureTables, KEY};
use kvfuse_servers::s3::S3;
use kvfuse_servers::{certificates::Authority, dynamodb::DynamoDb, etcd::Etcd, memcached::Memcached, redis::Redis};
use kvfuse_transport::http::Method;
use std::process::Command;
use support::{Folder, Ran, built, wasmtime};

/// The wasmtime command that `inspect` prints, in this folder, with one variable for real.
fn line(folder: &Folder, file: &str, variable: (&str, &str)) -> Command {
    let mut command = wasmtime();
    command.args(support::line(folder, file, &[variable])).env(variable.0, variable.1);
    command
}

/// The same with a cache of compiled code: components that contain an interpreter take long to compile.
fn precompiled(folder: &Folder, file: &str, compiled: &str, variable: (&str, &str)) -> Command {
    let line = line(folder, file, variable);
    let arguments: Vec<_> = line.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let (last, options) = arguments.split_last().unwrap();
    assert_eq!(last, file);
    let mut command = Command::new(line.get_program());
    command.args(options).args(["--allow-precompiled", compiled]).env(variable.0, variable.1);
    command
}

/// The demo, fused with a store over HTTP.
struct Toured {
    folder: Folder,
    /// Its variables, but for the time limit.
    settings: Vec<String>,
}

impl Toured {
    /// After a tour under `kvfuse run`, and one under wasmtime.
    fn of(store: &str, variables: &[(&str, &str)]) -> Self {
        // The tour deletes thousands of keys in one call, which takes an emulator seconds.
        let patient = [variables, &[("KEYVALUE_TIMEOUT_MS", "60000")]].concat();
        let folder = Folder::new();
        folder.write("app.wasm", built("kv_demo.wasm"));
        folder.kvfuse(&["fuse", "app.wasm", "--store", store]).ok();
        let this = Self { folder, settings: variables.iter().map(|(name, value)| format!("{name}={value}")).collect() };
        let tour = this.run("60000", &["app.fused.wasm"]).ok();
        assert!(tour.contains("has run 1 time "), "{tour}");
        let mut command = wasmtime();
        command.args(support::line(&this.folder, "app.fused.wasm", &patient)).envs(patient);
        assert!(this.folder.run(&mut command).ok().contains("has run 2 times"));
        this
    }

    fn run(&self, time_limit: &str, arguments: &[&str]) -> Ran {
        let time_limit = format!("KEYVALUE_TIMEOUT_MS={time_limit}");
        let settings = self.settings.iter().chain([&time_limit]).flat_map(|setting| ["--env", setting]);
        self.folder.kvfuse(&["run"].into_iter().chain(settings).chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// Everything that is printed when the command is explained, and when it runs although its server has stopped.
    fn printed_without<S>(&self, server: S) -> [String; 3] {
        let explained = self.run("60000", &["--explain", "app.fused.wasm"]).ok();
        drop(server);
        let failed = self.run("300", &["app.fused.wasm", "--", "get", "a"]);
        assert_ne!(failed.code, Some(0));
        [explained, failed.stdout, failed.stderr]
    }
}

#[test]
#[ignore = "needs Python and Node: make test-languages"]
fn every_language_stores_and_reads_through_redis() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    for (language, greeting) in
        [("python", "Grüße aus Python"), ("javascript", "Grüße aus JavaScript"), ("c", "Grüße aus C")]
    {
        let folder = Folder::new();
        folder.write("app.wasm", built(&format!("kv_{language}.wasm")));
        folder.kvfuse(&["fuse", "app.wasm", "--store", "redis"]).ok();
        let variable = ("KEYVALUE_REDIS_URL", url.as_str());
        // Code is compiled for the options that it runs with.
        let options: Vec<_> =
            line(&folder, "app.fused.wasm", variable).get_args().map(|word| word.to_owned()).collect();
        let wasm = options.windows(2).filter(|pair| pair[0] == "-W").flatten();
        folder.run(wasmtime().arg("compile").args(wasm).args(["app.fused.wasm", "-o", "app.cwasm"])).ok();
        for run in 1..=2 {
            let mut command = precompiled(&folder, "app.fused.wasm", "app.cwasm", variable);
            assert_eq!(folder.run(&mut command).ok(), format!("{greeting}: run {run}\n"));
        }
    }
    // As seen by another client of the same server.
    assert_eq!(redis.command(&["GET", "default:c/runs"]), "2");
}

#[test]
fn run_connects_to_the_server_that_the_environment_names() {
    let redis = Redis::start(&[]);
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    folder.kvfuse(&["fuse", "app.wasm", "--store", "redis"]).ok();
    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let run = |arguments: &[&str]| {
        folder.kvfuse(&[["run", "--env", &variable, "app.fused.wasm", "--"].as_slice(), arguments].concat())
    };
    assert!(run(&[]).ok().contains("has run 1 time "));
    run(&["set", "key", "value"]).ok();
    assert_eq!(run(&["get", "key"]).ok(), "value");
    // Only the network was granted: no directory was created.
    assert_eq!(folder.names(), ["app.fused.wasm", "app.wasm"]);

    let refused = folder.kvfuse(&["run", "app.fused.wasm"]);
    assert_eq!(refused.code, Some(125));
    assert_eq!(
        refused.stderr,
        "\
error: the store does not know where its server is
  --> KEYVALUE_REDIS_URL
   = note: KEYVALUE_REDIS_URL is not set: the server: redis://[[user][:password]@]host[:port][/database]; \
redis+sentinel://host,host/name and redis+cluster://host,host for several
   = help: --env KEYVALUE_REDIS_URL=redis://127.0.0.1:6379
"
    );
}

#[test]
fn memcached_is_a_store_like_the_others_but_for_what_a_cache_cannot_do() {
    let server = Memcached::start(&[]);
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let variable = format!("KEYVALUE_MEMCACHED_SERVERS={}", server.address());
    let run = |arguments: &[&str]| {
        folder.kvfuse(&[&["run", "--store", "memcached", "--env", &variable, "app.wasm", "--"], arguments].concat())
    };
    run(&["set", "key", "value"]).ok();
    assert_eq!(run(&["get", "key"]).ok(), "value");
    assert_eq!(server.command("mg default:key v"), "value");
    folder.kvfuse(&["fuse", "app.wasm", "--store", "memcached"]).ok();
    let mut wasmtime = line(&folder, "app.fused.wasm", ("KEYVALUE_MEMCACHED_SERVERS", &server.address()));
    assert_eq!(folder.run(wasmtime.args(["get", "key"])).ok(), "value");

    let place = server.address();
    let kv = |arguments: &[&str]| folder.kvfuse(&[&["kv"], arguments, &["--store", &place]].concat());
    kv(&["put", "short", "1", "--ttl", "3600"]).ok();
    assert!(server.command("mg default:short t").starts_with("HD t36"), "an hour is left");
    assert_eq!(kv(&["incr", "short", "41"]).ok().trim(), "42");
    assert!(server.command("mg default:short t").starts_with("HD t36"), "it still is");
    assert_eq!(kv(&["get", "key"]).ok(), "value");
    for refused in
        [kv(&["list"]), kv(&["watch"]), folder.kvfuse(&["dump", "all.dump", "--bucket", "default", "--store", &place])]
    {
        assert!(refused.code != Some(0), "{}", refused.stdout);
        assert!(refused.stderr.contains("Memcached") || refused.stderr.contains("what changes"), "{}", refused.stderr);
    }
    let mistyped = folder.kvfuse(&["kv", "get", "key", "--store", "memcached://ann:hunter2@h"]);
    assert!(mistyped.code != Some(0) && !mistyped.stderr.contains("hunter2"), "{}", mistyped.stderr);
}

#[test]
fn a_url_that_asks_for_tls_takes_the_store_that_has_it_wherever_the_url_is_known() {
    let authority = Authority::new();
    let redis = Redis::start_tls(&authority.certificate("127.0.0.1"), &[]);
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let settings = [("KEYVALUE_REDIS_URL", redis.tls_url()), ("KEYVALUE_TLS_CA", authority.pem().to_string())];
    let variables = settings.each_ref().map(|(name, value)| format!("{name}={value}"));
    let run = |arguments: &[&str]| {
        folder.kvfuse(&[&["run", "--env", &variables[0], "--env", &variables[1]], arguments].concat())
    };
    run(&["--store", "redis", "app.wasm", "--", "set", "key", "value"]).ok();
    assert_eq!(redis.command(&["GET", "default:key"]), "value");
    let explained = run(&["--store", "redis", "--explain", "app.wasm"]).ok();
    assert!(explained.contains("kvfuse fuse app.wasm --store redis-tls"), "{explained}");

    let with = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        folder.run(command.args(arguments).envs(settings.clone()))
    };
    with(&["fuse", "app.wasm", "--store", "redis"]).ok();
    assert_eq!(run(&["app.fused.wasm", "--", "get", "key"]).ok(), "value");
    assert_eq!(with(&["kv", "get", "--store", &settings[0].1, "key"]).ok(), "value");
    assert_eq!(with(&["kv", "get", "--store", "redis", "key"]).ok(), "value");

    // Where it is not known, the component says which store has it.
    folder.kvfuse(&["fuse", "app.wasm", "--store", "redis", "-o", "plain.wasm"]).ok();
    let refused = run(&["plain.wasm", "--", "get", "key"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("--store redis-tls"), "{}", refused.stderr);
}

#[test]
fn a_provider_of_the_users_own_reaches_only_what_the_user_allows() {
    let (redis, other) = (Redis::start(&[]), Redis::start(&[]));
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm")).write("mine.wasm", built("keyvalue-redis.wasm"));
    let variable = format!("KEYVALUE_REDIS_URL={}", redis.url());
    let run = |allowed: &[&str]| {
        let start = ["run", "--provider", "mine.wasm", "--env", &variable];
        folder.kvfuse(&[&start, allowed, &["app.wasm", "--", "set", "key", "value"]].concat())
    };
    // Only the variables of built-in stores are known.
    assert_ne!(run(&[]).code, Some(0));
    assert_ne!(run(&["--net", &format!("127.0.0.1:{}", other.port())]).code, Some(0));
    assert_eq!(redis.command(&["DBSIZE"]), ":0");
    run(&["--net", &format!("127.0.0.1:{}", redis.port())]).ok();
    assert_eq!(redis.command(&["GET", "default:key"]), "value");
}

#[test]
fn a_login_is_never_printed() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let variables = ["KEYVALUE_REDIS_URL=redis://ann:hunter2@127.0.0.1:1", "KEYVALUE_REDIS_PASSWORD=hunter3"];
    let arguments = ["run", "--store", "redis", "--env", variables[0], "--env", variables[1], "app.wasm"];
    let explained = folder.kvfuse(&[arguments.as_slice(), &["--explain"]].concat()).ok();
    assert!(explained.contains("-S p3=n,inherit-network,allow-ip-name-lookup"), "{explained}");
    assert!(explained.contains("--env KEYVALUE_REDIS_URL --env KEYVALUE_REDIS_PASSWORD "), "{explained}");
    let failed = folder.kvfuse(&[arguments.as_slice(), &["--", "get", "a"]].concat());
    assert_ne!(failed.code, Some(0));
    for text in [&explained, &failed.stdout, &failed.stderr] {
        assert!(!text.contains("hunter"), "{text}");
    }
}

#[test]
fn etcd_is_reached_over_http_by_run_and_by_wasmtime() {
    let etcd = Etcd::start(1, &[]);
    let endpoints = etcd.endpoints();
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    folder.kvfuse(&["fuse", "app.wasm", "--store", "etcd"]).ok();
    let variable = format!("KEYVALUE_ETCD_ENDPOINTS={endpoints}");
    let tour = folder.kvfuse(&["run", "--env", &variable, "app.fused.wasm"]).ok();
    assert!(tour.contains("has run 1 time "), "{tour}");
    let mut command = line(&folder, "app.fused.wasm", ("KEYVALUE_ETCD_ENDPOINTS", &endpoints));
    assert!(folder.run(&mut command).ok().contains("has run 2 times"));
}

#[test]
fn dynamodb_is_reached_over_http_by_run_and_by_wasmtime_and_its_access_key_is_never_printed() {
    let dynamodb = DynamoDb::start();
    let endpoint = dynamodb.endpoint();
    let variables = [
        ("KEYVALUE_DYNAMODB_ENDPOINT", endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAHUNTER1"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2"),
        ("AWS_SESSION_TOKEN", "hunter3"),
    ];
    for text in Toured::of("dynamodb", &variables).printed_without(dynamodb) {
        assert!(!text.to_ascii_lowercase().contains("hunter"), "{text}");
    }
}

#[test]
fn azure_tables_are_reached_over_http_by_run_by_kv_and_by_wasmtime_and_their_key_is_never_printed() {
    let azure = AzureTables::start();
    let endpoint = azure.endpoint();
    let toured = Toured::of("azure", &[("KEYVALUE_AZURE_ENDPOINT", &endpoint), ("KEYVALUE_AZURE_KEY", KEY)]);
    let place = format!("azure:{endpoint}");
    let key = ["--store", &place, "--env", &toured.settings[1]];
    let kv = |arguments: &[&str]| toured.folder.kvfuse(&[&["kv"], arguments, &key].concat());
    kv(&["put", "a/b", "1", "--ttl", "3600"]).ok();
    assert_eq!(kv(&["incr", "a/b", "41"]).ok().trim(), "42");
    assert_eq!(kv(&["list", "--prefix", "a/"]).ok().trim(), "a/b");
    let watched = kv(&["watch"]);
    assert!(watched.code != Some(0) && watched.stderr.contains("what changes"), "{}", watched.stderr);

    for text in toured.printed_without(azure).iter().chain([&watched.stderr]) {
        assert!(!text.contains(KEY), "{text}");
    }
}

#[test]
fn s3_is_reached_over_http_by_run_by_kv_and_by_wasmtime_and_its_secret_is_never_printed() {
    let s3 = S3::seaweedfs();
    let (endpoint, (id, secret)) = (s3.endpoint(), s3.access_key.clone());
    let variables =
        [("KEYVALUE_S3_ENDPOINT", &*endpoint), ("AWS_ACCESS_KEY_ID", &id), ("AWS_SECRET_ACCESS_KEY", &secret)];
    let toured = Toured::of("s3", &variables);
    let place = format!("s3:{endpoint}");
    let keys = ["--store", &place, "--env", &toured.settings[1], "--env", &toured.settings[2]];
    let kv = |arguments: &[&str]| toured.folder.kvfuse(&[&["kv"], arguments, &keys].concat());
    kv(&["put", "a/b", "1"]).ok();
    assert_eq!(kv(&["incr", "a/b", "41"]).ok().trim(), "42");
    assert_eq!(kv(&["list", "--prefix", "a/"]).ok().trim(), "a/b");
    assert_eq!(s3.request(Method::Get, "default/a/b", "", b"").unwrap().body, b"42");
    let refused = [kv(&["put", "a/b", "1", "--ttl", "60"]), kv(&["watch"])];
    for (refused, why) in refused.iter().zip(["lifetimes", "what changes"]) {
        assert!(refused.code != Some(0) && refused.stderr.contains(why), "{}", refused.stderr);
    }

    for text in toured.printed_without(s3).iter().chain(refused.iter().map(|refused| &refused.stderr)) {
        assert!(!text.contains(&secret) && !text.contains(&id), "{text}");
    }
}

#[test]
fn a_password_with_commas_is_granted_and_works() {
    let redis = Redis::start(&["--requirepass", "a,b,c"]);
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let url = format!("redis://:a,b,c@127.0.0.1:{}", redis.port());
    let variable = format!("KEYVALUE_REDIS_URL={url}");
    let run = |arguments: &[&str]| {
        let start = ["run", "--store", "redis", "--env", &variable, "app.wasm", "--"];
        folder.kvfuse(&[&start, arguments].concat())
    };
    run(&["set", "key", "value"]).ok();
    assert_eq!(run(&["get", "key"]).ok(), "value");

    // A character that a URL cannot contain is refused with the reason, before anything runs.
    let refused = folder.kvfuse(&["run", "--store", "redis", "--env", &variable.replace("a,b", "a#,b"), "app.wasm"]);
    assert_eq!(refused.code, Some(125));
    let what = "error: this variable is not a valid URL";
    assert!(refused.stderr.starts_with(what) && refused.stderr.contains("percent-encode"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("b,c"), "{}", refused.stderr);
}
