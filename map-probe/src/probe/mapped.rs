//! Arrays of the kernel side in our own memory: read and written without a system call.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};

/// An empty file that is nowhere but in memory, of this name. It is not to be executed: with `vm.memfd_noexec` kernels from 6.3 on
/// give no other (and those before know none such).
pub(super) fn memory_file(name: &CStr) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC;
    match memfd_create(
        name,
        flags | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL),
    ) {
        Err(Errno::EINVAL) => memfd_create(name, flags),
        made => made,
    }
    .map_err(io::Error::from)
}

/// A BPF array mapped into our memory.
#[derive(Debug)]
pub(super) struct Mapped {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: it is memory that only `Mapped` unmaps, and all access is atomic.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    pub(super) fn new(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        // SAFETY: a new mapping, of a map that is at least as large: the kernel checks.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                words * 8,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, words })
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: so many aligned words are mapped as long as `self` lives, and the kernel side writes them atomically.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no reference to it outlives `self`.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.words * 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_file_in_memory_can_be_written_and_not_executed() {
        let mut file = File::from(memory_file(c"map-probe-test").expect("a file"));
        file.write_all(b"here").expect("written");
        if fs::exists("/proc/sys/vm/memfd_noexec").expect("/proc") {
            let mode = file.metadata().expect("a file").mode();
            assert_eq!(mode & 0o111, 0, "{mode:o}");
        }
    }
}
