//! The stack of an operation, by frame pointers, which all of Go's code keeps on this processor.
//!
//! Walked here and not by the kernel's helper: that one puts what it finds into memory of the CPU, and in a sleepable
//! program another thread may come between.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::generated::bpf_loop;
use map_probe_common::counts::{STACK_FRAMES, Stack};
use map_probe_common::slots::mix;
use map_probe_common::walk::World as _;

use crate::opaque;
use crate::tables::STACKS;
use crate::world::Kernel;

/// A walk from frame to frame.
#[repr(C)]
pub(crate) struct Callers {
    /// The frame pointer to follow next; 0 at the end.
    frame: u64,
    /// Made of all return addresses so far.
    number: u64,
    /// How many there are.
    count: u64,
    stack: Stack,
}

/// One frame, for `bpf_loop`: 1 ends the loop.
extern "C" fn frame(_index: u32, callers: *mut c_void) -> i64 {
    // SAFETY: `number` passes a pointer to its pointer.
    let callers = unsafe { &mut **callers.cast::<*mut Callers>() };
    let index = opaque::number(callers.count as usize);
    if callers.frame == 0 || index >= STACK_FRAMES {
        return 1;
    }
    let Some((next, address)) = up(callers.frame) else {
        return 1;
    };
    if address == 0 {
        return 1;
    }
    callers.stack.callers[index] = address;
    callers.count += 1;
    callers.number = mix(callers.number, address);
    callers.frame = next;
    0
}

/// From a frame to its caller's: the caller's frame pointer, 0 at the end, and the return address.
#[inline(always)]
pub(crate) fn up(frame: u64) -> Option<(u64, u64)> {
    let [next, address] = Kernel.read::<[u64; 2]>(frame)?;
    // Callers lie higher on the stack; the first of a goroutine has none.
    Some((if next > frame { next } else { 0 }, address))
}

/// Follows the frame pointers from `frame_pointer`, the map function's own, and remembers the stack. Its number; 0 if
/// there is no room for it, or no frame pointer.
#[inline(never)]
pub(crate) fn number(frame_pointer: u64, callers: &mut Callers) -> u64 {
    callers.frame = frame_pointer;
    callers.number = 0xcbf2_9ce4_8422_2325;
    callers.count = 0;
    let callback = frame as extern "C" fn(u32, *mut c_void) -> i64;
    let mut walk: *mut Callers = callers;
    // SAFETY: the callback has the form that `bpf_loop` calls, and `callers` outlives the loop.
    unsafe {
        bpf_loop(
            STACK_FRAMES as u32,
            callback as *mut c_void,
            (&raw mut walk).cast(),
            0,
        );
    }
    let count = opaque::number(callers.count as usize);
    if count == 0 {
        return 0;
    }
    if count < STACK_FRAMES {
        // What is behind it is of other stacks.
        callers.stack.callers[count] = 0;
    }
    // 0 is none.
    let number = callers.number | 1;
    if STACKS.get_ptr(&number).is_none() {
        let _ = STACKS.insert(&number, &callers.stack, u64::from(BPF_NOEXIST));
        if STACKS.get_ptr(&number).is_none() {
            return 0;
        }
    }
    number
}
