//! The body of a function of an adapter: it takes what the consumer passes, checks it, passes it to the provider, and the
//! result back.
//!
//! Arguments that lie in memory, and results, are read exactly once, and while they are read nobody else runs but the
//! allocator of the side that they go to.

use super::adapter::kind;
use super::calls::Function;
use super::reach::Memories;
use super::types::{Sign, Slot, Ty, discriminant, offsets};
use std::fmt::Write;

/// Which way a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the provider.
    In,
    /// To the consumer.
    Out,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// The part that a value comes from, and the one that it goes to.
    pub fn ends(self) -> (&'static str, &'static str) {
        match self {
            Self::In => ("consumer", "provider"),
            Self::Out => ("provider", "consumer"),
        }
    }
}

/// A function as text.
#[derive(Default)]
pub struct Code {
    /// What the module imports for it.
    pub imports: String,
    /// The function itself.
    pub text: String,
    body: String,
    locals: Vec<Slot>,
    labels: usize,
    memories: Memories,
}

/// Adds a line to the body.
macro_rules! line {
    ($code:expr, $($text:tt)*) => {
        { let _ = writeln!($code.body, $($text)*); }
    };
}

impl Code {
    /// The function with this number.
    pub fn function(number: usize, function: &Function, memories: Memories) -> Self {
        let mut code = Self { memories, ..Self::default() };
        let signature = &function.signature;
        let (mut flat, mut passed) = (Vec::new(), Vec::new());
        for ty in &signature.params {
            let slots: Vec<_> =
                ty.flat().into_iter().zip(flat.len()..).map(|(slot, at)| (argument(at), slot)).collect();
            flat.extend(slots.iter().map(|(_, slot)| *slot));
            passed.extend(code.argument(ty, &slots));
        }
        let results = signature.result.as_ref().map(Ty::flat).unwrap_or_default();
        // More than one is written to memory; the consumer says where, the provider says it by its result.
        let in_memory = results.len() > 1;
        let core_results = if in_memory { vec![Slot::I32] } else { results.clone() };
        let arguments: Vec<_> = passed.iter().map(|name| format!("(local.get {name})")).collect();
        let call = format!("(call $call{number} {})", arguments.join(" "));

        let returned = core_results.first().map(|slot| code.local(*slot));
        match &returned {
            Some(local) => line!(code, "(local.set {local} {call})"),
            None => line!(code, "{call}"),
        }
        let mut give = None;
        match (&signature.result, &returned) {
            (Some(ty), Some(from)) if in_memory => {
                let to = argument(flat.len());
                let (size, mask) = (ty.size(), ty.align() - 1);
                line!(code, "(call $consumer_range (local.get {to}) (i32.const {size}) (i32.const {mask}))");
                line!(code, "(call $provider_range (local.get {from}) (i32.const {size}) (i32.const {mask}))");
                code.in_memory(Direction::Out, ty, from, &to, 0);
            }
            (Some(ty), Some(from)) => {
                give = code
                    .flat(Direction::Out, ty, &[(from.clone(), results.first().copied().unwrap_or(Slot::I32))])
                    .pop();
            }
            _ => {}
        }
        if function.post_return.is_some() {
            let result = returned.iter().map(|local| format!(" (local.get {local})")).collect::<String>();
            line!(code, "(call $post{number}{result})");
        }

        let list = |kind: &str, slots: &[Slot]| match slots {
            [] => String::new(),
            slots => format!(" ({kind} {})", slots.iter().map(|slot| slot.text()).collect::<Vec<_>>().join(" ")),
        };
        let (params, returns) = (list("param", &flat), list("result", &core_results));
        let _ =
            writeln!(code.imports, "  (import \"provider\" \"call{number}\" (func $call{number}{params}{returns}))");
        if function.post_return.is_some() {
            let params = list("param", &core_results);
            let _ = writeln!(code.imports, "  (import \"provider\" \"post{number}\" (func $post{number}{params}))");
        }
        if in_memory {
            flat.push(Slot::I32);
        }
        let named = |name: fn(usize) -> String, kind: &str, slots: &[Slot]| {
            let one = |(index, slot): (usize, &Slot)| format!(" ({kind} {} {})", name(index), slot.text());
            slots.iter().enumerate().map(one).collect::<String>()
        };
        let returns = if in_memory { String::new() } else { returns };
        let params = named(argument, "param", &flat);
        let locals = named(local, "local", &code.locals);
        let give = give.map(|name| format!("(local.get {name})\n")).unwrap_or_default();
        code.text = format!(
            "(func (export \"{number}\"){params}{returns}{locals}\n\
             (if (global.get $busy) (then (call $call_within_a_call)))\n\
             (global.set $busy (i32.const 1))\n\
             {}(global.set $busy (i32.const 0))\n{give})\n",
            code.body
        );
        code
    }

