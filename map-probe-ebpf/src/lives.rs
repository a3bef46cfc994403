//! Tells userspace at once when the target runs another program, and when it forks.

use core::mem::{MaybeUninit, size_of};

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::bpf_pidns_info;
use aya_ebpf::helpers::generated::{bpf_get_ns_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use map_probe_common::lives::{EXECUTED, FORKED, Identity, KIND_BITS, SHARES_MEMORY};

use crate::tables::{CHANGED, LIVES, WATCHED};

/// A process has begun to run another program (`sched_process_exec`): is it the target?
#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn map_probe_exec(_ctx: RawTracePointContext) -> i32 {
    if is_target() {
        if let Some(changed) = CHANGED.get_ptr_mut(0) {
            // SAFETY: the pointer is to a map's value, a word that is written whole.
            unsafe { changed.write_volatile(1) };
        }
        tell(EXECUTED);
    }
    0
}

/// A process has a new thread or child (`task_newtask`).
#[raw_tracepoint(tracepoint = "task_newtask")]
fn map_probe_fork(ctx: RawTracePointContext) -> i32 {
    // SAFETY: the tracepoint's arguments are the new task and the flags, a word each.
    let flags = unsafe { *ctx.as_ptr().cast::<u64>().add(1) };
    if flags & SHARES_MEMORY == 0 && is_target() {
        tell(FORKED);
    }
    0
}

#[inline(always)]
fn tell(what: u64) {
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    let _ = LIVES.output::<u64>(&(now & !KIND_BITS | what), 0);
}

/// Whether the target runs another program than the one that was read: types that are met from then on are none of its.
#[inline(always)]
pub(crate) fn changed() -> bool {
    CHANGED.get(0).is_some_and(|changed| *changed != 0)
}

#[inline(always)]
fn is_target() -> bool {
    WATCHED.get(0).is_some_and(is_current)
}

/// Whether the CPU runs this process.
#[inline(always)]
pub(crate) fn is_current(process: &Identity) -> bool {
    let mut ids = MaybeUninit::<bpf_pidns_info>::uninit();
    // SAFETY: `ids` has room for what the helper writes.
    let known = unsafe {
        bpf_get_ns_current_pid_tgid(
            process.namespace_device,
            process.namespace_inode,
            ids.as_mut_ptr(),
            size_of::<bpf_pidns_info>() as u32,
        )
    };
    // SAFETY: the helper writes all of it, with zeros if the namespace is another.
    known == 0 && u64::from(unsafe { ids.assume_init() }.tgid) == process.pid
}
