//! What is made flat, and what is not and why.

use super::{FlatParts, Memories, NotFlat, flatten};
use crate::error::Part;
use crate::{Interfaces, Settings, Supply, Wire, nested};
use wasmparser::{Validator, WasmFeatures};

const NAME: &str = "acme:store/things";

/// A provider of one function, which gives back the string that it is given.
const PROVIDER: &str = r#"(component
  (import "wasi:io/poll@0.2.12" (instance (export "pollable" (type (sub resource)))))
  (core module $code
    (memory (export "memory") 1)
    (global $free (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      global.get $free
      (global.set $free (i32.add (global.get $free) (local.get 3))))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) i32.const 16))
  (core instance $code (instantiate $code))
  (alias core export $code "memory" (core memory $memory))
  (alias core export $code "realloc" (core func $realloc))
  (type $echo (func (param "text" string) (result string)))
  (func $echo (type $echo) (canon lift (core func $code "echo") (memory $memory) (realloc $realloc)))
  (instance $things (export "echo" (func $echo)))
  (export "acme:store/things" (instance $things)))"#;

/// A consumer of it; the braces are for what a test wants otherwise.
const CONSUMER: &str = r#"(component $consumer
  (import "acme:store/things" (instance $things (export "echo" (func (param "text" string) (result string)))))
  {IMPORT}
  (core module $memory
    (memory (export "memory") {MEMORY})
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
  (core instance $memory (instantiate $memory))
  (alias core export $memory "memory" (core memory $mem))
  (alias core export $memory "realloc" (core func $realloc))
  (alias export $things "echo" (func $echo))
  (core func $lowered (canon lower (func $echo) (memory $mem) (realloc $realloc) {OPTIONS}))
  (core module $code (import "" "echo" (func (param i32 i32 i32))) (func (export "run")))
  (core instance $code (instantiate $code (with "" (instance (export "echo" (func $lowered))))))
  {MORE}
  (func $run (canon lift (core func $code "run")))
  (export "run" (func $run)))"#;

fn consumer(with: &[(&str, &str)]) -> Vec<u8> {
    consumer_of(CONSUMER.into(), with)
}

fn consumer_of(mut text: String, with: &[(&str, &str)]) -> Vec<u8> {
    for (name, what) in with.iter().chain(&[("{MEMORY}", "1"), ("{IMPORT}", ""), ("{OPTIONS}", ""), ("{MORE}", "")]) {
        text = text.replace(name, what);
    }
    wat::parse_str(text).unwrap()
}

fn wires() -> Vec<Wire> {
    vec![Wire { import: NAME.into(), export: NAME.into() }]
}

fn fuse(consumer: &[u8], provider: &str) -> Result<Vec<u8>, NotFlat> {
    fuse_with(consumer, provider, Memories::Two)
}

fn fuse_with(consumer: &[u8], provider: &str, memories: Memories) -> Result<Vec<u8>, NotFlat> {
    let provider = wat::parse_str(provider).unwrap();
    flatten(consumer, &[Supply { provider: &provider, wires: wires(), ..Supply::default() }], memories)
}

#[test]
fn a_flat_component_has_no_component_inside_and_says_what_its_parts_were() {
    let consumer = consumer(&[]);
    let flat = fuse(&consumer, PROVIDER).unwrap();
    assert!(nested(&flat).unwrap().is_empty());
    let outside = Interfaces::of(&flat).unwrap();
    assert_eq!(outside.imports, ["wasi:io/poll@0.2.12"]);
    assert_eq!(outside.exports, ["run"]);
    let parts = FlatParts::inside(&flat).unwrap().unwrap();
    assert_eq!(parts.consumer.name.as_deref(), Some("consumer"));
    assert_eq!((parts.consumer.size, parts.consumer.imports.len()), (consumer.len(), 0));
    assert_eq!(parts.provider.exports, [NAME]);
    assert!(crate::describe(&flat).unwrap().contains("\nflat, of:\n  consumer consumer, "));
}

#[test]
fn with_one_memory_no_module_that_is_made_has_two_and_it_says_so() {
    let valid = |flat: &[u8], features| Validator::new_with_features(features).validate_all(flat).map(|_| ());
    let fused = |memories| fuse_with(&consumer(&[]), PROVIDER, memories).unwrap();
    let (one, two) = (fused(Memories::One), fused(Memories::Two));
    let features = WasmFeatures::WASM2 | WasmFeatures::COMPONENT_MODEL;
    valid(&one, features).unwrap();
    valid(&two, features | WasmFeatures::MULTI_MEMORY).unwrap();
    let refused = valid(&two, features).unwrap_err();
    assert!(refused.message().contains("multiple memories"), "{refused}");
    for (flat, memories, words) in
        [(one, Memories::One, "flat with one memory in each module, of:"), (two, Memories::Two, "flat, of:")]
    {
        assert_eq!(FlatParts::inside(&flat).unwrap().unwrap().memories, memories);
        assert!(crate::describe(&flat).unwrap().contains(&format!("\n{words}\n  consumer consumer, ")));
    }
}

