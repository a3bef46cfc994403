//! One normalised description of a Go version's maps, filled in by userspace.
//!
//! Every offset is in bytes. The kernel side and the walk read it and know no
//! Go version; `map-probe/src/target/go/` holds the facts and their sources.

use crate::shared::shared;

/// Which family of maps the target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LayoutKind {
    /// Buckets of eight with overflow chains: Go up to 1.23, and 1.24/1.25 with `GOEXPERIMENT=noswissmap`.
    Classic = 1,
    /// Groups of eight along a probe sequence: Go 1.24 and later.
    Swiss = 2,
}

/// Where an integer lies in a Go structure: `width` bytes at `offset`.
///
/// A width of 0 says that the value is no field but the constant `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Field {
    /// Bytes from the start of the structure, or the constant itself.
    pub offset: u16,
    /// 1, 2, 4 or 8 bytes; 0 for a constant.
    pub width: u16,
}
shared!(Field, 4, { offset: u16, width: u16 });

impl Field {
    /// A field of `width` bytes at `offset`.
    #[must_use]
    pub const fn at(offset: u16, width: u16) -> Self {
        Self { offset, width }
    }

    /// A value that is the same for all types of this layout.
    #[must_use]
    pub const fn constant(value: u16) -> Self {
        Self {
            offset: value,
            width: 0,
        }
    }
}

/// Words of a map's header that one read brings: enough for every field the walk uses.
pub const HEADER_WORDS: usize = 6;

/// The layout of one target's maps and map types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Layout {
    /// A [`LayoutKind`] as its number.
    pub kind: u32,
    /// Type flag that says the map's slots hold pointers to keys.
    pub indirect_key: u32,
    /// Type flag that says they hold pointers to elements.
    pub indirect_elem: u32,

    // The map's header (`hmap`, `maps.Map`): fields within its first `HEADER_WORDS` words.
    /// Classic `hmap.count`, Swiss `Map.used`.
    pub entries: Field,
    /// Classic `hmap.flags`, Swiss `Map.writing`.
    pub writing: Field,
    /// Classic `hmap.B`, Swiss `Map.globalShift`.
    pub shift: Field,
    /// Classic `hmap.buckets`, Swiss `Map.dirPtr`.
    pub storage: Field,
    /// Classic `hmap.oldbuckets`, Swiss `Map.dirLen`.
    pub second: Field,
    /// Swiss: `table.groups.data`, followed by `lengthMask` as the next word. Classic: unused.
    pub groups: Field,
    /// Bits of `writing` that are set while the map is written to.
    pub writing_mask: u32,
    /// Classic: bit of `hmap.flags` for a growth to the same size. Swiss: 0.
    pub same_size_mask: u32,

    // The map's type (`maptype`, `abi.MapType`).
    /// Pointer to the key's type.
    pub key_type: Field,
    /// Flags of the map type.
    pub type_flags: Field,
    /// Size of a bucket or group.
    pub unit_size: Field,
    /// Offset of the first key in a bucket or group.
    pub keys_offset: Field,
    /// Distance from one key to the next.
    pub key_stride: Field,
    /// What the offset of the first element in a bucket or group is reckoned from:
    /// `elems_base` and `elems_times` times this.
    pub elems_offset: Field,
    /// Bytes.
    pub elems_base: u16,
    /// A factor.
    pub elems_times: u16,
    /// Distance from one element to the next.
    pub elem_stride: Field,

    // A goroutine (`g`).
    /// Its stack's lowest address; the end of the stack follows as the next word.
    pub stack: Field,

    // Any type (`abi.Type`).
    /// `Type.TFlag`.
    pub tflag: Field,
    /// `Type.Kind_`.
    pub kind_byte: Field,
    /// Bits of the kind byte that are the kind.
    pub kind_mask: u32,
    /// `TFlag` bit: equality is that of the memory.
    pub regular_memory: u32,
    /// Where the bit lies that says an interface's data word is the value itself.
    pub direct_interface: Field,
    /// That bit.
    pub direct_interface_mask: u32,
    /// `InterfaceType.Methods.len`.
    pub interface_methods: Field,
    /// `itab.Type`.
    pub itab_type: Field,
}
shared!(Layout, 112, {
    kind: u32, indirect_key: u32, indirect_elem: u32,
    entries: Field, writing: Field, shift: Field, storage: Field, second: Field, groups: Field,
    writing_mask: u32, same_size_mask: u32,
    key_type: Field, type_flags: Field, unit_size: Field, keys_offset: Field, key_stride: Field,
    elems_offset: Field, elems_base: u16, elems_times: u16, elem_stride: Field, stack: Field,
    tflag: Field, kind_byte: Field, kind_mask: u32, regular_memory: u32,
    direct_interface: Field, direct_interface_mask: u32, interface_methods: Field, itab_type: Field,
});
