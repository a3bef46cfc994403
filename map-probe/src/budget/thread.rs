//! The thread that keeps the windows: its clocks and its sleep.

use std::hash::{BuildHasher as _, RandomState};
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

/// The time between two ticks of the kernel's clock, in nanoseconds.
#[must_use]
pub(super) fn tick() -> Ns {
    time(libc::CLOCK_MONOTONIC_COARSE, libc::clock_getres)
}

fn clock(clock: libc::clockid_t) -> Ns {
    time(clock, libc::clock_gettime)
}

fn time(
    clock: libc::clockid_t,
    of: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int,
) -> Ns {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to `time` only; of a clock that there is not, nothing.
    unsafe {
        of(clock, &raw mut time);
    }
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// A random number from 0 to 1.
#[must_use]
pub(super) fn random() -> f64 {
    random_number() as f64 / u64::MAX as f64
}

/// A random time that is shorter than this one.
#[must_use]
pub(super) fn random_below(time: Ns) -> Ns {
    random_number() % time.max(1)
}

/// From the standard library's own source of randomness.
fn random_number() -> u64 {
    RandomState::new().hash_one(now())
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
