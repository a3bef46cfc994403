//! Memory for what does not fit the stack: half a kilobyte for the program and all that it calls (Linux up to 6.12).
//!
//! A thread in a probe can be put off its CPU, or wait for a page, while others of the CPU reach the same probe:
//! so each CPU has several places, and an operation claims one of them until it ends.

use core::arch::asm;
use core::mem::MaybeUninit;

use map_probe_common::counts::Shape;
use map_probe_common::quality::Cause;
use map_probe_common::walk::{Expected, Search};

use crate::atomic;
use crate::stack::Callers;
use crate::tables::SCRATCH;
use crate::values::{PLACES, Values};
use crate::world::Kernel;

/// Operations that can be under way on one CPU at once. Further ones are lost, and counted as such.
pub(crate) const PER_CPU: u32 = 64;

/// What one operation needs.
#[repr(C)]
pub(crate) struct Scratch {
    /// Not 0 while an operation has it.
    claimed: u64,
    /// The values that a site's places refer to.
    pub(crate) places: [u64; PLACES],
    /// The operation's values.
    pub(crate) values: MaybeUninit<Values>,
    /// Who called, if that is asked for.
    pub(crate) callers: Callers,
    /// How full the map is.
    pub(crate) shape: Shape,
    /// The walk.
    pub(crate) search: MaybeUninit<Search<Kernel>>,
    /// What the walk said, to be compared when the function returns.
    pub(crate) expected: Expected,
}

/// A place that nobody else has.
#[inline(always)]
pub(crate) fn claim() -> Result<&'static mut Scratch, Cause> {
    // The first one is free unless a thread was put off the CPU in a probe: not worth a call.
    let scratch = match take(0) {
        Some(first) => first,
        None => SCRATCH.get_ptr_mut(claim_place()).ok_or(Cause::TableFull)?,
    };
    // SAFETY: the pointer is to a map's value, and nobody else has it until it is released.
    Ok(unsafe { &mut *scratch })
}

/// This place, if nobody has it, and if there is such a place.
#[inline(always)]
fn take(index: u32) -> Option<*mut Scratch> {
    let scratch = SCRATCH.get_ptr_mut(index)?;
    // SAFETY: the pointer is to a map's value; only this field is touched before it is claimed.
    let claimed = unsafe { &raw mut (*scratch).claimed };
    (atomic::exchange(claimed, 1) == 0).then_some(scratch)
}

/// Claims a place and gives its index, which is none if all are claimed. A thread stays on its CPU while it is in a
/// probe: the index means the same place to the caller.
///
/// A global function in the verifier's sense: as part of its caller, all that follows would be checked once per place.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn claim_place() -> u32 {
    for index in 1..PER_CPU {
        if take(index).is_some() {
            return index;
        }
    }
    PER_CPU
}

/// The place of a program that nothing of its kind can interrupt, in a table that is its own.
#[inline(always)]
pub(crate) fn of_this_cpu() -> Option<&'static mut Scratch> {
    // SAFETY: the pointer is to a map's value, which nobody else uses meanwhile.
    SCRATCH
        .get_ptr_mut(0)
        .map(|scratch| unsafe { &mut *scratch })
}

/// Gives it back.
#[inline(always)]
pub(crate) fn release(scratch: &mut Scratch) {
    // A plain store is enough: x86 lets no earlier access pass a later store (Intel's manual, volume 3, "Memory Ordering").
    // SAFETY: the reference is to this field's place, which is a map's value.
    unsafe { (&raw mut scratch.claimed).write_volatile(0) };
}

/// Keeps the kernel from giving the program a stack of its own per CPU.
///
/// Since Linux 6.13 the verifier does that for programs of this type, as such a program is thought not to be entered
/// again on a CPU before it ends (`bpf_enable_priv_stack`, kernel/bpf/verifier.c). At a uprobe it is: threads are put
/// off their CPU in it, and the next one would overwrite the stack. A program with a tail call keeps the thread's own
/// stack; this one is never reached, and the verifier removes it.
#[inline(always)]
pub(crate) fn stay_on_the_threads_stack() {
    // SAFETY: jumps over the call.
    unsafe {
        asm!(
            "r0 = 0",
            "if r0 == 0 goto +1",
            "call 12",
            out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _,
        );
    }
}
