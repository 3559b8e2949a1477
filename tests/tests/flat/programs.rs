//! Random programs of calls, with arguments that are right, and with some that are not.

use super::pair::{Ended, Running};
use super::random::Random;
use anyhow::{Context, Result};
use kvfuse_tests::raw::{Consumer, Kind, MEMORY, Misbehaviour, Raw, SCRATCH, resource};
use std::collections::HashMap;
use wit_parser::{Handle, Int, SizeAlign, Type, TypeDefKind, TypeId};

const KEYS: [&str; 9] = ["a", "b", "key", "", "ключ", "日本語のキー", "\u{10ffff}x", "a key of 24 bytes, ASCII", "n"];
const NOT_UTF8: [&[u8]; 12] = [
    b"\xff",
    b"\x80",
    b"\xc0\x80",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xed\xa0\x80",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"12345678\xf0\x9f\x92",
    b"12345678abcdefg\xc3(",
    b"\xd0\xba12345678\xf8\x88\x80\x80\x80",
];
const PLACES: [u32; 8] = [0, 1, MEMORY - 8, MEMORY - 1, MEMORY, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const LENGTHS: [u32; 9] = [1, 7, MEMORY, 0x0fff_ffff, 0x1000_0000, 0x2000_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const NUMBERS: [u64; 8] = [0, 1, 2, 5, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, u64::MAX, 0xffff_ffff_0000_0000];

/// What a program did.
#[derive(Debug, Default)]
pub struct Tally {
    /// How often each function returned.
    pub returned: HashMap<String, usize>,
    pub trapped: usize,
}

pub struct Program<'a> {
    consumer: &'a Consumer,
    sizes: SizeAlign,
    random: Random,
    running: Running,
    /// The handles that it has, by their resources.
    handles: HashMap<TypeId, Vec<u32>>,
    /// Arguments in memory, from the beginning of the scratch.
    memory: Vec<u8>,
    /// One argument in so many is wrong; 0 for none.
    hostile: usize,
    given: Vec<(TypeId, u32)>,
}

impl<'a> Program<'a> {
    pub fn new(consumer: &'a Consumer, running: Running, seed: u64, hostile: usize) -> Self {
        let mut sizes = SizeAlign::default();
        sizes.fill(&consumer.resolve);
        let (handles, memory, given) = (HashMap::new(), Vec::new(), Vec::new());
        Self { consumer, sizes, random: Random(seed), running, handles, memory, hostile, given }
    }

    /// So many calls, or up to the first trap.
    pub fn run(&mut self, calls: usize, tally: &mut Tally) -> Result<()> {
        for number in 0..calls {
            if self.hostile > 0 && self.random.below(20) == 0 {
                let (how, after) = (self.random.pick(&Misbehaviour::ALL), self.random.below(6) as u32);
                self.running.misbehave(how, after)?;
            }
            let functions = &self.consumer.functions;
            // A program that has no bucket opens one.
            let opening = number == 0 || self.random.below(12) == 0;
            let opens =
                |raw: &&Raw| ["#open", "bucket.open-bucket", "store.open"].iter().any(|name| raw.name.ends_with(name));
            let raw = match functions.iter().find(opens) {
                Some(raw) if opening => raw,
                _ => &functions[self.random.below(functions.len())],
            };
            let Some(core) = self.arguments(raw) else { continue };
            let memory = std::mem::take(&mut self.memory);
            self.running.poke(SCRATCH.start, &memory)?;
            let ended =
                self.running.call(raw, &core).with_context(|| format!("call {number}, {}{core:x?}", raw.name))?;
            let Ended::Returned(value) = ended else {
                tally.trapped += 1;
                return Ok(());
            };
            *tally.returned.entry(raw.name.clone()).or_default() += 1;
            for (resource, handle) in std::mem::take(&mut self.given) {
                self.handles.entry(resource).or_default().retain(|known| *known != handle);
            }
            if let Kind::Function { result: Some(ty), retptr, .. } = &raw.kind {
                let at = core.last().copied().unwrap_or_default() as u32;
                if *retptr {
                    self.collect(ty, at)?;
                } else if let Some((resource, _)) = self.handle(ty) {
                    self.handles.entry(resource).or_default().push(value as u32);
                }
            }
        }
        Ok(())
    }

    fn wrong(&mut self) -> bool {
        self.hostile > 0 && self.random.below(self.hostile) == 0
    }

    /// The core arguments; `None` if it has no handle for one.
    fn arguments(&mut self, raw: &Raw) -> Option<Vec<u64>> {
        self.memory.clear();
        self.given.clear();
        let mut core = Vec::new();
        match &raw.kind {
            Kind::Drop(id) => {
                let handle = self.owned(resource(&self.consumer.resolve, *id))?;
                self.given.push((resource(&self.consumer.resolve, *id), handle));
                core.push(u64::from(handle));
            }
            Kind::Function { params, result, retptr } => {
                for (name, ty) in params {
                    if matches!((name.as_str(), ty), ("identifier" | "name" | "bucket" | "label", Type::String)) {
                        let name = if self.random.below(30) == 0 { ":other:" } else { ":memory:" };
                        let at = self.bytes(name.as_bytes());
                        core.extend([u64::from(at), name.len() as u64]);
                    } else {
                        self.flat(ty, &mut core)?;
                    }
                }
                if let (true, Some(ty)) = (retptr, result) {
                    let (size, align) = (self.sizes.size(ty).size_wasm32(), self.sizes.align(ty).align_wasm32());
                    let at = self.room(size, align);
                    let wrong = self.wrong();
                    core.push(u64::from(match wrong {
                        true => {
                            self.random.pick(&[at + 1, at + 2, at + 4, MEMORY - size as u32, 0, MEMORY, u32::MAX - 7])
                        }
                        false => at,
                    }));
                }
            }
        }
        Some(core)
    }

    /// A new place in the scratch.
    fn room(&mut self, size: usize, align: usize) -> u32 {
        let at = (SCRATCH.start as usize + self.memory.len()).next_multiple_of(align.max(1));
        let end = (at + size - SCRATCH.start as usize).min((SCRATCH.end - SCRATCH.start) as usize);
        self.memory.resize(end.max(self.memory.len()), 0);
        at as u32
    }

    fn bytes(&mut self, bytes: &[u8]) -> u32 {
        let at = self.room(bytes.len(), 1);
        self.write(at, bytes);
        at
    }

    fn write(&mut self, at: u32, bytes: &[u8]) {
        let from = (at - SCRATCH.start) as usize;
        if let Some(place) = self.memory.get_mut(from..from + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn owned(&mut self, resource: TypeId) -> Option<u32> {
        if self.wrong() {
            return Some(self.random.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 0x0fff_ffff, 0x1000_0000, u32::MAX]));
        }
        let known = self.handles.get(&resource).filter(|known| !known.is_empty())?.clone();
        Some(self.random.pick(&known))
    }

    /// The resource of a handle type, and whether it is given away.
    fn handle(&self, ty: &Type) -> Option<(TypeId, bool)> {
        let Type::Id(id) = ty else { return None };
        match &self.consumer.resolve.types[*id].kind {
            TypeDefKind::Handle(Handle::Own(id)) => Some((resource(&self.consumer.resolve, *id), true)),
            TypeDefKind::Handle(Handle::Borrow(id)) => Some((resource(&self.consumer.resolve, *id), false)),
            TypeDefKind::Type(ty) => self.handle(ty),
            _ => None,
        }
    }

    fn number(&mut self) -> u64 {
        match self.random.below(4) {
            0 => self.random.pick(&NUMBERS),
            _ => self.random.below(20) as u64,
        }
    }

    /// Where a list or a string is, and how long it is; now and then it is somewhere else.
    fn span(&mut self, at: u32, length: usize) -> [u32; 2] {
        let mut span = [at, length as u32];
        if self.wrong() {
            match self.random.below(5) {
                0 => span[0] = self.random.pick(&PLACES),
                1 => span[1] = self.random.pick(&LENGTHS),
                2 => span = [self.random.pick(&PLACES), self.random.pick(&LENGTHS)],
                3 => span[0] = MEMORY - length as u32,
                _ => span[0] += 1 + self.random.below(3) as u32,
            }
        }
        span
    }

    fn string(&mut self) -> [u32; 2] {
        let key = self.random.pick(&KEYS);
        let mut bytes = match self.random.below(20) {
            0 => key.repeat(self.random.below(400)).into_bytes(),
            _ => key.as_bytes().to_vec(),
        };
        if self.wrong() {
            let place = self.random.below(bytes.len() + 1);
            let bad = self.random.pick(&NOT_UTF8);
            bytes.splice(place..place, bad.iter().copied());
        }
        let at = self.bytes(&bytes);
        self.span(at, bytes.len())
    }

    fn list(&mut self, element: &Type) -> Option<[u32; 2]> {
        if *element == Type::U8 {
            let length = match self.random.below(8) {
                0 => 250 + self.random.below(20),
                1 => self.random.below(9000),
                _ => self.random.below(30),
            };
            // A counter now and then.
            let bytes = match self.random.below(3) {
                0 => self.random.below(1000).to_string().into_bytes(),
                _ => (0..length).map(|_| self.random.next() as u8).collect(),
            };
            let at = self.bytes(&bytes);
            return Some(self.span(at, bytes.len()));
        }
        let (size, align) = (self.sizes.size(element).size_wasm32(), self.sizes.align(element).align_wasm32());
        let length = if self.random.below(10) == 0 { self.random.below(60) } else { self.random.below(5) };
        let at = self.room(size * length, align);
        for index in 0..length {
            self.store(element, at + (index * size) as u32)?;
        }
        Some(self.span(at, length))
    }

    /// A case of so many, or none of them.
    fn case(&mut self, cases: usize) -> usize {
        if self.wrong() { cases + self.random.below(3) } else { self.random.below(cases) }
    }

    fn flat(&mut self, ty: &Type, core: &mut Vec<u64>) -> Option<()> {
        if let Some((resource, given)) = self.handle(ty) {
            let handle = self.owned(resource)?;
            if given {
                self.given.push((resource, handle));
            }
            core.push(u64::from(handle));
            return Some(());
        }
        let Type::Id(id) = ty else {
            match ty {
                Type::String => core.extend(self.string().map(u64::from)),
                Type::Bool => core.push(self.random.below(3) as u64),
                _ => core.push(self.number()),
            }
            return Some(());
        };
        let (variants, fields) = match &self.consumer.resolve.types[*id].kind {
            TypeDefKind::List(element) => {
                let element = *element;
                core.extend(self.list(&element)?.map(u64::from));
                return Some(());
            }
            TypeDefKind::Type(ty) => {
                let ty = *ty;
                return self.flat(&ty, core);
            }
            TypeDefKind::Record(record) => (None, record.fields.iter().map(|field| field.ty).collect()),
            TypeDefKind::Tuple(tuple) => (None, tuple.types.clone()),
            kind => (Some(cases(kind)), Vec::new()),
        };
        for field in &fields {
            self.flat(field, core)?;
        }
        if let Some(cases) = variants {
            let case = self.case(cases.len());
            core.push(case as u64);
            // No parameter of these interfaces is a variant with payloads of different lengths.
            match cases.get(case).copied().flatten() {
                Some(payload) => self.flat(&payload, core)?,
                None => core.extend((0..self.width(&cases)).map(|_| self.random.next())),
            }
        }
        Some(())
    }

    fn width(&self, cases: &[Option<Type>]) -> usize {
        let of = |ty: &Type| match ty {
            Type::String => 2,
            Type::Id(_) => unreachable!("no parameter is a variant of compound types"),
            _ => 1,
        };
        cases.iter().flatten().map(of).max().unwrap_or(0)
    }

    fn store(&mut self, ty: &Type, at: u32) -> Option<()> {
        if self.handle(ty).is_some() {
            let mut core = Vec::new();
            self.flat(ty, &mut core)?;
            self.write(at, &(core[0] as u32).to_le_bytes());
            return Some(());
        }
        let span = |this: &mut Self, span: [u32; 2]| {
            this.write(at, &span[0].to_le_bytes());
            this.write(at + 4, &span[1].to_le_bytes());
        };
        let Type::Id(id) = ty else {
            if *ty == Type::String {
                let string = self.string();
                span(self, string);
            } else {
                let (number, size) = (self.number().to_le_bytes(), self.sizes.size(ty).size_wasm32());
                self.write(at, &number[..size]);
            }
            return Some(());
        };
        let fields: Vec<Type> = match &self.consumer.resolve.types[*id].kind {
            TypeDefKind::List(element) => {
                let element = *element;
                let list = self.list(&element)?;
                span(self, list);
                return Some(());
            }
            TypeDefKind::Type(ty) => {
                let ty = *ty;
                return self.store(&ty, at);
            }
            TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
            TypeDefKind::Tuple(tuple) => tuple.types.clone(),
            _ => unreachable!("no list has variants"),
        };
        let places: Vec<_> = self.sizes.field_offsets(&fields).iter().map(|(at, _)| at.size_wasm32() as u32).collect();
        for (field, place) in fields.iter().zip(places) {
            self.store(field, at + place)?;
        }
        Some(())
    }

    /// Notes the handles in a result.
    fn collect(&mut self, ty: &Type, at: u32) -> Result<()> {
        let Some(bytes) = self.running.peek(at)? else { return Ok(()) };
        if let Some((resource, _)) = self.handle(ty) {
            self.handles.entry(resource).or_default().push(bytes as u32);
            return Ok(());
        }
        let Type::Id(id) = ty else { return Ok(()) };
        let fields: Vec<Type> = match &self.consumer.resolve.types[*id].kind {
            TypeDefKind::Type(ty) => {
                let ty = *ty;
                return self.collect(&ty, at);
            }
            TypeDefKind::List(element) => {
                let (element, length) = (*element, (bytes >> 32) as u32);
                let size = self.sizes.size(&element).size_wasm32() as u32;
                for index in 0..length.min(100) {
                    self.collect(&element, (bytes as u32).wrapping_add(index * size))?;
                }
                return Ok(());
            }
            TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
            TypeDefKind::Tuple(tuple) => tuple.types.clone(),
            kind => {
                let cases = cases(kind);
                let offset = self.sizes.payload_offset(Int::U8, cases.iter().map(Option::as_ref)).size_wasm32();
                let payload = cases.get(usize::from(bytes as u8)).copied().flatten();
                return payload.map_or(Ok(()), |payload| self.collect(&payload, at + offset as u32));
            }
        };
        let places: Vec<_> = self.sizes.field_offsets(&fields).iter().map(|(at, _)| at.size_wasm32() as u32).collect();
        fields.iter().zip(places).try_for_each(|(field, place)| self.collect(field, at + place))
    }
}

/// What the cases of a variant carry.
fn cases(kind: &TypeDefKind) -> Vec<Option<Type>> {
    match kind {
        TypeDefKind::Variant(variant) => variant.cases.iter().map(|case| case.ty).collect(),
        TypeDefKind::Option(ty) => vec![None, Some(*ty)],
        TypeDefKind::Result(result) => vec![result.ok, result.err],
        TypeDefKind::Enum(cases) => vec![None; cases.cases.len()],
        other => panic!("{other:?} is no variant"),
    }
}
