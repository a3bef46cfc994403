//! The guard's process: waits for requests, and for the time at which a window ends.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::closer::Closer;
use super::shared::Shared;
use super::wire::{MAX_REQUEST, Refused, Reply, Request, Stage, receive, send};
use crate::clock::{cpu_time, now};
use crate::probe::attach::{Live, NotAttached, Probes, sweep};
use crate::probe::mapped::Mapped;

/// What it holds.
struct Server {
    socket: OwnedFd,
    shared: Arc<Shared>,
    closer: Closer,
    sets: HashMap<u64, Set>,
    attached: HashMap<u64, Attached>,
    /// The next number that is given.
    next: u64,
}

/// Places made ready.
struct Set {
    probes: Probes,
    in_target: bool,
    /// The kernel side's word that says whether operations are counted, if there are windows.
    gate: Option<Mapped>,
    /// What is attached first, where nobody has seen to it and time does not matter.
    prelude: Option<Arc<Probes>>,
}

struct Attached {
    live: Live,
    set: u64,
    in_target: bool,
}

/// Says that it serves, or why it cannot; then serves until the other side ends, in whichever way. In the end everything is detached.
pub(super) fn serve(socket: OwnedFd, shared: Shared) -> io::Result<()> {
    let shared = Arc::new(shared);
    let closer = match Closer::new(Arc::clone(&shared)) {
        Ok(closer) => closer,
        Err(error) => {
            let refused = Refused::new(Stage::Internal, &error);
            return send(socket.as_fd(), &Reply::Refused(refused), &[]);
        }
    };
    send(socket.as_fd(), &Reply::Done, &[])?;
    let mut server = Server {
        socket,
        closer,
        shared,
        sets: HashMap::new(),
        attached: HashMap::new(),
        next: 1,
    };
    let ended = server.run();
    server.detach_all();
    // Waits until all is gone.
    drop(server);
    ended
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; MAX_REQUEST];
        loop {
            if !self.wait()? {
                self.end_window();
                continue;
            }
            let Some((request, fds)) = receive(&self.socket, &mut buffer)? else {
                return Ok(());
            };
            if let Some(reply) = self.perform(request, fds) {
                send(self.socket.as_fd(), &reply, &[])?;
            }
        }
    }

    /// Waits for a request; `false` if a window is to end instead.
    fn wait(&self) -> io::Result<bool> {
        loop {
            let until = self.shared.until();
            let left = match until.checked_sub(now()) {
                Some(left) => left,
                None if until > 0 => return Ok(false),
                None => 0,
            };
            let left = TimeSpec::from_duration(std::time::Duration::from_nanos(left));
            let mut socket = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut socket, (until > 0).then_some(left), None) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The time of a window is over: it is closed, whatever the other side does.
    fn end_window(&mut self) {
        self.shared.set_until(0);
        let open: Vec<_> = self
            .attached
            .iter()
            .filter(|(_, attached)| attached.in_target)
            .map(|(number, _)| *number)
            .collect();
        for number in open {
            self.detach(number, false);
        }
    }

    /// Detaches. A window ends in a hurry, unless there is time: somebody has waited before it. All else comes after the prelude.
    fn detach(&mut self, number: u64, is_there_time: bool) {
        // It may have been detached at its time.
        let Some(attached) = self.attached.remove(&number) else {
            return;
        };
        let set = self.sets.get(&attached.set);
        let gate = set.and_then(|set| set.gate.as_ref());
        let in_a_hurry = gate.is_some() && !is_there_time;
        if let Some(gate) = gate.and_then(|gate| gate.words().first()) {
            // The lowest bit says whether it is open (`Gate`).
            gate.fetch_and(!1, Ordering::AcqRel);
            self.shared.set_cut(now());
        }
        let prelude = set.and_then(|set| set.prelude.as_ref());
        let prelude = prelude.filter(|_| !in_a_hurry);
        self.closer
            .close(attached.live, attached.in_target, prelude);
    }

    fn detach_all(&mut self) {
        let all: Vec<_> = self.attached.keys().copied().collect();
        for number in all {
            self.detach(number, true);
        }
    }

    fn perform(&mut self, request: Request, fds: Vec<OwnedFd>) -> Option<Reply> {
        let done = match request {
            Request::Prepare {
                way,
                pid,
                places,
                in_target,
            } => {
                let mut fds = fds.into_iter();
                let (Some(program), Some(file)) = (fds.next(), fds.next()) else {
                    return Some(Reply::Refused(missing()));
                };
                let gate = match fds.next().map(|gate| Mapped::new(gate.as_fd(), 1)) {
                    Some(Err(error)) => {
                        return Some(Reply::Refused(Refused::new(Stage::Internal, &error)));
                    }
                    gate => gate.and_then(Result::ok),
                };
                let prelude = if in_target {
                    let nowhere = program
                        .try_clone()
                        .map_err(NotAttached::Refused)
                        .and_then(|program| Probes::nowhere(way, program));
                    nowhere.map(|prelude| Some(Arc::new(prelude)))
                } else {
                    Ok(None)
                };
                let probes = Probes::new(way, program, file, places, pid);
                let probes = probes.and_then(|probes| {
                    if in_target {
                        probes.with_keeper()
                    } else {
                        Ok(probes)
                    }
                });
                prelude.and_then(|prelude| {
                    let number = self.number();
                    let set = Set {
                        probes: probes?,
                        in_target,
                        gate,
                        prelude,
                    };
                    self.sets.insert(number, set);
                    Ok(Reply::Set(number))
                })
            }
            Request::Order { set, order, busy } => {
                if let Some(set) = self.sets.get_mut(&set) {
                    set.probes.order(&order, busy);
                }
                Ok(Reply::Done)
            }
            Request::Attach { set, time } => self.attach(set, time),
            Request::Detach { attached } => {
                self.detach(attached, false);
                return None;
            }
            Request::Settle => {
                self.closer.settle();
                Ok(Reply::Done)
            }
            Request::Forget { set } => {
                self.sets.remove(&set);
                return None;
            }
            Request::Sweep { way, pid, places } => {
                let Some(file) = fds.into_iter().next() else {
                    return Some(Reply::Refused(missing()));
                };
                sweep(way, file, places, pid).map(|()| Reply::Done)
            }
        };
        Some(done.unwrap_or_else(|error| {
            Reply::Refused(match error {
                NotAttached::Tracefs(error) => Refused::new(Stage::Tracefs, &error),
                NotAttached::Refused(error) => Refused::new(Stage::Attach, &error),
            })
        }))
    }

    fn attach(&mut self, number: u64, time: Option<u64>) -> Result<Reply, NotAttached> {
        let Some(set) = self.sets.get(&number) else {
            let unknown = io::Error::from(io::ErrorKind::NotFound);
            return Err(NotAttached::Refused(unknown));
        };
        let attach = |probes: &Probes| probes.attach().map_err(NotAttached::Refused);
        let prelude = set.prelude.as_ref().filter(|_| set.gate.is_none());
        let prelude = prelude.map(|prelude| attach(prelude));
        let prelude = prelude.transpose()?;
        let before = cpu_time();
        let live = attach(&set.probes)?;
        let cpu = cpu_time() - before;
        if let Some(prelude) = prelude {
            self.shared.begin_closing();
            self.closer.close(prelude, false, None);
        }
        let parts = live.part_count();
        (0..parts).for_each(|_| self.shared.begin_closing());
        let live_at = now();
        if let Some(time) = time {
            self.shared.set_until(live_at.saturating_add(time));
        }
        let attached = Attached {
            live,
            set: number,
            in_target: set.in_target,
        };
        let number = self.number();
        self.attached.insert(number, attached);
        Ok(Reply::Attached {
            number,
            parts,
            cpu,
            time: live_at,
        })
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn missing() -> Refused {
    Refused::new(
        Stage::Internal,
        &io::Error::other("a descriptor is missing"),
    )
}
