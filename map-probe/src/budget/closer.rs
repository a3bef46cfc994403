//! Takes probes away without anybody waiting: they are gone at once, but the kernel takes 30 ms more until it is sure that
//! nobody is in one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::thread::cpu_time;
use crate::error::Failure;
use crate::probe::{Attached, internal};

/// A thread for that. Dropping it waits until all probes are gone.
#[derive(Debug)]
pub(super) struct Closer {
    links: Option<Sender<Attached>>,
    cost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Closer {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn new() -> Result<Self, Failure> {
        let (links, received) = channel::<Attached>();
        let cost = Arc::new(AtomicU64::new(0));
        let own = Arc::clone(&cost);
        let thread = std::thread::Builder::new()
            .name("detach".to_owned())
            .spawn(move || {
                let mut before = cpu_time();
                for link in received {
                    drop(link);
                    let now = cpu_time();
                    own.store(now - before, Ordering::Relaxed);
                    before = now;
                }
            })
            .map_err(internal)?;
        Ok(Self {
            links: Some(links),
            cost,
            thread: Some(thread),
        })
    }

    /// Takes these probes away, now.
    pub(super) fn close(&self, attached: Attached) {
        if let Some(links) = &self.links {
            // If the thread were gone, the probes would go with the message.
            let _ = links.send(attached);
        }
    }

    /// The CPU time that it last took, in nanoseconds.
    pub(super) fn cost(&self) -> f64 {
        self.cost.load(Ordering::Relaxed) as f64
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.links = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}
