//! The timers of a `map-probe` that samples, to be stopped and started from outside: so that a target is measured with and
//! without them in turns of a fraction of a second.

use crate::process::new_descriptor;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What the kernel calls a perf event's descriptor in `/proc/PID/fd`.
const PERF_EVENT: &str = "anon_inode:[perf_event]";

/// `PERF_EVENT_IOC_ENABLE` and `PERF_EVENT_IOC_DISABLE` of Linux.
const ENABLE: libc::c_ulong = 0x2400;
const DISABLE: libc::c_ulong = 0x2401;

/// Another process's timers.
pub(super) struct Timers(Vec<OwnedFd>);

impl Timers {
    /// Those that the process has.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let process = pidfd(pid).context("cannot open the process")?;
        let mut timers = Vec::new();
        for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
            let entry = entry?;
            let is_timer = fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == PERF_EVENT);
            if let (true, Some(Ok(number))) = (is_timer, entry.file_name().to_str().map(str::parse))
            {
                timers.push(duplicate(&process, number).context("cannot take over a timer")?);
            }
        }
        if timers.is_empty() {
            bail!("process {pid} has no timers");
        }
        Ok(Self(timers))
    }

    /// Starts or stops them.
    pub(super) fn run(&self, running: bool) -> Result<()> {
        let request = if running { ENABLE } else { DISABLE };
        for timer in &self.0 {
            // SAFETY: these requests of a perf event take no memory of ours.
            if unsafe { libc::ioctl(timer.as_raw_fd(), request, 0) } != 0 {
                return Err(io::Error::last_os_error()).context("cannot switch a timer");
            }
        }
        Ok(())
    }
}

fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers, and returns a new descriptor or a negative number.
    unsafe { new_descriptor(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }
}

fn duplicate(process: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    let process = process.as_raw_fd();
    // SAFETY: the call takes three numbers, and returns a new descriptor or a negative number.
    unsafe { new_descriptor(libc::syscall(libc::SYS_pidfd_getfd, process, number, 0)) }
}
