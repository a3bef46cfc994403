//! Runs the built `map-probe` and watches what it says.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::go::target_dir;

/// No run in these tests takes longer, even on a slow machine.
const LONGEST: Duration = Duration::from_secs(120);

/// The program under test: `MAP_PROBE_BIN`, else the one that was built last.
///
/// # Errors
///
/// There is none.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("MAP_PROBE_BIN") {
        return Ok(PathBuf::from(path));
    }
    ["release", "debug"]
        .map(|profile| target_dir().join(profile).join("map-probe"))
        .into_iter()
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
        .context("map-probe is not built: run `cargo build -p map-probe`, or set MAP_PROBE_BIN")
}

/// What a run ended with.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

impl Ended {
    /// Demands the exit status of success.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub fn success(self) -> Result<Self> {
        ensure!(
            self.status.success(),
            "map-probe ended with {}:\n{}",
            self.status,
            self.stderr
        );
        Ok(self)
    }

    /// Demands an error as the contract wants it: one of the given exit statuses, and a `hint:` line.
    ///
    /// # Errors
    ///
    /// Anything is different.
    pub fn refused(&self, expected: &[i32]) -> Result<()> {
        let code = self.status.code();
        ensure!(
            code.is_some_and(|code| expected.contains(&code)),
            "exit status {expected:?} expected, but it was {:?}:\n{}",
            self.status,
            self.stderr
        );
        ensure!(
            self.stderr
                .lines()
                .any(|line| line.trim_start().starts_with("hint:")),
            "an error without a hint:\n{}",
            self.stderr
        );
        ensure!(
            !self.stderr.contains("panicked"),
            "a panic is no error message:\n{}",
            self.stderr
        );
        Ok(())
    }
}

/// Runs map-probe to its end.
///
/// # Errors
///
/// It does not start or does not end.
pub fn run(arguments: &[&str]) -> Result<Ended> {
    Profiler::start(arguments)?.finish()
}

/// A running map-probe. Killed when dropped.
#[derive(Debug)]
pub struct Profiler {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    errors: Receiver<String>,
    stderr: String,
    deadline: Instant,
}

impl Profiler {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// It is not built or does not start.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        Self::spawn(Command::new(binary()?).args(arguments))
    }

    /// Attaches it to a running process in this format, every operation traced, and waits until the probes are in place.
    ///
    /// # Errors
    ///
    /// It does not attach.
    pub fn attach(pid: &str, format: &str, more: &[&str]) -> Result<Self> {
        let mut arguments = vec!["--max-overhead", "off", "--format", format, "--pid", pid];
        arguments.extend(more);
        let mut profiler = Self::start(&arguments)?;
        profiler.wait_attached()?;
        Ok(profiler)
    }

    /// Starts a prepared command.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", Path::new(command.get_program()).display()))?;
        let mut out = child.stdout.take().context("stdout")?;
        let err = BufReader::new(child.stderr.take().context("stderr")?);
        let stdout = thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read until an error is what the test sees.
            let _ = out.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (sender, errors) = channel();
        thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdout: Some(stdout),
            errors,
            stderr: String::new(),
            deadline: Instant::now() + LONGEST,
        })
    }

    /// Waits until probes are in place: the line on standard error that begins with `attached`.
    ///
    /// # Errors
    ///
    /// It ends without one, or takes too long.
    pub fn wait_attached(&mut self) -> Result<()> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.errors.recv_timeout(left) {
                Ok(line) => {
                    self.note(&line);
                    if line.starts_with("attached") {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not attached in {LONGEST:?}:\n{}", self.stderr)
                }
                Err(RecvTimeoutError::Disconnected) => bail!("it did not attach:\n{}", self.stderr),
            }
        }
    }

    /// What it takes of memory: its own at most so far, and the kernel's for its tables, in bytes.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let dir = PathBuf::from(format!("/proc/{}", self.child.id()));
        let number = |text: &str, name: &str| -> u64 {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
            let words = lines.next().and_then(|rest| rest.split_whitespace().next());
            words.and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        let own = number(&fs::read_to_string(dir.join("status"))?, "VmHWM:") * 1024;
        let mut tables = 0;
        for entry in fs::read_dir(dir.join("fdinfo"))? {
            let info = fs::read_to_string(entry?.path())?;
            if info.contains("map_type:") {
                tables += number(&info, "memlock:");
            }
        }
        Ok((own, tables))
    }

    /// Sends what Ctrl-C sends.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn interrupt(&self) -> Result<()> {
        self.signal(libc::SIGINT)
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: kill has no memory effects; the child has not been waited for, so the id is still its own.
        let result = unsafe { libc::kill(pid, signal) };
        ensure!(
            result == 0,
            "sending signal {signal}: {}",
            std::io::Error::last_os_error()
        );
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// It takes too long.
    pub fn finish(mut self) -> Result<Ended> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > self.deadline {
                bail!("it did not end in {LONGEST:?}:\n{}", self.stderr);
            }
            thread::sleep(Duration::from_millis(5));
        };
        while let Ok(line) = self.errors.recv_timeout(Duration::from_secs(5)) {
            self.note(&line);
        }
        let reader = self.stdout.take().context("finished twice")?;
        let stdout = reader
            .join()
            .map_err(|_| anyhow::anyhow!("the reader of standard output panicked"))?;
        Ok(Ended {
            status,
            stdout,
            stderr: std::mem::take(&mut self.stderr),
        })
    }

    fn note(&mut self, line: &str) {
        self.stderr.push_str(line);
        self.stderr.push('\n');
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
