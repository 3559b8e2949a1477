//! The types that cross, and their places in memory and on the stack, as the canonical ABI has them.

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{ComponentDefinedType, ComponentValType, ResourceId};
use wasmparser::types::TypesRef;

/// A type that an adapter can pass on. In both parts it has the same form: both memories have 32 bits, both strings are
/// UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    Bool,
    /// An integer of so many bytes.
    Int(u32, Sign),
    Str,
    List(Box<Ty>),
    /// Records and tuples.
    Record(Vec<Ty>),
    /// Variants, enums, options and results: what each case carries.
    Variant(Vec<Option<Ty>>),
    /// A handle that is given away, of the resource with this number.
    Own(usize),
    /// A handle that is lent.
    Borrow(usize),
}

/// Of an integer, which matters where it is narrower than what it is passed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Unsigned,
    Signed,
}

/// A core type that a value is passed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    I32,
    I64,
}

impl Slot {
    pub fn text(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }
}

/// What keeps a type from being passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A resource that neither of the two defines.
    HostResource,
    /// No adapter is made for it.
    Unknown(&'static str),
}

/// A component's types, and which of its resources may cross.
pub struct Reader<'a> {
    pub types: TypesRef<'a>,
    /// The number of a resource.
    pub number: &'a dyn Fn(ResourceId) -> Option<usize>,
}

