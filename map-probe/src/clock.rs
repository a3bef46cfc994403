//! The clocks that map-probe reads, in nanoseconds.

/// `CLOCK_MONOTONIC`, the clock of the kernel side, in nanoseconds.
#[must_use]
pub(crate) fn now() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// The CPU time of this thread, in nanoseconds.
#[must_use]
pub(crate) fn cpu_time() -> u64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The CPU time of a process so far, in nanoseconds; `None` if it has ended.
#[must_use]
pub(crate) fn cpu_time_of(pid: u32) -> Option<u64> {
    let mut id: libc::clockid_t = 0;
    // SAFETY: it writes to `id` only.
    let failed = unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut id) };
    (failed == 0).then(|| clock(id)).filter(|time| *time > 0)
}

/// The time between two ticks of the kernel's clock, in nanoseconds.
#[must_use]
pub(crate) fn tick() -> u64 {
    time(libc::CLOCK_MONOTONIC_COARSE, libc::clock_getres)
}

fn clock(clock: libc::clockid_t) -> u64 {
    time(clock, libc::clock_gettime)
}

fn time(
    clock: libc::clockid_t,
    of: unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> libc::c_int,
) -> u64 {
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
