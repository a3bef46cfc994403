//! Which processes belong to a run of map-probe: they inherit a mark in their environment.

use std::fs;
use std::path::Path;

use crate::profiler::GUARD;

/// The variable that marks them.
pub const MARK: &str = "MAP_PROBE_CHAOS";

/// All processes of that mark that run this program.
#[must_use]
pub fn marked(mark: &str, program: &Path) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let is_marked = |pid: &u32| {
        // Of zombies there is neither.
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let exe = fs::read_link(format!("/proc/{pid}/exe"));
        exe.is_ok_and(|exe| exe == program)
            && environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == wanted.as_bytes())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_marked).collect()
}

/// Those of them that are guards.
#[must_use]
pub fn guards(mark: &str, program: &Path) -> Vec<u32> {
    let is_guard = |pid: &u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim_end() == GUARD
    };
    marked(mark, program).into_iter().filter(is_guard).collect()
}

/// Sends a signal; a process that is gone by now gets none.
pub fn signal(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: kill has no memory effects.
        let _ = unsafe { libc::kill(pid, signal) };
    }
}
