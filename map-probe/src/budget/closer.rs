//! Takes probes away without anybody waiting: they are gone at once, but the kernel takes 30 ms more, and now and then 100, until it
//! is sure that nobody is in one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::thread::cpu_time;
use crate::error::Failure;
use crate::probe::{Attached, internal};

/// What one window leaves to be closed: the probes' two parts, and what came before them.
const PARTS: usize = 3;
/// Threads: those of three windows may be waited for.
const THREADS: usize = 3 * PARTS;

/// Threads for that. Dropping it waits until all probes are gone.
#[derive(Debug)]
pub(super) struct Closer {
    parts: Option<Sender<Part>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    parts: Mutex<Receiver<Part>>,
    /// Parts that are not gone for certain.
    closing: AtomicUsize,
    /// CPU time that was not asked for yet, in nanoseconds.
    taken: AtomicU64,
    /// What is nowhere in the target: how many were closed, and the CPU time that took, in nanoseconds.
    released: AtomicU64,
    releasing: AtomicU64,
}

#[derive(Debug)]
struct Part {
    attached: Attached,
    /// Whether the target's code is changed for that.
    in_target: bool,
}

impl Closer {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn new() -> Result<Self, Failure> {
        let (sender, parts) = channel();
        let mut closer = Self {
            parts: Some(sender),
            shared: Arc::new(Shared {
                parts: Mutex::new(parts),
                closing: AtomicUsize::new(0),
                taken: AtomicU64::new(0),
                released: AtomicU64::new(0),
                releasing: AtomicU64::new(0),
            }),
            threads: Vec::new(),
        };
        for _ in 0..THREADS {
            let shared = Arc::clone(&closer.shared);
            let thread = std::thread::Builder::new().name("detach".to_owned());
            let thread = thread.spawn(move || shared.run()).map_err(internal)?;
            closer.threads.push(thread);
        }
        Ok(closer)
    }

    /// Takes these probes away, now.
    pub(super) fn close(&self, attached: Attached) {
        for attached in attached.parts() {
            self.send(Part {
                attached,
                in_target: true,
            });
        }
    }

    /// The same of what is nowhere in the target.
    pub(super) fn release(&self, attached: Attached) {
        self.send(Part {
            attached,
            in_target: false,
        });
    }

    fn send(&self, part: Part) {
        self.shared.closing.fetch_add(1, Ordering::Relaxed);
        if let Some(parts) = &self.parts {
            // If the threads were gone, the probes would go with the message.
            let _ = parts.send(part);
        }
    }

    /// Whether another window's probes would be taken away at once.
    pub(super) fn is_ready(&self) -> bool {
        self.shared.closing.load(Ordering::Relaxed) + PARTS <= THREADS
    }

    /// The CPU time that changing the target's code took since this was last asked, in nanoseconds: what closing its parts took
    /// beyond what closing those takes that are nowhere in it.
    pub(super) fn cost(&self) -> f64 {
        self.shared.taken.swap(0, Ordering::Relaxed) as f64
    }
}

impl Shared {
    fn run(&self) {
        let mut before = cpu_time();
        loop {
            // Whoever waits for a part has the lock; nobody else needs it meanwhile.
            let part = self
                .parts
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(part) = part else {
                return;
            };
            drop(part.attached);
            let now = cpu_time();
            self.note(now - before, part.in_target);
            before = now;
            self.closing.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn note(&self, took: u64, in_target: bool) {
        if in_target {
            let released = self.released.load(Ordering::Relaxed).max(1);
            let usual = self.releasing.load(Ordering::Relaxed) / released;
            self.taken
                .fetch_add(took.saturating_sub(usual), Ordering::Relaxed);
        } else {
            self.releasing.fetch_add(took, Ordering::Relaxed);
            self.released.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.parts = None;
        for thread in self.threads.drain(..) {
            // It does not panic.
            let _ = thread.join();
        }
    }
}
