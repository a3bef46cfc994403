//! A process of our own that holds what is attached to a target, so that nothing stays there, however map-probe ends.
//!
//! - map-probe is killed, or ends in any other way: the guard sees the connection end, detaches and ends. No signal is pending
//!   in it, so nothing interrupts the kernel while it detaches. It is in a session of its own, and blocks all signals.
//! - map-probe is stopped, or is not given a CPU, while a window is open: the guard knows when the window ends, and ends it. Where
//!   it may, it runs with real-time priority: for some 0.1 ms a window.
//! - The guard is killed as well (`cgroup.kill`): what the kernel then does is told in `attach`, under *The keeper*.

mod closer;
mod server;
mod shared;
mod wire;

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, setsid};

use self::shared::Shared;
use self::wire::{Reply, Request, Stage};
use super::attach::{Placed, Way};
use super::refusal::{internal, no_tracefs, not_attached};
use crate::error::{Failure, Status, system_failure};
use crate::own;

/// What one window leaves to be closed: the probes' two parts, and what came before them.
const PARTS: usize = 3;
/// Windows whose parts may be waited for at once.
const WINDOWS: usize = 3;
/// A place is busy that has more than one in so many of the traps.
const BUSY: u64 = 20;
/// Places that are swept at once.
const MOST_SWEPT: usize = 1024;
/// The guard's name: not found by who looks for `map-probe` to kill it. At most 15 bytes.
const NAME: &std::ffi::CStr = c"mprobe-guard";

/// The guard. Dropping it ends it, and waits until all that it held is gone.
#[derive(Debug)]
pub struct Guard {
    socket: OwnedFd,
    /// One request at a time.
    asking: Mutex<()>,
    shared: Shared,
    process: Pid,
}

impl Guard {
    /// Starts it. To be called while this process has one thread.
    ///
    /// # Errors
    /// The system gives no more processes, descriptors or memory.
    pub fn start() -> Result<Arc<Self>, Failure> {
        let (ours, theirs) = wire::pair().map_err(not_started)?;
        let shared = Shared::new().map_err(not_started)?;
        // SAFETY: there is one thread, so that all of the standard library works in the child too.
        let guard = match unsafe { fork() } {
            Err(error) => return Err(not_started(error)),
            Ok(ForkResult::Child) => {
                drop(ours);
                alone(theirs.as_fd());
                let served = server::serve(theirs, shared);
                // SAFETY: it ends this process, and nothing else of it.
                unsafe { libc::_exit(i32::from(served.is_err())) }
            }
            Ok(ForkResult::Parent { child }) => {
                own::count(child);
                Self {
                    socket: ours,
                    asking: Mutex::new(()),
                    shared,
                    process: child,
                }
            }
        };
        guard.has_started()?;
        Ok(Arc::new(guard))
    }

    /// Waits until it serves, or says why it cannot.
    fn has_started(&self) -> Result<(), Failure> {
        match wire::receive(&self.socket, &mut [0; wire::MAX_REPLY]).map_err(unreachable)? {
            Some((Reply::Done, _)) => Ok(()),
            Some((Reply::Refused(refused), _)) => Err(not_started(refused.error())),
            Some((reply, _)) => Err(unexpected(&reply)),
            None => Err(ended()),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_raw().cast_unsigned()
    }

    fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), Failure> {
        wire::send(self.socket.as_fd(), request, fds).map_err(unreachable)
    }

    fn ask(&self, request: &Request, fds: &[BorrowedFd<'_>], pid: u32) -> Result<Reply, Failure> {
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.send(request, fds)?;
        match wire::receive(&self.socket, &mut [0; wire::MAX_REPLY]).map_err(unreachable)? {
            Some((Reply::Refused(refused), _)) => Err(match refused.stage {
                Stage::Internal => internal(refused.error()),
                Stage::Tracefs => no_tracefs(refused.error()),
                Stage::Attach => not_attached(pid, refused.error()),
            }),
            Some((reply, _)) => Ok(reply),
            None => Err(ended()),
        }
    }

    /// Has the guard detach what is attached in the target not before this time (`CLOCK_MONOTONIC`, in nanoseconds): later than it
    /// was told.
    pub fn extend_window_to(&self, time: u64) {
        self.shared.set_until(time);
    }

    /// When a window's probes were last detached, on the same clock.
    #[must_use]
    pub fn window_ended(&self) -> u64 {
        self.shared.cut()
    }

    /// Whether another window's probes would be detached at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shared.closing() + PARTS <= closer::THREADS
    }

