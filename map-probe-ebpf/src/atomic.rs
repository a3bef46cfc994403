//! Atomic arithmetic on counters. A thread in a probe can be put off its CPU
//! for another one in the same probe, so even a per-CPU counter needs it.

use core::arch::asm;

/// Adds one.
#[inline(always)]
pub(crate) fn increment(counter: &mut u64) {
    // SAFETY: one atomic addition to a counter that is aligned and exclusively borrowed.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1u64);
    }
}

/// Adds so many.
///
/// # Safety
///
/// `counter` points to a counter in a map's value, aligned.
#[inline(always)]
pub(crate) unsafe fn add(counter: *mut u64, more: u64) {
    // SAFETY: one atomic addition to where the caller says there is a counter.
    unsafe {
        asm!("lock *(u64 *)({counter} + 0) += {more}", counter = in(reg) counter, more = in(reg) more);
    }
}

/// Adds one, and says what came of it.
#[inline(always)]
pub(crate) fn next(counter: &mut u64) -> u64 {
    let mut before = 1u64;
    // SAFETY: one atomic addition to a counter that is aligned and exclusively borrowed.
    unsafe {
        asm!(
            "{value} = atomic_fetch_add((u64 *)({counter} + 0), {value})",
            counter = in(reg) counter,
            value = inout(reg) before,
        );
    }
    before + 1
}

/// Puts `value` there, and says what was there before.
#[inline(always)]
pub(crate) fn exchange(at: *mut u64, mut value: u64) -> u64 {
    // SAFETY: one atomic exchange; callers pass a pointer to a map's value.
    unsafe {
        asm!(
            "{value} = xchg_64({at} + 0, {value})",
            at = in(reg) at,
            value = inout(reg) value,
        );
    }
    value
}

/// Puts `new` there if `old` is there, and says what was there.
#[inline(always)]
pub(crate) fn compare_exchange(at: *mut u64, old: u64, new: u64) -> u64 {
    let mut seen = old;
    // SAFETY: one atomic exchange; callers pass a pointer to a map's value.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({at} + 0, r0, {new})",
            at = in(reg) at,
            new = in(reg) new,
            inout("r0") seen,
        );
    }
    seen
}
