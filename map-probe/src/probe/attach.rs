//! Attaches a program to places in a file, for one process, and detaches it again. Runs in the guard's process (`guard`).
//!
//! By a link (Linux 6.6): it is made to attach, and closed to detach. The kernel changes one place after the other, and as long as
//! threads are trapped meanwhile, they and it wait for each other (for `mmap_lock`): so the busy places have a link of their own, which is made
//! last and closed first. Or, on kernels that have none, by an event that is
//! defined once, with all places: it is opened for the target's process to attach, and closed to detach. Closing the *last*
//! user of an event takes the kernel some 100 ms, with the probes still in place for a part of that; so we use it ourselves all the
//! time, for our own process, which never runs the target's code. Then opening and closing it for the target only
//! changes the target's code, as quickly as a link does. The program is told once for all users of the event, and runs
//! in those processes alone that it is opened for, in all their threads.
//!
//! **The keeper.** A fatal signal that arrives while a task attaches or detaches makes the kernel give up, with breakpoints in
//! the target (`uprobe_unregister_nosync`, Linux 6.18: "leaking uprobe"). So a second user of the same places is there all the time,
//! for our own process, which has none of that code: a link, or our use of the event. It is closed when the process ends, and nowhere
//! else. By then the signal has been taken (`get_signal` takes it off the queue before it ends the task, and a
//! dying process is sent no other), so nothing interrupts the kernel; and whoever closes a user of a place, it takes the breakpoint
//! there out of every process that no user wants it in.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bpf::{self, Kind};
use super::mapped::memory_file;
use super::perf;
use super::tracefs::{self, Tracefs};

/// Where a probe is to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Placed {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Address in the process.
    pub address: u64,
    /// What the program is told there: the site's index, and the kind of its instruction.
    pub cookie: u64,
}

impl Placed {
    /// The beginning of a file that nobody runs.
    pub(super) const START: Self = Self {
        offset: 0,
        address: 0,
        cookie: 0,
    };
}

/// How a kernel attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Where an attempt to attach failed.
#[derive(Debug)]
pub(super) enum NotAttached {
    /// The kernel's file system of events cannot be used.
    Tracefs(io::Error),
    /// The kernel refuses.
    Refused(io::Error),
}

/// Places in a file, made ready for a program. Dropping it takes back what that took, beside what is attached.
#[derive(Debug)]
pub(super) struct Probes {
    pid: u32,
    ready: Ready,
}

#[derive(Debug)]
enum Ready {
    Link {
        program: OwnedFd,
        file: OpenFile,
        /// In the order in which they are attached.
        places: Vec<Placed>,
        /// So many of the last of them have a link of their own.
        busy: usize,
    },
    Event(Arc<Event>),
}

/// An event for all places. The order matters as they are dropped: an event that is in use cannot be removed.
#[derive(Debug)]
struct Event {
    /// Has the program, and keeps the event registered.
    _ours: OwnedFd,
    event: tracefs::Event,
}

/// A file as the kernel is told of it: by a path that leads to this very file, whatever lies where it was opened.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: CString,
    /// Kept open: the path names it.
    _file: OwnedFd,
}

impl OpenFile {
    pub(super) fn new(file: OwnedFd) -> Self {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        Self {
            // There is no zero byte in a number.
            path: CString::new(path).unwrap_or_default(),
            _file: file,
        }
    }
}

/// Probes that are attached. Dropping it detaches them.
#[derive(Debug)]
pub(super) struct Live {
    /// The last one has the busy places.
    users: Vec<OwnedFd>,
    event: Option<Arc<Event>>,
}

impl Live {
    /// How many parts there are.
    pub(super) fn part_count(&self) -> usize {
        self.users.len()
    }

    /// What can be detached by itself, in the order in which it is to go.
    pub(super) fn parts(self) -> impl Iterator<Item = Self> {
        let event = self.event;
        self.users.into_iter().rev().map(move |user| Self {
            users: vec![user],
            event: event.clone(),
        })
    }
}

