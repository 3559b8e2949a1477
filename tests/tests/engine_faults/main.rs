//! Faults of servers, as a fused component sees them through `wasi:sockets` and `wasi:http` of the real wasmtime.
//!
//! The stores' own tests try every fault at every byte with the same code over `std::net`; these tests cover what only the
//! host's interfaces can get wrong.

mod setup;

use anyhow::{Context, Result, ensure};
use kvfuse_servers::etcd::Etcd;
use kvfuse_servers::process::{free_port, wait_until};
use kvfuse_servers::proxy::{Direction, Fault};
use kvfuse_servers::watchdog::Watchdog;
use kvfuse_tests::session::Session;
use kvfuse_tests::{Command, Program};
use libtest_mimic::{Arguments, Trial};
use setup::{Engine, Server, Setup, start};
use std::net::TcpListener;

/// What happens, and which engines it can happen to.
type Case = (fn(&Setup) -> Result<()>, fn(Engine) -> bool);

const CASES: &[(&str, Case)] = &[
    ("a_server_that_is_down_is_an_error_that_names_it", (down, |_| true)),
    ("the_same_instance_works_when_the_server_has_come_up", (comes_up, |_| true)),
    ("a_server_that_hangs_costs_the_time_limit_and_no_more", (hangs, |_| true)),
    ("a_read_that_is_cut_off_is_read_again", (cut_off_read, |_| true)),
    ("a_write_that_is_cut_off_has_an_unknown_outcome", (cut_off_write, Engine::marks_nothing)),
    ("a_write_that_is_cut_off_is_found_by_its_mark", (found_write, Engine::marks)),
    ("an_answer_that_stops_in_the_middle_costs_the_time_limit", (stops_in_the_middle, |_| true)),
    ("a_server_that_never_stops_sending_costs_the_time_limit_and_no_more", (never_stops, Engine::reads_without_end)),
    ("a_deadline_wins_over_data_that_is_there_whenever_it_is_looked_for", (always_there, Engine::reads_without_end)),
    ("nonsense_is_an_error_and_no_value", (nonsense, |_| true)),
    ("a_restarted_server_is_found_again_by_the_same_instance", (restarted, |_| true)),
    ("an_increment_whose_answer_was_lost_is_reported_as_unknown", (lost_increment, Engine::marks_nothing)),
];

