//! What `kvfuse inspect` says, and that it is so: each line that it prints is tried.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod support;

use serde_json::json;
use support::{Folder, built, component, consumer_of, line, store_wit, wasmtime};

const CLI: &str = "package wasi:cli@0.2.0 { interface run { run: func() -> result; } }";

fn app(wit: &str, world: &str) -> Folder {
    let folder = Folder::new();
    folder.write("app.wasm", component(&format!("package test:it; {wit} world w {{ {world} }}")));
    folder
}

#[test]
fn an_interface_of_types_only_is_not_missing() {
    let types = "package acme:app@1.0.0 { interface types { record point { x: u32 } } }";
    let uses = "use acme:app/types@1.0.0.{point}; export wasi:cli/run@0.2.0; export at: func(p: point);";
    let folder = app(&format!("{types} {CLI}"), uses);
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("acme:app@1.0.0: types") && !said.contains("beware"), "{said}");
    // It is started: its body is `unreachable`.
    assert!(folder.run(wasmtime().args(line(&folder, "app.wasm", &[]))).stderr.contains("unreachable"));
    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).code, Some(134));

    // A resource is more than a type.
    let resource = "package acme:app@1.0.0 { interface types { resource handle; } }";
    let folder = app(&format!("{resource} {CLI}"), "import acme:app/types@1.0.0; export wasi:cli/run@0.2.0;");
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("  beware      wasmtime does not provide acme:app/types@1.0.0\n"), "{said}");
    assert_eq!(folder.kvfuse(&["run", "app.wasm"]).code, Some(125));
}

#[test]
fn there_is_no_line_where_none_works() {
    let folder = app(
        &format!("{CLI} package acme:db@1.0.0 {{ interface things {{ frob: func(); }} }}"),
        "import acme:db/things@1.0.0; export wasi:cli/run@0.2.0;",
    );
    let json: serde_json::Value =
        serde_json::from_str(&folder.kvfuse(&["inspect", "--json", "app.wasm"]).ok()).unwrap();
    assert_eq!(json["run"], serde_json::Value::Null);
    assert_eq!(json["unknown_imports"][0], "acme:db/things@1.0.0");
    let explained = folder.kvfuse(&["run", "--explain", "app.wasm"]);
    assert_eq!(explained.code, Some(125));
    assert!(explained.stderr.contains("no wasmtime line runs this component"), "{}", explained.stderr);
}

