//! The thread that keeps the windows: its clocks and its sleep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::pacer::Ns;

/// `CLOCK_MONOTONIC`, the clock of the kernel side, in nanoseconds.
#[must_use]
pub(super) fn now() -> Ns {
    clock(libc::CLOCK_MONOTONIC)
}

/// The CPU time of this thread, in nanoseconds.
#[must_use]
pub(super) fn cpu_time() -> Ns {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The CPU time of a process so far, in nanoseconds; `None` if it has ended.
#[must_use]
pub(super) fn cpu_time_of(pid: u32) -> Option<Ns> {
    let mut id: libc::clockid_t = 0;
    // SAFETY: it writes to `id` only.
    let failed = unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut id) };
    (failed == 0).then(|| clock(id)).filter(|time| *time > 0)
}

fn clock(clock: libc::clockid_t) -> Ns {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to `time` only; of a clock that there is not, nothing.
    unsafe {
        libc::clock_gettime(clock, &raw mut time);
    }
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Sleep ends when it should, not up to 50 µs later. The thread keeps its ordinary priority.
pub(super) fn sleep_exactly() {
    // SAFETY: a plain system call about this thread.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64);
    }
}

/// Sleeps until then; `false` if it is to stop instead. Whoever sets `stop` unparks the thread.
pub(super) fn sleep_until(then: Ns, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Acquire) {
            return false;
        }
        let now = now();
        if now >= then {
            return true;
        }
        thread::park_timeout(Duration::from_nanos(then - now));
    }
}
