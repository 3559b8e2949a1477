//! Faults of servers, as a fused component sees them through `wasi:sockets` and `wasi:http` of the real wasmtime.
//!
//! The stores' own tests try every fault at every byte with the same code over `std::net`; these tests cover what only the
//! host's interfaces can get wrong.

use anyhow::{Context, Result, ensure};
use kvfuse_servers::certificates::Authority;
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::process::free_port;
use kvfuse_servers::proxy::{Direction, Fault, Proxy};
use kvfuse_servers::redis::Redis;
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::session::Session;
use kvfuse_tests::{Command, Program, fused_with};
use libtest_mimic::{Arguments, Trial};
use std::net::TcpListener;
use std::path::PathBuf;
use tempfile::TempDir;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Redis,
    RedisTls,
    Etcd,
}

type Case = fn(&Setup) -> Result<()>;

const CASES: &[(&str, Case)] = &[
    ("a_server_that_is_down_is_an_error_that_names_it", down),
    ("the_same_instance_works_when_the_server_has_come_up", comes_up),
    ("a_server_that_hangs_costs_the_time_limit_and_no_more", hangs),
    ("a_read_that_is_cut_off_is_read_again", cut_off_read),
    ("a_write_that_is_cut_off_has_an_unknown_outcome", cut_off_write),
    ("an_answer_that_stops_in_the_middle_costs_the_time_limit", stops_in_the_middle),
    ("a_server_that_never_stops_sending_costs_the_time_limit_and_no_more", never_stops),
    ("a_deadline_wins_over_data_that_is_there_whenever_it_is_looked_for", always_there),
    ("nonsense_is_an_error_and_no_value", nonsense),
    ("a_restarted_server_is_found_again_by_the_same_instance", restarted),
    ("an_increment_whose_answer_was_lost_is_reported_as_unknown", lost_increment),
];

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        trial("redis::tls_that_sockets_do_not_have_is_refused_and_nothing_is_sent", tls_is_refused),
        trial("etcd::a_killed_leader_costs_nothing_that_was_acknowledged", leader_killed),
    ];
    for (engine, name) in [(Engine::Redis, "redis"), (Engine::RedisTls, "redis_tls"), (Engine::Etcd, "etcd")] {
        // Nobody but the server can send without an end what is encrypted with its keys.
        let floods = |case: &str| case.contains("never_stops") || case.contains("whenever_it_is_looked_for");
        for (case, run) in CASES.iter().filter(|(case, _)| engine != Engine::RedisTls || !floods(case)) {
            trials.push(trial(format!("{name}::{case}"), move || run(&Setup::new(engine)?)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit()
}

fn trial(name: impl Into<String>, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let name = name.into();
    Trial::test(name.clone(), move || {
        let _watchdog = Watchdog::of(&name);
        Ok(run()?)
    })
}

/// The fused component of one engine.
struct Setup {
    engine: Engine,
    folder: TempDir,
    authority: Authority,
}

/// A real server with a proxy before it.
struct Server {
    redis: Option<Redis>,
    etcd: Option<Etcd>,
    proxy: Proxy,
}

impl Setup {
    fn new(engine: Engine) -> Result<Self> {
        let this = Self { engine, folder: tempfile::tempdir()?, authority: Authority::new() };
        let provider = match engine {
            Engine::Redis => "keyvalue-redis",
            Engine::RedisTls => "keyvalue-redis-tls",
            Engine::Etcd => "keyvalue-etcd",
        };
        std::fs::write(this.program(), fused_with("remote", provider)?)?;
        Ok(this)
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("fused.wasm")
    }

    /// Starts an instance that has the server at this port.
    fn instance(&self, port: u16, time_limit: &str) -> Result<Session> {
        let authority = format!("KEYVALUE_TLS_CA={}", self.authority.pem());
        start(&self.program(), &[&self.address(port), &authority], time_limit)
    }

    fn address(&self, port: u16) -> String {
        match self.engine {
            Engine::Redis => format!("KEYVALUE_REDIS_URL=redis://127.0.0.1:{port}"),
            Engine::RedisTls => format!("KEYVALUE_REDIS_URL=rediss://127.0.0.1:{port}"),
            Engine::Etcd => format!("KEYVALUE_ETCD_ENDPOINTS=http://127.0.0.1:{port}"),
        }
    }

    fn server(&self) -> Server {
        let (redis, etcd) = match self.engine {
            Engine::Redis => (Some(Redis::start(&[])), None),
            Engine::RedisTls => (Some(Redis::start_tls(&self.authority.certificate("127.0.0.1"), &[])), None),
            Engine::Etcd => (None, Some(Etcd::start(1, &[]))),
        };
        let of_redis = |redis: &Redis| if self.engine == Engine::RedisTls { redis.tls_port() } else { redis.port() };
        let port = redis.as_ref().map(of_redis).or(etcd.as_ref().map(|etcd| etcd.ports()[0])).expect("one of them");
        Server { redis, etcd, proxy: Proxy::start(port) }
    }
}

fn start(program: &std::path::Path, variables: &[&str], time_limit: &str) -> Result<Session> {
    Session::start(program, &[variables, &[&format!("KEYVALUE_TIMEOUT_MS={time_limit}")]].concat(), None)
}

impl Server {
    fn freeze(&self) {
        self.redis.iter().for_each(Redis::freeze);
        self.etcd.iter().for_each(|etcd| etcd.freeze(0));
    }

    fn thaw(&self) {
        self.redis.iter().for_each(Redis::thaw);
        self.etcd.iter().for_each(|etcd| etcd.thaw(0));
    }

    fn kill(&mut self) {
        self.redis.iter_mut().for_each(Redis::kill);
        self.etcd.iter_mut().for_each(|etcd| etcd.kill(0));
    }

    fn resume(&mut self) {
        self.redis.iter_mut().for_each(Redis::resume);
        if let Some(etcd) = &mut self.etcd {
            etcd.resume(0);
            etcd.wait_until_serving();
        }
    }
}

fn down(setup: &Setup) -> Result<()> {
    let port = free_port();
    let mut instance = setup.instance(port, "200")?;
    for order in ["get a", "set a 1", "incr n 1", "get-many a b"] {
        let error = instance.error(order)?;
        ensure!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("refused"), "{order}: {error}");
        ensure!(!error.contains("may or may not"), "what was never sent did not happen: {error}");
    }
    Ok(())
}

fn comes_up(setup: &Setup) -> Result<()> {
    let mut server = setup.server();
    server.kill();
    let mut instance = setup.instance(server.proxy.port(), "200")?;
    instance.error("get a")?;
    server.resume();
    instance.eventually("get a");
    instance.value("set a 1")?;
    ensure!(instance.value("get a")? == "1");
    Ok(())
}

fn hangs(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "300")?;
    instance.eventually("set a 1");
    server.freeze();
    for order in ["get a", "get-many a b"] {
        let error = instance.error(order)?;
        ensure!(error.contains("did not answer within 300 ms"), "{order}: {error}");
    }
    instance.error("set a 2")?;
    server.thaw();
    instance.eventually("get a");
    instance.eventually("set a 3");
    ensure!(instance.eventually("get a") == "3");
    Ok(())
}

/// Where in the next answer to `order` a fault comes: the length of the answer to the same before, less one.
fn last_byte(instance: &mut Session, server: &Server, order: &str) -> Result<usize> {
    instance.value(order)?;
    server.proxy.count();
    instance.value(order)?;
    Ok(server.proxy.count().1 - 1)
}

fn cut_off_read(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "10000")?;
    instance.value("set a 1")?;
    let last = last_byte(&mut instance, &server, "get a")?;
    for byte in [0, 1, last / 2, last] {
        server.proxy.plan(Direction::Reply, Fault::Close, byte);
        ensure!(instance.value("get a")? == "1", "cut off at byte {byte}");
        ensure!(!server.proxy.clear(), "the fault at byte {byte} was not played");
    }
    Ok(())
}

