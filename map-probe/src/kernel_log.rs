//! The kernel side's own log (`-v`, `-vv`), for debugging a site: read and rate-limited.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::error::{Failure, Status};
use crate::messages;
use crate::probe::Loaded;

/// How often the log is read.
const PERIOD: Duration = Duration::from_millis(100);
/// The most lines shown of one period.
const LINES: u64 = 50;

/// The kernel side's log; nothing at all unless asked for.
pub struct KernelLog(Option<(EbpfLogger<Stderr>, Interval)>);

impl KernelLog {
    /// The log of a kernel side, if `verbosity` asks for it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn of(loaded: &Loaded, verbosity: u8) -> Result<Self, Failure> {
        if verbosity == 0 {
            return Ok(Self(None));
        }
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            Failure::new(Status::Internal, "cannot open the kernel side's log")
                .caused_by(error)
                .hint("leave out -v")
        };
        let id = loaded.program_id().map_err(|error| failed(error.into()))?;
        let logger = EbpfLogger::init_from_id_with_logger(id, Stderr)
            .map_err(|error| failed(error.into()))?;
        let mut period = interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self(Some((logger, period))))
    }

    /// Waits for the next period and shows what came in; forever if there is no log.
    pub async fn flushed(&mut self) {
        match &mut self.0 {
            None => pending().await,
            Some((_, period)) => {
                period.tick().await;
                self.flush();
            }
        }
    }

    /// Shows what came in.
    pub fn flush(&mut self) {
        if let Some((logger, _)) = &mut self.0 {
            logger.flush();
            SHOWN.store(0, Ordering::Relaxed);
            let left_out = LEFT_OUT.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                messages::say(&format!("kernel: {left_out} more lines left out"));
            }
        }
    }
}

/// Lines shown and left out in this period. One log per program.
static SHOWN: AtomicU64 = AtomicU64::new(0);
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Says the first lines of a period, and counts the rest.
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        if SHOWN.fetch_add(1, Ordering::Relaxed) < LINES {
            messages::say(&format!("kernel: {}", record.args()));
        } else {
            LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}
