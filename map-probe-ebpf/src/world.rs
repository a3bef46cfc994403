//! The walk's world in the kernel: the memory of the target that is in the trap.

use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};

use aya_ebpf::helpers::generated::{bpf_copy_from_user, bpf_loop, bpf_probe_read_user};
use map_probe_common::Layout;
use map_probe_common::equal::{EqualProgram, EqualStep};
use map_probe_common::options::Options;
use map_probe_common::walk::{Plain, Search, WALK_STATE_BYTES, World};

use crate::opaque;
use crate::tables::{EQUAL_PROGRAMS, EQUAL_STEPS};

/// The target's memory and what userspace said of it.
#[derive(Clone, Copy)]
pub(crate) struct Kernel;

/// How the target's maps are laid out. Written by userspace before loading, so that the verifier
/// knows it and leaves out what another layout would need.
#[unsafe(no_mangle)]
static LAYOUT: Constant<Layout> = Constant(MaybeUninit::zeroed());

/// What is asked for. Written by userspace before loading, too.
#[unsafe(no_mangle)]
static OPTIONS: Constant<Options> = Constant(MaybeUninit::zeroed());

/// A constant whose value is not known yet when this is compiled.
#[repr(transparent)]
struct Constant<T>(MaybeUninit<T>);

/// What userspace asks to count.
#[inline(always)]
pub(crate) fn options() -> &'static Options {
    // SAFETY: a pointer to a static, which userspace has filled in.
    unsafe { &*opaque::pointer(OPTIONS.0.as_ptr()) }
}

/// One step of a walk: a global function in the verifier's sense, which it checks once
/// by itself, whatever the walk's state; inlined, it would follow every state by itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_step(search: *mut Search<Kernel>) -> u32 {
    if search.is_null() {
        return 1;
    }
    // SAFETY: `repeat` passes a walk that outlives the loop and is used by nobody else meanwhile.
    u32::from(!unsafe { &mut *search }.step())
}

/// `bpf_loop`'s callback: 1 ends the loop.
extern "C" fn again(_index: u32, search: *mut c_void) -> i64 {
    // SAFETY: `repeat` passes a pointer to its pointer.
    let search = unsafe { *search.cast::<*mut Search<Kernel>>() };
    // The compiler knows that it is 0 or 1; the verifier wants to see it.
    (opaque::number(walk_step(search) as usize) & 1) as i64
}

/// Reads the target's memory at `address`; `None` if it cannot be read.
///
/// # Safety
///
/// `into` points to `size` writable bytes.
#[inline(always)]
pub(crate) unsafe fn read_into(into: *mut c_void, size: u32, address: u64) -> Option<()> {
    let from = address as *const c_void;
    // May sleep, if the memory is not there yet, as the target itself would have to a moment later; and is cheaper than
    // the other one. (In programs that run in an interrupt userspace has replaced this call by its failure.)
    // SAFETY: the helper checks `from`; `into` is the caller's promise.
    if unsafe { bpf_copy_from_user(into, size, from) } == 0 {
        return Some(());
    }
    // SAFETY: as above.
    if unsafe { bpf_probe_read_user(into, size, from) } == 0 {
        Some(())
    } else {
        None
    }
}

impl World for Kernel {
    #[inline(always)]
    fn read<T: Plain>(self, address: u64) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: `value` has room for as many bytes.
        unsafe { read_into(value.as_mut_ptr().cast(), size_of::<T>() as u32, address) }?;
        // SAFETY: all its bytes have been written, and any bytes are a `T`.
        Some(unsafe { value.assume_init() })
    }

    #[inline(always)]
    fn layout(self) -> &'static Layout {
        // SAFETY: a pointer to a static, which userspace has filled in.
        unsafe { &*opaque::pointer(LAYOUT.0.as_ptr()) }
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
    fn repeat(self, limit: u32, search: &mut Search<Self>) {
        let callback = again as extern "C" fn(u32, *mut c_void) -> i64;
        // What the callback is given has to be on the stack; the search itself is not.
        let mut search: *mut Search<Self> = search;
        let limit = match options().steps {
            0 => limit,
            most => limit.min(most),
        };
        // Most walks have one step, which is not worth a loop.
        if walk_step(search) != 0 {
            return;
        }
        let limit = limit.saturating_sub(1);
        // SAFETY: the callback has the form that `bpf_loop` calls, and `search` outlives the loop.
        unsafe {
            bpf_loop(limit, callback as *mut c_void, (&raw mut search).cast(), 0);
        }
    }
}

const _: () = assert!(size_of::<Search<Kernel>>() == WALK_STATE_BYTES);
