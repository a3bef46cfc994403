//! Go's type descriptors, and the names that `%T` prints for them.
//!
//! Go: `internal/abi/type.go`, in 1.18 to 1.20 `runtime/type.go`; `reflect/type.go` for types
//! made while the program runs. `cargo xtask go-layout` checks the facts.

use std::ops::Range;

use super::elf::Image;
use super::memory::{self, Memory, u32_in, u64_in};

/// Bytes of `abi.Type`, which every descriptor starts with.
// Go 1.18..1.20 runtime/type.go: size _type = 48
// Go 1.21..1.27 internal/abi/type.go: size Type = 48
pub(crate) const TYPE_LEN: usize = 48;
/// The longest name that is read; those of large anonymous structs are long.
const MAX_NAME: usize = 16 << 10;
/// How deep types made at run time may be nested in one another.
const MAX_DEPTH: u32 = 16;
/// How many types may be in one made at run time, itself included.
const MAX_PARTS: u32 = 64;

/// `abi.Kind` of the types that are looked into.
pub(crate) mod kind {
    // Go 1.18..1.20 runtime/typekind.go: const kindFloat32 = 13
    // Go 1.21..1.27 internal/abi/type.go: const Float32 = 13
    pub(crate) const FLOAT32: u8 = 13;
    // Go 1.18..1.20 runtime/typekind.go: const kindFloat64 = 14
    // Go 1.21..1.27 internal/abi/type.go: const Float64 = 14
    pub(crate) const FLOAT64: u8 = 14;
    // Go 1.18..1.20 runtime/typekind.go: const kindComplex64 = 15
    // Go 1.21..1.27 internal/abi/type.go: const Complex64 = 15
    pub(crate) const COMPLEX64: u8 = 15;
    // Go 1.18..1.20 runtime/typekind.go: const kindComplex128 = 16
    // Go 1.21..1.27 internal/abi/type.go: const Complex128 = 16
    pub(crate) const COMPLEX128: u8 = 16;
    // Go 1.18..1.20 runtime/typekind.go: const kindArray = 17
    // Go 1.21..1.27 internal/abi/type.go: const Array = 17
    pub(crate) const ARRAY: u8 = 17;
    // Go 1.18..1.20 runtime/typekind.go: const kindInterface = 20
    // Go 1.21..1.27 internal/abi/type.go: const Interface = 20
    pub(crate) const INTERFACE: u8 = 20;
    // Go 1.18..1.20 runtime/typekind.go: const kindMap = 21
    // Go 1.21..1.27 internal/abi/type.go: const Map = 21
    pub(crate) const MAP: u8 = 21;
    // Go 1.18..1.20 runtime/typekind.go: const kindPtr = 22
    // Go 1.21..1.27 internal/abi/type.go: const Pointer = 22
    pub(crate) const POINTER: u8 = 22;
    // Go 1.18..1.20 runtime/typekind.go: const kindSlice = 23
    // Go 1.21..1.27 internal/abi/type.go: const Slice = 23
    pub(crate) const SLICE: u8 = 23;
    // Go 1.18..1.20 runtime/typekind.go: const kindString = 24
    // Go 1.21..1.27 internal/abi/type.go: const String = 24
    pub(crate) const STRING: u8 = 24;
    // Go 1.18..1.20 runtime/typekind.go: const kindStruct = 25
    // Go 1.21..1.27 internal/abi/type.go: const Struct = 25
    pub(crate) const STRUCT: u8 = 25;
    /// `UnsafePointer`, the last one.
    // Go 1.18..1.20 runtime/typekind.go: const kindUnsafePointer = 26
    // Go 1.21..1.27 internal/abi/type.go: const UnsafePointer = 26
    pub(crate) const LAST: u8 = 26;
    /// The bits of `Type.Kind_` that are the kind.
    // Go 1.18..1.20 runtime/typekind.go: const kindMask = 0x1f
    // Go 1.21..1.25 internal/abi/type.go: const KindMask = 0x1f
    pub(crate) const MASK: u8 = 0x1f;
}

