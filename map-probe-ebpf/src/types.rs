//! Map types: read from the target when first met, then remembered.

use aya_ebpf::bindings::BPF_NOEXIST;
use map_probe_common::counts::{FIRST_TYPE_BLOCK, UNKNOWN_TYPE_BLOCK};
use map_probe_common::quality::Cause;
use map_probe_common::walk::{MapType, map_type};

use crate::atomic;
use crate::tables::{BLOCKS_USED, COUNTS, TYPES, TYPES_BY_BLOCK, TYPES_MET_LAST};
use crate::world::Kernel;

/// Types that are remembered as met last.
pub(crate) const MET_LAST: u32 = 1024;
/// Bits of a word of `TYPES_MET_LAST` that are the block; the others are the type's address, which has 47.
const BLOCK_BITS: u32 = 16;

/// What the walk needs of the type at `typ`, with the block that counts its operations.
#[inline(always)]
pub(crate) fn of(world: Kernel, typ: u64) -> Result<MapType, Cause> {
    // Types are structures of pointers, so the lowest bits are always the same.
    let last = TYPES_MET_LAST.get_ptr_mut((typ >> 5) as u32 % MET_LAST);
    if let Some(last) = last {
        // SAFETY: the pointer is to a map's value, an aligned word, which is read and written whole.
        let word = unsafe { last.read_volatile() };
        // Not of an unused word, of which both halves are 0: no type has that block.
        if word >> BLOCK_BITS == typ
            && typ != 0
            && let Some(facts) = TYPES_BY_BLOCK.get(word as u32 & ((1 << BLOCK_BITS) - 1))
        {
            return Ok(*facts);
        }
    }
    // SAFETY: values are written once, whole, before they can be found.
    let facts = match unsafe { TYPES.get(&typ) } {
        Some(known) => *known,
        None => meet(world, typ)?,
    };
    if facts.block != UNKNOWN_TYPE_BLOCK
        && let Some(last) = last
        && typ >> (u64::BITS - BLOCK_BITS) == 0
    {
        // SAFETY: as above. The type is in `TYPES_BY_BLOCK`, or its block is beyond the end of that: see `meet`.
        unsafe { last.write_volatile(typ << BLOCK_BITS | u64::from(facts.block)) };
    }
    Ok(facts)
}

/// Reads a type and gives it a block of counters.
#[inline(never)]
fn meet(world: Kernel, typ: u64) -> Result<MapType, Cause> {
    let mut facts = map_type(world, typ)?;
    facts.block = free_block();
    if facts.block != UNKNOWN_TYPE_BLOCK
        && let Some(by_block) = TYPES_BY_BLOCK.get_ptr_mut(facts.block)
    {
        // Before anybody can learn of the block.
        // SAFETY: the pointer is to a map's value, and nobody else has this block.
        unsafe { by_block.write_volatile(facts) };
    }
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
