//! Map types that were met last: an array is found in at less cost than a hash table.

use map_probe_common::counts::UNKNOWN_TYPE_BLOCK;
use map_probe_common::walk::MapType;

use crate::tables::{TYPES_BY_BLOCK, TYPES_MET_LAST};

/// Types that are remembered as met last.
pub(crate) const MET_LAST: u32 = 1024;
/// Bits of a word of `TYPES_MET_LAST` that are the block; the others are the type's address, which has 47.
const BLOCK_BITS: u32 = 16;

/// The type at `typ`, if it was the last of those that share its word.
#[inline(always)]
pub(crate) fn find(typ: u64) -> Option<MapType> {
    let last = TYPES_MET_LAST.get_ptr_mut(index(typ))?;
    // SAFETY: the pointer is to a map's value, an aligned word, which is read and written whole.
    let word = unsafe { last.read_volatile() };
    // Not of an unused word, of which both halves are 0: no type has that block.
    if word >> BLOCK_BITS != typ || typ == 0 {
        return None;
    }
    TYPES_BY_BLOCK
        .get(word as u32 & ((1 << BLOCK_BITS) - 1))
        .copied()
}

/// Keeps a type by its block, before anybody else can learn of the block.
#[inline(always)]
pub(crate) fn keep(facts: &MapType) {
    if facts.block != UNKNOWN_TYPE_BLOCK
        && let Some(by_block) = TYPES_BY_BLOCK.get_ptr_mut(facts.block)
    {
        // SAFETY: the pointer is to a map's value, and nobody else has this block.
        unsafe { by_block.write_volatile(*facts) };
    }
}

/// Remembers that this type was met last. It has been kept, or its block is beyond the end of that table.
#[inline(always)]
pub(crate) fn remember(typ: u64, facts: &MapType) {
    if facts.block != UNKNOWN_TYPE_BLOCK
        && typ >> (u64::BITS - BLOCK_BITS) == 0
        && let Some(last) = TYPES_MET_LAST.get_ptr_mut(index(typ))
    {
        // SAFETY: the pointer is to a map's value, an aligned word.
        unsafe { last.write_volatile(typ << BLOCK_BITS | u64::from(facts.block)) };
    }
}

/// Types are structures of pointers, so their lowest bits are always the same.
#[inline(always)]
fn index(typ: u64) -> u32 {
    (typ >> 5) as u32 % MET_LAST
}
