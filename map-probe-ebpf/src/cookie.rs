//! Which probe a trap is at: what userspace said of it when it was put there.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::bpf_get_attach_cookie;
use aya_ebpf::programs::ProbeContext;

use crate::tables::COOKIES;
use crate::world::options;

/// Of no site, no kind of instruction, and no return.
const NONE: u64 = u64::MAX >> 2;

/// The cookie of the probe that `ctx` stopped at. One event for all probes has but one of its own: then it is found by
/// the address of the instruction.
#[inline(always)]
pub(crate) fn of(ctx: &ProbeContext) -> u64 {
    if options().by_address == 0 {
        // SAFETY: `ctx` is a uprobe's.
        return unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    }
    // SAFETY: a uprobe's context is the registers of the trapped thread; its instruction pointer is at the probe.
    let address = unsafe { (*ctx.as_ptr().cast::<pt_regs>()).rip };
    // SAFETY: userspace writes the table before it attaches, and nobody afterwards.
    unsafe { COOKIES.get(&address) }.copied().unwrap_or(NONE)
}
