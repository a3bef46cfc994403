//! One run of map-probe on a target, to which something happens.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::cgroup::Cgroup;
use super::processes::{self, MARK};
use crate::report::Report;

/// How a run looks at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every operation.
    Exact,
    /// In windows, within this bound.
    Within(&'static str),
    /// By samples of the CPUs.
    Sample,
    /// Against what Go's runtime returns.
    Verify,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Exact,
        Self::Within("1%"),
        Self::Within("5%"),
        Self::Within("20%"),
        Self::Sample,
        Self::Verify,
    ];

    fn arguments(self) -> Vec<&'static str> {
        match self {
            Self::Exact => vec!["--max-overhead", "off"],
            Self::Within(bound) => vec!["--max-overhead", bound],
            Self::Sample => vec!["--mode", "sample", "--frequency", "499"],
            Self::Verify => vec!["verify", "--duration", "1m"],
        }
    }
}

/// Where the report of a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sink {
    /// To standard output, which is a file.
    Stdout,
    /// To the file that `--output` names.
    Output,
    /// To a pipe that nobody reads.
    Closed,
    /// To a device that is always full.
    Full,
}

/// A running map-probe. Ended when dropped.
#[derive(Debug)]
pub struct Run {
    child: Child,
    /// How it looks.
    pub mode: Mode,
    sink: Sink,
    program: PathBuf,
    mark: String,
    folder: PathBuf,
}

impl Run {
    /// Starts one on a process; its files go into a folder that is new.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(
        program: &Path,
        pid: u32,
        (mode, sink): (Mode, Sink),
        cgroup: Option<&Cgroup>,
        folder: PathBuf,
    ) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let mark = folder.display().to_string();
        let mut command = Command::new(program);
        command
            .args(mode.arguments())
            .args(["--format", "json", "--pid", &pid.to_string()])
            .env(MARK, &mark)
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(File::create(folder.join("stderr"))?);
        match sink {
            Sink::Stdout => command.stdout(File::create(folder.join("report"))?),
            Sink::Output => command
                .arg("--output")
                .arg(folder.join("report"))
                .stdout(Stdio::null()),
            Sink::Closed => command.stdout(Stdio::piped()),
            Sink::Full => command.stdout(OpenOptions::new().write(true).open("/dev/full")?),
        };
        if let Some(cgroup) = cgroup {
            let members = OpenOptions::new().write(true).open(cgroup.members())?;
            let join = move || std::io::Write::write_all(&mut &members, b"0");
            // SAFETY: one write to an open file, which a forked child may do.
            unsafe { command.pre_exec(join) };
        }
        let mut child = command.spawn().context("starting map-probe")?;
        drop(child.stdout.take());
        Ok(Self {
            child,
            mode,
            sink,
            program: program.to_owned(),
            mark,
            folder,
        })
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        processes::signal(self.child.id(), signal);
    }

    /// Its guards.
    #[must_use]
    pub fn guards(&self) -> Vec<u32> {
        processes::guards(&self.mark, &self.program)
    }

    /// Its processes that are still there.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes::marked(&self.mark, &self.program)
    }

    /// What it said on standard error so far.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    /// Whether it said that its probes are in place.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.said().lines().any(|line| line.starts_with("attached"))
    }

    /// Waits for that, or for its end.
    ///
    /// # Errors
    ///
    /// The system call fails.
    pub fn wait_attached(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !self.is_attached() && Instant::now() < deadline && self.child.try_wait()?.is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits for its end; `None` if that takes too long, and it has been killed.
    ///
    /// # Errors
    ///
    /// The system call fails.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether its report goes to a file of its own.
    #[must_use]
    pub fn writes_a_file(&self) -> bool {
        self.sink == Sink::Output
    }

    /// The report, where one was to appear; `None` where there is nothing.
    #[must_use]
    pub fn report(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.join("report")).ok()?;
        // A file that is there has to be a report.
        (self.writes_a_file() || !text.is_empty()).then_some(text)
    }

    /// Demands that a report agrees with itself, and knows of so many programs that the target has become.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn judge(&self, text: &str, lives: u64) -> Result<()> {
        if self.mode == Mode::Verify {
            let json: Value = serde_json::from_str(text)?;
            let different = &json["all"]["different"];
            ensure!(*different == 0, "{different} operations differ");
            return Ok(());
        }
        let report = Report::parse(text)?;
        ensure!(report.is_final, "not the final report");
        report.expect_consistent()?;
        let known = report.json["target"]["lives"].as_u64().unwrap_or(1);
        ensure!(
            known >= lives,
            "{lives} programs ran in the target, but the report knows {known}"
        );
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Asked first: killed, it might leave something behind.
        self.signal(libc::SIGCONT);
        self.signal(libc::SIGTERM);
        let _ = self.wait(Duration::from_secs(5));
        let _ = fs::remove_dir_all(&self.folder);
    }
}
