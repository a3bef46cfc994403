//! Map types: read from the target when first met, then remembered.

use aya_ebpf::bindings::BPF_NOEXIST;
use map_probe_common::counts::{FIRST_TYPE_BLOCK, UNKNOWN_TYPE_BLOCK};
use map_probe_common::quality::Cause;
use map_probe_common::walk::{MapType, map_type};

use crate::atomic;
use crate::tables::{BLOCKS_USED, COUNTS, TYPES};
use crate::world::Kernel;

/// What the walk needs of the type at `typ`, with the block that counts its operations.
#[inline(always)]
pub(crate) fn of(world: Kernel, typ: u64) -> Result<MapType, Cause> {
    // SAFETY: values are written once, whole, before they can be found.
    match unsafe { TYPES.get(&typ) } {
        Some(known) => Ok(*known),
        None => meet(world, typ),
    }
}

/// Reads a type and gives it a block of counters.
#[inline(never)]
fn meet(world: Kernel, typ: u64) -> Result<MapType, Cause> {
    let mut facts = map_type(world, typ)?;
    facts.block = free_block();
    if TYPES.insert(&typ, &facts, u64::from(BPF_NOEXIST)).is_err() {
        // Another thread met it first and has its block; or the table is full.
        // SAFETY: as above.
        match unsafe { TYPES.get(&typ) } {
            Some(known) => return Ok(*known),
            None => facts.block = UNKNOWN_TYPE_BLOCK,
        }
    }
    Ok(facts)
}

/// A block nobody has, or the one of unknown types.
#[inline(always)]
fn free_block() -> u32 {
    let Some(used) = BLOCKS_USED.get_ptr_mut(0) else {
        return UNKNOWN_TYPE_BLOCK;
    };
    // SAFETY: the pointer is to a map's value.
    let block = atomic::next(unsafe { &mut *used }) as u32 + (FIRST_TYPE_BLOCK - 1);
    if COUNTS.get(block).is_some() {
        block
    } else {
        UNKNOWN_TYPE_BLOCK
    }
}
