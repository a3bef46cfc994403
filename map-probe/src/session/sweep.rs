//! Breakpoints that somebody left in the target: named, and taken away.

use std::sync::Arc;

use super::Session;
use crate::error::Failure;
use crate::messages::say;
use crate::probe::Guard;

impl Session {
    /// Looks for breakpoints in the target's code, and takes away those that belong to nobody. Those of live probes stay; and
    /// where a debugger is attached, all do, as they may be its own.
    ///
    /// # Errors
    /// Not permitted, or the target ended.
    pub(crate) fn sweep(&self, guard: &Arc<Guard>) -> Result<(), Failure> {
        let look = || self.process.breakpoints(&self.binary, self.bias);
        let before = look();
        let pid = self.process.pid();
        if before.is_empty() {
            return Ok(());
        }
        if let Some(tracer) = self.process.tracer() {
            say(&format!(
                "note: {} in the code of process {pid}, likely those of process {tracer}, which traces it: detach map-probe \
                 before that is detached, or it may write back a breakpoint of ours",
                breakpoints(before.len())
            ));
            return Ok(());
        }
        let place = |address: &u64| self.place(*address, 0);
        let places = before.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        guard.sweep(self.loaded.way(), self.process.program(), &places, pid)?;
        let after = look();
        let gone = before.iter().filter(|address| !after.contains(address));
        let gone = gone.count();
        if gone > 0 {
            say(&format!(
                "note: {} in the code of process {pid} belonged to nobody, as a profiler leaves them that is killed while it \
                 detaches: taken away",
                breakpoints(gone)
            ));
        }
        Ok(())
    }
}

fn breakpoints(count: usize) -> String {
    match count {
        1 => "a breakpoint".to_owned(),
        count => format!("{count} breakpoints"),
    }
}
