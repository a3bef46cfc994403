//! What comes before probes that are to be in place at a time of our own choosing.
//!
//! Before the kernel changes code it waits for a grace period of RCU (`dup_mmap_sem` in `kernel/events/uprobes.c`, Linux 6.18),
//! and these end at a tick of its clock. So probes would always be in place at the same time in a tick; and a target whose work
//! keeps step with the clock, as that of a Go ticker does, would be seen at some moments of it only. But until another
//! grace period is over, nobody has to wait. So a place in an empty file is probed first: that waits, and probes nothing.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::attach::{Attached, Placed, Probes, Way};
use super::refusal::internal;
use crate::error::Failure;

/// A file without anything in it, and a probe there.
#[derive(Debug)]
pub struct Prelude {
    probes: Probes,
    /// In memory: nobody else has it.
    _empty: OwnedFd,
}

impl Prelude {
    /// For a process, with any program that was loaded for this way.
    ///
    /// # Errors
    /// Not permitted, no such process any more, or a kernel without uprobes.
    pub fn new(way: Way, program: BorrowedFd<'_>, pid: u32) -> Result<Self, Failure> {
        let empty = memfd_create(c"map-probe", MFdFlags::MFD_CLOEXEC).map_err(internal)?;
        let path = format!("/proc/self/fd/{}", empty.as_raw_fd());
        let start = Placed {
            offset: 0,
            address: 0,
            cookie: 0,
        };
        Ok(Self {
            probes: Probes::new(way, program, &path, vec![start], pid)?,
            _empty: empty,
        })
    }

    /// Waits, some milliseconds, until a tick of the kernel's clock: for at least another, attaching takes no time.
    ///
    /// # Errors
    /// Not permitted, or no such process any more.
    pub fn wait(&self) -> Result<Attached, Failure> {
        self.probes.attach()
    }
}
