//! Detaches without anybody waiting: breakpoints are gone at once, but the kernel takes 30 ms more, and now and then 100, until it
//! is sure that nobody is in one.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::shared::Shared;
use super::{PARTS, WINDOWS};
use crate::clock::cpu_time;
use crate::probe::attach::{Live, Probes};

/// Threads: one for each part of so many windows.
pub(super) const THREADS: usize = WINDOWS * PARTS;

/// Threads for that. Dropping it waits until all is gone.
#[derive(Debug)]
pub(super) struct Closer {
    parts: Option<Sender<Part>>,
    work: Arc<Work>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Work {
    parts: Mutex<Receiver<Part>>,
    /// Parts that were handed over and are not gone for certain.
    under_way: Mutex<usize>,
    one_less: Condvar,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Part {
    live: Live,
    /// What is attached first: until that is, detaching would wait for a grace period, some 10 ms in which a fatal signal
    /// would have the kernel give up.
    prelude: Option<Arc<Probes>>,
    /// Whether the target's code is changed for that.
    in_target: bool,
}

impl Closer {
    /// Starts them.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let (sender, parts) = channel();
        let mut closer = Self {
            parts: Some(sender),
            work: Arc::new(Work {
                parts: Mutex::new(parts),
                under_way: Mutex::new(0),
                one_less: Condvar::new(),
                shared,
            }),
            threads: Vec::new(),
        };
        for _ in 0..THREADS {
            let work = Arc::clone(&closer.work);
            let thread = std::thread::Builder::new().name("detach".to_owned());
            closer.threads.push(thread.spawn(move || work.run())?);
        }
        Ok(closer)
    }

    /// Detaches: each part by a thread of its own; at once, unless there is a prelude.
    pub(super) fn close(&self, live: Live, in_target: bool, prelude: Option<&Arc<Probes>>) {
        for live in live.parts() {
            *self.work.under_way() += 1;
            if let Some(parts) = &self.parts {
                // If the threads were gone, the probes would go with the message.
                let _ = parts.send(Part {
                    live,
                    prelude: prelude.cloned(),
                    in_target,
                });
            }
        }
    }

    /// Waits until all that was handed over is gone.
    pub(super) fn settle(&self) {
        let mut under_way = self.work.under_way();
        while *under_way > 0 {
            let waited = self.work.one_less.wait(under_way);
            under_way = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Work {
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
            // Without it, detaching takes longer.
            let prelude = part.prelude.and_then(|prelude| prelude.attach().ok());
            drop(part.live);
            drop(prelude);
            let now = cpu_time();
            self.shared.closed(now - before, part.in_target);
            before = now;
            *self.under_way() -= 1;
            self.one_less.notify_all();
        }
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, usize> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
