//! Hears from the kernel side when the target runs another program, and when it forks.

use std::ffi::CStr;
use std::future::pending;
use std::os::fd::{AsFd as _, OwnedFd};

use aya::maps::{MapData, RingBuf};
use map_probe_common::lives::{EXECUTED, FORKED, KIND_BITS};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::bpf::{self, Kind};
use super::program;
use super::refusal::not_permitted;
use crate::error::Failure;
use crate::run::failed_to_wait;

/// The kernel's tracepoints, and the programs that they run.
const TRACEPOINTS: [(&CStr, &str); 2] = [
    (c"sched_process_exec", "map_probe_exec"),
    (c"task_newtask", "map_probe_fork"),
];

/// Has the kernel side tell.
pub(super) fn listen(object: &aya_obj::Object, verbosity: u8) -> Result<Vec<OwnedFd>, Failure> {
    let open = |(tracepoint, name): (&CStr, &str)| {
        let program = program::load_as(object, name, Kind::RawTracepoint, verbosity)?;
        bpf::open_raw_tracepoint(tracepoint, program.as_fd())
            .map_err(|error| not_permitted("be told when the target runs another program", error))
    };
    TRACEPOINTS.into_iter().map(open).collect()
}

/// What happened to the target, and when (`CLOCK_MONOTONIC`, in nanoseconds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It runs another program.
    Executed(u64),
    /// It has a child that runs on in a copy of its memory.
    Forked(u64),
}

impl Change {
    fn of(message: &[u8]) -> Option<Self> {
        let word = u64::from_ne_bytes(*message.first_chunk()?);
        let time = word & !KIND_BITS;
        match word & KIND_BITS {
            EXECUTED => Some(Self::Executed(time)),
            FORKED => Some(Self::Forked(time)),
            _ => None,
        }
    }
}

/// What happens to the target, as it happens.
pub struct Changes(AsyncFd<RingBuf<MapData>>);

impl Changes {
    pub(super) fn new(ring: RingBuf<MapData>) -> Result<Self, Failure> {
        // SAFETY: the ring keeps its descriptor, the same one, as long as it lives.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        ring.map(Self).map_err(|error| failed_to_wait(error.into()))
    }

    /// Waits for the next.
    pub async fn next(&mut self) -> Change {
        loop {
            let Ok(mut ready) = self.0.readable_mut().await else {
                return pending().await;
            };
            while let Some(message) = ready.get_inner_mut().next() {
                if let Some(change) = Change::of(&message) {
                    return change;
                }
            }
            ready.clear_ready();
        }
    }

    /// Those that have happened and were not waited for.
    pub fn rest(&mut self) -> Vec<Change> {
        let mut rest = Vec::new();
        while let Some(message) = self.0.get_mut().next() {
            rest.extend(Change::of(&message));
        }
        rest
    }
}
