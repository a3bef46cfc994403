//! The reports behind a screen.

use super::history::History;
use crate::report::model::{Counts, Report};

/// The last reports, and those before.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    /// Since the probes were in place, or since the last reset.
    pub(crate) whole: Report,
    /// The last interval.
    pub(crate) interval: Report,
    /// The intervals since then.
    pub(crate) history: History,
    /// The run up to the last reset; `None` if there was none.
    reset_at: Option<Box<Report>>,
    /// The whole run.
    run: Box<Report>,
}

impl Data {
    pub(super) fn new(report: Report) -> Self {
        Self {
            whole: report.clone(),
            interval: report.clone(),
            history: History::default(),
            reset_at: None,
            run: Box::new(report),
        }
    }

    pub(super) fn add(&mut self, interval: Report, run: Report) {
        self.history.push(&interval);
        self.interval = interval;
        self.whole = match &self.reset_at {
            None => run.clone(),
            Some(earlier) => since(&run, earlier),
        };
        *self.run = run;
    }

    /// Starts over: all counts are zero now.
    pub(super) fn reset(&mut self) {
        self.reset_at = Some(self.run.clone());
        self.whole = since(&self.run, &self.run);
        self.interval.counts = Counts::default();
        self.history.clear();
    }

    /// Takes the last reset back; the history stays gone.
    pub(super) fn take_reset_back(&mut self) {
        self.reset_at = None;
        self.whole = (*self.run).clone();
    }

    /// How long an interval is on average: on a busy machine some are longer than others.
    pub(crate) fn interval_seconds(&self) -> f64 {
        let average = self.history.interval_seconds();
        average.unwrap_or(self.interval.seconds)
    }

    /// The whole run, whatever was reset.
    pub(crate) fn run(&self) -> &Report {
        &self.run
    }

    /// When the last reset was, in seconds since the probes were in place.
    pub(crate) fn reset_seconds(&self) -> Option<f64> {
        self.reset_at.as_ref().map(|report| report.until_seconds)
    }
}

/// The report of the time between two of the same run.
fn since(run: &Report, earlier: &Report) -> Report {
    Report {
        seconds: (run.seconds - earlier.seconds).max(0.0),
        attached_seconds: (run.attached_seconds - earlier.attached_seconds).max(0.0),
        counts: run.counts.since(&earlier.counts),
        ..run.clone()
    }
}
