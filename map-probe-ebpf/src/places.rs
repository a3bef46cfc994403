//! Counts by call site, by stack and by map, beside the types, in bounded tables. What finds no room there is counted too.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::maps::Array;
use map_probe_common::counts::{NO_MAP_BLOCK, NO_SITE_BLOCK, NO_STACK_BLOCK, SiteKey, SiteSlot};
use map_probe_common::options::{MAPS, MAPS_BY_CALLER, SITES, STACKS};

use crate::scratch::Scratch;
use crate::tables::{BY_MAP, BY_SITE, BY_STACK};
use crate::world::options;
use crate::{atomic, count, slots, stack};

/// Counts an operation that has been counted by type.
#[inline(never)]
pub(crate) fn count(scratch: &mut Scratch, block: u32, cell: u32, depth: u32) -> u32 {
    // SAFETY: written before the walk.
    let values = unsafe { scratch.values.assume_init_ref() };
    let map = values.operation.map;
    let frame = values.frame;
    let mut key = SiteKey {
        caller: values.caller,
        block,
        cell: cell as u16,
        depth: depth as u16,
    };
    if options().count & SITES != 0 && !in_slot(&BY_SITE, slots::site_slot(key.caller, key.kind()))
    {
        count::in_cell(NO_SITE_BLOCK, cell as usize, depth);
    }
    if options().count & STACKS != 0 {
        let stack = SiteKey {
            caller: stack::number(frame, &mut scratch.callers),
            ..key
        };
        if stack.caller == 0 || !in_slot(&BY_STACK, slots::stack_slot(stack.caller, stack.kind())) {
            count::in_cell(NO_STACK_BLOCK, cell as usize, depth);
        }
    }
    if options().count & MAPS != 0 {
        if options().count & MAPS_BY_CALLER == 0 {
            key.caller = 0;
        }
        if !by_map(map, &key, scratch) {
            count::in_cell(NO_MAP_BLOCK, cell as usize, depth);
        }
    }
    0
}

/// Counts in a slot of a table of call sites or stacks; whether there is such a slot.
#[inline(always)]
fn in_slot(table: &'static Array<SiteSlot>, slot: u32) -> bool {
    let Some(slot) = table.get_ptr_mut(slot) else {
        return false;
    };
    // SAFETY: the pointer is to a map's value; slots of these tables are never given away.
    atomic::increment(unsafe { &mut (*slot).value });
    true
}

/// Whether there was room.
#[inline(always)]
fn by_map(map: u64, key: &SiteKey, scratch: &Scratch) -> bool {
    let slot = slots::map_slot(map, key.caller, key.kind());
    let Some(slot) = BY_MAP.get_ptr_mut(slot) else {
        return false;
    };
    // SAFETY: the pointer is to a map's value, which stays that when the slot is given to another map.
    let count = unsafe { &mut (*slot).value };
    atomic::increment(&mut count.operations);
    count.shape = scratch.shape;
    // Exactly: of the kinds of operations on a map, the one that was last says how full it is.
    // SAFETY: a helper without arguments.
    count.time = unsafe { bpf_ktime_get_ns() };
    true
}
