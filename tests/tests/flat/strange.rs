//! Interfaces that nobody has: functions of random types, between a consumer that passes random numbers and a provider that
//! gives them.

use crate::liar::word;
use crate::pair::{Ended, Pair};
use crate::random::Random;
use anyhow::{Context, Result, ensure};
use kvfuse_tests::raw::{Consumer, Misbehaviour, SCRATCH, encode};
use std::fmt::Write;
use wit_parser::Resolve;
use wit_parser::abi::{AbiVariant, WasmType};

const INTERFACE: &str = "acme:keyvalue/strange@1.0.0";

/// Whatever it gets counts in `sum`, and it gives what the first parameter says: a number, or the place of a result.
const PROVIDER: &str = r#"(module
  (memory (export "memory") 4)
  (global $free (mut i32) (i32.const 0x20000))
  (global $sum (mut i64) (i64.const 0))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
                            (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  (func $add (param i64) (global.set $sum (i64.add (i64.mul (global.get $sum) (i64.const 1099511628211)) (local.get 0))))
  (func $memory
    (local $at i32)
    (local.set $at (i32.const 0x20000))
    (block $done
      (loop $more
        (br_if $done (i32.ge_u (local.get $at) (global.get $free)))
        (call $add (i64.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $more))))
  (func $post (param i32) (call $add (i64.extend_i32_u (local.get 0))))
  (func (export "{INTERFACE}#write") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "{INTERFACE}#sum") (result i64) (call $memory) (global.get $sum))
{FUNCTIONS})"#;

/// An interface as text, with the types that it names.
struct Interface<'a> {
    random: &'a mut Random,
    named: String,
    names: usize,
}

impl Interface<'_> {
    fn text(random: &mut Random) -> String {
        let functions = 1 + random.below(4);
        let mut interface = Interface { random, named: String::new(), names: 0 };
        let mut text = String::new();
        for function in 0..functions {
            let params: String =
                (0..interface.random.below(4)).map(|n| format!(", p{n}: {}", interface.ty(3))).collect();
            let result =
                if interface.random.below(8) == 0 { String::new() } else { format!(" -> {}", interface.ty(3)) };
            let _ = writeln!(text, "  f{function}: func(at: u32{params}){result};");
        }
        let named = interface.named;
        format!(
            "package acme:keyvalue@1.0.0;\ninterface strange {{\n{named}{text}  write: func(at: u32, bytes: u64);\n  \
             sum: func() -> u64;\n}}\nworld provider {{ export strange; }}"
        )
    }

    fn ty(&mut self, depth: usize) -> String {
        const PLAIN: [&str; 11] = ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "string", "list<u8>"];
        if depth == 0 || self.random.below(3) == 0 {
            return self.random.pick(&PLAIN).into();
        }
        let inner = depth - 1;
        match self.random.below(8) {
            0 => format!("list<{}>", self.ty(inner)),
            1 => format!("option<{}>", self.ty(inner)),
            2 => format!("result<{}, {}>", self.ty(inner), self.ty(inner)),
            3 => format!("result<_, {}>", self.ty(inner)),
            4 => format!("tuple<{}, {}>", self.ty(inner), self.ty(inner)),
            5 => {
                let fields: Vec<_> =
                    (0..1 + self.random.below(4)).map(|n| format!("f{n}: {}", self.ty(inner))).collect();
                self.name("record", &fields.join(", "))
            }
            6 => {
                // Two bytes say which case it is, now and then.
                let cases = if self.random.below(6) == 0 { 300 } else { 1 + self.random.below(5) };
                self.name("enum", &(0..cases).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", "))
            }
            _ => {
                let mut cases = Vec::new();
                for number in 0..1 + self.random.below(4) {
                    let plain = self.random.below(3) == 0;
                    cases.push(if plain { format!("c{number}") } else { format!("c{number}({})", self.ty(inner)) });
                }
                self.name("variant", &cases.join(", "))
            }
        }
    }

    fn name(&mut self, kind: &str, parts: &str) -> String {
        let name = format!("t{}", self.names);
        self.names += 1;
        let _ = writeln!(self.named, "  {kind} {name} {{ {parts} }}");
        name
    }
}

