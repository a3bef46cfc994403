//! A fixture that is told what to do, a line each, and answers with a line.

use anyhow::{Context, Result, anyhow, bail};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running program of `tests/fixtures`. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Fixture {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Fixture {
    /// Starts it and waits until it is ready.
    pub(super) fn start(binary: &Path, args: &[&str]) -> Result<Self> {
        let (fixture, ready) = Self::spawn(binary, args)?;
        if ready != "ready" {
            bail!("the target said {ready:?} instead of being ready");
        }
        Ok(fixture)
    }

    /// Starts it, and what it says first.
    pub(super) fn spawn(binary: &Path, args: &[&str]) -> Result<(Self, String)> {
        let mut child = Command::new(binary)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (commands, answers) = pipes.ok_or_else(|| anyhow!("the target has no pipes"))?;
        let mut fixture = Self {
            child,
            commands,
            answers: BufReader::new(answers),
        };
        let first = fixture.answer()?;
        Ok((fixture, first))
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something.
    pub(super) fn tell(&mut self, command: &str) -> Result<()> {
        writeln!(self.commands, "{command}")?;
        Ok(())
    }

    /// Its next answer.
    pub(super) fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the target has ended");
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to do about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
