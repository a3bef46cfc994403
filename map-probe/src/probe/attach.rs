//! Puts the program at the target's sites, and takes it away again.

use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::bpf;
use super::refusal::{internal, not_permitted};
use crate::error::{Failure, Status};

/// Where a site lies in the target's file.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// What the program is told there: the site's index, and the kind of its instruction.
    pub cookie: u64,
}

/// Probes in place. Dropping it takes them away, and returns when no program runs any more.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
}

impl Attached {
    /// Puts a program at all sites of `path`, a file that process `pid` runs, for that process alone.
    ///
    /// # Errors
    /// Not permitted, no such process any more, or a kernel without `uprobe_multi`.
    pub fn new(
        program: BorrowedFd<'_>,
        path: &str,
        sites: &[Placed],
        pid: u32,
    ) -> Result<Self, Failure> {
        let file = CString::new(path).map_err(internal)?;
        let (offsets, cookies): (Vec<_>, Vec<_>) =
            sites.iter().map(|site| (site.offset, site.cookie)).unzip();
        bpf::link_uprobes(program, &file, &offsets, &cookies, pid)
            .map(|link| Self { _link: link })
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ESRCH | libc::ENOENT | libc::EBADF) => Failure::new(
                    Status::NoProcess,
                    format!("process {pid} ended before the probes were in place"),
                )
                .caused_by(error)
                .hint("start it anew under map-probe: map-probe -- COMMAND"),
                _ => not_permitted("attach probes", error),
            })
    }
}
