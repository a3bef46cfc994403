//! Flattens the equality of struct and array types into steps that the kernel side can take.
//!
//! The types are found by looking at every word of the types' region: up to Go
//! 1.26 no list has the named ones. A word that only looks like a type does no
//! harm, because programs are looked up by the addresses that the target itself
//! uses; a type that is missed costs a `truncated` for each operation.
//!
//! Go: `internal/abi/type.go` (`StructType`, `StructField`, `ArrayType`), 1.18–1.27;
//! what is compared: `cmd/compile/internal/reflectdata/alg.go`, `compare/compare.go`.

use map_probe_common::equal::{EqualKind, EqualStep, MAX_STEPS};

use super::memory::{self, Region, u64_in};
use super::types::{TYPE_LEN, TypeHeader, kind, static_name, tflag};

/// A type, and the steps that compare two of its values.
pub type EqualSteps = (u64, Vec<EqualStep>);

/// Types looked at while one type is flattened.
const TYPE_BUDGET: u32 = 4096;
/// Types looked at while all are flattened. Terraform's 30,000 need a million.
const BUDGET: u32 = 32 << 20;
/// The most types that are flattened, and the most steps of all together: what the kernel side gets room for.
/// Terraform has ______.
const MAX_PROGRAMS: usize = 1 << 17;
const MAX_TOTAL_STEPS: usize = 1 << 20;
/// Looking at a type's name costs as much as looking at this many types at most.
const NAME_COST: u32 = 512;
/// How deep types may be nested in one another.
const MAX_DEPTH: u32 = 24;
/// The largest type that is flattened: offsets in steps are 32-bit.
const MAX_SIZE: u64 = 1 << 31;
/// Bytes of `abi.StructField`.
// Go 1.18..1.20 runtime/type.go: size structfield = 24
// Go 1.21..1.27 internal/abi/type.go: size StructField = 24
const FIELD_LEN: u64 = 24;

/// The steps of every comparable struct and array type that is not compared as
/// plain memory, by linked address.
pub(crate) fn programs(
    region: &Region,
    kind_flags: u8,
    field_offset_shift: u32,
) -> Vec<EqualSteps> {
    let types = Types {
        region,
        kind_flags,
        field_offset_shift,
    };
    let Some(range) = region.range() else {
        return Vec::new();
    };
    let mut programs = Vec::new();
    let (mut budget, mut total) = (BUDGET, 0);
    let unaligned = region.start.wrapping_neg() % 8;
    for (offset, bytes) in region
        .bytes
        .windows(TYPE_LEN)
        .enumerate()
        .skip(unaligned as usize)
        .step_by(8)
    {
        if !types.is_candidate(bytes) || budget == 0 {
            continue;
        }
        let address = region.start + offset as u64;
        let mut flat = Flat {
            types: &types,
            steps: Vec::new(),
            budget: TYPE_BUDGET.min(budget),
        };
        let before = flat.budget;
        let flattened = flat.add(address, 0, MAX_DEPTH);
        budget -= before - flat.budget;
        if flattened.is_none() {
            continue;
        }
        let name = static_name(region, &range, address);
        let cost = name
            .as_ref()
            .map_or(NAME_COST, |name| name.len() as u32 / 32);
        budget = budget.saturating_sub(cost);
        total += flat.steps.len();
        if programs.len() == MAX_PROGRAMS || total > MAX_TOTAL_STEPS {
            break;
        }
        if name.is_some() {
            programs.push((address, flat.steps));
        }
    }
    programs
}

struct Types<'a> {
    region: &'a Region,
    kind_flags: u8,
    field_offset_shift: u32,
}

impl Types<'_> {
    /// Whether the bytes may be a struct or array type with an equality of its own.
    fn is_candidate(&self, bytes: &[u8]) -> bool {
        let &[.., kind_byte] = bytes.get(..24).unwrap_or(&[0]) else {
            return false;
        };
        matches!(kind_byte & kind::MASK, kind::STRUCT | kind::ARRAY)
            && self.parse(bytes).is_some_and(|header| {
                header.equal != 0 && header.tflag & tflag::REGULAR_MEMORY == 0 && header.size > 0
            })
    }

    fn at(&self, address: u64) -> Option<TypeHeader> {
        if !address.is_multiple_of(8) {
            return None;
        }
        self.parse(self.region.from(address)?.get(..TYPE_LEN)?)
    }

    /// A descriptor, if every field of it makes sense.
    fn parse(&self, bytes: &[u8]) -> Option<TypeHeader> {
        let header = TypeHeader::parse(bytes)?;
        let sound = (1..=kind::LAST).contains(&header.kind())
            && header.kind_byte & !(kind::MASK | self.kind_flags) == 0
            && matches!(header.align, 1 | 2 | 4 | 8)
            && header.field_align == header.align
            && header.size <= MAX_SIZE
            && header.size % u64::from(header.align) == 0
            && header.pointer_bytes <= header.size
            && header.name >= 0;
        sound.then_some(header)
    }
}

/// The steps of one type as they come together.
struct Flat<'a> {
    types: &'a Types<'a>,
    steps: Vec<EqualStep>,
    budget: u32,
}

