//! Samples CPU time: one timer per CPU that runs the program, whatever the CPU does then.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::load::Loaded;
use super::perf;
use super::refusal::{no_cpus, not_permitted};
use crate::error::{Failure, Status};
use crate::sampling::period;

/// The most samples a second that the kernel allows (`kernel.perf_event_max_sample_rate`).
const MAX_RATE: &str = "/proc/sys/kernel/perf_event_max_sample_rate";
const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Its value as the kernel sets it at first.
const USUAL_MAX_RATE: u32 = 100_000;
/// More CPUs no Linux has (`CONFIG_NR_CPUS`).
const MAX_CPUS: u32 = 8192;

/// Timers in place. Dropping it takes them away; no program runs any more then.
#[derive(Debug)]
pub struct Sampler {
    frequency: u32,
    /// By CPU.
    timers: BTreeMap<u32, OwnedFd>,
}

impl Sampler {
    /// Samples all CPUs that are online, about `frequency` times a second.
    ///
    /// # Errors
    /// Not permitted, or more often than the kernel allows.
    pub fn start(loaded: &Loaded, frequency: u32) -> Result<Self, Failure> {
        let mut sampler = Self {
            frequency,
            timers: BTreeMap::new(),
        };
        sampler.follow_cpus(loaded)?;
        if sampler.timers.is_empty() {
            return Err(Failure::new(Status::Internal, "no CPU could be sampled")
                .hint("please report it, with the contents of /sys/devices/system/cpu/online"));
        }
        Ok(sampler)
    }

    /// Samples CPUs that came online since, and forgets those that went offline.
    ///
    /// # Errors
    /// As [`Sampler::start`].
    pub fn follow_cpus(&mut self, loaded: &Loaded) -> Result<(), Failure> {
        let online = fs::read_to_string(ONLINE).map_err(|error| no_cpus(ONLINE, error))?;
        let online = cpus(&online);
        self.timers.retain(|cpu, _| online.contains(cpu));
        for cpu in online {
            if self.timers.contains_key(&cpu) {
                continue;
            }
            match timer(loaded, cpu, self.frequency) {
                Ok(timer) => {
                    self.timers.insert(cpu, timer);
                }
                // It went offline meanwhile.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) => {}
                Err(error) => return Err(refused(error, self.frequency)),
            }
        }
        Ok(())
    }
}

/// The most samples a second that this kernel allows.
#[must_use]
pub fn max_frequency() -> u32 {
    fs::read_to_string(MAX_RATE)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(USUAL_MAX_RATE)
}

fn refused(error: io::Error, frequency: u32) -> Failure {
    match error.raw_os_error() {
        Some(libc::EINVAL) => Failure::new(
            Status::Usage,
            format!("this kernel refuses {frequency} samples a second"),
        )
        .caused_by(error)
        .hint(format!("{MAX_RATE} has the most that it allows")),
        _ => not_permitted("sample the CPUs", error),
    }
}

/// A timer on one CPU, running.
fn timer(loaded: &Loaded, cpu: u32, frequency: u32) -> io::Result<OwnedFd> {
    let timer = perf::timer(cpu, period(frequency))?;
    perf::run(&timer, loaded.program.as_fd())?;
    perf::enable(&timer)?;
    Ok(timer)
}

/// The CPUs of a list like `0-3,6`.
fn cpus(list: &str) -> Vec<u32> {
    let ranges = list.trim().split(',').filter_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        Some(from.parse().ok()?..=to.parse::<u32>().ok()?.min(MAX_CPUS))
    });
    ranges.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_numbers_and_ranges() {
        assert_eq!(cpus("0-3,6\n"), [0, 1, 2, 3, 6]);
        assert_eq!(cpus("0"), [0]);
        assert_eq!(cpus("\n"), [0_u32; 0]);
        assert_eq!(cpus("x,2"), [2]);
    }
}
