//! Counts: atomically, because a thread in a probe can be put off its CPU for another one in the same probe.

use aya_ebpf::bindings::BPF_NOEXIST;
use map_probe_common::counts::{
    DeepKey, NEAR_DEPTHS, NO_MAP_BLOCK, NO_SITE_BLOCK, NO_STACK_BLOCK, SiteKey, UNKNOWN_TYPE_BLOCK,
};
use map_probe_common::op::CELLS;
use map_probe_common::quality::{CAUSES, Cause};

use crate::tables::{COUNTS, DEEP, FAILURES, QUALITY};
use crate::{atomic, opaque};

/// Counts, in a block that is no type's, an operation that some table has no room for. There is always room here for one
/// that has been counted by type.
#[inline(never)]
pub(crate) fn in_cell(block: u32, cell: usize, depth: u32) {
    let _ = operation(block, cell, depth);
}

/// Counts an operation that could be walked, in its type's block.
#[inline(always)]
pub(crate) fn operation(block: u32, cell: usize, depth: u32) -> Result<(), Cause> {
    let near = depth.wrapping_sub(1) as usize;
    if near >= NEAR_DEPTHS {
        return deep(DeepKey {
            block,
            cell: cell as u32,
            depth,
        });
    }
    let counts = COUNTS.get_ptr_mut(block).ok_or(Cause::TableFull)?;
    let index = opaque::number(cell * NEAR_DEPTHS + near);
    if index >= CELLS * NEAR_DEPTHS {
        return Err(Cause::TableFull);
    }
    // SAFETY: the pointer is to a map's value, an array of arrays of as many counters in all.
    atomic::increment(unsafe { &mut *counts.cast::<u64>().add(index) });
    Ok(())
}

#[inline(never)]
fn deep(key: DeepKey) -> Result<(), Cause> {
    if DEEP.get_ptr_mut(&key).is_none() {
        // First those that the other lists fall back on: where the type's own is, they are too.
        for block in [NO_SITE_BLOCK, NO_MAP_BLOCK, NO_STACK_BLOCK, key.block] {
            let key = DeepKey { block, ..key };
            // Another CPU may have been first; then this does nothing.
            let _ = DEEP.insert(&key, 0, u64::from(BPF_NOEXIST));
            if DEEP.get_ptr_mut(&key).is_none() {
                return Err(Cause::TableFull);
            }
        }
    }
    let counter = DEEP.get_ptr_mut(&key).ok_or(Cause::TableFull)?;
    // SAFETY: the pointer is to a map's value.
    atomic::increment(unsafe { &mut *counter });
    Ok(())
}

/// Counts an operation that is in no row.
#[inline(never)]
pub(crate) fn failed(cause: Cause) {
    let index = opaque::number(cause as usize);
    if let Some(causes) = QUALITY.get_ptr_mut(0)
        && index < CAUSES
    {
        // SAFETY: the pointer is to a map's value, an array of as many counters.
        atomic::increment(unsafe { &mut *causes.cast::<u64>().add(index) });
    }
}

/// Notes where an operation is that could not be walked, and says the cause again: of its call site, or 0, and its type's
/// block.
#[inline(never)]
pub(crate) fn failed_at(caller: u64, block: u32, cause: Cause) -> Cause {
    let key = |caller, block| SiteKey {
        caller,
        block,
        cell: cause as u16,
        depth: 0,
    };
    if !in_failures(&key(caller, block)) {
        let _ = in_failures(&key(0, UNKNOWN_TYPE_BLOCK));
    }
    cause
}

/// Whether there was room.
#[inline(always)]
fn in_failures(key: &SiteKey) -> bool {
    if FAILURES.get_ptr_mut(key).is_none() {
        // Another CPU may have been first; then this does nothing.
        let _ = FAILURES.insert(key, 0, u64::from(BPF_NOEXIST));
    }
    let Some(counter) = FAILURES.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: the pointer is to a map's value.
    atomic::increment(unsafe { &mut *counter });
    true
}
