//! Counts: atomically, because a thread in a probe can be put off its CPU for another one in the same probe.

use aya_ebpf::bindings::BPF_NOEXIST;
use map_probe_common::counts::{DeepKey, NEAR_DEPTHS};
use map_probe_common::op::{Class, Op, Outcome, cell};
use map_probe_common::quality::Cause;

use crate::atomic;
use crate::tables::{COUNTS, DEEP, QUALITY};

/// Counts an operation that could be walked.
#[inline(always)]
pub(crate) fn operation(
    block: u32,
    op: Op,
    outcome: Outcome,
    class: Class,
    depth: u32,
) -> Result<(), Cause> {
    let cell = cell(op, outcome, class);
    let near = depth.wrapping_sub(1) as usize;
    if near >= NEAR_DEPTHS {
        return deep(DeepKey {
            block,
            cell: cell as u32,
            depth,
        });
    }
    let counts = COUNTS.get_ptr_mut(block).ok_or(Cause::TableFull)?;
    // SAFETY: the pointer is to a map's value.
    let counter = unsafe { (*counts).counts.get_mut(cell) }.and_then(|depths| depths.get_mut(near));
    atomic::increment(counter.ok_or(Cause::TableFull)?);
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
    if let Some(causes) = QUALITY.get_ptr_mut(0) {
        // SAFETY: the pointer is to a map's value.
        if let Some(counter) = unsafe { (*causes).get_mut(cause as usize) } {
            atomic::increment(counter);
        }
    }
}
