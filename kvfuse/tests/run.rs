//! `kvfuse run`: the embedded wasmtime, its grants and its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use support::server::Server;
use support::{Folder, built, component, consumer_of, example, wasmtime};

/// What the line has for a component of WASI 0.2.
const LEAN: &str = "-S p3=n -W concurrency-support=n";
/// The note on them.
const CHEAPER: &str = "p3=n and concurrency-support=n make calls of the store cheaper. They need wasmtime 46: leave them out \
                       with an older one";

fn demo() -> Folder {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    folder
}

#[test]
fn a_component_is_fused_in_memory_and_keeps_its_data() {
    let folder = demo();
    assert!(folder.kvfuse(&["run", "app.wasm"]).ok().contains("has run 1 time "));
    assert!(folder.kvfuse(&["run", "app.wasm"]).ok().contains("has run 2 times"));
    assert_eq!(folder.names(), ["app.wasm", "data"]);

    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert!(folder.kvfuse(&["run", "app.fused.wasm"]).ok().contains("has run 3 times"));
    let other = folder.kvfuse(&["run", "--data", "elsewhere", "app.fused.wasm"]).ok();
    assert!(other.contains("has run 1 time "));
}

#[test]
fn arguments_streams_and_the_exit_code_are_passed_on() {
    let folder = demo();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kvfuse"))
        .args(["run", "app.wasm", "--", "set", "key"])
        .current_dir(folder.path(""))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"from standard input").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(folder.kvfuse(&["run", "app.wasm", "--", "get", "key"]).ok(), "from standard input");
    let missing = folder.kvfuse(&["run", "app.wasm", "--", "get", "other"]);
    assert_eq!((missing.code, missing.stderr.as_str()), (Some(1), "kv_demo: there is no key \"other\"\n"));
    // The demo exits with 2, but wasi:cli/exit has only success and failure, as in wasmtime's own command line.
    assert_eq!(folder.kvfuse(&["run", "app.wasm", "--", "nonsense"]).code, Some(1));
}

#[test]
fn only_the_variables_of_the_store_are_passed_on() {
    let folder = demo();
    let run = |name: &str, value: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvfuse"));
        folder.run(command.args(arguments).env(name, value))
    };
    // `Folder::run` hides the environment's variables, so this one is set by the flag.
    let denied = folder.kvfuse(&["run", "--env", "KEYVALUE_BUCKETS=sessions", "app.wasm", "--", "get", "a"]);
    assert_eq!(denied.code, Some(1));
    assert!(denied.stderr.contains("access"), "{}", denied.stderr);
    let line = run("OTHER", "x", &["run", "--explain", "app.wasm"]).ok();
    assert!(!line.contains("OTHER"), "{line}");
}

#[test]
fn explain_prints_the_line_that_does_the_same() {
    let folder = demo();
    let said = folder.kvfuse(&["run", "--explain", "app.wasm", "--", "set", "a key", "1"]).ok();
    assert_eq!(
        said,
        format!(
            "kvfuse fuse app.wasm\nmkdir -p data\n# {CHEAPER}\nwasmtime run {LEAN} --dir data::/ app.fused.wasm set 'a key' 1\n"
        )
    );
    assert_eq!(folder.names(), ["app.wasm"], "nothing was run");

    // And it does: the printed lines are executed.
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    std::fs::create_dir(folder.path("data")).unwrap();
    let line = ["--dir", "data::/", "app.fused.wasm", "set", "a key", "1"];
    folder.run(wasmtime().arg("run").args(LEAN.split(' ')).args(line)).ok();
    assert_eq!(folder.kvfuse(&["run", "app.wasm", "--", "get", "a key"]).ok(), "1");
}

