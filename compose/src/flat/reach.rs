//! How an adapter gets at the two memories.
//!
//! With two memories it has instructions for both. With one it has the consumer's, and calls a module that has the
//! provider's for everything that happens there.

use super::code::Direction;
use std::fmt::Write;

/// How many memories a module of an adapter has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memories {
    /// Two, the consumer's and the provider's. That is the proposal multi-memory, which is a part of WebAssembly 3.0.
    #[default]
    Two,
    /// One: that of the provider is read and written by calls of a module of its own. WebAssembly 2.0 is enough.
    One,
}

/// What is read, and what is written, with the type of the value.
const LOADS: [(&str, &str); 5] =
    [("i32.load8_u", "i32"), ("i32.load16_u", "i32"), ("i32.load", "i32"), ("i64.load8_u", "i64"), ("i64.load", "i64")];
const STORES: [(&str, &str); 5] =
    [("i32.store8", "i32"), ("i32.store16", "i32"), ("i32.store", "i32"), ("i64.store8", "i64"), ("i64.store", "i64")];

/// How many words of 8 bytes one call passes where there is much to copy.
const WIDE: u32 = 8;

impl Memories {
    fn calls_for(self, part: &str) -> bool {
        self == Self::One && part == "provider"
    }

    /// What an instruction is in the memory of a part, for places that are aligned to nothing.
    fn unaligned(self, part: &str, instruction: &str) -> String {
        match self.calls_for(part) {
            true => format!("call ${part}.{instruction}"),
            false => format!("{instruction} ${part} align=1"),
        }
    }

    /// The value at `offset` from a place.
    pub fn load(self, part: &str, instruction: &str, offset: u32, place: &str) -> String {
        match self.calls_for(part) {
            true => format!("(call ${part}.{instruction} {})", moved(place, offset)),
            false => format!("({instruction} ${part} offset={offset} (local.get {place}))"),
        }
    }

    /// Puts a value at `offset` from a place.
    pub fn store(self, part: &str, instruction: &str, offset: u32, place: &str, value: &str) -> String {
        match self.calls_for(part) {
            true => format!("(call ${part}.{instruction} {} {value})", moved(place, offset)),
            false => format!("({instruction} ${part} offset={offset} (local.get {place}) {value})"),
        }
    }

    /// What copies in one direction, with `memory.wat` for both memories in place.
    pub fn strings(self, direction: Direction) -> String {
        let (from, to) = direction.ends();
        let mut text = [include_str!("copy.wat"), include_str!("strings.wat")].concat();
        for (instruction, _) in LOADS {
            text = text.replace(&format!("{{S {instruction}}}"), &self.unaligned(from, instruction));
        }
        for (instruction, _) in STORES {
            text = text.replace(&format!("{{D {instruction}}}"), &self.unaligned(to, instruction));
        }
        let (locals, large) = match self {
            Self::Two => (String::new(), MEMORY_COPY.to_string()),
            Self::One => (numbered(|word| format!("(local $w{word} i64) ")), wide(direction)),
        };
        let text = text.replace("{LOCALS}", &locals).replace("{LARGE}", &large);
        text.replace("{S}", from).replace("{D}", to).replace("{W}", direction.name())
    }

    /// What concerns only the provider's memory: functions, or imports of them.
    pub fn provider(self) -> String {
        match self {
            Self::Two => include_str!("memory.wat").replace("{M}", "provider"),
            Self::One => String::new(),
        }
    }

    /// The imports for the provider's memory.
    pub fn imports(self) -> String {
        if self == Self::Two {
            return "  (import \"provider\" \"memory\" (memory $provider 0))\n".into();
        }
        let mut text = String::new();
        let mut import = |name: &str, function: &str, ty: &str| {
            let _ = writeln!(text, "  (import \"reach\" \"{name}\" (func $provider{function} {ty}))");
        };
        import("range", "_range", "(param i32 i32 i32)");
        import("utf8", "_utf8", "(param i32 i32)");
        for (name, value) in LOADS {
            import(name, &format!(".{name}"), &format!("(param i32) (result {value})"));
        }
        for (name, value) in STORES {
            import(name, &format!(".{name}"), &format!("(param i32 {value})"));
        }
        import("load", ".load", &format!("(param i32) (result{})", words("i64")));
        import("store", ".store", &format!("(param i32{})", words("i64")));
        text
    }
}

/// The module that has the provider's memory, as text.
pub fn reach() -> String {
    let mut access = String::new();
    for (name, value) in LOADS {
        let load = format!("{name} $provider align=1 (local.get 0)");
        let _ = writeln!(access, "  (func (export \"{name}\") (param i32) (result {value}) ({load}))");
    }
    for (name, value) in STORES {
        let store = format!("{name} $provider align=1 (local.get 0) (local.get 1)");
        let _ = writeln!(access, "  (func (export \"{name}\") (param i32 {value}) ({store}))");
    }
    let loads = numbered(|word| format!(" (i64.load $provider offset={} align=1 (local.get 0))", 8 * word));
    let _ = writeln!(access, "  (func (export \"load\") (param i32) (result{}){loads})", words("i64"));
    let stores = numbered(|word| {
        format!(" (i64.store $provider offset={} align=1 (local.get 0) (local.get {}))", 8 * word, word + 1)
    });
    let _ = writeln!(access, "  (func (export \"store\") (param i32{}){stores})", words("i64"));
    let memory = include_str!("memory.wat").replace("{M}", "provider");
    include_str!("reach.wat").replace("{MEMORY}", &memory).replace("{ACCESS}", &access)
}

/// Copying in a loop is faster for little: this begins with a call.
const MEMORY_COPY: &str = "(if (i32.gt_u (local.get $size) (i32.const 256))
      (then (memory.copy ${D} ${S} (local.get $to) (local.get $from) (local.get $size)) (return)))";

/// As many words in each call as it passes.
fn wide(direction: Direction) -> String {
    let load = |word: u32| format!("(i64.load $consumer offset={} align=1 (local.get $from))", 8 * word);
    let store =
        |word: u32| format!("(i64.store $consumer offset={} align=1 (local.get $to) (local.get $w{word}))\n", 8 * word);
    let copy = match direction {
        Direction::In => format!("(call $provider.store (local.get $to) {})", numbered(load)),
        Direction::Out => {
            let taken: String = (0..WIDE).rev().map(|word| format!("(local.set $w{word}) ")).collect();
            format!("(call $provider.load (local.get $from)) {taken}\n{}", numbered(store))
        }
    };
    let bytes = 8 * WIDE;
    format!(
        "(block $done
      (loop $more
        (br_if $done (i32.lt_u (local.get $size) (i32.const {bytes})))
        {copy}
        (local.set $to (i32.add (local.get $to) (i32.const {bytes})))
        (local.set $from (i32.add (local.get $from) (i32.const {bytes})))
        (local.set $size (i32.sub (local.get $size) (i32.const {bytes})))
        (br $more)))"
    )
}

fn numbered(text: impl Fn(u32) -> String) -> String {
    (0..WIDE).map(text).collect()
}

fn words(ty: &str) -> String {
    numbered(|_| format!(" {ty}"))
}

/// A place and an offset, in one. The range in which both lie was checked, so that the sum has 32 bits.
fn moved(place: &str, offset: u32) -> String {
    match offset {
        0 => format!("(local.get {place})"),
        _ => format!("(i32.add (local.get {place}) (i32.const {offset}))"),
    }
}
