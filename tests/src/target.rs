//! A fixture that runs beside the profiler and is led through its work step by step.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::go::{self, Go, Variant};
use crate::oracle::Truth;

/// A running oracle, waiting before its work begins. Killed when dropped.
#[derive(Debug)]
pub struct Target {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    ready: String,
}

impl Target {
    /// Starts the oracle with `-wait -hold` and the given arguments.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(binary: &Path, arguments: &[&str]) -> Result<Self> {
        Self::spawn(
            Command::new(binary)
                .args(["-wait", "-hold"])
                .args(arguments),
        )
    }

    /// Builds the oracle with a Go version and starts it with `-wait -hold` and the given arguments.
    ///
    /// # Errors
    ///
    /// It is not built or does not start.
    pub fn waiting(go: Go, arguments: &[&str]) -> Result<Self> {
        Self::start(&go::fixture("oracle", go, Variant::Plain)?, arguments)
    }

    /// Starts a prepared command, which has to be an oracle with `-wait -hold`.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("stdin")?;
        let output = BufReader::new(child.stdout.take().context("stdout")?);
        let mut target = Self {
            child,
            input,
            output,
            ready: String::new(),
        };
        target.ready = target.line()?;
        ensure!(
            target.ready.starts_with("ready "),
            "the oracle said {:?} instead of being ready",
            target.ready
        );
        Ok(target)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// What it said when it was ready: `ready PID`, and what its kind has to say besides.
    #[must_use]
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Lets it begin its work.
    ///
    /// # Errors
    ///
    /// It ended.
    pub fn begin(&mut self) -> Result<()> {
        self.input.write_all(b"\n").context("the oracle is gone")
    }

    /// Waits until its work is done. It holds then.
    ///
    /// # Errors
    ///
    /// It ended.
    pub fn wait_done(&mut self) -> Result<()> {
        let done = self.line()?;
        ensure!(
            done == "done",
            "the oracle said {done:?} instead of being done"
        );
        Ok(())
    }

    /// Lets it print its counts and end, after [`Self::wait_done`].
    ///
    /// # Errors
    ///
    /// It did not end well.
    pub fn finish(self) -> Result<Truth> {
        Truth::parse(&self.last_line()?)
    }

    /// As [`Self::finish`], for fixtures whose last line is none of the oracle's.
    ///
    /// # Errors
    ///
    /// It did not end well.
    pub fn last_line(mut self) -> Result<String> {
        self.begin()?;
        let line = self.line()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the fixture ended with {status}");
        Ok(line)
    }

    /// Whether it still runs.
    ///
    /// # Errors
    ///
    /// The system call fails.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