#[test]
fn a_value_given_on_the_command_line_is_shown_only_if_it_is_not_secret() {
    let folder = demo();
    let said = folder
        .kvfuse(&["run", "--explain", "--env", "KEYVALUE_BUCKETS=a", "--env", "APP_TOKEN=hunter2", "app.wasm"])
        .ok();
    assert!(said.contains("--env KEYVALUE_BUCKETS=a "), "{said}");
    assert!(said.contains("--env APP_TOKEN "), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_library_is_run_by_a_call_of_one_of_its_functions() {
    let folder = Folder::new();
    folder.write("lib.wasm", consumer_of(&["draft2"]));
    folder.refuses(
        &["run", "lib.wasm"],
        125,
        "\
error: a library does not run by itself
  --> lib.wasm
   = note: it exports neither wasi:cli/run nor a handler of wasi:http
   = help: call one of its functions: --invoke 'run()'
",
    );
}

#[test]
fn what_cannot_be_run_has_a_code_that_no_component_has() {
    let folder = Folder::new();
    folder.refuses(
        &["run", "app.wasm"],
        125,
        "\
error: cannot read the component: there is no such file
  --> app.wasm
   = help: the first argument is the path of a component (*.wasm)
",
    );
    folder.write("data", "a file in the way").write("demo.wasm", built("kv_demo.wasm"));
    folder.refuses(
        &["run", "demo.wasm"],
        125,
        "\
error: the data directory cannot be created: File exists
  --> data
   = help: --data names another one
",
    );
}

const CLI: &str = "package wasi:cli@0.2.0 { interface run { run: func() -> result; } }";

#[test]
fn a_trap_is_told_from_an_exit_code() {
    let folder = Folder::new();
    let wit = "package test:it; package acme:db@1.0.0 { interface things { frob: func(); } }";
    folder.write("app.wasm", component(&format!("{wit} {CLI} world w {{ export wasi:cli/run@0.2.0; }}")));
    let ran = folder.kvfuse(&["run", "app.wasm"]);
    assert_eq!(ran.code, Some(134), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: the component trapped\n  --> app.wasm\n   = note: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("unreachable"), "{}", ran.stderr);

    // An import that no runtime has.
    let world = "world w { import acme:db/things@1.0.0; export wasi:cli/run@0.2.0; }";
    folder.write("app.wasm", component(&format!("{wit} {CLI} {world}")));
    let ran = folder.kvfuse(&["run", "app.wasm"]);
    assert_eq!(ran.code, Some(125));
    assert!(ran.stderr.starts_with("error: this component cannot be started\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("acme:db/things@1.0.0"), "{}", ran.stderr);
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("wasmtime does not provide acme:db/things@1.0.0"), "{said}");
}

#[test]
fn labelled_imports_run() {
    let folder = Folder::new();
    let world = "world w {
        import sessions: wasi:keyvalue/store@0.2.0-draft2;
        import carts: wasi:keyvalue/store@0.2.0-draft2;
        export wasi:cli/run@0.2.0;
    }";
    let store = support::store_wit("@0.2.0-draft2", "string");
    folder.write("app.wasm", component(&format!("package test:it; {store} {CLI} {world}")));
    let said = folder.kvfuse(&["fuse", "app.wasm"]).ok();
    assert!(
        said.contains("wasmtime run -S p3=n -W concurrency-support=n,component-model-implements --dir data::/"),
        "{said}"
    );
    // It is instantiated with both imports connected; that its body is `unreachable` shows that it was called.
    assert_eq!(folder.kvfuse(&["run", "app.fused.wasm"]).code, Some(134));
    let arguments = ["run", "-W", "component-model-implements", "--dir", "data::/", "app.fused.wasm"];
    let ran = folder.run(wasmtime().args(arguments));
    assert!(ran.stderr.contains("unreachable"), "{}", ran.stderr);
}

const HTTP: &str = "package wasi:http@0.2.0 {
    interface types { resource incoming-request; resource response-outparam; }
    interface incoming-handler {
        use types.{incoming-request, response-outparam};
        handle: func(request: incoming-request, response-out: response-outparam);
    }
}";

#[test]
fn a_handler_that_traps_fails_one_request_and_not_the_server() {
    let folder = Folder::new();
    let wit = format!("package test:it; {HTTP} world w {{ export wasi:http/incoming-handler@0.2.0; }}");
    folder.write("web.wasm", component(&wit));
    let server = Server::start(&folder, &["web.wasm"]);
    for _ in 0..2 {
        assert!(server.get().starts_with("HTTP/1.0 500 "));
        let said = server.said("unreachable");
        assert!(said.contains("error: the component trapped\n  --> web.wasm\n"), "{said}");
    }
}

#[test]
fn a_handler_is_served_with_each_request_in_an_instance_of_its_own() {
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors"));
    let server = Server::start(&folder, &["web.wasm"]);
    for visitor in 1..=20 {
        assert_eq!(server.count(), visitor);
    }
    drop(server);

    // The line that explains it does the same.
    folder.kvfuse(&["fuse", "web.wasm"]).ok();
    let said = folder.kvfuse(&["run", "--explain", "web.fused.wasm"]).ok();
    let (note, line) = said.split_once('\n').unwrap();
    assert!(note.starts_with("# --max-instance-reuse-count 128 keeps an instance"), "{said}");
    assert_eq!(line, "wasmtime serve -S cli --addr 127.0.0.1:8080 --dir data::/ web.fused.wasm\n");
    let server = Server::start(&folder, &["web.fused.wasm"]);
    assert_eq!(server.count(), 21);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let folder = Folder::new();
    let wit = format!("package test:it; {HTTP} world w {{ export wasi:http/incoming-handler@0.2.0; }}");
    folder.write("web.wasm", component(&wit));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.refuses(
        &["run", "--addr", &address, "web.wasm"],
        125,
        &format!(
            "\
error: cannot listen: Address already in use
  --> {address}
   = help: --addr names another address, such as 127.0.0.1:0 for any free port
"
        ),
    );
}

#[test]
fn wasi_config_is_there_as_far_as_the_printed_line_has_it() {
    let folder = Folder::new();
    let config = |version: &str| {
        let wit = format!(
            "package test:it; package wasi:config@{version} {{
                interface store {{
                    variant error {{ upstream(string), io(string) }}
                    get: func(key: string) -> result<option<string>, error>;
                    get-all: func() -> result<list<tuple<string, string>>, error>;
                }}
             }}"
        );
        component(&format!("{wit} {CLI} world w {{ import wasi:config/store@{version}; export wasi:cli/run@0.2.0; }}"))
    };
    folder.write("app.wasm", config("0.2.0-rc.1"));
    // That its body is `unreachable` shows that it was started.
    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).code, Some(134));
    let line = support::line(&folder, "app.wasm", &[]);
    assert!(line.contains(&"p3=n,config".to_string()), "{line:?}");
    assert!(folder.run(wasmtime().args(line)).stderr.contains("unreachable"));

    // Another version is another interface, which neither has.
    folder.write("app.wasm", config("0.2.0-draft"));
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("  beware      wasmtime does not provide wasi:config/store@0.2.0-draft\n"), "{said}");
    assert!(said.ends_with("  run         on a host that provides what wasmtime does not\n"), "{said}");
    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).code, Some(125));
    let ran = folder.run(wasmtime().args(["run", "-S", "config", "app.wasm"]));
    assert!(ran.stderr.contains("wasi:config/store@0.2.0-draft"), "{}", ran.stderr);
}

