//! Swiss maps: a table by the hash's high bits, then groups along a triangular
//! probe sequence (Go 1.24–1.27 `internal/runtime/maps/{map,table,group}.go`).

use super::search::{Operation, Position, Start};
use super::types::MapType;
use super::{End, Header, World, broadcast, zero_bytes};
use crate::op::{Class, Outcome};
use crate::quality::Cause;
use crate::site::PASSES_TOMBSTONE_FIRST;

// A table's number of groups, less one, is the word behind the pointer to them: both are read at once.
// Go 1.24..1.27 swiss internal/runtime/maps/group.go: field groupsReference.lengthMask = 8
const _: () = assert!(size_of::<u64>() == 8);

/// An empty slot's control byte.
// Go 1.24..1.27 swiss internal/runtime/maps/group.go: const ctrlEmpty = 0x80
const EMPTY: u8 = 0x80;
/// The bit that empty slots and tombstones have, and filled ones do not.
// Go 1.24..1.27 swiss internal/runtime/maps/group.go: ctrlGroupMatchEmptyOrDeleted has "return bitset(v & bitsetMSB)"
const FREE: u64 = broadcast(0x80);

/// The hash's low seven bits.
// Go 1.24..1.27 swiss internal/runtime/maps/map.go: h2 has "return h & 0x7f"
pub(super) fn tag(hash: u64) -> u8 {
    (hash & 0x7f) as u8
}

/// The group that the operation searches first.
pub(super) fn start<W: World>(
    world: W,
    header: &Header,
    typ: &MapType,
    operation: &Operation,
) -> Start {
    let layout = world.layout();
    let storage = header.get(layout.storage);
    let tables = header.get(layout.second);
    if tables == 0 {
        if storage == 0 {
            // The first insert allocates the only group, and finds nothing in it.
            let end = End::At {
                outcome: Outcome::Absent,
                class: Class::Small,
                depth: 1,
            };
            return Start::End(end);
        }
        let only = Position {
            unit: storage,
            is_only: true,
            ..Position::default()
        };
        return Start::Search(only, Class::Small);
    }
    let index = directory_index(tables, header.get(layout.shift), operation.hash);
    if index >= tables {
        return Start::End(End::Failed(Cause::Torn));
    }
    match world.read::<u64>(storage.wrapping_add(index.wrapping_mul(8))) {
        Some(table) => in_table(world, table, typ, operation.hash),
        None => Start::End(End::Failed(Cause::Fault)),
    }
}

/// The index of the hash's table in a directory of so many.
pub(super) fn directory_index(tables: u64, shift: u64, hash: u64) -> u64 {
    // With one table the shift is not looked at.
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: (*Map).directoryIndex has "if m.dirLen == 1 { return 0 } return hash >> (m.globalShift & 63)"
    if tables == 1 { 0 } else { hash >> (shift & 63) }
}

/// The group of a table that is searched first.
#[expect(
    clippy::inline_always,
    reason = "a frame of its own would be one too many for the kernel's stack"
)]
#[inline(always)]
pub(super) fn in_table<W: World>(world: W, table: u64, typ: &MapType, hash: u64) -> Start {
    let groups = table.wrapping_add(u64::from(world.layout().groups.offset));
    let Some([groups, mask]) = world.read::<[u64; 2]>(groups) else {
        return Start::End(End::Failed(Cause::Fault));
    };
    // The rest of the hash.
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: h1 has "return h >> 7"
    // Go 1.24..1.27 swiss internal/runtime/maps/table.go: makeProbeSeq has "offset: uint64(hash) & mask"
    let group = (hash >> 7) & mask;
    let mut position = Position {
        unit: 0,
        groups,
        mask,
        group,
        is_only: false,
    };
    position.unit = unit(&position, typ.unit_size);
    Start::Search(position, Class::Table)
}

/// The slots whose control byte is `tag`, and whether the search ends with this group.
pub(super) fn candidates(controls: u64, tag: u8, search: u8, is_only: bool) -> (u64, bool) {
    let matching = zero_bytes(controls ^ broadcast(tag));
    let empty = zero_bytes(controls ^ broadcast(EMPTY));
    let ends = if search & PASSES_TOMBSTONE_FIRST == 0 {
        empty
    } else {
        let free = controls & FREE;
        empty & free & free.wrapping_neg()
    };
    (matching, is_only || ends != 0)
}

/// Goes to the next group of the sequence; false once it has passed as many as there are, which are all of them.
pub(super) fn advance(position: &mut Position, group_size: u32, depth: u32) -> bool {
    if u64::from(depth) > position.mask {
        return false;
    }
    // Go 1.24..1.27 swiss internal/runtime/maps/table.go: (probeSeq).next has "s.index++ s.offset = (s.offset + s.index) & s.mask"
    position.group = position.group.wrapping_add(u64::from(depth)) & position.mask;
    position.unit = unit(position, group_size);
    true
}

/// The address of the group that the position names.
fn unit(position: &Position, group_size: u32) -> u64 {
    let offset = position.group.wrapping_mul(u64::from(group_size));
    position.groups.wrapping_add(offset)
}
