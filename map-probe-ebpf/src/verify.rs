//! Compares what a map function returns with what the walk said before.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{BPF_ANY, pt_regs};
use aya_ebpf::programs::ProbeContext;
use map_probe_common::op::{Class, Outcome, of_cell};
use map_probe_common::quality::Cause;
use map_probe_common::verify::Cookie;
use map_probe_common::walk::{Expected, Found, MapType, Returned, VERDICTS as KINDS, Verdict};

use crate::scratch::Scratch;
use crate::tables::{DIFFERENCES, DIFFERENCES_USED, EXPECTED, VERDICTS, ZERO};
use crate::world::Kernel;
use crate::{atomic, cookie, opaque};

/// The cookie of the probe, if it is at a return.
#[inline(always)]
pub(crate) fn at_return(ctx: &ProbeContext) -> Option<Cookie> {
    let cookie = cookie(ctx);
    cookie.is_return().then_some(cookie)
}

fn cookie(ctx: &ProbeContext) -> Cookie {
    Cookie(cookie::of(ctx))
}

/// Keeps what the walk said of the goroutine's operation until its function returns.
#[inline(never)]
pub(crate) fn expect(
    ctx: &ProbeContext,
    scratch: &mut Scratch,
    typ: &MapType,
    cell: usize,
) -> Result<(), Cause> {
    // SAFETY: the operation's values were written before it was walked.
    let values = unsafe { scratch.values.assume_init_ref() };
    // SAFETY: a map's value, all zero at first, which is a walk's state too; then what walks have written.
    let search = || unsafe { scratch.search.assume_init_ref() };
    let found = match of_cell(cell) {
        Some((_, Outcome::Found, _)) => search().found(),
        Some((_, _, Class::Table)) => search().examined(),
        _ => Found::default(),
    };
    scratch.expected.typ = values.typ;
    scratch.expected.hash = values.operation.hash;
    scratch.expected.function = cookie(ctx).function();
    scratch.expected.cell = cell as u16;
    let (goroutine, map) = (values.goroutine, values.operation.map);
    scratch.expected.note(Kernel, goroutine, map, typ, found)?;
    EXPECTED
        .insert(&values.goroutine, &scratch.expected, u64::from(BPF_ANY))
        .map_err(|_| Cause::TableFull)
}

/// A map function is about to return: compares, if its operation was walked. Others ended before they reached a site.
#[inline(never)]
pub(crate) fn compare(ctx: &ProbeContext, cookie: Cookie) {
    // SAFETY: a uprobe's context is the registers of the trapped thread.
    let regs = unsafe { &*ctx.as_ptr().cast::<pt_regs>() };
    let goroutine = regs.r14;
    // SAFETY: only this goroutine's own operations change its entry, one after the other.
    let Some(expected) = (unsafe { EXPECTED.get(&goroutine) }) else {
        return;
    };
    // Not this function's: an operation that ended in a panic.
    if expected.function == cookie.function() {
        // Go's results: RAX, RBX (cmd/compile/abi-internal.md); a bool is the register's low byte.
        let mut returned = Returned {
            element: regs.rax,
            found: if cookie.says_found() {
                regs.rbx & 1
            } else {
                Returned::UNSAID
            },
            count: 0,
        };
        let zero = ZERO.get(0).copied().unwrap_or_default();
        let verdict = expected.check(Kernel, goroutine, zero, &mut returned);
        record(expected, &returned, verdict);
    }
    let _ = EXPECTED.remove(&goroutine);
}

#[inline(always)]
fn record(expected: &Expected, returned: &Returned, verdict: Result<Verdict, Cause>) {
    let Some(verdicts) = VERDICTS.get_ptr_mut(u32::from(expected.function)) else {
        return;
    };
    // SAFETY: the pointer is to a map's value.
    let verdicts = unsafe { &mut *verdicts };
    let Ok(verdict) = verdict else {
        atomic::increment(&mut verdicts.unread);
        return;
    };
    let kind = opaque::number(verdict as usize);
    if kind < KINDS {
        // SAFETY: within the array.
        atomic::increment(unsafe { verdicts.counts.get_unchecked_mut(kind) });
    }
    if verdict as u32 == Verdict::Different as u32 {
        keep(expected, returned);
    }
}

/// Keeps one of the first differences for the report.
#[inline(always)]
fn keep(expected: &Expected, returned: &Returned) {
    let Some(used) = DIFFERENCES_USED.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the pointer is to a map's value.
    let number = atomic::next(unsafe { &mut *used });
    if let Some(place) = DIFFERENCES.get_ptr_mut((number - 1) as u32) {
        // SAFETY: the pointer is to a map's value, and this place is given to nobody else.
        unsafe {
            (*place).expected = *expected;
            (*place).returned = *returned;
        }
    }
}
