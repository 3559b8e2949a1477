//! The core modules between the two parts: text, with the canonical ABI's checks, that is made binary.

use super::NotFlat;
use super::calls::{Calls, Side};
use super::code::{Code, Direction};
use super::reach::{Memories, reach};
use std::fmt::Write;
use wasmparser::{Validator, WasmFeatures};

/// The table of handles of one part.
pub fn table() -> Result<Vec<u8>, NotFlat> {
    binary(include_str!("table.wat"))
}

/// What a resource's functions are. `number` is its place among the provider's resources.
pub fn resource(number: usize) -> Result<Vec<u8>, NotFlat> {
    binary(&include_str!("resource.wat").replace("{KIND}", &kind(number).to_string()))
}

/// What takes the place of a resource's destructor where there is none.
pub fn nothing() -> Result<Vec<u8>, NotFlat> {
    binary(r#"(module (func (export "end") (param i32)))"#)
}

/// A resource's mark in the tables; 0 is no resource.
pub fn kind(number: usize) -> usize {
    number + 1
}

/// The module that has the provider's memory where the adapter has only the consumer's. It imports the memory from
/// `provider`.
pub fn provider_memory() -> Result<Vec<u8>, NotFlat> {
    binary(&reach())
}

/// The adapter of one side. It imports `consumer` and `provider`, each with `memory` and `realloc` where there are any, of
/// the provider the functions as `call0` and `post0` and so on, and the tables as `theirs` and `own`. With one memory, it
/// has that of the provider from `reach` instead. It exports the functions by their numbers.
pub fn adapter(calls: &Calls, side: &Side, memories: Memories) -> Result<Vec<u8>, NotFlat> {
    let mut functions = String::new();
    let mut imports = String::new();
    for (number, function) in side.functions.iter().enumerate() {
        let code = Code::function(number, function, memories);
        imports.push_str(&code.imports);
        functions.push_str(&code.text);
    }
    let mut text = String::from("(module\n");
    text.push_str("  (import \"theirs\" \"busy\" (global $busy (mut i32)))\n");
    if side.memory.is_some() {
        text.push_str("  (import \"consumer\" \"memory\" (memory $consumer 0))\n");
    }
    if calls.memory.is_some() {
        text.push_str(&memories.imports());
    }
    for (name, has) in [("consumer", side.realloc), ("provider", calls.realloc)] {
        if has.is_some() {
            let _ = writeln!(
                text,
                "  (import \"{name}\" \"realloc\" (func ${name}_realloc (param i32 i32 i32 i32) (result i32)))"
            );
        }
    }
    for table in ["theirs", "own"] {
        for name in ["new", "rep", "take"] {
            let _ =
                writeln!(text, "  (import \"{table}\" \"{name}\" (func ${table}_{name} (param i32 i32) (result i32)))");
        }
    }
    text.push_str(&imports);
    // What keeps a call from going on is the name of the function in which it traps.
    for reason in ["call_within_a_call", "not_aligned", "out_of_bounds", "not_utf8", "no_such_case"] {
        let _ = writeln!(text, "  (func ${reason} unreachable)");
    }
    if side.memory.is_some() {
        text.push_str(&include_str!("memory.wat").replace("{M}", "consumer"));
    }
    if calls.memory.is_some() {
        text.push_str(&memories.provider());
    }
    let both = side.memory.is_some() && calls.memory.is_some();
    for (direction, realloc) in [(Direction::In, calls.realloc), (Direction::Out, side.realloc)] {
        if both && realloc.is_some() {
            text.push_str(&memories.strings(direction));
        }
    }
    text.push_str(&functions);
    text.push_str(")\n");
    match memories {
        Memories::Two => binary_with(&text, WasmFeatures::WASM2 | WasmFeatures::MULTI_MEMORY),
        Memories::One => binary(&text),
    }
}

fn binary(text: &str) -> Result<Vec<u8>, NotFlat> {
    binary_with(text, WasmFeatures::WASM2)
}

/// The module, which needs nothing but these features.
fn binary_with(text: &str, features: WasmFeatures) -> Result<Vec<u8>, NotFlat> {
    let module = wat::parse_str(text).map_err(|e| NotFlat::Unsound(e.to_string()))?;
    // The bodies of the parts' functions are valid; of the result's, these are all that is new.
    let valid = Validator::new_with_features(features).validate_all(&module);
    valid.map_err(|e| NotFlat::Unsound(e.to_string()))?;
    Ok(module)
}
