//! Starts a command and holds it before its first instruction, until the probes are in place.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::command_output::CommandOutput;
use crate::error::{Failure, Status};

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
            child.pre_exec(|| ptrace::traceme().map_err(io::Error::from));
        }
        let child = child.spawn().map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::NotFound => "give the path of the program, or check the spelling",
                io::ErrorKind::PermissionDenied => "check that the file is executable (chmod +x)",
                _ => "check that the command runs by itself",
            };
            let name = program.to_string_lossy();
            Failure::new(Status::Usage, format!("cannot start '{name}'"))
                .caused_by(error)
                .hint(hint)
        })?;
        let mut held = Self {
            child,
            released: false,
        };
        // The kernel stops a traced process with SIGTRAP as soon as its new program is in place.
        match waitpid(held.id(), Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => Ok(held),
            other => {
                held.kill();
                let status = format!("{other:?}");
                Err(Failure::new(
                    Status::NoProcess,
                    "the command ended before the probes were in place",
                )
                .caused_by(io::Error::other(status))
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

    /// Whether it has ended; then its exit status is collected.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
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
