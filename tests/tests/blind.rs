//! Targets in whose memory probes would be nowhere, and such as only look so.

use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::exact;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler;
use map_probe_tests::selfcheck::SelfCheck;
use map_probe_tests::target::Target;

/// An overlay file system, unmounted when dropped.
struct Overlay(PathBuf);

impl Overlay {
    /// Mounts one below a folder; its lower layer is the folder `lower`.
    fn mount(directory: &Path) -> std::io::Result<Self> {
        for part in ["lower", "upper", "work", "merged"] {
            fs::create_dir_all(directory.join(part))?;
        }
        let at = |part: &str| directory.join(part).display().to_string();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower"),
            at("upper"),
            at("work")
        );
        let merged = directory.join("merged");
        let place = CString::new(merged.as_os_str().as_bytes())?;
        let options = CString::new(options)?;
        // SAFETY: all strings are alive, and end with a zero.
        let result = unsafe {
            libc::mount(
                c"overlay".as_ptr(),
                place.as_ptr(),
                c"overlay".as_ptr(),
                0,
                options.as_ptr().cast(),
            )
        };
        if result != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self(merged))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        if let Ok(place) = CString::new(self.0.as_os_str().as_bytes()) {
            // SAFETY: the string is alive, and ends with a zero.
            unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) };
        }
    }
}

/// Nothing is attached, and what works instead is named, whatever was asked for.
fn refused(pid: &str) -> Result<()> {
    for bound in ["off", "1%"] {
        let options = ["--max-overhead", bound, "--duration", "1s", "--pid", pid];
        let ended = profiler::run(&options)?;
        ensure!(
            !ended.status.success(),
            "{bound}: probes that are nowhere are no error:\n{}\n{}",
            ended.stdout,
            ended.stderr
        );
        ensure!(
            ended.stderr.contains("hint:") && ended.stderr.contains("--mode sample"),
            "{bound}: what works is not named:\n{}",
            ended.stderr
        );
        ensure!(
            !ended
                .stderr
                .lines()
                .any(|line| line.starts_with("attached")),
            "{bound}: nothing is attached:\n{}",
            ended.stderr
        );
    }
    let options = ["--mode", "sample", "--duration", "500ms", "--pid", pid];
    profiler::run(&options)?
        .success()
        .context("what is said to work")?;
    Ok(())
}

#[test]
fn a_program_that_an_overlay_copied_up_is_refused() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    fs::create_dir_all(directory.path().join("lower"))?;
    let binary = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    fs::copy(&binary, directory.path().join("lower/oracle"))?;
    let overlay = match Overlay::mount(directory.path()) {
        Ok(overlay) => overlay,
        Err(error) => {
            writeln!(
                std::io::stderr(),
                "ignored: no overlay can be mounted here: {error}"
            )?;
            return Ok(());
        }
    };
    let path = overlay.0.join("oracle");
    let mut target = Target::start(&path, &[])?;
    // The running program keeps the lower file; its path is that of the copy from now on.
    std::os::unix::fs::chown(&path, Some(1), Some(1))?;
    refused(&target.pid())?;
    target.begin()?;
    target.wait_done()?;
    target.finish()?;
    Ok(())
}

#[test]
fn code_that_was_moved_to_anonymous_memory_is_refused() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    for go in [Go::V1_23, Go::V1_27] {
        let binary = go::fixture("moved", go, Variant::Cgo)?;
        let mut target = SelfCheck::start(&binary, &directory.path().join("errors"))?;
        refused(&target.pid().to_string())?;
        ensure!(target.end()?.success(), "the target did not end well");
    }
    Ok(())
}

/// Its path says that it was deleted, and never was anywhere.
#[test]
fn a_program_in_memory_alone_is_counted_exactly() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let bytes = fs::read(go::fixture("oracle", go, Variant::Plain)?)?;
        // SAFETY: the name is alive, and ends with a zero.
        let number = unsafe { libc::memfd_create(c"oracle".as_ptr(), 0) };
        ensure!(
            number >= 0,
            "memfd_create: {}",
            std::io::Error::last_os_error()
        );
        // SAFETY: it has just been made, for us.
        let mut file = fs::File::from(unsafe { OwnedFd::from_raw_fd(number) });
        file.write_all(&bytes)?;
        let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let target = Target::spawn(command.args(["-wait", "-hold"]))?;
        let pid = target.pid();
        exact::process(go, target, &pid, || Ok(()))?;
    }
    Ok(())
}