impl Flat<'_> {
    /// Appends the steps of the type at `address`, which lies `offset` bytes into the value.
    fn add(&mut self, address: u64, offset: u64, depth: u32) -> Option<()> {
        self.budget = self.budget.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        let header = self.types.at(address)?;
        if header.equal == 0 {
            return None;
        }
        if header.tflag & tflag::REGULAR_MEMORY != 0 {
            return self.memory(offset, header.size);
        }
        match (header.kind(), header.size) {
            (kind::STRING, 16) => self.push(EqualKind::String, offset),
            (kind::FLOAT32, 4) => self.push(EqualKind::Float32, offset),
            (kind::FLOAT64, 8) => self.push(EqualKind::Float64, offset),
            (kind::COMPLEX64, 8) => {
                self.push(EqualKind::Float32, offset)?;
                self.push(EqualKind::Float32, offset + 4)
            }
            (kind::COMPLEX128, 16) => {
                self.push(EqualKind::Float64, offset)?;
                self.push(EqualKind::Float64, offset + 8)
            }
            (kind::INTERFACE, 16) => {
                // Go 1.18..1.20 runtime/type.go: field interfacetype.mhdr.len = 64
                // Go 1.21..1.27 internal/abi/type.go: field InterfaceType.Methods.len = 64
                let methods = memory::word(self.types.region, address.checked_add(64)?)?;
                let kind = if methods == 0 {
                    EqualKind::EmptyInterface
                } else {
                    EqualKind::Interface
                };
                self.push(kind, offset)
            }
            (kind::ARRAY, size) => self.array(address, offset, size, depth),
            (kind::STRUCT, size) => self.fields(address, offset, size, depth),
            _ => None,
        }
    }

    fn array(&mut self, address: u64, offset: u64, size: u64, depth: u32) -> Option<()> {
        // Go 1.18..1.20 runtime/type.go: field arraytype.elem = 48
        // Go 1.21..1.27 internal/abi/type.go: field ArrayType.Elem = 48
        let element = memory::word(self.types.region, address.checked_add(48)?)?;
        // Go 1.18..1.20 runtime/type.go: field arraytype.len = 64
        // Go 1.21..1.27 internal/abi/type.go: field ArrayType.Len = 64
        let len = memory::word(self.types.region, address.checked_add(64)?)?;
        let stride = self.types.at(element)?.size;
        if stride.checked_mul(len)? != size {
            return None;
        }
        for index in 0..len {
            let before = (self.steps.len(), self.steps.last().copied());
            self.add(element, offset + index * stride, depth)?;
            // Elements that compare nothing (blank fields only) are all alike.
            if before == (self.steps.len(), self.steps.last().copied()) {
                break;
            }
        }
        Some(())
    }

    fn fields(&mut self, address: u64, offset: u64, size: u64, depth: u32) -> Option<()> {
        // Go 1.18..1.20 runtime/type.go: field structtype.fields.data = 56
        // Go 1.21..1.27 internal/abi/type.go: field StructType.Fields.data = 56
        let list = memory::word(self.types.region, address.checked_add(56)?)?;
        // Go 1.18..1.20 runtime/type.go: field structtype.fields.len = 64
        // Go 1.21..1.27 internal/abi/type.go: field StructType.Fields.len = 64
        let count = memory::word(self.types.region, address.checked_add(64)?)?;
        let mut end = 0;
        for index in 0..count {
            self.budget = self.budget.checked_sub(1)?;
            let field = list.checked_add(index.checked_mul(FIELD_LEN)?)?;
            let [name, typ, at] = self.field(field)?;
            let field_size = self.types.at(typ)?.size;
            if at < end || at.checked_add(field_size)? > size {
                return None;
            }
            end = at + field_size;
            if !self.is_blank(name)? {
                self.add(typ, offset + at, depth)?;
            }
        }
        Some(())
    }

    /// `Name`, `Typ` and `Offset` of an `abi.StructField`.
    fn field(&self, address: u64) -> Option<[u64; 3]> {
        let bytes = self.types.region.from(address)?;
        // Go 1.19..1.20 runtime/type.go: field structfield.offset = 16
        // Go 1.21..1.27 internal/abi/type.go: field StructField.Offset = 16
        let offset = u64_in(bytes, 16)?.checked_shr(self.types.field_offset_shift)?;
        // Go 1.18..1.20 runtime/type.go: field structfield.name = 0
        // Go 1.18..1.20 runtime/type.go: field structfield.typ = 8
        // Go 1.21..1.27 internal/abi/type.go: field StructField.Name = 0
        // Go 1.21..1.27 internal/abi/type.go: field StructField.Typ = 8
        Some([u64_in(bytes, 0)?, u64_in(bytes, 8)?, offset])
    }

    /// Whether a field is called `_`: such fields are not compared.
    fn is_blank(&self, name: u64) -> Option<bool> {
        let &[_, len, first, ..] = self.types.region.from(name)? else {
            return None;
        };
        // Go 1.19..1.20 runtime/type.go: (name).isBlank has "return l == 1 && *n.data(2) == '_'"
        // Go 1.21..1.27 internal/abi/type.go: (Name).IsBlank has "return l == 1 && *n.Data(2) == '_'"
        Some(len == 1 && first == b'_')
    }

    /// `len` bytes that are compared as they are, joined to such bytes right before them.
    fn memory(&mut self, offset: u64, len: u64) -> Option<()> {
        let (offset, len) = (u32::try_from(offset).ok()?, u32::try_from(len).ok()?);
        if len == 0 {
            return Some(());
        }
        if let Some(last) = self.steps.last_mut()
            && last.kind == EqualKind::Memory as u32
            && last.offset.checked_add(last.len)? == offset
        {
            last.len = last.len.checked_add(len)?;
            return Some(());
        }
        self.push_step(EqualKind::Memory, offset, len)
    }

    fn push(&mut self, kind: EqualKind, offset: u64) -> Option<()> {
        self.push_step(kind, u32::try_from(offset).ok()?, 0)
    }

    fn push_step(&mut self, kind: EqualKind, offset: u32, len: u32) -> Option<()> {
        if self.steps.len() == MAX_STEPS {
            return None;
        }
        self.steps.push(EqualStep {
            kind: kind as u32,
            offset,
            len,
        });
        Some(())
    }
}

#[cfg(test)]
mod tests;
