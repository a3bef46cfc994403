//! Starts a command and holds it before its first instruction, until the probes are in place.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::command_output::CommandOutput;
use super::not_started::{not_started, not_traced};
use crate::error::{Failure, Status};
use crate::report::model::Fate;
use crate::report::words;

/// A command that has been started, and stands before its first instruction.
#[derive(Debug)]
pub struct Held {
    child: Child,
    released: bool,
}

impl Held {
    /// Starts `command`: the program, then its arguments. `output` keeps it off the terminal.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &[OsString], output: Option<&CommandOutput>) -> Result<Self, Failure> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Failure::new(Status::Usage, "no command to start"));
        };
        let mut child = Command::new(program);
        child.args(arguments);
        if let Some(output) = output {
            output.redirect(&mut child)?;
        }
        // SAFETY: ptrace(2) is all it calls, between fork and exec.
        unsafe {
            child.pre_exec(|| ptrace::traceme().map_err(not_traced));
        }
        let child = child.spawn().map_err(|error| not_started(program, error))?;
        let mut held = Self {
            child,
            released: false,
        };
        // The kernel stops a traced process with SIGTRAP as soon as its new program is in place.
        match waitpid(held.id(), Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => Ok(held),
            other => {
                held.kill();
                let status = match other {
                    Ok(WaitStatus::Exited(_, status)) => {
                        format!("it ended {}", words::ended(Fate::Status(status)))
                    }
                    Ok(WaitStatus::Signaled(_, signal, _)) => {
                        format!("it ended {}", words::ended(Fate::Signal(signal as i32)))
                    }
                    Ok(other) => format!("it is not where exec leaves it, but {other:?}"),
                    Err(error) => error.to_string(),
                };
                Err(Failure::new(
                    Status::NoProcess,
                    "the command ended before the probes were in place",
                )
                .caused_by(status)
                .hint("check that the command runs by itself"))
            }
        }
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run.
    ///
    /// # Errors
    /// It is gone: somebody killed it meanwhile.
    pub fn release(&mut self) -> Result<(), Failure> {
        self.released = true;
        ptrace::detach(self.id(), None).map_err(|error| {
            Failure::new(
                Status::NoProcess,
                "the command was killed before the probes were in place",
            )
            .caused_by(error)
            .hint("start it again")
        })
    }

    /// How it ended; `None` while it lives.
    pub fn fate(&mut self) -> Option<Fate> {
        let status = self.child.try_wait().ok()??;
        status
            .code()
            .map(Fate::Status)
            .or(status.signal().map(Fate::Signal))
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Held {
    /// A command that was never let run has done nothing, and shall do nothing.
    fn drop(&mut self) {
        if !self.released {
            self.kill();
        }
    }
}
