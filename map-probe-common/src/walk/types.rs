//! What the walk needs to know of a map's type, read from its descriptor.

use super::{World, part, read_field};
use crate::equal::{EqualProgram, kind};
use crate::quality::Cause;
use crate::shared::shared;

/// How two values of a type compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equality {
    /// As this many bytes.
    Memory(u32),
    /// By these steps.
    Program(EqualProgram),
}

/// What the walk needs of one map type. The kernel side keeps one per type it has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct MapType {
    /// The block of counters of this type; 0 until it has one.
    pub block: u32,
    /// Bytes of a bucket or group.
    pub unit_size: u32,
    /// Offset of the first key in a bucket or group.
    pub keys_offset: u32,
    /// From one key to the next.
    pub key_stride: u32,
    /// 1 if slots hold pointers to keys.
    pub indirect_key: u32,
    /// Offset of the first element in a bucket or group.
    pub elems_offset: u32,
    /// From one element to the next.
    pub elem_stride: u32,
    /// 1 if slots hold pointers to elements.
    pub indirect_elem: u32,
    /// Bytes to compare, where the program is empty.
    pub key_bytes: u32,
    /// The steps that compare two keys, if not empty.
    pub key_program: EqualProgram,
}
shared!(MapType, 44, {
    block: u32, unit_size: u32, keys_offset: u32, key_stride: u32,
    indirect_key: u32, elems_offset: u32, elem_stride: u32, indirect_elem: u32, key_bytes: u32, key_program: EqualProgram,
});

impl MapType {
    /// Whether keys compare as memory: [`MapType::key_bytes`] of it.
    pub(super) fn compares_memory(&self) -> bool {
        self.key_program.start >= self.key_program.end
    }
}

/// The largest bucket or group there is: Go keeps keys and elements up to 128 bytes in the slot.
// Go 1.18..1.20 runtime/map.go: const maxKeySize = 128
// Go 1.21..1.25 classic internal/abi/map.go|map_noswiss.go: const MapMaxKeyBytes|OldMapMaxKeyBytes = 128
// Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: const SwissMapMaxKeyBytes|MapMaxKeyBytes = 128
const MAX_UNIT_SIZE: u64 = 8 + 8 * (128 + 128) + 8;

/// Reads a map type from its descriptor at `typ`.
///
/// # Errors
///
/// [`Cause::Fault`] if memory cannot be read, [`Cause::Undecidable`] if the
/// sizes make no sense or the key's equality is not known.
pub fn map_type<W: World>(world: W, typ: u64) -> Result<MapType, Cause> {
    let layout = world.layout();
    let read = |field| read_field(world, typ, field).ok_or(Cause::Fault);
    let key_type = read(layout.key_type)?;
    let unit_size = read(layout.unit_size)?;
    let keys_offset = read(layout.keys_offset)?;
    let key_stride = read(layout.key_stride)?;
    let elems_offset = u64::from(layout.elems_base)
        .wrapping_add(read(layout.elems_offset)?.wrapping_mul(u64::from(layout.elems_times)));
    let elem_stride = read(layout.elem_stride)?;
    let flags = read(layout.type_flags)?;
    let offsets = [keys_offset, key_stride, elems_offset, elem_stride];
    if unit_size > MAX_UNIT_SIZE || offsets.iter().any(|offset| *offset > unit_size) {
        return Err(Cause::Undecidable);
    }
    let (key_bytes, key_program) = match equality(world, key_type)? {
        Equality::Memory(bytes) => (bytes, EqualProgram::default()),
        Equality::Program(program) => (0, program),
    };
    Ok(MapType {
        block: 0,
        unit_size: unit_size as u32,
        keys_offset: keys_offset as u32,
        key_stride: key_stride as u32,
        indirect_key: u32::from(flags & u64::from(layout.indirect_key) != 0),
        elems_offset: elems_offset as u32,
        elem_stride: elem_stride as u32,
        indirect_elem: u32::from(flags & u64::from(layout.indirect_elem) != 0),
        key_bytes,
        key_program,
    })
}

/// How values of the type at `typ` compare.
fn equality<W: World>(world: W, typ: u64) -> Result<Equality, Cause> {
    TypeHeader::read(world, typ)?.equality(world, typ)
}

/// The start of a type (`abi.Type`): size, pointer bytes, then hash, flags and kind in one word.
pub(super) struct TypeHeader([u64; 3]);

impl TypeHeader {
    pub(super) fn read<W: World>(world: W, typ: u64) -> Result<Self, Cause> {
        world.read(typ).map(Self).ok_or(Cause::Fault)
    }

    /// Whether an interface holding a value of this type has the value itself in its data word.
    pub(super) fn is_direct<W: World>(&self, world: W) -> bool {
        let layout = world.layout();
        let flags = part(self.0[2], layout.direct_interface);
        flags & u64::from(layout.direct_interface_mask) != 0
    }

    /// How values of this type, which is at `typ`, compare.
    #[expect(
        clippy::inline_always,
        reason = "a frame of its own would be one too many for the kernel's stack"
    )]
    #[inline(always)]
    pub(super) fn equality<W: World>(&self, world: W, typ: u64) -> Result<Equality, Cause> {
        let layout = world.layout();
        // Go 1.18..1.20 runtime/type.go: field _type.size = 0
        // Go 1.21..1.27 internal/abi/type.go: field Type.Size_ = 0
        let size = self.0[0];
        let tflag = part(self.0[2], layout.tflag);
        if tflag & u64::from(layout.regular_memory) != 0 || size == 0 {
            return u32::try_from(size)
                .map(Equality::Memory)
                .map_err(|_| Cause::Undecidable);
        }
        let mut key = part(self.0[2], layout.kind_byte) & u64::from(layout.kind_mask);
        if key == kind::INTERFACE {
            let methods = read_field(world, typ, layout.interface_methods).ok_or(Cause::Fault)?;
            if methods != 0 {
                key = kind::INTERFACE_WITH_METHODS;
            }
        } else if key > kind::COMPLEX128 && key != kind::STRING {
            // Structs and arrays each have a program of their own.
            key = typ;
        }
        world
            .equal_program(key)
            .map(Equality::Program)
            .ok_or(Cause::Undecidable)
    }
}