fn main() -> Result<()> {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        trial("redis::tls_that_sockets_do_not_have_is_refused_and_nothing_is_sent", tls_is_refused),
        trial("etcd::a_killed_leader_costs_nothing_that_was_acknowledged", leader_killed),
    ];
    for engine in Engine::ALL {
        for (case, (run, _)) in CASES.iter().filter(|(_, (_, has))| has(engine)) {
            trials.push(trial(format!("{}::{case}", engine.name()), move || run(&Setup::new(engine)?)));
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

fn down(setup: &Setup) -> Result<()> {
    let port = free_port();
    let mut instance = setup.instance(port, "1500")?;
    let mut refused = 0;
    for order in ["get a", "set a 1", "incr n 1", "get-many a b"] {
        let error = instance.error(order)?;
        // The last attempt may end with the time.
        let is_refused = error.contains("refused");
        ensure!(is_refused || error.contains("did not answer within 1500 ms"), "{order}: {error}");
        ensure!(error.contains(&format!("127.0.0.1:{port}")), "{order}: {error}");
        ensure!(!error.contains("may or may not"), "what was never sent did not happen: {error}");
        refused += u32::from(is_refused);
    }
    ensure!(refused > 0, "no error says why");
    Ok(())
}

fn comes_up(setup: &Setup) -> Result<()> {
    let mut server = setup.server();
    server.kill();
    let mut instance = setup.instance(server.proxy.port(), "1500")?;
    instance.error("get a")?;
    server.resume();
    instance.eventually("get a");
    instance.eventually("set a 1");
    ensure!(instance.eventually("get a") == "1");
    Ok(())
}

fn hangs(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "1500")?;
    instance.eventually("set a 1");
    server.freeze();
    for order in ["get a", "get-many a b"] {
        let error = instance.error(order)?;
        ensure!(error.contains("did not answer within 1500 ms"), "{order}: {error}");
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

/// The same for a read with a short time limit. On a busy machine it may end without an answer, which then comes later and is
/// counted with the next one: two answers that follow each other must have the same length.
fn last_byte_read(instance: &mut Session, server: &Server, order: &str) -> usize {
    let (mut before, mut last) = (0, 0);
    wait_until("two answers of the same length", || {
        instance.eventually(order);
        before = std::mem::replace(&mut last, server.proxy.count().1);
        last == before
    });
    last - 1
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

/// The answer to the write itself: an increment may read before it.
fn found_write(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "10000")?;
    let last = last_byte(&mut instance, &server, "set a 1")?;
    for byte in [0, last / 2, last] {
        server.proxy.plan(Direction::Reply, Fault::Close, byte);
        instance.value("set a 2")?;
        ensure!(!server.proxy.clear(), "the fault at byte {byte} was not played");
        ensure!(instance.value("get a")? == "2");
        instance.value("set a 1")?;
    }
    // A header of DynamoDB has a checksum of the sum, in fewer digits for some: the next answer may be shorter.
    let last = last_byte(&mut instance, &server, "incr n 1")? - 4;
    for (byte, sum) in [(last - 1, "3"), (last, "4")] {
        server.proxy.plan(Direction::Reply, Fault::Close, byte);
        ensure!(instance.value("incr n 1")? == sum, "cut off at byte {byte}");
        ensure!(!server.proxy.clear(), "the fault at byte {byte} was not played");
        ensure!(instance.value("get n")? == sum, "it happened once");
    }
    Ok(())
}

fn stops_in_the_middle(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "1500")?;
    instance.eventually("set a 1");
    let last = last_byte_read(&mut instance, &server, "get a");
    for byte in [1, last] {
        server.proxy.plan(Direction::Reply, Fault::Hang, byte);
        let error = instance.error("get a")?;
        ensure!(error.contains("did not answer within 1500 ms"), "at byte {byte}: {error}");
        ensure!(!server.proxy.clear(), "the fault at byte {byte} was not played");
        ensure!(instance.eventually("get a") == "1");
    }
    Ok(())
}

fn never_stops(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "1500")?;
    instance.eventually("set a 1");
    let flood = if setup.engine == Engine::Redis { Fault::PUSHES } else { Fault::BODY };
    for order in ["get a", "get-many a b"] {
        server.proxy.plan(Direction::Reply, flood, 0);
        let error = instance.error(order)?;
        ensure!(error.contains("did not answer within 1500 ms"), "{order}: {error}");
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
    let variables = setup.variables(server.proxy.port());
    let (name, value) = variables[0].split_once('=').context("a variable")?;
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
    let mut instance = setup.instance(server.proxy.port(), "5000")?;
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
        match instance.ask("set a 1")? {
            Ok(_) => ensure!(setup.engine.marks(), "nonsense was an answer to a write"),
            Err(error) => ensure!(error.contains("may or may not have happened"), "{error}"),
        }
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
    let (n, a) = if setup.engine.keeps() { ("6", "1") } else { ("1", "") };
    ensure!(instance.value("incr n 1")? == n);
    ensure!(instance.value("get a")? == a);
    Ok(())
}

fn lost_increment(setup: &Setup) -> Result<()> {
    let server = setup.server();
    let mut instance = setup.instance(server.proxy.port(), "5000")?;
    // It may read first; the answer that is lost is the one to the write.
    let last = last_byte(&mut instance, &server, "incr n 1")?;
    server.proxy.plan(Direction::Reply, Fault::Close, last);
    let error = instance.error("incr n 1")?;
    ensure!(!server.proxy.clear(), "the fault was not played");
    ensure!(error.contains("may or may not have happened"), "{error}");
    // The server did it, once.
    ensure!(instance.value("get n")? == "3");
    ensure!(instance.value("incr n 1")? == "4");
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
