//! How the program ends, and how it says what went wrong.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::target::TargetError;

/// The program's exit status. `--help` has the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The report is complete.
    Done = 0,
    /// A bug, or a system call that should not fail.
    Internal = 1,
    /// The command line, or a file it names.
    Usage = 2,
    /// The target is nothing that can be probed: no Go, an unknown version of it, 32-bit.
    NotProbeable = 3,
    /// A capability is missing, the kernel is locked down, or `/proc` hides the process.
    NotPermitted = 4,
    /// No such process, or it ended before the probes were in place.
    NoProcess = 5,
    /// `verify`: the runtime found something else than the walk.
    Different = 6,
    /// `verify`: nothing was compared.
    NothingCompared = 7,
    /// The report is complete, and the command ended by a signal or with a status other than 0.
    CommandFailed = 8,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let status = match error.exit_status() {
            2 => Status::Usage,
            3 => Status::NotProbeable,
            4 => Status::NotPermitted,
            5 => Status::NoProcess,
            _ => Status::Internal,
        };
        let mut failure = Self::new(status, error.to_string());
        failure.hint = error.hint();
        match error.source() {
            Some(source) => failure.caused_by(source.to_string()),
            None => failure,
        }
    }
}

/// Why the program ends without a report: what failed, why, and what to do.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
}

impl Failure {
    /// What failed, in a sentence without a full stop.
    #[must_use]
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            cause: None,
            hint: None,
        }
    }

    /// Why: an error, with its own causes.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With which status the program ends.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Writes the whole story: the error, its causes, and after a blank line the hint.
    ///
    /// # Errors
    /// When `out` cannot be written to.
    pub fn explain(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "error: {}", printable(&self.message))?;
        let mut said = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let words = error.to_string();
            // Some errors repeat their cause in their own words.
            if !said.contains(&words) {
                writeln!(out, "  caused by: {}", printable(&words))?;
                said = words;
            }
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            writeln!(out, "\nhint: {}", printable(hint))?;
        }
        Ok(())
    }
}

/// What to do about an error that says that the system, or we, have no more of something. That of starting a process or a
/// thread is `EAGAIN`; where it can mean something else, it is not to be asked of here.
pub(crate) fn shortage(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(match errno(error)? {
        libc::EAGAIN => {
            "there are too many processes and threads: raise the limit of this user (ulimit -u) or of the control group (pids.max), or end some"
        }
        libc::EMFILE => {
            "map-probe may open no more files: raise its limit of file descriptors (ulimit -n)"
        }
        libc::ENFILE => "the system has no more file descriptors: raise fs.file-max",
        libc::ENOMEM => {
            "map-probe gets no more memory: the system is out of it, the control group is (memory.max), or a limit is reached (ulimit -v)"
        }
        libc::ENOSPC => {
            "the kernel has no room for it: end other programs that use BPF, perf events or epoll (fs.epoll.max_user_watches)"
        }
        _ => return None,
    })
}

/// A system call failed that nothing the user asked for makes fail: words for what is wrong with the surroundings.
pub(crate) fn system_failure(
    message: impl Into<String>,
    error: impl Into<Box<dyn Error + Send + Sync>>,
) -> Failure {
    let error = error.into();
    let (status, hint) = match errno(&*error) {
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => (
            Status::NotPermitted,
            "a seccomp filter or security module (of a container?) forbids it: run map-probe outside of that",
        ),
        Some(libc::EINTR) => (Status::Internal, "a signal interrupted it: try again"),
        _ => {
            let hint = shortage(&*error);
            let bug = "this is a bug in map-probe: please report it";
            (Status::Internal, hint.unwrap_or(bug))
        }
    };
    Failure::new(status, message).caused_by(error).hint(hint)
}

/// The system's own error, somewhere among the causes.
fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // Its `source` is that of what it wraps.
        return error.raw_os_error().or_else(|| errno(error.get_ref()?));
    }
    if let Some(error) = error.downcast_ref::<nix::errno::Errno>() {
        return Some(*error as i32);
    }
    errno(error.source()?)
}

/// Paths and versions come from the target: nothing in them may steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' {
            '?'
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_deref()?;
        Some(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Because {
        words: &'static str,
        source: Option<io::Error>,
    }

    fn explained(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.explain(&mut out).expect("memory can be written to");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn an_error_is_what_failed_then_why_then_what_to_do() {
        let cause = Because {
            words: "the file is not readable",
            source: Some(io::Error::other("stale handle")),
        };
        let failure = Failure::new(Status::Usage, "cannot start")
            .caused_by(cause)
            .hint("try another file");
        let expected = "\
error: cannot start
  caused by: the file is not readable
  caused by: stale handle

hint: try another file
";
        assert_eq!(explained(&failure), expected);
    }

    #[test]
    fn nothing_that_is_said_steers_the_terminal() {
        let failure = Failure::new(Status::NotProbeable, "'/tmp/\x1b[2Jx' is no program");
        assert_eq!(explained(&failure), "error: '/tmp/?[2Jx' is no program\n");
    }

    #[test]
    fn what_the_system_lacks_is_told_from_a_bug() {
        for (number, status, words) in [
            (libc::EAGAIN, Status::Internal, "ulimit -u"),
            (libc::EMFILE, Status::Internal, "ulimit -n"),
            (libc::ENFILE, Status::Internal, "fs.file-max"),
            (libc::ENOMEM, Status::Internal, "memory.max"),
            (libc::ENOSPC, Status::Internal, "no room"),
            (libc::EINTR, Status::Internal, "try again"),
            (libc::EPERM, Status::NotPermitted, "seccomp"),
            (libc::ENOSYS, Status::NotPermitted, "seccomp"),
            (libc::EBADF, Status::Internal, "a bug in map-probe"),
        ] {
            let failure = system_failure("cannot start", io::Error::from_raw_os_error(number));
            let story = explained(&failure);
            assert!(story.contains(words), "{story}");
            assert_eq!(failure.status(), status, "{story}");
        }
        let wrapped = io::Error::other(io::Error::from_raw_os_error(libc::EMFILE));
        assert!(explained(&system_failure("cannot start", wrapped)).contains("ulimit -n"));
        let nix = nix::errno::Errno::EMFILE;
        assert!(explained(&system_failure("cannot start", nix)).contains("ulimit -n"));
        assert!(explained(&system_failure("cannot start", "odd")).contains("a bug"));
    }

    #[test]
    fn a_cause_is_not_said_twice() {
        let cause = Because {
            words: "cannot read: stale handle",
            source: Some(io::Error::other("stale handle")),
        };
        let failure = Failure::new(Status::Internal, "cannot start").caused_by(cause);
        let expected = "error: cannot start\n  caused by: cannot read: stale handle\n";
        assert_eq!(explained(&failure), expected);
    }
}
