//! Map types: read from the target when first met, then remembered.

pub(crate) mod recent;

use aya_ebpf::bindings::BPF_NOEXIST;
use map_probe_common::counts::{FIRST_TYPE_BLOCK, UNKNOWN_TYPE_BLOCK};
use map_probe_common::options::CHOSEN_TYPES;
use map_probe_common::quality::Cause;
use map_probe_common::walk::{MapType, map_type};

use crate::tables::{BLOCKS_USED, COUNTS, TYPES, UNWANTED};
use crate::world::{Kernel, options};
use crate::{atomic, lives};

/// What the walk needs of the type at `typ`, with the block that counts its operations.
#[inline(always)]
pub(crate) fn of(world: Kernel, typ: u64) -> Result<MapType, Cause> {
    if let Some(known) = recent::find(typ) {
        return Ok(known);
    }
    // SAFETY: values are written once, whole, before they can be found.
    let facts = match unsafe { TYPES.get(&typ) } {
        Some(known) => *known,
        None => meet(world, typ)?,
    };
    recent::remember(typ, &facts);
    Ok(facts)
}

/// Whether userspace has found that it is not wanted: that saves the walk.
#[inline(always)]
pub(crate) fn is_unwanted(typ: &MapType) -> bool {
    options().count & CHOSEN_TYPES != 0 && UNWANTED.get(typ.block).is_some_and(|flag| *flag != 0)
}

/// Reads a type and gives it a block of counters.
#[inline(never)]
fn meet(world: Kernel, typ: u64) -> Result<MapType, Cause> {
    if lives::changed() {
        return Err(Cause::OtherProgram);
    }
    let mut facts = map_type(world, typ)?;
    facts.block = free_block();
    recent::keep(&facts);
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