fn cut_off_write(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "10000")?;
    let last = last_byte(&mut instance, &server, "set a 1")?;
    for byte in [0, last / 2, last] {
        server.proxy.plan(Direction::Reply, Fault::Close, byte);
        let error = instance.error("set a 2")?;
        ensure!(error.contains("may or may not have happened"), "cut off at byte {byte}: {error}");
        ensure!(!server.proxy.clear(), "the fault at byte {byte} was not played");
        // The request had reached the server.
        ensure!(instance.value("get a")? == "2");
        instance.value("set a 1")?;
    }
    Ok(())
}

fn stops_in_the_middle(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "300")?;
    instance.eventually("set a 1");
    let last = last_byte(&mut instance, &server, "get a")?;
    for byte in [1, last] {
        server.proxy.plan(Direction::Reply, Fault::Hang, byte);
        let error = instance.error("get a")?;
        ensure!(error.contains("did not answer within 300 ms"), "at byte {byte}: {error}");
        ensure!(!server.proxy.clear(), "the fault at byte {byte} was not played");
        ensure!(instance.eventually("get a") == "1");
    }
    Ok(())
}

fn never_stops(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "300")?;
    instance.eventually("set a 1");
    let flood = if setup.engine == Engine::Redis { Fault::PUSHES } else { Fault::BODY };
    for order in ["get a", "get-many a b"] {
        server.proxy.plan(Direction::Reply, flood, 0);
        let error = instance.error(order)?;
        ensure!(error.contains("did not answer within 300 ms"), "{order}: {error}");
        ensure!(!server.proxy.clear(), "the fault was not played");
        ensure!(instance.eventually("get a") == "1");
    }
    server.proxy.plan(Direction::Reply, flood, 0);
    let error = instance.error("set a 2")?;
    ensure!(error.contains("may or may not have happened"), "{error}");
    Ok(())
}

