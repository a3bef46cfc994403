//! The walk's world in the kernel: the memory of the target that is in the trap.

use core::ffi::c_void;
use core::mem::size_of;

use aya_ebpf::helpers::generated::{bpf_copy_from_user, bpf_loop, bpf_probe_read_user};
use map_probe_common::Layout;
use map_probe_common::equal::{EqualProgram, EqualStep};
use map_probe_common::walk::{Plain, Stepwise, World};

use crate::tables::{EQUAL_PROGRAMS, EQUAL_STEPS, LAYOUT};

/// The target's memory and what userspace said of it.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    layout: &'static Layout,
}

impl Kernel {
    #[inline(always)]
    pub(crate) fn new() -> Option<Self> {
        LAYOUT.get(0).map(|layout| Self { layout })
    }
}

/// `bpf_loop`'s callback: 1 ends the loop.
extern "C" fn step<S: Stepwise>(_index: u32, task: *mut c_void) -> i64 {
    // SAFETY: `repeat` passes a `&mut S` that outlives the loop and is used by nobody else meanwhile.
    let task = unsafe { &mut *task.cast::<S>() };
    i64::from(!task.step())
}

/// Reads the target's memory at `address`; `None` if it cannot be read.
///
/// # Safety
///
/// `into` points to `size` writable bytes.
#[inline(always)]
pub(crate) unsafe fn read_into(into: *mut c_void, size: u32, address: u64) -> Option<()> {
    let from = address as *const c_void;
    // SAFETY: the helper checks `from`; `into` is the caller's promise.
    if unsafe { bpf_probe_read_user(into, size, from) } == 0 {
        return Some(());
    }
    // Not in memory yet: this may sleep, as the target itself would have to a moment later.
    // SAFETY: as above.
    if unsafe { bpf_copy_from_user(into, size, from) } == 0 {
        Some(())
    } else {
        None
    }
}

impl World for Kernel {
    #[inline(always)]
    fn read<T: Plain>(self, address: u64) -> Option<T> {
        let mut value = T::default();
        let into = (&raw mut value).cast::<c_void>();
        // SAFETY: `into` points to as many writable bytes, and any bytes are a `T`.
        unsafe { read_into(into, size_of::<T>() as u32, address) }?;
        Some(value)
    }

    #[inline(always)]
    fn layout(self) -> &'static Layout {
        self.layout
    }

    #[inline(always)]
    fn equal_program(self, typ: u64) -> Option<EqualProgram> {
        // SAFETY: userspace writes the table before it attaches, and nobody afterwards.
        unsafe { EQUAL_PROGRAMS.get(typ) }.copied()
    }

    #[inline(always)]
    fn equal_step(self, index: u32) -> Option<EqualStep> {
        EQUAL_STEPS.get(index).copied()
    }

    #[inline(always)]
    fn repeat<S: Stepwise>(self, limit: u32, task: &mut S) {
        let callback = step::<S> as extern "C" fn(u32, *mut c_void) -> i64;
        // SAFETY: the callback has the form that `bpf_loop` calls, and `task` outlives the loop.
        unsafe {
            bpf_loop(limit, callback as *mut c_void, (&raw mut *task).cast(), 0);
        }
    }
}
