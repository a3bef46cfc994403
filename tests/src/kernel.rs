//! Whether tests that attach to processes may run here.

use std::io::Write as _;

use anyhow::{Result, ensure};

/// Whether a test that needs root and BPF is to run.
///
/// `false`, with a message, if `MAP_PROBE_NO_KERNEL=1` says that this machine has no such thing.
///
/// # Errors
///
/// Without that, not being root is an error: a test that did not run has not passed.
pub fn wanted() -> Result<bool> {
    if std::env::var_os("MAP_PROBE_NO_KERNEL").is_some_and(|value| value == "1") {
        writeln!(
            std::io::stderr(),
            "ignored: MAP_PROBE_NO_KERNEL=1 leaves out what needs root and BPF"
        )?;
        return Ok(false);
    }
    // SAFETY: geteuid has no preconditions.
    let user = unsafe { libc::geteuid() };
    ensure!(
        user == 0,
        "this test attaches to processes, so it has to run as root (it is user {user}); \
         MAP_PROBE_NO_KERNEL=1 leaves such tests out"
    );
    Ok(true)
}

/// Whether this is a run of `cargo xtask test --full`.
#[must_use]
pub fn is_full() -> bool {
    std::env::var_os("MAP_PROBE_FULL").is_some_and(|value| value == "1")
}

/// Whether a test that takes long is to run: `cargo xtask test --full` sets `MAP_PROBE_FULL=1`.
///
/// # Errors
///
/// The message cannot be written.
pub fn full() -> Result<bool> {
    let full = is_full();
    if !full {
        writeln!(
            std::io::stderr(),
            "ignored: only with MAP_PROBE_FULL=1 (`cargo xtask test --full`)"
        )?;
    }
    Ok(full)
}