fn always_there(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let program = Program::new(&std::fs::read(setup.program())?)?;
    let address = setup.address(server.proxy.port());
    let (name, value) = address.split_once('=').context("a variable")?;
    let run = |orders: &str| {
        let command = Command::new(&[]).network().env(name, value).env("KEYVALUE_TIMEOUT_MS", "2000").eager();
        program.run(&command.input(orders.as_bytes()))
    };
    let outcome = run("set a 1\n")?;
    ensure!(outcome.text() == "= \n", "{outcome:?}");
    let flood = if setup.engine == Engine::Redis { Fault::PUSHES } else { Fault::BODY };
    server.proxy.plan(Direction::Reply, flood, 0);
    let outcome = run("get a\nget a\n")?;
    let text = outcome.text();
    let lines: Vec<_> = text.lines().collect();
    // The next call is not late any more.
    ensure!(matches!(lines[..], [late, "= 1"] if late.starts_with("! ") && late.contains("2000 ms")), "{outcome:?}");
    ensure!(!server.proxy.clear(), "the fault was not played");
    Ok(())
}

fn nonsense(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "1000")?;
    instance.value("set a 1")?;
    let last = last_byte(&mut instance, &server, "get a")?;
    for byte in [0, last / 2] {
        server.proxy.plan(Direction::Reply, Fault::Nonsense, byte);
        // A read may be retried, and then succeeds.
        if let Ok(value) = instance.ask("get a")? {
            ensure!(value == "1", "nonsense at byte {byte} gave {value:?}");
        }
        // That connection was dropped; this is a new one.
        ensure!(instance.value("get a")? == "1");
        server.proxy.plan(Direction::Reply, Fault::Nonsense, 0);
        let error = instance.error("set a 1")?;
        ensure!(error.contains("may or may not have happened"), "{error}");
        ensure!(instance.value("get a")? == "1", "the same instance works again");
    }
    Ok(())
}

fn restarted(setup: &Setup) -> Result<()> {
    let mut server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "10000")?;
    instance.value("set a 1")?;
    instance.value("incr n 5")?;
    server.kill();
    server.resume();
    ensure!(instance.value("incr n 1")? == "6");
    ensure!(instance.value("get a")? == "1");
    Ok(())
}

fn lost_increment(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "2000")?;
    instance.value("incr n 1")?;
    // On etcd an increment reads first; the answer that is lost is the one to the write.
    let read = if setup.engine == Engine::Etcd { last_byte(&mut instance, &server, "get n")? + 1 } else { 0 };
    server.proxy.plan(Direction::Reply, Fault::Close, read + 1);
    let error = instance.error("incr n 1")?;
    ensure!(!server.proxy.clear(), "the fault was not played");
    ensure!(error.contains("may or may not have happened"), "{error}");
    // The server did it, once.
    ensure!(instance.value("get n")? == "2");
    ensure!(instance.value("incr n 1")? == "3");
    Ok(())
}

fn tls_is_refused() -> Result<()> {
    let setup = Setup::new(Engine::Redis)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = format!("KEYVALUE_REDIS_URL=rediss://:hunter2@127.0.0.1:{}", listener.local_addr()?.port());
    let mut instance = start(&setup.program(), &[&address], "10000")?;
    for order in ["get a", "set a 1"] {
        let error = instance.error(order)?;
        ensure!(error.contains("TLS") && !error.contains("hunter2"), "{error}");
    }
    listener.set_nonblocking(true)?;
    let connected = listener.accept();
    ensure!(connected.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "nothing connected");
    Ok(())
}

fn leader_killed() -> Result<()> {
    let setup = Setup::new(Engine::Etcd)?;
    let mut etcd = Etcd::start(3, &[]);
    let address = format!("KEYVALUE_ETCD_ENDPOINTS={}", etcd.endpoints());
    let mut instance = start(&setup.program(), &[&address], "10000")?;
    let (mut done, mut unknown) = (0, 0);
    for round in 0..60 {
        if round == 20 {
            let leader = etcd.leader();
            etcd.kill(leader);
        }
        match instance.ask("incr n 1")? {
            Ok(_) => done += 1,
            Err(error) if error.contains("may or may not have happened") => unknown += 1,
            Err(error) => anyhow::bail!("{error}"),
        }
    }
    let found: u64 = instance.value("get n")?.parse()?;
    ensure!((done..=done + unknown).contains(&found), "{done} acknowledged and {unknown} unknown, found {found}");
    Ok(())
}