/// The provider of an interface. `None` if a function has so many parameters that they are passed in memory.
fn provider(text: &str) -> Result<Option<Vec<u8>>> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("strange.wit", text).with_context(|| text.to_string())?;
    let world = resolve.select_world(&[package], Some("provider"))?;
    let interface = resolve.packages[package].interfaces["strange"];
    let mut functions = String::new();
    for function in resolve.interfaces[interface].functions.values().filter(|function| function.name.starts_with('f')) {
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        if signature.indirect_params {
            return Ok(None);
        }
        let wide = |ty: &WasmType| matches!(ty, WasmType::I64 | WasmType::PointerOrI64);
        let name = |ty: &WasmType| if wide(ty) { "i64" } else { "i32" };
        let params: String = signature.params.iter().map(|ty| format!(" {}", name(ty))).collect();
        let mut body = String::from("(call $memory)");
        for (index, ty) in signature.params.iter().enumerate() {
            let value = format!("(local.get {index})");
            let value = if wide(ty) { value } else { format!("(i64.extend_i32_u {value})") };
            let _ = write!(body, "(call $add {value})");
        }
        let export = format!("{INTERFACE}#{}", function.name);
        let (result, given) = match signature.results.first() {
            None => ("", ""),
            Some(ty) if wide(ty) => ("(result i64)", "(i64.extend_i32_s (local.get 0))"),
            Some(_) => ("(result i32)", "(local.get 0)"),
        };
        let _ = writeln!(functions, "  (func (export \"{export}\") (param{params}) {result} {body} {given})");
        if result == "(result i32)" {
            let _ = writeln!(functions, "  (export \"cabi_post_{export}\" (func $post))");
        }
    }
    let module = PROVIDER.replace("{INTERFACE}", INTERFACE).replace("{FUNCTIONS}", &functions);
    encode(&module, &resolve, world).map(Some)
}

/// One interface for every seed, with some programs of calls.
pub fn compare(seeds: std::ops::Range<u64>) -> Result<()> {
    let (mut returned, mut trapped) = (0, 0);
    for seed in seeds {
        let mut random = Random(seed);
        let (text, provider) = loop {
            let text = Interface::text(&mut random);
            if let Some(provider) = provider(&text)? {
                break (text, provider);
            }
        };
        let consumer = Consumer::of_text(&text)?;
        let pair = Pair::new(&consumer.component, &provider).with_context(|| format!("seed {seed}: {text}"))?;
        for program in 0..8 {
            let calls = run(&mut random, &consumer, &pair);
            let ended = calls.with_context(|| format!("seed {seed}, program {program}: {text}"))?;
            returned += ended.0;
            trapped += ended.1;
        }
    }
    ensure!(returned > trapped && trapped > 0, "{returned} calls returned, and {trapped} trapped");
    Ok(())
}

/// How many calls returned and trapped.
fn run(random: &mut Random, consumer: &Consumer, pair: &Pair) -> Result<(usize, usize)> {
    let mut running = pair.start(None)?;
    let mut returned = 0;
    for _ in 0..40 {
        // The provider's memory, and the consumer's. Mostly small numbers: cases, lengths, true and false.
        for _ in 0..8 {
            let at = 0x100 + 8 * random.below(32) as u32;
            let bytes = u64::from(word(random)) | u64::from(word(random)) << 32;
            running.call(consumer.function("#write"), &[u64::from(at), bytes])?;
            running.poke(at, &bytes.rotate_left(random.below(2) as u32 * 32).to_le_bytes())?;
        }
        if random.below(30) == 0 {
            running.misbehave(Misbehaviour::ALL[random.below(10)], random.below(3) as u32)?;
        }
        let strange: Vec<_> = consumer.functions.iter().filter(|raw| !raw.name.ends_with("#write")).collect();
        let raw = random.pick(&strange);
        let mut core: Vec<u64> = raw
            .core
            .iter()
            .map(|wide| if *wide { u64::from(word(random)) << 32 } else { 0 } | u64::from(word(random)))
            .collect();
        // Where the provider says its result is, and where the consumer wants it: mostly a place that is one.
        if let (Some(first), true) = (core.first_mut(), random.below(8) > 0) {
            *first = 0x100 + 8 * random.below(16) as u64;
        }
        if let (Some(last), true) = (core.last_mut(), raw.returns_in_memory() && random.below(8) > 0) {
            *last = u64::from(SCRATCH.end) - 0x1000;
        }
        match running.call(raw, &core).with_context(|| format!("{}{core:x?}", raw.name))? {
            Ended::Returned(_) => returned += 1,
            Ended::Trapped => return Ok((returned, 1)),
        }
    }
    // Everything that it got.
    running.call(consumer.function("#sum"), &[])?;
    Ok((returned, 0))
}
