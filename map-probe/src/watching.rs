//! Probes in place all the time, or in windows: what a run waits for and reads is the same.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::budget::{News, Taken, TypeNames, Watch};
use crate::error::Failure;
use crate::probe::Sampler;
use crate::report::model::Counts;
use crate::session::{Reattach, Session, Watched};

/// Probes at work.
pub(crate) enum Watching {
    /// All the time.
    All(Watched),
    /// Not by probes: the CPUs are sampled.
    Samples(Sampler),
    /// In windows of time; the receiver is told when the first is open, and if there can be no more.
    Windows(Watch, UnboundedReceiver<News>),
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
        let (watch, news) = Watch::begin(target, bound)?;
        Ok(Self::Windows(watch, news))
    }

    /// Waits until the first window is open, or until there can be no more, and why; forever if there are none.
    pub(crate) async fn news(&mut self) -> News {
        match self {
            Self::Windows(_, news) => match news.recv().await {
                Some(news) => news,
                // It has ended: so does the run.
                None => pending().await,
            },
            Self::All(_) | Self::Samples(_) | Self::Ended(_) => pending().await,
        }
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
