//! Programs that nobody here wrote, and load for them.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::go::build_dir;
use crate::profiler;

/// No server takes longer to answer first, even on a slow machine.
const LONGEST_START: Duration = Duration::from_secs(60);

/// The first of these files that exists; `None`, said on standard error, if none does.
///
/// # Errors
///
/// The message cannot be written.
pub fn find(name: &str, candidates: &[PathBuf]) -> Result<Option<PathBuf>> {
    let found = candidates.iter().find(|path| path.is_file());
    if found.is_none() {
        writeln!(
            std::io::stderr(),
            "ignored: {name} is not here: {candidates:?}; docs/real-programs.md says how to get it"
        )?;
    }
    Ok(found.cloned())
}

/// Where a Debian package's program is: installed, or unpacked into `target/map-probe/debs`.
#[must_use]
pub fn debian(name: &str) -> Vec<PathBuf> {
    let path = Path::new("usr/bin").join(name);
    vec![
        Path::new("/").join(&path),
        build_dir().join("debs").join(path),
    ]
}

/// A program of a platform's npm package, fetched into `target/map-probe/<home>`.
#[must_use]
pub fn npm(home: &str, program: &str) -> Vec<PathBuf> {
    vec![build_dir().join(home).join("node_modules").join(program)]
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server(Child);

impl Server {
    /// Starts it and waits until it answers on `port`.
    ///
    /// # Errors
    ///
    /// It does not start, or does not answer.
    pub fn start(command: &mut Command, port: u16) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self(child);
        let deadline = Instant::now() + LONGEST_START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.0.try_wait()? {
                bail!("{command:?} ended with {status}");
            }
            ensure!(Instant::now() < deadline, "{command:?} does not answer");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on.
///
/// # Errors
///
/// There is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// One HTTP request: `GET`, or `POST` with a body. The answer's size is all that is told.
///
/// # Errors
///
/// The server is gone or too slow.
pub fn request(port: u16, path: &str, body: Option<&str>) -> Result<usize> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head = match body {
        None => format!("GET {path} HTTP/1.1\r\n"),
        Some(body) => format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len()),
    };
    let body = body.unwrap_or_default();
    write!(
        stream,
        "{head}Host: localhost:{port}\r\nConnection: close\r\nAccept: */*\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.len())
}

/// Calls `load` over and over in another thread while `run` runs.
fn under_load<T>(
    load: impl Fn(usize) -> Result<()> + Sync,
    run: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let mut answered = 0;
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                // A server that is traced can be slow; that nothing is answered at all is an error below.
                answered += usize::from(load(number).is_ok());
            }
            answered
        });
        let result = run();
        done.store(true, Ordering::Relaxed);
        let answered = worker
            .join()
            .map_err(|_| anyhow::anyhow!("the load panicked"))?;
        let result = result?;
        ensure!(answered > 0, "the server answered nothing");
        Ok(result)
    })
}

/// Verifies a server while it answers `load`, then traces it: no slot differs, and no operation is missing.
///
/// # Errors
///
/// Otherwise.
pub fn check_server(
    name: &str,
    work: &str,
    server: &Server,
    load: impl Fn(usize) -> Result<()> + Sync,
) -> Result<()> {
    let pid = server.pid();
    let target = ["--pid", &pid];
    under_load(load, || {
        verify(name, work, &["--duration", "8s"], &target)?;
        trace(&["--duration", "4s"], &target)
    })
}

/// Verifies a command, then traces it, as [`check_server`] does.
///
/// # Errors
///
/// If a slot differs, or an operation is missing.
pub fn check_command(name: &str, work: &str, command: &[&str]) -> Result<()> {
    let target: Vec<&str> = [&["--"], command].concat();
    verify(name, work, &["--duration", "100s"], &target)?;
    trace(&["--duration", "100s"], &target)
}

fn verify(name: &str, work: &str, options: &[&str], target: &[&str]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("verify.json");
    let output = output.to_str().context("a path")?;
    let command = [
        &["verify", "--format", "json", "--output", output],
        options,
        target,
    ];
    let ended = profiler::run(&command.concat())?;
    let report: Value = serde_json::from_str(&fs::read_to_string(output).unwrap_or_default())
        .with_context(|| format!("no report: {}", ended.stderr))?;
    ensure!(
        ended.status.success() && report["conclusion"] == "same",
        "{name}: {}\n{report:#}",
        ended.status
    );
    nothing_is_missing(&report)?;
    end_what_still_runs(&ended.stderr)?;
    let number = |what: &str| report["all"][what].as_u64().unwrap_or_default();
    let not_covered: Vec<_> = report["not_compared"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|function| function["function"].as_str().unwrap_or_default())
        .collect();
    let row = format!(
        "| {name} | {} | {} | {work} | {} | {} | {} | {} |\n",
        report["target"]["go"]
            .as_str()
            .unwrap_or_default()
            .trim_start_matches("go"),
        report["target"]["layout"].as_str().unwrap_or_default(),
        number("compared"),
        number("same_slot"),
        number("different"),
        not_covered.join(" "),
    );
    let mut rows = OpenOptions::new()
        .create(true)
        .append(true)
        .open(build_dir().join("real-programs.txt"))?;
    Ok(rows.write_all(row.as_bytes())?)
}

fn trace(options: &[&str], target: &[&str]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let output = output.to_str().context("a path")?;
    let command = [
        &[
            "--max-overhead",
            "off",
            "--format",
            "json",
            "--output",
            output,
        ],
        options,
        target,
    ];
    let ended = profiler::run(&command.concat())?.success()?;
    let report: Value = serde_json::from_str(&fs::read_to_string(output)?)?;
    ensure!(
        report["quality"]["operations"]
            .as_u64()
            .is_some_and(|count| count > 0),
        "nothing was traced: {report}"
    );
    end_what_still_runs(&ended.stderr)?;
    nothing_is_missing(&report)
}

fn nothing_is_missing(report: &Value) -> Result<()> {
    for cause in ["lost", "faults", "torn", "truncated"] {
        ensure!(
            report["quality"][cause] == 0,
            "{cause}: {}",
            report["quality"]
        );
    }
    Ok(())
}

/// Ends a command that was still at work when the time was up.
fn end_what_still_runs(stderr: &str) -> Result<()> {
    let pid = stderr
        .lines()
        .find_map(|line| line.strip_prefix("the command still runs, as process "));
    if let Some(pid) = pid {
        let pid: i32 = pid.trim().parse()?;
        // SAFETY: kill has no memory effects; the process is a child of the map-probe that just ended.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
        }
    }
    Ok(())
}
