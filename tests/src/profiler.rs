//! Runs the built `map-probe` and watches what it says.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
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

/// Copies a program that is to be executed at once. By another process: if ours had it open for writing, another test that starts
/// something just then would keep it open so, and it could not be executed ("text file busy").
///
/// # Errors
///
/// It cannot be copied.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = Command::new("cp").arg(from).arg(to).status()?;
    ensure!(
        copied.success(),
        "cp {} {}: {copied}",
        from.display(),
        to.display()
    );
    Ok(())
}

/// The name of map-probe's guard, the process that holds its probes.
pub const GUARD: &str = "mprobe-guard";

/// The guard of a running map-probe: the process that holds its probes.
///
/// # Errors
///
/// It has none.
pub fn guard(profiler: u32) -> Result<u32> {
    let mut children = children(profiler)?.into_iter();
    let guard = children.find(|child| is_guard(*child));
    guard.context("map-probe has no guard")
}

fn children(process: u32) -> Result<Vec<u32>> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let children = children.split_ascii_whitespace().map(str::parse);
    Ok(children.collect::<Result<_, _>>()?)
}

fn name(process: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(name.trim().to_owned())
}

fn is_guard(process: u32) -> bool {
    name(process).as_deref() == Some(GUARD)
}

/// Kills a running map-probe and its guard at once.
///
/// # Errors
///
/// It has ended.
pub fn kill_with_guard(profiler: u32) -> Result<()> {
    let guard = guard(profiler)?;
    for process in [guard, profiler] {
        kill(i32::try_from(process)?, libc::SIGKILL)?;
    }
    Ok(())
}
/// How long nothing comes after the end of a run.
const SILENCE: Duration = Duration::from_secs(2);

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

/// The lines of a stream as they come, each with its end.
fn lines(mut stream: impl BufRead + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut line = Vec::new();
        // What was read until an error is what the test sees.
        while stream
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                break;
            }
            line.clear();
        }
    });
    lines
}

/// Sends a signal to a process that is known to be there.
///
/// # Errors
///
/// It is not.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill has no memory effects.
    let result = unsafe { libc::kill(pid, signal) };
    ensure!(
        result == 0,
        "signal {signal}: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}

/// A running map-probe. Killed when dropped.
#[derive(Debug)]
pub struct Profiler {
    child: Child,
    lines: Receiver<String>,
    stdout: String,
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
        Self::with_input(command, Stdio::null())
    }

    /// Starts a prepared command that reads this.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn with_input(command: &mut Command, input: impl Into<Stdio>) -> Result<Self> {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", Path::new(command.get_program()).display()))?;
        let out = BufReader::new(child.stdout.take().context("stdout")?);
        let err = BufReader::new(child.stderr.take().context("stderr")?);
        Ok(Self {
            child,
            lines: lines(out),
            stdout: String::new(),
            errors: lines(err),
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
                    self.stderr.push_str(&line);
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

    /// Waits until this line is on standard output, of its command or its own.
    ///
    /// # Errors
    ///
    /// It takes too long.
    pub fn wait_printed(&mut self, line: &str) -> Result<()> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let next = self.lines.recv_timeout(left);
            let next = next.with_context(|| format!("no {line:?}:\n{}", self.stdout))?;
            self.stdout.push_str(&next);
            if next.trim_end() == line {
                return Ok(());
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

    /// Sends a signal to it, and not to its command.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn signal(&self, signal: i32) -> Result<()> {
        // The child has not been waited for, so the id is still its own.
        kill(i32::try_from(self.child.id())?, signal)
    }

    /// The command that it has started, as soon as it has.
    ///
    /// # Errors
    ///
    /// It starts none.
    pub fn wait_command(&self) -> Result<i32> {
        while Instant::now() < self.deadline {
            let children = children(self.child.id())?;
            // The guard, and a command that is about to be started, run map-probe's own program.
            let exe = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
            let own = exe(self.child.id());
            let is_command = |child: &u32| exe(*child).is_some_and(|exe| Some(exe) != own);
            if let Some(child) = children.into_iter().find(is_command) {
                return Ok(i32::try_from(child)?);
            }
            thread::sleep(Duration::from_micros(200));
        }
        bail!("no command was started")
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
        // All of it is written; but a command that runs on may have both open still.
        while let Ok(line) = self.errors.recv_timeout(SILENCE) {
            self.stderr.push_str(&line);
        }
        while let Ok(line) = self.lines.recv_timeout(SILENCE) {
            self.stdout.push_str(&line);
        }
        Ok(Ended {
            status,
            stdout: std::mem::take(&mut self.stdout),
            stderr: std::mem::take(&mut self.stderr),
        })
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