    /// The CPU time that changing the target's code took since this was last asked, in nanoseconds: what detaching its parts took
    /// beyond what that takes for those that are nowhere in it.
    #[must_use]
    pub fn detaching_took(&self) -> u64 {
        self.shared.take_spent()
    }

    /// Waits until all that was detached is gone for certain: no program runs any more.
    pub fn settle(&self) {
        // A guard that has ended has nothing left.
        let _ = self.ask(&Request::Settle, &[], 0);
    }

    /// Takes breakpoints at these places of a file out of a process, where nobody has a probe.
    ///
    /// # Errors
    /// Not permitted, or no such process any more.
    pub fn sweep(
        &self,
        way: Way,
        file: BorrowedFd<'_>,
        places: &[Placed],
        pid: u32,
    ) -> Result<(), Failure> {
        for places in places.chunks(MOST_SWEPT) {
            let places = places.to_vec();
            self.ask(&Request::Sweep { way, pid, places }, &[file], pid)?;
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A guard that has ended is told nothing.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Both);
        // It has no other reason to fail than that it was waited for.
        let _ = waitpid(self.process, None);
    }
}

/// Places in a file, ready to be attached. Dropping it takes them back.
#[derive(Debug)]
pub struct Set {
    guard: Arc<Guard>,
    number: u64,
    pid: u32,
    /// In the order in which they are attached.
    places: Vec<Placed>,
    busy: usize,
}

/// What a set is of.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// How this kernel attaches.
    pub way: Way,
    /// The program, loaded for this way.
    pub program: BorrowedFd<'a>,
    /// The file: whatever lies where it was opened, this one is probed.
    pub file: BorrowedFd<'a>,
    /// The kernel side's gate, if there are windows.
    pub gate: Option<BorrowedFd<'a>>,
    /// Whether these places are in the target; if not, nothing is changed there.
    pub in_target: bool,
}