#[test]
fn a_library_is_called_by_the_line_and_by_run() {
    let keyvalue = store_wit("@0.2.0-draft2", "string");
    let api = "package acme:api@1.0.0 { interface calls { greet: func(name: string) -> string; ping: func(); } }";
    let world = "import wasi:keyvalue/store@0.2.0-draft2; export acme:api/calls@1.0.0;";
    let folder = app(&format!("{keyvalue} {api}"), world);
    let line = line(&folder, "app.wasm", &[]);
    assert_eq!(line.join(" "), "run --invoke ping() -S p3=n -W concurrency-support=n --dir data::/ app.fused.wasm");
    folder.kvfuse(&["fuse", "app.wasm"]).ok();
    std::fs::create_dir(folder.path("data")).unwrap();
    // Its functions are `unreachable`, so that a trap shows a call.
    let ran = folder.run(wasmtime().args(line));
    assert!(ran.stderr.contains("unreachable"), "{}", ran.stderr);
    for call in ["ping()", "greet(\"a\")", "acme:api/calls.ping@1.0.0()"] {
        let ran = folder.kvfuse(&["run", "--invoke", call, "app.wasm"]);
        assert_eq!(ran.code, Some(134), "{call}: {}", ran.stderr);
        let mut command = wasmtime();
        let ran = folder.run(command.args(["run", "--invoke", call, "--dir", "data::/", "app.fused.wasm"]));
        assert!(ran.stderr.contains("unreachable"), "{call}: {}", ran.stderr);
    }
    folder.refuses(
        &["run", "--invoke", "pong()", "app.fused.wasm"],
        125,
        "\
error: the library has no such function to call
  --> app.fused.wasm
   = note: it exports acme:api/calls.greet@1.0.0, acme:api/calls.ping@1.0.0
",
    );
    let ran = folder.kvfuse(&["run", "--invoke", "greet(1)", "app.fused.wasm"]);
    assert_eq!(ran.code, Some(125), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: the call cannot be read\n"), "{}", ran.stderr);
}

#[test]
fn a_call_prints_what_it_returns() {
    let folder = Folder::new();
    let component = "(component
        (core module $m (func (export \"double\") (param i32) (result i32) local.get 0 i32.const 2 i32.mul))
        (core instance $i (instantiate $m))
        (func (export \"double\") (param \"n\" u32) (result u32) (canon lift (core func $i \"double\"))))";
    folder.write("lib.wasm", wat::parse_str(component).unwrap());
    assert_eq!(folder.kvfuse(&["run", "--invoke", "double(21)", "lib.wasm"]).ok(), "42\n");
    assert_eq!(folder.run(wasmtime().args(["run", "--invoke", "double(21)", "lib.wasm"])).ok(), "42\n");
}

#[test]
fn what_belongs_to_no_package_is_listed_as_what_it_is() {
    let store = store_wit("@0.2.0-draft2", "string");
    let world = "
        import log: func(line: string);
        import local: interface { now: func() -> u64; }
        import sessions: wasi:keyvalue/store@0.2.0-draft2;
        type line = string;
        export run: func() -> line;";
    let folder = app(&store, world);
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.contains("functions: log\n"), "{said}");
    assert!(said.contains("interfaces: local\n"), "{said}");
    assert!(!said.contains("functions: sessions") && !said.contains("functions: local"), "{said}");
}

#[test]
fn inspect_says_what_a_component_is_in_plain_words() {
    let folder = Folder::new();
    folder.write("app.wasm", consumer_of(&["draft2_optional_pairs"]));
    let size = folder.read("app.wasm").len();
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    let expected = format!(
        "\
app.wasm: a library of {size} bytes
  exports     run
  key-value   wasi:keyvalue@0.2.0-draft2
              the second draft of 0.2 (2024-09; Spin, wasmCloud)
              the shape in which get-many gives an optional pair for each key
              store: bucket.delete, bucket.exists, bucket.get, bucket.list-keys, bucket.set, open
              atomics: cas.current, cas.new, increment, swap
              batch: delete-many, get-many, set-many
  fits        files (keyvalue-draft2-optional-pairs.wasm)
"
    );
    assert!(said.starts_with(&expected), "{said}");
    assert!(said.contains("\n  fuse        kvfuse fuse app.wasm\n"), "{said}");
}

#[test]
fn inspect_gives_the_line_that_runs_a_command_and_a_handler() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let said = folder.kvfuse(&["inspect", "app.wasm"]).ok();
    assert!(said.starts_with("app.wasm: a command of "), "{said}");
    let line = "\n  run         wasmtime run -S p3=n -W concurrency-support=n --dir data::/ app.fused.wasm\n";
    assert!(said.contains(line), "{said}");
    assert!(said.contains("\n              p3=n and concurrency-support=n make "), "what older ones lack: {said}");

    let wit = store_wit("@0.2.0-draft2", "string");
    folder.write(
        "web.wasm",
        component(&format!(
            "package test:it; {wit}
             package wasi:http@0.2.0 {{
                interface types {{ resource incoming-request; resource response-outparam; }}
                interface incoming-handler {{
                    use types.{{incoming-request, response-outparam}};
                    handle: func(request: incoming-request, response-out: response-outparam);
                }}
             }}
             world w {{ import wasi:keyvalue/store@0.2.0-draft2; export wasi:http/incoming-handler@0.2.0; }}"
        )),
    );
    let said = folder.kvfuse(&["inspect", "web.wasm"]).ok();
    assert!(said.starts_with("web.wasm: an HTTP handler of "), "{said}");
    assert!(said.contains("\n  run         wasmtime serve -S cli --dir data::/ web.fused.wasm\n"), "{said}");
    assert!(said.contains("\n              --max-instance-reuse-count 128 keeps "), "{said}");
}

#[test]
fn json_contains_what_the_text_says() {
    let folder = Folder::new();
    folder.write("app.wasm", built("kv_demo.wasm"));
    let text = folder.kvfuse(&["inspect", "--json", "app.wasm"]).ok();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["kind"], "command");
    assert_eq!(json["keyvalue"][0]["package"], "wasi:keyvalue@0.2.0-draft2");
    assert_eq!(json["fits"][0]["provider"], "keyvalue.wasm");
    assert_eq!(json["run"], "wasmtime run -S p3=n -W concurrency-support=n --dir data::/ app.fused.wasm");
    let stores: serde_json::Value = serde_json::from_str(&folder.kvfuse(&["stores", "--json"]).ok()).unwrap();
    assert_eq!(stores[0]["store"], "files");
    assert_eq!(stores[0]["needs"][0], "a directory");
    // The providers of every store come last, without a store's name, and with the variables of all.
    let together = stores.as_array().unwrap().last().unwrap();
    assert_eq!((&together["store"], &together["providers"][0]["file"]), (&json!(null), &json!("keyvalue-stores.wasm")));
    assert_eq!(together["needs"], json!(["a directory", "HTTP to its server", "TCP to its server"]));
    let names: Vec<_> = together["variables"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    for name in ["KEYVALUE_ROUTES", "KEYVALUE_DIR", "KEYVALUE_REDIS_URL", "KEYVALUE_ETCD_ENDPOINTS", "KEYVALUE_LABEL"] {
        assert_eq!(names.iter().filter(|known| **known == name).count(), 1, "{name} in {names:?}");
    }
}