/// `abi.TFlag`.
pub(crate) mod tflag {
    /// The name starts with a `*` that is not part of it.
    // Go 1.18..1.20 runtime/type.go: const tflagExtraStar = 2
    // Go 1.21..1.27 internal/abi/type.go: const TFlagExtraStar = 2
    pub(crate) const EXTRA_STAR: u8 = 2;
    /// A defined type, not a literal one.
    // Go 1.18..1.20 runtime/type.go: const tflagNamed = 4
    // Go 1.21..1.27 internal/abi/type.go: const TFlagNamed = 4
    pub(crate) const NAMED: u8 = 4;
    /// Equality is that of the memory.
    // Go 1.18..1.20 runtime/type.go: const tflagRegularMemory = 8
    // Go 1.21..1.27 internal/abi/type.go: const TFlagRegularMemory = 8
    pub(crate) const REGULAR_MEMORY: u8 = 8;
}

/// The fields of `abi.Type` that are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeHeader {
    /// `Size_`, in bytes.
    pub(crate) size: u64,
    /// `PtrBytes`: how much of it may hold pointers.
    pub(crate) pointer_bytes: u64,
    /// `TFlag`.
    pub(crate) tflag: u8,
    /// `Align_`, in bytes.
    pub(crate) align: u8,
    /// `FieldAlign_`, in bytes.
    pub(crate) field_align: u8,
    /// `Kind_`, with its flags.
    pub(crate) kind_byte: u8,
    /// `Equal`: 0 for types that `==` does not apply to.
    pub(crate) equal: u64,
    /// `Str`: where the name lies, from the start of the types.
    pub(crate) name: i32,
}

impl TypeHeader {
    /// Out of the first bytes of a descriptor.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            // Go 1.18..1.20 runtime/type.go: field _type.size = 0
            // Go 1.21..1.27 internal/abi/type.go: field Type.Size_ = 0
            size: u64_in(bytes, 0)?,
            // Go 1.18..1.20 runtime/type.go: field _type.ptrdata = 8
            // Go 1.21..1.27 internal/abi/type.go: field Type.PtrBytes = 8
            pointer_bytes: u64_in(bytes, 8)?,
            // Go 1.18..1.20 runtime/type.go: field _type.tflag = 20
            // Go 1.21..1.27 internal/abi/type.go: field Type.TFlag = 20
            tflag: *bytes.get(20)?,
            // Go 1.18..1.20 runtime/type.go: field _type.align = 21
            // Go 1.21..1.27 internal/abi/type.go: field Type.Align_ = 21
            align: *bytes.get(21)?,
            // Go 1.18..1.20 runtime/type.go: field _type.fieldAlign = 22
            // Go 1.21..1.27 internal/abi/type.go: field Type.FieldAlign_ = 22
            field_align: *bytes.get(22)?,
            // Go 1.18..1.20 runtime/type.go: field _type.kind = 23
            // Go 1.21..1.27 internal/abi/type.go: field Type.Kind_ = 23
            kind_byte: *bytes.get(23)?,
            // Go 1.18..1.20 runtime/type.go: field _type.equal = 24
            // Go 1.21..1.27 internal/abi/type.go: field Type.Equal = 24
            equal: u64_in(bytes, 24)?,
            // Go 1.18..1.20 runtime/type.go: field _type.str = 40
            // Go 1.21..1.27 internal/abi/type.go: field Type.Str = 40
            name: u32_in(bytes, 40)?.cast_signed(),
        })
    }

    /// The kind, without flags.
    pub(crate) fn kind(&self) -> u8 {
        self.kind_byte & kind::MASK
    }

    fn is_plausible(&self) -> bool {
        (1..=kind::LAST).contains(&self.kind())
            && self.align.is_power_of_two()
            && self.align <= 64
            && self.pointer_bytes <= self.size
    }
}

/// Names the types of one target, wherever they lie.
pub(crate) struct Namer<'a> {
    /// The program's file, which has its static types.
    pub(crate) image: &'a Image,
    /// Linked addresses of those.
    pub(crate) types: &'a Range<u64>,
    /// What to add to a linked address to get one in the process.
    pub(crate) bias: u64,
    /// The process's memory, for types made while it runs.
    pub(crate) process: &'a dyn Memory,
}