impl Set {
    /// Makes places ready for process `pid`.
    ///
    /// # Errors
    /// Not permitted, no such process any more, or a kernel without uprobes.
    pub fn new(
        guard: &Arc<Guard>,
        wanted: &Wanted<'_>,
        places: Vec<Placed>,
        pid: u32,
    ) -> Result<Self, Failure> {
        let mut fds = vec![wanted.program, wanted.file];
        fds.extend(wanted.gate);
        let request = Request::Prepare {
            way: wanted.way,
            pid,
            places: places.clone(),
            in_target: wanted.in_target,
        };
        match guard.ask(&request, &fds, pid)? {
            Reply::Set(number) => Ok(Self {
                guard: Arc::clone(guard),
                number,
                pid,
                places,
                busy: 0,
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// The guard that holds it.
    #[must_use]
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// The places.
    #[must_use]
    pub fn places(&self) -> &[Placed] {
        &self.places
    }

    /// Attaches, for this process alone. The guard detaches what is in the target after `time`, in nanoseconds, unless it is told
    /// to do so earlier, or not yet.
    ///
    /// # Errors
    /// Not permitted, or no such process any more.
    pub fn attach(&self, time: Option<u64>) -> Result<Attached, Failure> {
        let set = self.number;
        match self
            .guard
            .ask(&Request::Attach { set, time }, &[], self.pid)?
        {
            Reply::Attached {
                number,
                parts,
                cpu,
                time,
            } => Ok(Attached {
                time,
                guard: Arc::clone(&self.guard),
                number: Some(number),
                parts,
                cpu,
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// Says how busy each place is: the busiest are attached last and detached first, where that can still be chosen.
    ///
    /// # Errors
    /// The guard has ended.
    pub fn order(&mut self, busy: impl Fn(&Placed) -> u64) -> Result<(), Failure> {
        let mut order: Vec<u32> = (0..).take(self.places.len()).collect();
        order.sort_by_key(|index| busy(&self.places[*index as usize]));
        let all: u64 = self.places.iter().map(&busy).sum();
        let is_busy = |index: &&u32| busy(&self.places[**index as usize]) * BUSY > all;
        let last = order.iter().rev().take_while(is_busy).count();
        if order.is_sorted() && last == self.busy {
            return Ok(());
        }
        self.places = order.iter().map(|i| self.places[*i as usize]).collect();
        self.busy = last;
        let request = Request::Order {
            set: self.number,
            order,
            busy: last,
        };
        self.guard.ask(&request, &[], self.pid).map(|_| ())
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        // A guard that has ended has forgotten it.
        let _ = self.guard.send(&Request::Forget { set: self.number }, &[]);
    }
}

/// Probes that are attached. Dropping it detaches them, and waits until no program runs any more.
#[derive(Debug)]
pub struct Attached {
    guard: Arc<Guard>,
    number: Option<u64>,
    parts: usize,
    cpu: u64,
    time: u64,
}

impl Attached {
    /// When its probes were live (`CLOCK_MONOTONIC`, in nanoseconds).
    #[must_use]
    pub fn attached_at(&self) -> u64 {
        self.time
    }

    /// How many parts there are, each changed by itself.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.parts
    }

    /// The CPU time that attaching took, in nanoseconds.
    #[must_use]
    pub fn attaching_took(&self) -> u64 {
        self.cpu
    }

    /// Detaches without waiting: the breakpoints are gone at once.
    pub fn detach(mut self) {
        self.begin();
    }

    fn begin(&mut self) {
        if let Some(attached) = self.number.take() {
            // A guard that has ended has detached it.
            let _ = self.guard.send(&Request::Detach { attached }, &[]);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if self.number.is_some() {
            self.begin();
            self.guard.settle();
        }
    }
}

/// Leaves all that ties the guard to map-probe: its terminal, its signals, its descriptors.
fn alone(socket: BorrowedFd<'_>) {
    // Each of these is done as far as it is permitted: without it the guard does its work all the same.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let _ = setsid();
    let _ = nix::sys::prctl::set_name(NAME);
    // A core dump would take long, with everything attached.
    let _ = nix::sys::prctl::set_dumpable(false);
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = std::env::set_current_dir("/");
    keep_only(socket);
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: a plain system call about this thread.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first);
    }
}

/// Closes all descriptors but this one and those of memory; nobody waits for the end of a pipe because of us.
fn keep_only(socket: BorrowedFd<'_>) {
    if let Ok(null) = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
    {
        for standard in 0..3 {
            // SAFETY: these are nobody's but the standard library's, which asks for no more than that they are open.
            unsafe {
                libc::dup2(null.as_raw_fd(), standard);
            }
        }
    }
    let socket = socket.as_raw_fd().cast_unsigned();
    for (first, last) in [(3, socket.saturating_sub(1)), (socket + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: nobody uses these descriptors any more: what this process inherited is left alone from here on.
            unsafe {
                libc::syscall(libc::SYS_close_range, first, last, 0);
            }
        }
    }
}

fn unreachable(error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EPIPE | libc::ECONNRESET) => ended(),
        _ => system_failure("cannot speak with map-probe's guard process", error),
    }
}

/// Nothing is attached any more.
pub(crate) fn ended() -> Failure {
    Failure::new(
        Status::Internal,
        "map-probe's guard process was killed, and all probes are gone with it",
    )
    .hint("do not kill the process 'mprobe-guard': it ends with map-probe")
}

fn not_started(error: impl Into<io::Error>) -> Failure {
    system_failure("cannot start map-probe's guard process", error.into())
}

fn unexpected(reply: &Reply) -> Failure {
    internal(format!("the guard process answered {reply:?}"))
}