impl Probes {
    /// Makes all places in a file ready for a program that was loaded for this way, in process `pid`.
    pub(super) fn new(
        way: Way,
        program: OwnedFd,
        file: OwnedFd,
        places: Vec<Placed>,
        pid: u32,
    ) -> Result<Self, NotAttached> {
        let file = OpenFile::new(file);
        let ready = match way {
            Way::Link => Ready::Link {
                program,
                file,
                places,
                busy: 0,
            },
            Way::Event => {
                let event = define(&file, &places)?;
                let ours = perf::tracepoint(event.id, 0).map_err(NotAttached::Refused)?;
                perf::run(&ours, program.as_fd()).map_err(NotAttached::Refused)?;
                Ready::Event(Arc::new(Event { _ours: ours, event }))
            }
        };
        Ok(Self { pid, ready })
    }

    /// A place in an empty file, ready for any program that was loaded for this way: to attach there waits for a grace period of RCU, and
    /// as long as that is attached, and for a while after, attaching and detaching elsewhere does not.
    pub(super) fn nowhere(way: Way, program: OwnedFd) -> Result<Self, NotAttached> {
        // In memory: nobody else has it.
        let empty = memory_file(c"map-probe").map_err(NotAttached::Refused)?;
        let start = vec![Placed::START];
        Self::new(way, program, empty, start, std::process::id())
    }

    /// The same with a keeper: for places that are in the target.
    pub(super) fn with_keeper(self) -> Result<Self, NotAttached> {
        // An event has one in our use of it.
        if let Ready::Link {
            program,
            file,
            places,
            ..
        } = &self.ready
        {
            let keeper = link(program, file, places, std::process::id());
            // Closed when the process ends.
            let _keeper = keeper.map_err(NotAttached::Refused)?.into_raw_fd();
        }
        Ok(self)
    }

    /// Attaches the program, for this process alone.
    pub(super) fn attach(&self) -> io::Result<Live> {
        match &self.ready {
            Ready::Link {
                program,
                file,
                places,
                busy,
            } => {
                let (others, busy) = places.split_at(places.len().saturating_sub(*busy));
                let links = [others, busy].into_iter();
                let links = links.filter(|places| !places.is_empty());
                let links = links.map(|places| link(program, file, places, self.pid));
                Ok(Live {
                    users: links.collect::<io::Result<_>>()?,
                    event: None,
                })
            }
            Ready::Event(event) => Ok(Live {
                users: vec![perf::tracepoint(event.event.id, self.pid)?],
                event: Some(Arc::clone(event)),
            }),
        }
    }

    /// Says in which order the places are attached, by their numbers in the order as it is; the last `busy` have a link of
    /// their own. Where that can still be chosen.
    pub(super) fn order(&mut self, order: &[u32], busy: usize) {
        if let Ready::Link {
            places, busy: last, ..
        } = &mut self.ready
        {
            let ordered: Vec<_> = order
                .iter()
                .filter_map(|index| places.get(*index as usize).copied())
                .collect();
            if ordered.len() == places.len() {
                *places = ordered;
                *last = busy;
            }
        }
    }
}

fn link(program: &OwnedFd, file: &OpenFile, places: &[Placed], pid: u32) -> io::Result<OwnedFd> {
    let (offsets, cookies): (Vec<_>, Vec<_>) = places
        .iter()
        .map(|place| (place.offset, place.cookie))
        .unzip();
    bpf::link_uprobes(program.as_fd(), &file.path, &offsets, &cookies, pid)
}

fn define(file: &OpenFile, places: &[Placed]) -> Result<tracefs::Event, NotAttached> {
    let tracefs = Tracefs::open().map_err(NotAttached::Tracefs)?;
    let offsets = places.iter().map(|place| place.offset);
    let path = file.path.to_string_lossy();
    tracefs::Event::define(tracefs, &path, offsets).map_err(NotAttached::Refused)
}

/// Takes breakpoints at these places out of a process, and out of all others, where nobody has a probe: by attaching a program
/// that does nothing there, and detaching it.
pub(super) fn sweep(
    way: Way,
    file: OwnedFd,
    places: Vec<Placed>,
    pid: u32,
) -> Result<(), NotAttached> {
    let kind = match way {
        Way::Link => Kind::UprobeMulti,
        Way::Event => Kind::Uprobe,
    };
    let program = bpf::load_nothing(kind).map_err(NotAttached::Refused)?;
    let probes = Probes::new(way, program, file, places, pid)?;
    probes.attach().map(drop).map_err(NotAttached::Refused)
}