    fn local(&mut self, slot: Slot) -> String {
        self.locals.push(slot);
        local(self.locals.len() - 1)
    }

    fn argument(&mut self, ty: &Ty, slots: &[(String, Slot)]) -> Vec<String> {
        self.flat(Direction::In, ty, slots)
    }

    /// A value outside of memory: from these locals to those that it gives.
    fn flat(&mut self, direction: Direction, ty: &Ty, slots: &[(String, Slot)]) -> Vec<String> {
        let first = slots.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let second = slots.get(1).map(|(name, _)| name.clone()).unwrap_or_default();
        match ty {
            Ty::Int(4 | 8, _) => vec![first],
            Ty::Bool => vec![self.set(Slot::I32, &format!("(i32.ne (local.get {first}) (i32.const 0))"))],
            Ty::Int(size, Sign::Unsigned) => {
                let mask = if *size == 1 { 0xff } else { 0xffff };
                vec![self.set(Slot::I32, &format!("(i32.and (local.get {first}) (i32.const {mask}))"))]
            }
            Ty::Int(size, Sign::Signed) => {
                vec![self.set(Slot::I32, &format!("(i32.extend{}_s (local.get {first}))", size * 8))]
            }
            Ty::Own(_) | Ty::Borrow(_) => {
                let value = handle(direction, ty, &format!("(local.get {first})"));
                vec![self.set(Slot::I32, &value)]
            }
            Ty::Str | Ty::List(_) => vec![self.list(direction, ty, &first, &second), second],
            Ty::Record(fields) => {
                let mut rest = slots;
                let mut given = Vec::new();
                for field in fields {
                    let (own, others) = rest.split_at(field.flat().len().min(rest.len()));
                    given.extend(self.flat(direction, field, own));
                    rest = others;
                }
                given
            }
            Ty::Variant(cases) => {
                let known = cases.len();
                line!(self, "(if (i32.ge_u (local.get {first}) (i32.const {known})) (then (call $no_such_case)))");
                let payload = slots.get(1..).unwrap_or_default();
                // What a case does not use is 0.
                let given: Vec<_> = payload.iter().map(|(_, slot)| (self.local(*slot), *slot)).collect();
                for (index, case) in cases.iter().enumerate() {
                    let Some(case) = case else { continue };
                    line!(self, "(if (i32.eq (local.get {first}) (i32.const {index})) (then");
                    let mut own = Vec::new();
                    for (slot, (name, joined)) in case.flat().into_iter().zip(payload) {
                        own.push(match slot == *joined {
                            true => (name.clone(), slot),
                            false => (self.set(slot, &format!("(i32.wrap_i64 (local.get {name}))")), slot),
                        });
                    }
                    let passed = self.flat(direction, case, &own);
                    for ((name, slot), (to, joined)) in passed.iter().zip(case.flat()).zip(&given) {
                        match slot == *joined {
                            true => line!(self, "(local.set {to} (local.get {name}))"),
                            false => line!(self, "(local.set {to} (i64.extend_i32_u (local.get {name})))"),
                        }
                    }
                    line!(self, "))");
                }
                std::iter::once(first).chain(given.into_iter().map(|(name, _)| name)).collect()
            }
        }
    }

    fn set(&mut self, slot: Slot, value: &str) -> String {
        let local = self.local(slot);
        line!(self, "(local.set {local} {value})");
        local
    }

