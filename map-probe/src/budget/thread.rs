//! The thread that keeps the windows: its sleep, and its random numbers.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::pacer::Ns;
use crate::clock::now;

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