impl Reader<'_> {
    pub fn read(&self, ty: &ComponentValType) -> Result<Ty, Unfit> {
        let id = match ty {
            ComponentValType::Primitive(primitive) => return primitive_type(*primitive),
            ComponentValType::Type(id) => *id,
        };
        let optional = |ty: &Option<ComponentValType>| ty.as_ref().map(|ty| self.read(ty)).transpose();
        let resource = |id: ResourceId| (self.number)(id).ok_or(Unfit::HostResource);
        let defined = self.types.get(id).ok_or(Unfit::Unknown("a type that is not there"))?;
        Ok(match defined {
            ComponentDefinedType::Primitive(primitive) => primitive_type(*primitive)?,
            ComponentDefinedType::Record(record) => {
                Ty::Record(record.fields.values().map(|ty| self.read(ty)).collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Tuple(tuple) => {
                Ty::Record(tuple.types.iter().map(|ty| self.read(ty)).collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Variant(variant) => {
                Ty::Variant(variant.cases.values().map(|case| optional(&case.ty)).collect::<Result<_, _>>()?)
            }
            ComponentDefinedType::Enum(cases) => Ty::Variant(vec![None; cases.len()]),
            ComponentDefinedType::Option { ty, .. } => Ty::Variant(vec![None, Some(self.read(ty)?)]),
            ComponentDefinedType::Result { ok, err, .. } => Ty::Variant(vec![optional(ok)?, optional(err)?]),
            ComponentDefinedType::List { element, .. } => Ty::List(Box::new(self.read(element)?)),
            ComponentDefinedType::Own(id) => Ty::Own(resource(id.resource())?),
            ComponentDefinedType::Borrow(id) => Ty::Borrow(resource(id.resource())?),
            ComponentDefinedType::Map { .. } => return Err(Unfit::Unknown("a map")),
            ComponentDefinedType::FixedLengthList { .. } => return Err(Unfit::Unknown("a list of fixed length")),
            ComponentDefinedType::Flags(_) => return Err(Unfit::Unknown("flags")),
            ComponentDefinedType::Future { .. } | ComponentDefinedType::Stream { .. } => {
                return Err(Unfit::Unknown("a stream or a future"));
            }
        })
    }
}

fn primitive_type(primitive: PrimitiveValType) -> Result<Ty, Unfit> {
    Ok(match primitive {
        PrimitiveValType::Bool => Ty::Bool,
        PrimitiveValType::U8 => Ty::Int(1, Sign::Unsigned),
        PrimitiveValType::S8 => Ty::Int(1, Sign::Signed),
        PrimitiveValType::U16 => Ty::Int(2, Sign::Unsigned),
        PrimitiveValType::S16 => Ty::Int(2, Sign::Signed),
        PrimitiveValType::U32 => Ty::Int(4, Sign::Unsigned),
        PrimitiveValType::S32 => Ty::Int(4, Sign::Signed),
        PrimitiveValType::U64 => Ty::Int(8, Sign::Unsigned),
        PrimitiveValType::S64 => Ty::Int(8, Sign::Signed),
        PrimitiveValType::String => Ty::Str,
        PrimitiveValType::F32 | PrimitiveValType::F64 => return Err(Unfit::Unknown("a floating-point number")),
        PrimitiveValType::Char => return Err(Unfit::Unknown("a character")),
        PrimitiveValType::ErrorContext => return Err(Unfit::Unknown("an error context")),
    })
}

impl Ty {
    /// How it must be aligned in memory, in bytes.
    pub fn align(&self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Int(size, _) => *size,
            Self::Str | Self::List(_) | Self::Own(_) | Self::Borrow(_) => 4,
            Self::Record(fields) => fields.iter().map(Self::align).max().unwrap_or(1),
            Self::Variant(cases) => {
                let payloads = cases.iter().flatten().map(Self::align).max().unwrap_or(1);
                payloads.max(discriminant(cases.len()))
            }
        }
    }

    /// What it takes in memory, in bytes.
    pub fn size(&self) -> u32 {
        match self {
            Self::Bool => 1,
            Self::Int(size, _) => *size,
            Self::Str | Self::List(_) => 8,
            Self::Own(_) | Self::Borrow(_) => 4,
            Self::Record(fields) => {
                let end = offsets(fields).last().map_or(0, |(field, at)| at + field.size());
                end.next_multiple_of(self.align())
            }
            Self::Variant(cases) => {
                let payload = cases.iter().flatten().map(Self::size).max().unwrap_or(0);
                (self.payload_offset() + payload).next_multiple_of(self.align())
            }
        }
    }

    /// Where in a variant its payload begins, in bytes.
    pub fn payload_offset(&self) -> u32 {
        let Self::Variant(cases) = self else { return 0 };
        let payloads = cases.iter().flatten().map(Self::align).max().unwrap_or(1);
        discriminant(cases.len()).next_multiple_of(payloads)
    }

    /// What it is passed in outside of memory.
    pub fn flat(&self) -> Vec<Slot> {
        match self {
            Self::Int(8, _) => vec![Slot::I64],
            Self::Bool | Self::Int(..) | Self::Own(_) | Self::Borrow(_) => vec![Slot::I32],
            Self::Str | Self::List(_) => vec![Slot::I32, Slot::I32],
            Self::Record(fields) => fields.iter().flat_map(Self::flat).collect(),
            Self::Variant(cases) => {
                let mut joined: Vec<Slot> = Vec::new();
                for case in cases.iter().flatten() {
                    for (index, slot) in case.flat().into_iter().enumerate() {
                        match joined.get_mut(index) {
                            Some(known) if *known != slot => *known = Slot::I64,
                            Some(_) => {}
                            None => joined.push(slot),
                        }
                    }
                }
                joined.insert(0, Slot::I32);
                joined
            }
        }
    }

    /// How many types it is made of, itself included.
    pub fn parts(&self) -> usize {
        1 + match self {
            Self::List(element) => element.parts(),
            Self::Record(fields) => fields.iter().map(Self::parts).sum(),
            Self::Variant(cases) => cases.iter().map(|case| case.as_ref().map_or(1, Self::parts)).sum(),
            _ => 0,
        }
    }

    /// The resources that it lends and those that it gives away.
    pub fn handles(&self, lent: &mut Vec<usize>, given: &mut Vec<usize>) {
        match self {
            Self::Own(number) => given.push(*number),
            Self::Borrow(number) => lent.push(*number),
            Self::List(element) => element.handles(lent, given),
            Self::Record(fields) => fields.iter().for_each(|field| field.handles(lent, given)),
            Self::Variant(cases) => cases.iter().flatten().for_each(|case| case.handles(lent, given)),
            Self::Bool | Self::Int(..) | Self::Str => {}
        }
    }
}

/// How many bytes say which of so many cases it is.
pub fn discriminant(cases: usize) -> u32 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// The fields of a record, each with the place where it begins, in bytes.
pub fn offsets(fields: &[Ty]) -> impl Iterator<Item = (&Ty, u32)> {
    let mut end = 0u32;
    fields.iter().map(move |field| {
        let at = end.next_multiple_of(field.align());
        end = at + field.size();
        (field, at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values computed by hand from the canonical ABI's `alignment`, `elem_size` and `flatten_type`.
    #[test]
    fn types_have_the_places_that_the_canonical_abi_says() {
        let bytes = || Ty::List(Box::new(Ty::Int(1, Sign::Unsigned)));
        let option = |ty| Ty::Variant(vec![None, Some(ty)]);
        let error = || Ty::Variant(vec![None, None, Some(Ty::Str)]);
        let result = |ty| Ty::Variant(vec![ty, Some(error())]);
        let number = || Ty::Int(8, Sign::Unsigned);
        let page = Ty::Record(vec![Ty::List(Box::new(Ty::Str)), option(number())]);
        let places = |ty: &Ty| (ty.size(), ty.align(), ty.payload_offset());
        assert_eq!(places(&error()), (12, 4, 4));
        assert_eq!(places(&result(Some(option(bytes())))), (16, 4, 4));
        assert_eq!(places(&result(None)), (16, 4, 4));
        assert_eq!(places(&result(Some(Ty::Bool))), (16, 4, 4));
        assert_eq!(places(&result(Some(number()))), (24, 8, 8));
        assert_eq!(places(&page), (24, 8, 0));
        assert_eq!(places(&result(Some(page))), (32, 8, 8));
        assert_eq!(places(&option(Ty::Record(vec![Ty::Str, bytes()]))), (20, 4, 4));
        assert_eq!(places(&Ty::Record(vec![Ty::Bool, Ty::Int(2, Sign::Unsigned), Ty::Bool])), (6, 2, 0));
        assert_eq!(places(&Ty::Variant(vec![None; 300])), (2, 2, 2));
        assert_eq!(option(number()).flat(), [Slot::I32, Slot::I64]);
        let mixed = Ty::Variant(vec![Some(Ty::Str), Some(number()), None]);
        assert_eq!(mixed.flat(), [Slot::I32, Slot::I64, Slot::I32]);
    }
}
