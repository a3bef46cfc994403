//! Puts the program at the target's sites, and takes it away again.
//!
//! By a link (Linux 6.6): it is made to attach, and closed to detach. The kernel changes one site after the other, and as long as
//! threads are trapped meanwhile, they and it wait for each other (for `mmap_lock`): so the busy sites have a link of their own, which is made
//! last and closed first. Or, on kernels that have none, by an event that is
//! defined once, with all sites: it is opened for the target's process to attach, and closed to detach. Closing the *last*
//! user of an event takes the kernel some 100 ms, with the probes still in place for a part of that; so we use it ourselves all the
//! time, for our own process, which never runs the target's code. Then opening and closing it for the target only
//! changes the target's code, as quickly as a link does. The program is told once for all users of the event, and runs
//! in those processes alone that it is opened for, in all their threads.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::refusal::{internal, no_tracefs, not_permitted};
use super::tracefs::{self, Tracefs};
use super::{bpf, perf};
use crate::error::{Failure, Status};

/// A site is busy that has more than one in so many of the traps.
const BUSY: u64 = 20;

/// Where a site lies in the target.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Address in the process.
    pub address: u64,
    /// What the program is told there: the site's index, and the kind of its instruction.
    pub cookie: u64,
}

/// How a kernel puts probes in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a `uprobe_multi` link.
    Link,
    /// By a perf event.
    Event,
}

impl Way {
    /// That of the kernel that runs now: by a link if it can.
    #[must_use]
    pub fn of_this_kernel() -> Self {
        if bpf::has_uprobe_links() {
            Self::Link
        } else {
            Self::Event
        }
    }
}

/// Sites of a process, made ready for a program. Dropping it takes back what that took, beside what is attached.
#[derive(Debug)]
pub struct Probes {
    pid: u32,
    ready: Ready,
}

#[derive(Debug)]
enum Ready {
    Link {
        program: OwnedFd,
        file: CString,
        sites: Vec<Placed>,
        /// So many of the last of them have a link of their own.
        busy: usize,
    },
    Event(Arc<Event>),
}

/// An event for all sites. The order matters as they are dropped: an event that is in use cannot be removed.
#[derive(Debug)]
struct Event {
    /// Has the program, and keeps the event registered.
    _ours: OwnedFd,
    event: tracefs::Event,
}

/// Probes in place. Dropping it takes them away.
#[derive(Debug)]
pub struct Attached {
    /// The last one has the busy sites.
    users: Vec<OwnedFd>,
    event: Option<Arc<Event>>,
}

impl Attached {
    /// How many parts there are.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.users.len()
    }

    /// What can be taken away by itself, in the order in which it is to go.
    pub fn parts(self) -> impl Iterator<Item = Self> {
        let event = self.event;
        self.users.into_iter().rev().map(move |user| Self {
            users: vec![user],
            event: event.clone(),
        })
    }
}

impl Probes {
    /// Makes all sites of `path`, a file that process `pid` runs, ready for a program that was loaded for this way.
    ///
    /// # Errors
    /// Not permitted, no such process any more, or a kernel without uprobes.
    pub fn new(
        way: Way,
        program: BorrowedFd<'_>,
        path: &str,
        sites: Vec<Placed>,
        pid: u32,
    ) -> Result<Self, Failure> {
        let ready = match way {
            Way::Link => Ready::Link {
                program: program.try_clone_to_owned().map_err(internal)?,
                file: CString::new(path).map_err(internal)?,
                sites,
                busy: 0,
            },
            Way::Event => {
                let tracefs = Tracefs::open().map_err(no_tracefs)?;
                let refused = |error| refused(pid, error);
                let offsets = sites.iter().map(|site| site.offset);
                let event = tracefs::Event::define(tracefs, path, offsets).map_err(refused)?;
                let ours = perf::tracepoint(event.id, 0).map_err(refused)?;
                perf::run(&ours, program).map_err(refused)?;
                Ready::Event(Arc::new(Event { _ours: ours, event }))
            }
        };
        Ok(Self { pid, ready })
    }

    /// Puts the program at the sites, for this process alone.
    ///
    /// # Errors
    /// Not permitted, or no such process any more.
    pub fn attach(&self) -> Result<Attached, Failure> {
        let (users, event) = match &self.ready {
            Ready::Link {
                program,
                file,
                sites,
                busy,
            } => {
                let link = |sites: &[Placed]| {
                    let (offsets, cookies): (Vec<_>, Vec<_>) =
                        sites.iter().map(|site| (site.offset, site.cookie)).unzip();
                    bpf::link_uprobes(program.as_fd(), file, &offsets, &cookies, self.pid)
                };
                let (others, busy) = sites.split_at(sites.len().saturating_sub(*busy));
                let links = [others, busy].into_iter();
                let links = links.filter(|sites| !sites.is_empty()).map(link);
                (links.collect::<io::Result<_>>(), None)
            }
            Ready::Event(event) => (
                perf::tracepoint(event.event.id, self.pid).map(|user| vec![user]),
                Some(Arc::clone(event)),
            ),
        };
        Ok(Attached {
            users: users.map_err(|error| refused(self.pid, error))?,
            event,
        })
    }

    /// Says how busy each site is: the busiest are put in place last and taken away first, where that can still be chosen.
    pub fn order(&mut self, busy: impl Fn(&Placed) -> u64) {
        if let Ready::Link {
            sites, busy: last, ..
        } = &mut self.ready
        {
            sites.sort_by_key(&busy);
            let all: u64 = sites.iter().map(&busy).sum();
            let is_busy = |site: &&Placed| busy(site) * BUSY > all;
            *last = sites.iter().rev().take_while(is_busy).count();
        }
    }
}

fn refused(pid: u32, error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT | libc::EBADF) => Failure::new(
            Status::NoProcess,
            format!("process {pid} ended before the probes were in place"),
        )
        .caused_by(error)
        .hint("start it anew under map-probe: map-probe -- COMMAND"),
        _ => not_permitted("attach probes", error),
    }
}
