//! A `map-probe` process that is attached to a target.

use crate::workspace;
use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long attaching may take at all, before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// map-probe, with its probes in place. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Probe {
    child: Child,
}

impl Probe {
    /// Runs `map-probe --pid PID --max-overhead off ARGS` and waits until it is attached.
    pub(super) fn attach<A: AsRef<OsStr>>(pid: u32, args: &[A]) -> Result<Self> {
        Self::attach_within("off", pid, args)
    }

    /// Runs `map-probe --pid PID --max-overhead BOUND ARGS` and waits until it is attached: until its first window is open.
    pub(super) fn attach_within<A: AsRef<OsStr>>(
        bound: &str,
        pid: u32,
        args: &[A],
    ) -> Result<Self> {
        Self::start(&workspace::map_probe(), bound, pid, args)
    }

    /// The same with another build of map-probe.
    pub(super) fn start<A: AsRef<OsStr>>(
        program: &Path,
        bound: &str,
        pid: u32,
        args: &[A],
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .arg("--pid")
            .arg(pid.to_string())
            .args(["--max-overhead", bound])
            .args(args);
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.context("cannot start map-probe")?;
        let mut probe = Self { child };
        let lines = probe.errors();
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            if line.starts_with("attached") {
                return Ok(probe);
            }
            said.push(line);
        }
        Err(probe.failure(&said.join("\n")))
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that its threads have taken so far, in seconds: of those that open and close windows, and of the others.
    pub(super) fn cpu_seconds(&self) -> Result<[f64; 2]> {
        let mut seconds = [0.0; 2];
        for thread in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let thread = thread?.path();
            // Nanoseconds on a CPU, nanoseconds of waiting for one, and how often.
            let [name, times] =
                ["comm", "schedstat"].map(|file| fs::read_to_string(thread.join(file)));
            let (Ok(name), Ok(times)) = (name, times) else {
                // One that attached to map-probe itself, to see what a trap costs, has just ended.
                continue;
            };
            let time = times.split_whitespace().next().context("no times")?;
            let of_windows = ["windows", "detach"].contains(&name.trim());
            seconds[usize::from(!of_windows)] += time.parse::<f64>()? / 1e9;
        }
        Ok(seconds)
    }

    /// Sends it a signal; nothing happens if it has just ended.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        // It has not been waited for: the id is still its own.
        Ok(kill(
            Pid::from_raw(i32::try_from(self.child.id())?),
            signal,
        )?)
    }

    /// Ends it as Ctrl-C does and waits until it is gone.
    pub(super) fn detach(self) -> Result<()> {
        self.signal(Signal::SIGINT)?;
        self.ended()
    }

    /// Waits until it is gone, after that.
    pub(super) fn ended(mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("map-probe ended with {status}"),
                None if begun.elapsed() > PATIENCE => bail!("map-probe does not end on SIGINT"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// The lines of standard error; read to the end by a thread, so that the pipe never fills.
    fn errors(&mut self) -> Receiver<String> {
        let (sender, receiver) = channel();
        if let Some(stderr) = self.child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    // Once attached, nobody listens; the reading goes on.
                    let _ = sender.send(line);
                }
            });
        }
        receiver
    }

    /// Why it did not attach: it ended, or it hangs.
    fn failure(&mut self, said: &str) -> anyhow::Error {
        // After standard error has closed, the process is about to end.
        std::thread::sleep(Duration::from_millis(100));
        match self.child.try_wait() {
            Ok(Some(status)) => anyhow!("map-probe ended with {status}:\n{said}"),
            _ => anyhow!("map-probe was not attached after {PATIENCE:?}:\n{said}"),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to do about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
