//! Counts by call site, by stack and by map, beside the types, in bounded tables. What finds no room there is counted too.

use map_probe_common::counts::{
    MAP_SLOTS, MapCount, MapKey, NO_MAP_BLOCK, NO_SITE_BLOCK, NO_STACK_BLOCK, SITE_SLOTS, SiteKey,
    SiteSlot,
};
use map_probe_common::options::{MAPS, MAPS_BY_CALLER, SITES, STACKS};
use map_probe_common::walk::see_map;

use crate::scratch::Scratch;
use crate::tables::{BY_MAP, BY_SITE, BY_STACK};
use crate::world::{Kernel, options};
use crate::{atomic, count, sights, slots, stack};

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
    if options().count & SITES != 0 {
        let slot = slots::first(&BY_SITE, SITE_SLOTS, &key)
            .or_else(|| BY_SITE.get_ptr_mut(slots::site_slot(key.caller, key.kind())));
        if !in_slot(slot) {
            count::in_cell(NO_SITE_BLOCK, cell as usize, depth);
        }
    }
    if options().count & STACKS != 0 {
        let stack = SiteKey {
            caller: stack::number(frame, &mut scratch.callers),
            ..key
        };
        let slot = match stack.caller {
            0 => None,
            caller => BY_STACK.get_ptr_mut(slots::stack_slot(caller, stack.kind())),
        };
        if !in_slot(slot) {
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
fn in_slot(slot: Option<*mut SiteSlot>) -> bool {
    let Some(slot) = slot else {
        return false;
    };
    // SAFETY: the pointer is to a map's value; slots of these tables are never given away.
    atomic::increment(unsafe { &mut (*slot).value });
    true
}

/// Whether there was room.
#[inline(always)]
fn by_map(map: u64, key: &SiteKey, scratch: &mut Scratch) -> bool {
    let slot = slots::first(&BY_MAP, MAP_SLOTS, &MapKey { map, site: *key })
        .or_else(|| BY_MAP.get_ptr_mut(slots::map_slot(map, key.caller, key.kind())));
    let Some(slot) = slot else {
        return false;
    };
    // SAFETY: the pointer is to a map's value, which stays that when the slot is given to another map.
    let count = unsafe { &mut (*slot).value };
    atomic::increment(&mut count.operations);
    // SAFETY: written before the walk.
    let values = unsafe { scratch.values.assume_init_ref() };
    let operation = &values.operation;
    let number = sights::number(operation.op, map, values.sight);
    let now = sights::jiffies();
    if sights::is_the_same(number, count.seen, count.tick == now) {
        return true;
    }
    count.tick = now;
    see(count, number, scratch);
    true
}

/// Notes how full the operation's map is.
// A function of its own: the search for slots needs its stack.
#[inline(never)]
fn see(count: &mut MapCount, number: u64, scratch: &mut Scratch) -> u32 {
    // SAFETY: written before the walk.
    let operation = &unsafe { scratch.values.assume_init_ref() }.operation;
    let (map, walked) = (operation.map, operation.table == 0);
    if walked || see_map(Kernel, map, &mut scratch.shape).is_some() {
        count.shape = scratch.shape;
        count.seen = number;
    }
    0
}
