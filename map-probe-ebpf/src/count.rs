//! Counts: atomically, because a thread in a probe can be put off its CPU for another one in the same probe.

use aya_ebpf::bindings::BPF_NOEXIST;
use map_probe_common::counts::{DeepKey, NEAR_DEPTHS};
use map_probe_common::op::{CELLS, Class, Op, Outcome, cell};
use map_probe_common::quality::{CAUSES, Cause};

use crate::tables::{COUNTS, DEEP, QUALITY};
use crate::{atomic, opaque};

/// Counts an operation that could be walked.
#[inline(always)]
pub(crate) fn operation(
    block: u32,
    op: Op,
    outcome: Outcome,
    class: Class,
    depth: u32,
) -> Result<(), Cause> {
    near_or_deep(block, cell(op, outcome, class), depth)
}

/// Counts, in a block that is no type's, an operation that some table has no room for.
#[inline(never)]
pub(crate) fn in_cell(block: u32, cell: usize, depth: u32) {
    let _ = near_or_deep(block, cell, depth);
}

#[inline(always)]
fn near_or_deep(block: u32, cell: usize, depth: u32) -> Result<(), Cause> {
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
        // Another CPU may have been first; then this does nothing.
        let _ = DEEP.insert(&key, 0, u64::from(BPF_NOEXIST));
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
