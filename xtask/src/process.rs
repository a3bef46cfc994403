//! Running other programs, and saying so.

use crate::workspace;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigHandler, Signal};
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A line of progress, on standard error. Results go to standard output by [`print()`].
pub(crate) fn say(line: &str) {
    // A closed standard error is no reason to stop.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A line of a task's result, on standard output.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// What a system call returned that makes a descriptor.
///
/// # Safety
///
/// It is a new descriptor that nobody else has, or negative.
pub(crate) unsafe fn new_descriptor(returned: libc::c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(returned) {
        // SAFETY: the caller's promise.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A command of cargo's on this workspace.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(workspace::root()).arg(command);
    cargo
}

/// Builds what [`workspace::map_probe`] names.
pub(crate) fn build_map_probe() -> Result<()> {
    run(cargo("build").args(["--locked", "--release", "--package", "map-probe"]))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains([' ', '"', '\'', '*', '$']) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.into_owned()
    }
}

/// Runs the command with its output shown; an error when it cannot start or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say(&format!("$ {}", shown(command)));
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !status.success() {
        bail!("`{}` failed: {status}", shown(command));
    }
    Ok(())
}

/// What the command prints on standard output, trimmed; an error with its standard error when it fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}: {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where a program is on PATH, if anywhere.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Removes a folder if it is there.
pub(crate) fn remove_dir(dir: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// From now on Ctrl-C is for the programs that are started, which end in their own time, and not for us.
pub(crate) fn outlive_interrupts() -> Result<()> {
    extern "C" fn nothing(_: libc::c_int) {}
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        // Not ignored: what is ignored would be by those programs, too.
        // SAFETY: the handler does nothing.
        unsafe { nix::sys::signal::signal(signal, SigHandler::Handler(nothing)) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("go");
        command.args(["build", "-ldflags=-s -w", "it's"]);
        assert_eq!(shown(&command), r"go build '-ldflags=-s -w' 'it'\''s'");
    }

    #[test]
    fn a_failing_command_tells_its_status_and_what_it_said() {
        let error = read(Command::new("sh").args(["-c", "echo broken >&2; exit 3"]))
            .expect_err("the command exits with 3");
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.contains("broken"), "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_not_found() {
        assert!(on_path("sh").is_some());
        assert_eq!(on_path("no-such-program-anywhere"), None);
    }
}
