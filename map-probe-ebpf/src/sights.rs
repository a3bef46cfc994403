//! Which of the sights of a map is the later one, and whether a lookup would see anything new: it changes nothing, and the
//! inserts and deletes are all trapped.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns};
use map_probe_common::counts::CHANGE_COUNTERS;
use map_probe_common::op::Op;
use map_probe_common::options::{MAPS, SEES_CHANGES};
use map_probe_common::slots::{first_slot, mix};

use crate::atomic;
use crate::tables::CHANGES;
use crate::world::options;

/// Whether sights are numbered by the changes before them.
#[inline(always)]
fn sees_changes() -> bool {
    options().count & (MAPS | SEES_CHANGES) == MAPS | SEES_CHANGES
}

/// Notes that this operation is about to start: what it sees is as it is before it changes the map. Its number.
#[inline(always)]
pub(crate) fn before(op: Op, map: u64) -> u64 {
    if !sees_changes() || op as u8 == Op::Lookup as u8 {
        return 0;
    }
    match CHANGES.get_ptr_mut(index(map)) {
        // SAFETY: the pointer is to a map's value.
        Some(changes) => atomic::next(unsafe { &mut *changes }).wrapping_mul(2),
        None => 0,
    }
}

/// The number of the sight of an operation, of which `before` said this; greater than that of those before it, unless
/// they saw the same.
#[inline(always)]
pub(crate) fn number(op: Op, map: u64, before: u64) -> u64 {
    if !sees_changes() {
        // To the nanosecond: in one jiffy a map can have got and lost many entries.
        // SAFETY: the helper takes nothing.
        return unsafe { bpf_ktime_get_ns() };
    }
    if op as u8 != Op::Lookup as u8 {
        return before;
    }
    match CHANGES.get_ptr_mut(index(map)) {
        // SAFETY: the pointer is to a map's value, an aligned word.
        Some(changes) => unsafe { changes.read_volatile() }.wrapping_mul(2) + 1,
        None => 0,
    }
}

/// Whether what was seen then, and in that jiffy, is what an operation with this number would see. The jiffy bounds how long
/// that is taken for granted: a map that another one has followed at its address was filled without an insert if it is a
/// clone (`maps.Clone`).
#[inline(always)]
pub(crate) fn is_the_same(number: u64, seen: u64, is_same_jiffy: bool) -> bool {
    sees_changes() && is_same_jiffy && seen == number && number & 1 != 0
}

/// The kernel's time in jiffies: of the clocks the one that costs next to nothing.
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_jiffies64() }
}

#[inline(always)]
fn index(map: u64) -> u32 {
    first_slot(mix(map, 0), CHANGE_COUNTERS - 1)
}
