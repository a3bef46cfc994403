//! Where a command writes while the dashboard has its terminal.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Failure, Status, shortage};

/// A file that gets what a command would write to the terminal.
///
/// A file and not a pipe: the command never waits for us, and writes on when we are gone.
#[derive(Debug)]
pub struct CommandOutput {
    file: File,
    path: PathBuf,
    /// Even if it is empty.
    keep: bool,
}

impl CommandOutput {
    /// A new file in the directory for temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self, Failure> {
        let made = tempfile::Builder::new()
            .prefix("map-probe-output-")
            .suffix(".txt")
            .tempfile()
            .and_then(|file| Ok(file.keep()?));
        match made {
            Ok((file, path)) => Ok(Self {
                file,
                path,
                keep: false,
            }),
            Err(error) => Err(failed(error)),
        }
    }

    /// Lets the command write to the file what would go to a terminal, and keeps it from reading the dashboard's keys.
    pub(super) fn redirect(&self, command: &mut Command) -> Result<(), Failure> {
        let file = || self.file.try_clone().map(Stdio::from).map_err(failed);
        if io::stdin().is_terminal() {
            command.stdin(Stdio::null());
        }
        if io::stdout().is_terminal() {
            command.stdout(file()?);
        }
        if io::stderr().is_terminal() {
            command.stderr(file()?);
        }
        Ok(())
    }

    /// Where to find what the command wrote, or may still write.
    #[must_use]
    pub fn note(&mut self, still_runs: bool) -> Option<String> {
        self.keep = still_runs || self.has_any();
        let path = self.path.display();
        self.keep
            .then(|| format!("what the command wrote is in {path}"))
    }

    fn has_any(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() > 0)
    }
}

impl Drop for CommandOutput {
    /// Leaves no empty file behind.
    fn drop(&mut self) {
        if !self.keep && !self.has_any() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn failed(error: io::Error) -> Failure {
    let of_the_file = error.kind() == io::ErrorKind::StorageFull;
    let hint = shortage(&error).filter(|_| !of_the_file);
    Failure::new(
        Status::Internal,
        "cannot make a file for what the command writes",
    )
    .caused_by(error)
    .hint(hint.unwrap_or("give --format text, or point TMPDIR to a directory with room"))
}