impl Namer<'_> {
    /// The name of the type at an address in the process, as `%T` prints it.
    pub(crate) fn name(&self, address: u64) -> Option<String> {
        self.name_within(address, MAX_DEPTH, &mut { MAX_PARTS })
    }

    fn name_within(&self, address: u64, depth: u32, parts: &mut u32) -> Option<String> {
        *parts = parts.checked_sub(1)?;
        let linked = address.wrapping_sub(self.bias);
        if self.types.contains(&linked) {
            return static_name(self.image, self.types, linked);
        }
        let header = memory::array::<TYPE_LEN>(self.process, address)?;
        let header = TypeHeader::parse(&header).filter(TypeHeader::is_plausible)?;
        if header.tflag & tflag::NAMED != 0 {
            return None;
        }
        // reflect registers names elsewhere; those of literal types say what they are made of.
        let mut part = |offset: u64| {
            let part = memory::word(self.process, address.checked_add(offset)?)?;
            self.name_within(part, depth.checked_sub(1)?, parts)
        };
        let name = match header.kind() {
            // Go 1.18..1.20 runtime/type.go: field ptrtype.elem = 48
            // Go 1.21..1.27 internal/abi/type.go: field PtrType.Elem = 48
            kind::POINTER => format!("*{}", part(48)?),
            // Go 1.18..1.20 runtime/type.go: field slicetype.elem = 48
            // Go 1.21..1.27 internal/abi/type.go: field SliceType.Elem = 48
            kind::SLICE => format!("[]{}", part(48)?),
            kind::ARRAY => {
                // Go 1.18..1.20 runtime/type.go: field arraytype.len = 64
                // Go 1.21..1.27 internal/abi/type.go: field ArrayType.Len = 64
                let len = memory::word(self.process, address.checked_add(64)?)?;
                // Go 1.18..1.20 runtime/type.go: field arraytype.elem = 48
                // Go 1.21..1.27 internal/abi/type.go: field ArrayType.Elem = 48
                format!("[{len}]{}", part(48)?)
            }
            // Go 1.18..1.20 runtime/type.go: field maptype.key = 48
            // Go 1.18..1.20 runtime/type.go: field maptype.elem = 56
            // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.Key = 48
            // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.Elem = 56
            // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.Key = 48
            // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.Elem = 56
            kind::MAP => format!("map[{}]{}", part(48)?, part(56)?),
            _ => return None,
        };
        (name.len() <= MAX_NAME).then_some(name)
    }
}

/// The name of a static type, out of memory that has all of them.
pub(crate) fn static_name(
    memory: &impl Memory,
    types: &Range<u64>,
    address: u64,
) -> Option<String> {
    let header = memory::array::<TYPE_LEN>(memory, address)?;
    let header = TypeHeader::parse(&header).filter(TypeHeader::is_plausible)?;
    let start = types.start.checked_add(u64::try_from(header.name).ok()?)?;
    let left = types.end.checked_sub(start)?;
    // A byte of flags and the length, of which four bytes are more than MAX_NAME needs.
    // Go 1.21..1.27 internal/abi/type.go: (Name).Name has "i, l := n.ReadVarint(1)"
    // Go 1.21..1.27 internal/abi/type.go: (Name).ReadVarint has "v += int(x&0x7f) << (7 * i)"
    let prefix = memory::bytes(memory, start, left.min(5), 5)?;
    let (len, width) = memory::uvarint(prefix.get(1..)?)?;
    let behind = 1 + width as u64;
    if left.checked_sub(behind)? < len as u64 {
        return None;
    }
    let bytes = memory::bytes(memory, start + behind, len as u64, MAX_NAME)?;
    let name = String::from_utf8(bytes).ok()?;
    // Go 1.21..1.27 runtime/type.go: (rtype).string has "if t.TFlag&abi.TFlagExtraStar != 0 { return s[1:] }"
    if header.tflag & tflag::EXTRA_STAR != 0 {
        return name.strip_prefix('*').map(str::to_owned);
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