#[test]
fn what_both_import_is_imported_under_two_names() {
    let poll = r#"(import "wasi:io/poll@0.2.12" (instance (export "pollable" (type (sub resource)))))"#;
    let flat = fuse(&consumer(&[("{IMPORT}", poll)]), PROVIDER).unwrap();
    assert_eq!(Interfaces::of(&flat).unwrap().imports, ["wasi:io/poll@0.2.11", "wasi:io/poll@0.2.12"]);
    let named = |text: &str| text.replace("wasi:io/poll@0.2.12", "acme:io/poll");
    let refused = fuse(&consumer(&[("{IMPORT}", &named(poll))]), &named(PROVIDER));
    assert_eq!(refused, Err(NotFlat::Names("acme:io/poll".into())));
}

#[test]
fn what_an_adapter_does_not_know_is_composed() {
    let refused = |with: &[(&str, &str)]| fuse(&consumer(with), PROVIDER).unwrap_err();
    let encoding = |what| NotFlat::Encoding { part: Part::Consumer, what };
    assert_eq!(refused(&[("{OPTIONS}", "string-encoding=utf16")]), encoding("strings in UTF-16"));
    assert_eq!(refused(&[("{OPTIONS}", "string-encoding=latin1+utf16")]), encoding("strings in Latin-1 or UTF-16"));
    let shared = "a memory that is shared, of 64 bits, or has pages of its own size";
    assert_eq!(refused(&[("{MEMORY}", "1 (pagesize 1)")]), encoding(shared));
    let float = |text: &str| text.replace("(result string)", "(result f32)");
    let provider = float(PROVIDER).replace("(result i32)\n      (i32.store", "(result f32)\n      (i32.store");
    let provider = provider.replace("i32.const 16))\n", "f32.const 1))\n");
    let consumer = float(CONSUMER).replace("(param i32 i32 i32)", "(param i32 i32) (result f32)");
    let refused = fuse(&consumer_of(consumer, &[]), &provider).unwrap_err();
    assert_eq!(refused, NotFlat::Types { function: "echo".into(), what: "a floating-point number" });
}

#[test]
fn types_that_would_make_an_adapter_large_are_composed() {
    let fused = |depth: usize| {
        let ty = (0..depth).fold("u8".to_string(), |ty, _| format!("(tuple {ty} {ty})"));
        let list = |text: &str| text.replace("(param \"text\" string)", &format!("(param \"text\" (list {ty}))"));
        fuse(&consumer_of(list(CONSUMER), &[]), &list(PROVIDER))
    };
    assert!(fused(7).is_ok());
    let what = "more than an adapter is made for";
    assert_eq!(fused(10), Err(NotFlat::Types { function: "echo".into(), what }));
}

#[test]
fn what_goes_on_to_another_component_is_composed() {
    let given = "(component $inner (import \"things\" (instance))) \
                 (instance (instantiate $inner (with \"things\" (instance $things))))";
    let what = "components inside that are given what it imports";
    let structure = |what: &str| NotFlat::Structure { part: Part::Consumer, what: what.into() };
    assert_eq!(fuse(&consumer(&[("{MORE}", given)]), PROVIDER), Err(structure(what)));
    let passed = "(export \"again\" (instance $things))";
    assert_eq!(fuse(&consumer(&[("{MORE}", passed)]), PROVIDER), Err(structure(what)));
    let outer = "(component (alias outer $consumer $memory (core module)))";
    let what = "a component inside that refers to what is around it";
    assert_eq!(fuse(&consumer(&[("{MORE}", outer)]), PROVIDER), Err(structure(what)));
}

#[test]
fn several_instances_and_settings_are_composed() {
    let (consumer, provider) = (consumer(&[]), wat::parse_str(PROVIDER).unwrap());
    let supply = |settings| Supply { provider: &provider, wires: wires(), settings, ..Supply::default() };
    let plain = Settings::default;
    let flat = |supplies: &[Supply]| flatten(&consumer, supplies, Memories::Two);
    assert_eq!(flat(&[supply(plain()), supply(plain())]), Err(NotFlat::Several(2)));
    assert_eq!(flat(&[supply(plain().with_fixed("A", "b"))]), Err(NotFlat::Settings));
}

#[test]
fn types_that_differ_are_composed_or_refused_there() {
    let other = PROVIDER.replace("(param \"text\" string)", "(param \"text\" (list u8))");
    let refused = fuse(&consumer(&[]), &other).unwrap_err();
    assert_eq!(refused, NotFlat::Types { function: "echo".into(), what: "other types in the two" });
}