#[test]
fn wasi_tls_is_there_as_it_is_with_the_printed_line() {
    let folder = Folder::new();
    let wit =
        "package wasi:tls@0.2.0-draft { interface types { resource client-connection { close-output: func(); } } }";
    let world = "world w { import wasi:tls/types@0.2.0-draft; export wasi:cli/run@0.2.0; }";
    folder.write("app.wasm", component(&format!("package test:it; {wit} {CLI} {world}")));
    // That its body is `unreachable` shows that it was started.
    let ran = folder.kvfuse(&["run", "app.wasm"]);
    assert_eq!(ran.code, Some(134), "{}", ran.stderr);
    let line = support::line(&folder, "app.wasm", &[]);
    assert!(line.contains(&"p3=n,tls".to_string()), "{line:?}");
    let ran = folder.run(wasmtime().args(line));
    assert!(ran.stderr.contains("unreachable"), "{}", ran.stderr);
}

#[test]
fn what_wasmtime_provides_and_run_does_not_is_named_with_the_line_that_does() {
    let folder = Folder::new();
    let nn = "package wasi:nn@0.2.0-rc-2024-10-28 { interface errors { resource error { data: func() -> string; } } }";
    let world = "world w { import wasi:nn/errors@0.2.0-rc-2024-10-28; export wasi:cli/run@0.2.0; }";
    folder.write("app.wasm", component(&format!("package test:it; {nn} {CLI} {world}")));
    let line = support::line(&folder, "app.wasm", &[]).join(" ");
    folder.refuses(
        &["run", "app.wasm"],
        125,
        &format!(
            "\
error: kvfuse run does not provide wasi:nn/errors@0.2.0-rc-2024-10-28
  --> app.wasm
   = help: wasmtime does:
           # {CHEAPER}
           wasmtime {line}
"
        ),
    );
    // A component that is fused in memory is fused to a file for it.
    let store = support::store_wit("@0.2.0-draft2", "string");
    let world = world.replace("import wasi:nn", "import wasi:keyvalue/store@0.2.0-draft2; import wasi:nn");
    folder.write("app.wasm", component(&format!("package test:it; {store} {nn} {CLI} {world}")));
    let ran = folder.kvfuse(&["run", "app.wasm"]);
    assert_eq!(ran.code, Some(125));
    for part in ["kvfuse fuse app.wasm\n", "mkdir -p data\n", "wasmtime run -S p3=n,nn ", " app.fused.wasm\n"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

#[cfg(unix)]
#[test]
fn without_descriptors_it_says_so_waits_and_goes_on() {
    let folder = Folder::new();
    folder.write("web.wasm", example("visitors"));
    // Compiled before, so that the server needs few descriptors to start.
    drop(Server::start(&folder, &["web.wasm"]));
    let limited = "ulimit -n 40; exec \"$0\" run --addr 127.0.0.1:0 web.wasm";
    let server = Server::spawn(&folder, Command::new("sh").args(["-c", limited, env!("CARGO_BIN_EXE_kvfuse")]));
    let clients: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(&server.address).unwrap()).collect();
    server.said("error: no connection can be accepted at the moment: Too many open files");
    drop(clients);
    assert_eq!(server.count(), 1);
}
