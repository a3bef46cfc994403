//! Counts by call site and by map, beside the types, in bounded tables. What finds no room there is counted too.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use map_probe_common::counts::{MapCount, MapKey, NO_MAP_BLOCK, NO_SITE_BLOCK, SiteKey};
use map_probe_common::options::{MAPS, MAPS_BY_CALLER, SITES};

use crate::scratch::Scratch;
use crate::tables::{BY_MAP, BY_SITE};
use crate::world::options;
use crate::{atomic, count};

/// Counts an operation that has been counted by type.
#[inline(never)]
pub(crate) fn count(scratch: &mut Scratch, block: u32, cell: u32, depth: u32) -> u32 {
    // SAFETY: written before the walk.
    let values = unsafe { scratch.values.assume_init_ref() };
    let mut key = SiteKey {
        caller: values.caller,
        block,
        cell: cell as u16,
        depth: depth as u16,
    };
    if options().count & SITES != 0 && !by_site(&key) {
        count::in_cell(NO_SITE_BLOCK, cell as usize, depth);
    }
    if options().count & MAPS != 0 {
        if options().count & MAPS_BY_CALLER == 0 {
            key.caller = 0;
        }
        let key = MapKey {
            map: values.operation.map,
            site: key,
        };
        if !by_map(&key, scratch) {
            count::in_cell(NO_MAP_BLOCK, cell as usize, depth);
        }
    }
    0
}

/// Whether there was room.
#[inline(always)]
fn by_site(key: &SiteKey) -> bool {
    if BY_SITE.get_ptr_mut(key).is_none() {
        // Another CPU may have been first; then this does nothing.
        let _ = BY_SITE.insert(key, 0, u64::from(BPF_NOEXIST));
    }
    let Some(counter) = BY_SITE.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: the pointer is to a map's value; entries of this table are never removed.
    atomic::increment(unsafe { &mut *counter });
    true
}

/// Whether there was room.
#[inline(always)]
fn by_map(key: &MapKey, scratch: &Scratch) -> bool {
    if BY_MAP.get_ptr_mut(key).is_none() {
        let _ = BY_MAP.insert(key, MapCount::default(), u64::from(BPF_NOEXIST));
    }
    let Some(count) = BY_MAP.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: the pointer is to a map's value; it stays memory of the table when the entry is evicted.
    let count = unsafe { &mut *count };
    atomic::increment(&mut count.operations);
    count.shape = scratch.shape;
    // SAFETY: a helper without arguments.
    count.ticks = unsafe { bpf_jiffies64() } as u32;
    true
}