    /// A value in memory: from one place to another, both of which are checked.
    fn in_memory(&mut self, direction: Direction, ty: &Ty, from: &str, to: &str, at: u32) {
        let (source, target) = direction.ends();
        let memories = self.memories;
        let load = |how: &str, at: u32| memories.load(source, how, at, from);
        let store = |how: &str, at: u32, value: &str| memories.store(target, how, at, to, value);
        match ty {
            Ty::Bool => {
                let value = format!("(i32.ne {} (i32.const 0))", load("i32.load8_u", at));
                line!(self, "{}", store("i32.store8", at, &value));
            }
            Ty::Int(size, _) => {
                let (load_as, store_as) = access(*size);
                line!(self, "{}", store(store_as, at, &load(load_as, at)));
            }
            Ty::Own(_) | Ty::Borrow(_) => {
                line!(self, "{}", store("i32.store", at, &handle(direction, ty, &load("i32.load", at))));
            }
            Ty::Str | Ty::List(_) => {
                let place = self.set(Slot::I32, &load("i32.load", at));
                let length = self.set(Slot::I32, &load("i32.load", at + 4));
                let new = self.list(direction, ty, &place, &length);
                line!(self, "{}", store("i32.store", at, &format!("(local.get {new})")));
                line!(self, "{}", store("i32.store", at + 4, &format!("(local.get {length})")));
            }
            Ty::Record(fields) => {
                for (field, offset) in offsets(fields) {
                    self.in_memory(direction, field, from, to, at + offset);
                }
            }
            Ty::Variant(cases) => {
                let (load_as, store_as) = access(discriminant(cases.len()));
                let case = self.set(Slot::I32, &load(load_as, at));
                let known = cases.len();
                line!(self, "(if (i32.ge_u (local.get {case}) (i32.const {known})) (then (call $no_such_case)))");
                line!(self, "{}", store(store_as, at, &format!("(local.get {case})")));
                for (index, payload) in cases.iter().enumerate() {
                    let Some(payload) = payload else { continue };
                    line!(self, "(if (i32.eq (local.get {case}) (i32.const {index})) (then");
                    self.in_memory(direction, payload, from, to, at + ty.payload_offset());
                    line!(self, "))");
                }
            }
        }
    }

    /// A list or a string, by its place and length: gives the place of the copy.
    fn list(&mut self, direction: Direction, ty: &Ty, place: &str, length: &str) -> String {
        let (source, target) = direction.ends();
        let way = direction.name();
        let Ty::List(element) = ty else {
            return self.set(Slot::I32, &format!("(call ${way}_string (local.get {place}) (local.get {length}))"));
        };
        if matches!(**element, Ty::Int(1, _)) {
            return self.set(Slot::I32, &format!("(call ${way}_bytes (local.get {place}) (local.get {length}))"));
        }
        let (size, mask) = (element.size(), element.align() - 1);
        let wide = format!("(i64.mul (i64.extend_i32_u (local.get {length})) (i64.const {size}))");
        let wide = self.set(Slot::I64, &wide);
        line!(self, "(if (i64.gt_u (local.get {wide}) (i64.const 0xffffffff)) (then (call $out_of_bounds)))");
        let bytes = self.set(Slot::I32, &format!("(i32.wrap_i64 (local.get {wide}))"));
        line!(self, "(call ${source}_range (local.get {place}) (local.get {bytes}) (i32.const {mask}))");
        let new = self.set(Slot::I32, &format!("(call ${target}_new (local.get {bytes}) (i32.const {mask}))"));
        if size == 0 {
            return new;
        }
        let left = self.set(Slot::I32, &format!("(local.get {length})"));
        let from = self.set(Slot::I32, &format!("(local.get {place})"));
        let to = self.set(Slot::I32, &format!("(local.get {new})"));
        self.labels += 1;
        let label = self.labels;
        line!(self, "(block $done{label} (loop $more{label}");
        line!(self, "(br_if $done{label} (i32.eqz (local.get {left})))");
        self.in_memory(direction, element, &from, &to, 0);
        for place in [&from, &to] {
            line!(self, "(local.set {place} (i32.add (local.get {place}) (i32.const {size})))");
        }
        line!(self, "(local.set {left} (i32.sub (local.get {left}) (i32.const 1)))");
        line!(self, "(br $more{label})))");
        new
    }
}

fn argument(index: usize) -> String {
    format!("$a{index}")
}

fn local(index: usize) -> String {
    format!("$l{index}")
}

/// How an integer of so many bytes is loaded and stored.
fn access(size: u32) -> (&'static str, &'static str) {
    match size {
        1 => ("i32.load8_u", "i32.store8"),
        2 => ("i32.load16_u", "i32.store16"),
        4 => ("i32.load", "i32.store"),
        _ => ("i64.load", "i64.store"),
    }
}

/// A handle's number on the other side. To the provider, whose resource it is, one that is lent is what it knows it by.
fn handle(direction: Direction, ty: &Ty, value: &str) -> String {
    match (direction, ty) {
        (Direction::In, Ty::Own(number)) => {
            let kind = kind(*number);
            format!("(call $own_new (i32.const {kind}) (call $theirs_take (i32.const {kind}) {value}))")
        }
        (Direction::Out, Ty::Own(number)) => {
            let kind = kind(*number);
            format!("(call $theirs_new (i32.const {kind}) (call $own_take (i32.const {kind}) {value}))")
        }
        (_, Ty::Borrow(number)) => format!("(call $theirs_rep (i32.const {}) {value})", kind(*number)),
        _ => value.into(),
    }
}
