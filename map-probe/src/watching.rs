//! Probes in place all the time, or in windows: what a run waits for and reads is the same.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::budget::{Taken, TypeNames, Watch};
use crate::error::Failure;
use crate::probe::{Attached, Sampler};
use crate::report::model::Counts;
use crate::session::{Reattach, Session};

/// Probes at work.
pub(crate) enum Watching {
    /// All the time.
    All(#[expect(dead_code, reason = "held until the end")] Attached),
    /// Not by probes: the CPUs are sampled.
    Samples(Sampler),
    /// In windows of time; the receiver is told when the first is open.
    Windows(Watch, Option<oneshot::Receiver<Result<(), Failure>>>),
    /// No longer.
    Ended(Option<Watch>),
}

/// All that was counted when it was read.
#[derive(Default)]
pub(crate) struct Reading {
    /// By the kernel side, since it was loaded.
    pub(crate) counts: Counts,
    /// In windows, since the last reading.
    pub(crate) taken: Taken,
    /// The names of types in `taken`.
    pub(crate) names: Arc<TypeNames>,
}

impl Watching {
    /// Begins to watch in windows, within a bound.
    pub(crate) fn windows(target: Reattach, bound: f64) -> Result<Self, Failure> {
        let (watch, first) = Watch::begin(target, bound)?;
        Ok(Self::Windows(watch, Some(first)))
    }

    /// Waits until the first window is open; forever if it has been, or there are none.
    pub(crate) async fn opens(&mut self) -> Result<(), Failure> {
        if let Self::Windows(_, first) = self
            && let Some(receiver) = first
        {
            let opened = receiver.await;
            *first = None;
            match opened {
                Ok(opened) => return opened,
                // It ended before: so does the run.
                Err(_) => pending().await,
            }
        }
        pending().await
    }

    /// Takes the probes away, and returns when no program runs any more: what is read then is all there is.
    pub(crate) fn end(&mut self) {
        *self = match std::mem::replace(self, Self::Ended(None)) {
            Self::Windows(mut watch, _) => {
                watch.end();
                Self::Ended(Some(watch))
            }
            Self::All(_) | Self::Samples(_) | Self::Ended(_) => Self::Ended(None),
        };
    }

    /// Reads all counters.
    pub(crate) fn read(&mut self, session: &mut Session) -> Result<Reading, Failure> {
        if let Self::Samples(sampler) = self {
            sampler.follow_cpus(session.loaded())?;
        }
        let taken = match self {
            Self::Windows(watch, _) | Self::Ended(Some(watch)) => {
                let taken = watch.take();
                session.took(&taken);
                taken
            }
            Self::All(_) | Self::Samples(_) | Self::Ended(None) => Taken::default(),
        };
        // After what was taken, so that the types of that are there, and each of its operations is counted.
        let counts = session.read()?;
        Ok(Reading {
            counts,
            taken,
            names: Arc::clone(session.type_names()),
        })
    }
}
