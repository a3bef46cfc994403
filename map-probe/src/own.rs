//! What map-probe itself takes of the machine.

use std::fs;
use std::time::Duration;

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use crate::clock::cpu_time_of;

/// The guard's process id; 0 if there is none.
static GUARD: AtomicU32 = AtomicU32::new(0);

/// From now on this process is a part of map-probe too.
pub(crate) fn count(guard: Pid) {
    GUARD.store(guard.as_raw().cast_unsigned(), Ordering::Relaxed);
}

/// The CPU time of map-probe so far, all its threads and its guard, in and out of the kernel.
#[must_use]
pub fn cpu_time() -> Duration {
    let guard = match GUARD.load(Ordering::Relaxed) {
        0 => 0,
        guard => cpu_time_of(guard).unwrap_or(0),
    };
    own_cpu_time() + Duration::from_nanos(guard)
}

fn own_cpu_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
        return Duration::ZERO;
    };
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let micros = u64::try_from(time.tv_usec()).unwrap_or(0);
            Duration::from_secs(seconds) + Duration::from_micros(micros)
        })
        .sum()
}

/// The resident memory of map-probe, its guard included, in bytes; 0 if `/proc` does not say.
#[must_use]
pub fn resident_bytes() -> u64 {
    let guard = match GUARD.load(Ordering::Relaxed) {
        0 => 0,
        // Its program's pages are ours too.
        guard => status_bytes(&guard.to_string(), "RssAnon:"),
    };
    status_bytes("self", "VmRSS:").saturating_add(guard)
}

fn status_bytes(process: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|kilobytes| kilobytes.trim().parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_time_only_grows() {
        assert!(resident_bytes() > 100_000);
        let before = cpu_time();
        assert!(cpu_time() >= before);
    }
}
