//! Counting in windows of time: the gate, and what each trap cost, for userspace to keep the bound on the target's slowdown.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use aya_ebpf::programs::ProbeContext;
use map_probe_common::quality::Cause;
use map_probe_common::window::{COOKIE_KIND_SHIFT, Gate, LOG_RECORDS, Record, TRAP_KINDS, Tally};

use crate::tables::{GATE, LOG, TALLY};
use crate::{atomic, cookie, opaque};

/// How often a place in the log is asked for, when other threads of the CPU come between.
const ASKED: usize = 4;

/// Not 0 if there are windows. Written by userspace before loading, so that the verifier leaves all of this out where
/// every operation is traced.
#[unsafe(no_mangle)]
static WINDOWED: MaybeUninit<u32> = MaybeUninit::zeroed();

/// A trap that has begun.
#[derive(Clone, Copy)]
pub(crate) struct Trap {
    gate: Gate,
    start: u64,
}

#[inline(always)]
fn windowed() -> bool {
    // SAFETY: a pointer to a static, which userspace has filled in.
    unsafe { *opaque::pointer(WINDOWED.as_ptr()) != 0 }
}

/// A trap of a time that is one window.
#[inline(always)]
pub(crate) fn always() -> Trap {
    Trap {
        gate: Gate::new(0, true),
        start: 0,
    }
}

/// Begins a trap.
#[inline(always)]
pub(crate) fn enter() -> Trap {
    if !windowed() {
        return always();
    }
    // SAFETY: the helper takes nothing.
    let start = unsafe { bpf_ktime_get_ns() };
    let gate = GATE.get(0).copied().unwrap_or(0);
    Trap {
        gate: Gate(gate),
        start,
    }
}

impl Trap {
    /// Whether operations are counted now.
    #[inline(always)]
    pub(crate) fn counts(self) -> bool {
        self.gate.is_open()
    }

    /// The number of the window.
    #[inline(always)]
    pub(crate) fn window(self) -> u64 {
        self.gate.number()
    }

    /// Ends it: what it cost is noted.
    #[inline(always)]
    pub(crate) fn leave(self, ctx: &ProbeContext) {
        if !windowed() {
            return;
        }
        let cookie = cookie::of(ctx);
        let kind = opaque::number((cookie >> COOKIE_KIND_SHIFT) as usize);
        if kind >= TRAP_KINDS {
            return;
        }
        let Some(tally) = tally() else { return };
        // SAFETY: the helper takes nothing.
        let now = unsafe { bpf_ktime_get_ns() };
        let took = now.wrapping_sub(self.start);
        // SAFETY: the pointer is to a map's value. Other threads of this CPU may be in a trap too: what is added is
        // added atomically, and of the times any will do.
        unsafe {
            if (*tally).first == 0 {
                (*tally).first = self.start;
            }
            (*tally).last = now;
            (*tally).last_site = u64::from(cookie as u32);
            atomic::add(&raw mut (*tally).program_ns, took);
            atomic::add((&raw mut (*tally).traps).cast::<u64>().add(kind), 1);
            if self.counts() {
                atomic::add(&raw mut (*tally).open_program_ns, took);
                atomic::add((&raw mut (*tally).open_traps).cast::<u64>().add(kind), 1);
            }
        }
    }

    /// A place in the log for an operation that is about to be counted; none if userspace is a whole log behind.
    #[inline(always)]
    pub(crate) fn reserve(self) -> Result<u32, Cause> {
        if !windowed() {
            return Ok(0);
        }
        let tally = tally().ok_or(Cause::TableFull)?;
        for _ in 0..ASKED {
            // In this order: what was taken was given away before.
            // SAFETY: the pointer is to a map's value, aligned words that are read whole.
            let (taken, at) = unsafe {
                let taken = (&raw const (*tally).taken).read_volatile();
                (taken, (&raw const (*tally).logged).read_volatile())
            };
            if at.wrapping_sub(taken) >= u64::from(LOG_RECORDS) {
                break;
            }
            // SAFETY: as above.
            let logged = unsafe { &raw mut (*tally).logged };
            if atomic::compare_exchange(logged, at, at.wrapping_add(1)) == at {
                return Ok(cpu() * LOG_RECORDS + (at as u32 & (LOG_RECORDS - 1)));
            }
        }
        Err(Cause::TableFull)
    }

    /// Writes the record of an operation that has been counted to the place that was reserved for it.
    #[inline(always)]
    pub(crate) fn log(self, place: u32, record: Record) {
        if windowed()
            && let Some(slot) = LOG.get_ptr_mut(place)
        {
            // SAFETY: the pointer is to a map's value, a word that is written whole.
            unsafe { slot.write_volatile(record.0) };
        }
    }
}

#[inline(always)]
fn tally() -> Option<*mut Tally> {
    TALLY.get_ptr_mut(cpu())
}

/// The CPU of this trap; programs stay on theirs.
#[inline(always)]
fn cpu() -> u32 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_get_smp_processor_id() }
}
