//! What comes before probes that are to be in place at a time of our own choosing.
//!
//! Before the kernel changes code it waits for a grace period of RCU (`dup_mmap_sem` in `kernel/events/uprobes.c`, Linux 6.18),
//! and these end at a tick of its clock. So probes would always be in place at the same time in a tick; and a target whose work
//! keeps step with the clock, as that of a Go ticker does, would be seen at some moments of it only. But until another
//! grace period is over, nobody has to wait. So a place in an empty file is probed first: that waits, and probes nothing.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use super::attach::{Placed, Way};
use super::guard::{Attached, Guard, Set, Wanted};
use super::mapped::memory_file;
use crate::error::{Failure, system_failure};

/// A file without anything in it, and a probe there.
#[derive(Debug)]
pub struct Prelude(Set);

impl Prelude {
    /// For a process, with any program that was loaded for this way.
    ///
    /// # Errors
    /// Not permitted, no such process any more, or a kernel without uprobes.
    pub fn new(
        guard: &Arc<Guard>,
        way: Way,
        program: BorrowedFd<'_>,
        pid: u32,
    ) -> Result<Self, Failure> {
        // In memory: nobody else has it.
        let empty = memory_file(c"map-probe")
            .map_err(|error| system_failure("cannot make a file in memory", error))?;
        let wanted = Wanted {
            way,
            program,
            file: empty.as_fd(),
            gate: None,
            in_target: false,
        };
        Set::new(guard, &wanted, vec![Placed::START], pid).map(Self)
    }

    /// Waits, some milliseconds, until a tick of the kernel's clock: for at least another, attaching takes no time.
    ///
    /// # Errors
    /// Not permitted, or no such process any more.
    pub fn wait(&self) -> Result<Attached, Failure> {
        self.0.attach(None)
    }
}
