//! Drives the fixtures that answer a line each: `selfcheck` and `fork`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running fixture. Killed when dropped.
#[derive(Debug)]
pub struct SelfCheck {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    errors: PathBuf,
}

impl SelfCheck {
    /// Starts it; what it says on standard error goes to a file.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(binary: &Path, errors: &Path) -> Result<Self> {
        Self::spawn(&mut Command::new(binary), errors)
    }

    /// The same with a prepared command.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn spawn(command: &mut Command, errors: &Path) -> Result<Self> {
        let mut child = command
            // Ctrl-C is for who started us.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(errors)?)
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("stdout")?);
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let target = Self {
            child,
            input,
            answers,
            errors: errors.to_owned(),
        };
        target.expect("ready ")?;
        Ok(target)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").with_context(|| self.fate("it is gone"))
    }

    /// Its next answer, which has to begin in this way; the rest of it.
    ///
    /// # Errors
    ///
    /// It ended, takes too long, or answers something else.
    pub fn expect(&self, beginning: &str) -> Result<String> {
        let Ok(answer) = self.answers.recv_timeout(PATIENCE) else {
            bail!(self.fate("no answer"));
        };
        let rest = answer.strip_prefix(beginning);
        let rest = rest.with_context(|| format!("it said {answer:?} instead of {beginning:?}"))?;
        Ok(rest.to_owned())
    }

    /// Tells it something, and the answer to that.
    ///
    /// # Errors
    ///
    /// As both.
    pub fn ask(&mut self, line: &str, beginning: &str) -> Result<String> {
        self.tell(line)?;
        self.expect(beginning)
    }

    /// Demands that it is alive and has found nothing wrong with itself.
    ///
    /// # Errors
    ///
    /// It has.
    pub fn check(&mut self) -> Result<()> {
        self.ask("check", "ok ").map(drop)
    }

    /// Has it become another program in the middle of its work, by the `leader` thread or an `other` one.
    ///
    /// # Errors
    ///
    /// It does not come up.
    pub fn exec(&mut self, thread: &str, program: &Path) -> Result<()> {
        let command = format!("exec {thread} {}", program.display());
        self.ask(&command, "ready ").map(drop)
    }

    /// Closes its standard input, after which it ends by itself.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn end(&mut self) -> Result<ExitStatus> {
        self.input = None;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What became of it, for an error message.
    fn fate(&self, what: &str) -> String {
        // Its last words may still be on their way.
        std::thread::sleep(Duration::from_millis(100));
        let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let first: Vec<_> = errors.lines().take(4).collect();
        format!("{what}; it said: {}", first.join(" / "))
    }
}

impl Drop for SelfCheck {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
