//! Perf events: what makes a program run. aya 0.14 makes them too, but not those that are needed here.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::generated::{
    PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, perf_event_attr, perf_sw_ids, perf_type_id,
};

/// `PERF_FLAG_FD_CLOEXEC` (`linux/perf_event.h`).
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// A timer on one CPU, with a `period` in nanoseconds, while it is not idle. It does not run yet.
pub(super) fn timer(cpu: u32, period: u64) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.type_ = perf_type_id::PERF_TYPE_SOFTWARE as u32;
    attr.config = perf_sw_ids::PERF_COUNT_SW_CPU_CLOCK as u64;
    attr.__bindgen_anon_1.sample_period = period;
    attr.set_exclude_idle(1);
    open(&attr, -1, cpu.cast_signed())
}

/// The kernel's event of this number, for the process of a thread; 0 is this thread. What is trapped does not depend on
/// whether it is enabled.
pub(super) fn tracepoint(id: u64, pid: u32) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.type_ = perf_type_id::PERF_TYPE_TRACEPOINT as u32;
    attr.config = id;
    open(&attr, pid.cast_signed(), -1)
}

/// Has an event run a program.
pub(super) fn run(event: &OwnedFd, program: BorrowedFd<'_>) -> io::Result<()> {
    control(event, PERF_EVENT_IOC_SET_BPF, program.as_raw_fd())
}

/// Enables an event.
pub(super) fn enable(event: &OwnedFd) -> io::Result<()> {
    control(event, PERF_EVENT_IOC_ENABLE, 0)
}

/// Of an event that is not enabled.
fn attributes() -> perf_event_attr {
    // SAFETY: zeroes are valid for a C struct of integers.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.size = mem::size_of_val(&attr) as u32;
    attr.set_disabled(1);
    attr
}

fn open(attr: &perf_event_attr, pid: libc::pid_t, cpu: libc::c_int) -> io::Result<OwnedFd> {
    let no_group = -1;
    // SAFETY: `attr` is as large as it says.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attr),
            pid,
            cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    // SAFETY: what it returned is a new descriptor or negative.
    unsafe { new_descriptor(fd) }
}

/// What a system call returned that makes a descriptor.
///
/// # Safety
///
/// It is a new descriptor that nobody else has, or negative.
pub(super) unsafe fn new_descriptor(returned: libc::c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(returned).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn control(event: &OwnedFd, request: u32, argument: i32) -> io::Result<()> {
    // SAFETY: these requests take a number.
    if unsafe { libc::ioctl(event.as_fd().as_raw_fd(), u64::from(request), argument) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
