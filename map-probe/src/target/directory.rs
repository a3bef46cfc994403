//! How many slots a Swiss map of several tables has: each table has its own number of groups.

use std::collections::HashSet;

use map_probe_common::Layout;
use map_probe_common::counts::Shape;
use map_probe_common::layout::LayoutKind;

use super::memory::{self, Memory};

/// Tables in a directory that are looked at: a map of as many has 60 million entries.
const MAX_TABLES: u64 = 1 << 16;
/// Slots of one table, at most.
// Go 1.24..1.27 swiss internal/runtime/maps/table.go: const maxTableCapacity = 1024
const MAX_TABLE_SLOTS: u64 = 1024;
/// Slots of a group.
// Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: const SwissMapGroupSlots|MapGroupSlots = 8
const GROUP_SLOTS: u64 = 8;

/// Adds up the tables in the directory of the map at an address in the target. `None` if the map no longer has this
/// many, or is none any more.
pub(super) fn capacity(
    layout: &Layout,
    map: u64,
    shape: &Shape,
    process: &(impl Memory + ?Sized),
) -> Option<u64> {
    if layout.kind != LayoutKind::Swiss as u32 || shape.tables < 2 || shape.tables > MAX_TABLES {
        return None;
    }
    let field = |offset: u16| memory::word(process, map.checked_add(offset.into())?);
    if field(layout.second.offset)? != shape.tables {
        return None;
    }
    let directory = field(layout.storage.offset)?;
    let bytes = memory::bytes(
        process,
        directory,
        shape.tables * 8,
        (MAX_TABLES * 8) as usize,
    )?;
    let mut slots = 0;
    let mut seen = HashSet::new();
    for table in bytes.chunks_exact(8) {
        let table = u64::from_le_bytes(table.try_into().ok()?);
        // A table is there under all hashes that begin alike, one after the other.
        if !seen.insert(table) {
            continue;
        }
        // `groups.data` and `groups.lengthMask`: the number of groups, a power of two, less one.
        let mask = memory::word(
            process,
            table.checked_add(u64::from(layout.groups.offset) + 8)?,
        )?;
        let groups = mask.checked_add(1)?;
        if !groups.is_power_of_two() || groups > MAX_TABLE_SLOTS / GROUP_SLOTS {
            return None;
        }
        slots += groups * GROUP_SLOTS;
    }
    // Entries and slots of one moment fit each other.
    let entries = field(layout.entries.offset)?;
    (entries <= slots && shape.entries <= slots).then_some(slots)
}

#[cfg(test)]
mod tests;
