//! Where reports go: standard output, or a file that appears whole at the end or stays as it was.

mod draft;
mod stdout;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};

pub(crate) use self::draft::Draft;
use self::draft::directory;
use crate::error::{Failure, Status, shortage};

/// The kernel's own limit of links that lead to links.
const MAX_LINKS: usize = 40;

/// A place that a report is written to.
#[derive(Debug)]
pub(crate) struct Place {
    /// What messages call it.
    name: String,
    /// What is written to it, for messages.
    what: &'static str,
    /// What to do instead, for messages: `give another file with --output`.
    instead: String,
    out: Out,
    /// Whether anything was taken.
    taken: bool,
    /// Nobody reads any more.
    gone: bool,
}

#[derive(Debug)]
enum Out {
    /// Standard output, a device or a pipe: what is written is there at once.
    Through(File),
    /// A file that is put at its path at the end.
    Draft(Draft, PathBuf),
    /// All is written.
    Done,
}

impl Place {
    /// Looks whether a file can be written, and opens what its contents go to until the end.
    ///
    /// # Errors
    /// When it cannot: wrong usage.
    pub(crate) fn file(
        path: &Path,
        what: &'static str,
        option: &'static str,
    ) -> Result<Self, Failure> {
        let instead = format!("give another file with {option}");
        let mut place = Self::new(format!("'{}'", path.display()), what, instead);
        place.out = open(path).map_err(|error| place.failure(Status::Usage, error))?;
        Ok(place)
    }

    /// Standard output, for a report that could go to a file by `--output`.
    ///
    /// # Errors
    /// It was closed when the program started, or cannot be written to: wrong usage.
    pub(crate) fn standard_output(what: &'static str) -> Result<Self, Failure> {
        Self::open_stdout(what, "give a file with --output")
    }

    /// Standard output, for what goes nowhere else.
    ///
    /// # Errors
    /// As [`Place::standard_output`].
    pub(crate) fn only_standard_output(what: &'static str) -> Result<Self, Failure> {
        Self::open_stdout(what, "redirect it to a file")
    }

    fn open_stdout(what: &'static str, instead: &str) -> Result<Self, Failure> {
        let mut place = Self::new("standard output".to_owned(), what, instead.to_owned());
        let file = stdout::open().map_err(|error| place.failure(Status::Usage, error))?;
        place.out = Out::Through(file);
        Ok(place)
    }

    fn new(name: String, what: &'static str, instead: String) -> Self {
        Self {
            name,
            what,
            instead,
            out: Out::Done,
            taken: false,
            gone: false,
        }
    }

    /// Takes it that the reader has had something: a dashboard on the same terminal.
    pub(crate) fn was_seen(&mut self) {
        self.taken = true;
    }

    /// Writes a part of the report.
    ///
    /// [`ControlFlow::Break`] says that the reader is gone (`| head`).
    ///
    /// # Errors
    /// When it cannot be written for any other reason, such as a full disk.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        if self.gone {
            return Ok(ControlFlow::Break(()));
        }
        let mut out = BufWriter::new(&mut *self);
        let written = write(&mut out).and_then(|()| out.flush());
        // What is still buffered must not be tried again.
        let _ = out.into_parts();
        match written {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(error) if self.is_gone(&error) => {
                self.gone = true;
                Ok(ControlFlow::Break(()))
            }
            Err(error) => Err(self.failure(Status::Internal, error)),
        }
    }

    /// Puts a file in its place. A reader that has left misses nothing it wanted, unless it never had any of it.
    ///
    /// # Errors
    /// The file cannot be put there, or nothing of the report was ever read.
    pub(crate) fn finish(&mut self) -> Result<(), Failure> {
        if self.gone && !self.taken {
            return Err(self.failure(Status::Internal, io::ErrorKind::BrokenPipe.into()));
        }
        match std::mem::replace(&mut self.out, Out::Done) {
            Out::Draft(draft, path) => draft
                .replace(&path)
                .map_err(|error| self.failure(Status::Internal, error)),
            Out::Through(_) | Out::Done => Ok(()),
        }
    }

    /// Whether an error says that nobody reads any more: a pipe's reader has ended, or the terminal was closed.
    fn is_gone(&self, error: &io::Error) -> bool {
        let Out::Through(file) = &self.out else {
            return false;
        };
        error.kind() == io::ErrorKind::BrokenPipe
            || (error.raw_os_error() == Some(libc::EIO)
                && !file.metadata().is_ok_and(|m| m.is_file()))
    }

    fn failure(&self, status: Status, error: io::Error) -> Failure {
        let Self {
            name,
            what,
            instead,
            ..
        } = self;
        let message = format!("cannot write {what} to {name}");
        // A full disk, and a pipe that is full and not to be waited for, are not the system's shortage.
        let of_the_file = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::WouldBlock
        );
        if let Some(hint) = shortage(&error).filter(|_| !of_the_file) {
            return Failure::new(Status::Internal, message)
                .caused_by(error)
                .hint(hint);
        }
        let hint = match error.kind() {
            io::ErrorKind::NotFound => format!("create the directory first, or {instead}"),
            io::ErrorKind::IsADirectory => format!("that is a directory: {instead}"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("make room there, or {instead}")
            }
            io::ErrorKind::WouldBlock => {
                format!(
                    "its reader is too slow, and it is not to be waited for (O_NONBLOCK): {instead}"
                )
            }
            io::ErrorKind::BrokenPipe => {
                format!("nobody read it: look why its reader ended, or {instead}")
            }
            io::ErrorKind::NotConnected => format!("leave it open (without `>&-`), or {instead}"),
            _ if matches!(self.out, Out::Through(_)) => instead.clone(),
            _ => format!("{instead} that you may write, in a directory that you may write to"),
        };
        Failure::new(status, message).caused_by(error).hint(hint)
    }
}

/// Unbuffered; what counts as taken is what the other side has accepted.
impl Write for &mut Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = match &mut self.out {
            Out::Through(file) => file.write(bytes)?,
            Out::Draft(draft, _) => draft.write(bytes)?,
            Out::Done => return Err(io::ErrorKind::WriteZero.into()),
        };
        self.taken |= taken > 0;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Out> {
    let (path, is_magic) = resolved(path)?;
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(metadata) if metadata.is_file() && !is_magic => {
            // One that may not be written may not be replaced either.
            OpenOptions::new().write(true).open(&path)?;
            Ok(Out::Draft(Draft::beside(&path)?, path))
        }
        // What an open file has (`--output /dev/stdout >> FILE`) is not ours to empty.
        Ok(_) => Ok(Out::Through(OpenOptions::new().append(true).open(&path)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.file_name().is_some() => {
            if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok(Out::Draft(Draft::beside(&path)?, path))
        }
        Err(error) => Err(error),
    }
}

/// Where a path's links lead to, whether there is anything or not; and whether that is what a process has open
/// (`/dev/stdout`), which has no path that could be replaced.
fn resolved(path: &Path) -> io::Result<(PathBuf, bool)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else {
            return Ok((path, false));
        };
        if statfs(directory(&path)).is_ok_and(|at| at.filesystem_type() == PROC_SUPER_MAGIC) {
            return Ok((path, true));
        }
        path = directory(&path).join(target);
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

#[cfg(test)]
mod tests;
