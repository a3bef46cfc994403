//! What ends a run from outside.

use std::future::poll_fn;
use std::task::Poll;

use nix::libc;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Failure;
use crate::run::failed_to_wait;

/// The signals that end a run with its report: Ctrl-C and `kill`, a terminal that is closed, and Ctrl-\.
pub(crate) struct Signals(Vec<Signal>);

impl Signals {
    /// Listens from now on: one that comes before it is waited for is not lost.
    ///
    /// # Errors
    /// The system is out of something.
    pub(crate) fn new() -> Result<Self, Failure> {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        // `nohup` and shells that put us into the background mean us to live on. Of SIGINT they do not: scripts end us by it.
        let may_be_ignored = [SignalKind::hangup(), SignalKind::quit()];
        kinds.extend(may_be_ignored.into_iter().filter(|kind| !is_ignored(*kind)));
        let signals = kinds.into_iter().map(signal);
        let signals = signals.collect::<Result<_, _>>().map_err(failed_to_wait)?;
        Ok(Self(signals))
    }

    /// Waits for any of them.
    pub(crate) async fn any(&mut self) {
        poll_fn(|context| {
            let signals = self.0.iter_mut();
            // All are asked, so that each wakes us.
            let came = signals.fold(false, |came, signal| {
                came | signal.poll_recv(context).is_ready()
            });
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn is_ignored(kind: SignalKind) -> bool {
    // SAFETY: all zeros is a `sigaction` like any other; it is overwritten.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: `now` lives for the call, and nothing is changed without a new action.
    let asked = unsafe { libc::sigaction(kind.as_raw_value(), std::ptr::null(), &raw mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_IGN
}
