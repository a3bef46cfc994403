//! Probes that are not in what the process runs: what was attached counts nothing, and must not be called exact.

use std::fs;

use crate::error::{Failure, Status};
use crate::target::{Places, Process, Seen};

/// Whether probes that should be attached are in what the process runs.
///
/// # Errors
/// They are not: it ended, runs another program, or its code is not that of the file.
pub(crate) fn check(places: &Places, pid: u32) -> Result<(), Failure> {
    match places.look() {
        Seen::Probes => Ok(()),
        Seen::Nothing => Err(Failure::new(
            Status::NoProcess,
            format!("process {pid} ended, or runs another program now"),
        )
        .hint("start it anew under map-probe: map-probe -- COMMAND")),
        Seen::Blind(address) => Err(blind(pid, address)),
    }
}

fn blind(pid: u32, address: u64) -> Failure {
    if Process::open(pid).is_ok_and(|process| process.has_lost_its_first_thread()) {
        return first_thread_ended(pid);
    }
    let cause = match mapping(pid, address) {
        Some(line) if line.split_ascii_whitespace().nth(4) == Some("0") => {
            "its code was moved to anonymous memory, as programs do that ask for huge pages"
        }
        Some(_) => {
            "it runs another copy of its file, as where overlayfs has copied it since the process started"
        }
        None => "its code is not mapped where the file has it",
    };
    Failure::new(
        Status::NotProbeable,
        format!(
            "process {pid} does not pass its probes: there is none in its memory at {address:#x}"
        ),
    )
    .caused_by(cause)
    .hint("sample it instead, which needs no probes: --mode sample; or restart it, and attach then")
}

/// The kernel tells processes apart by their first thread, where it attaches probes.
pub(super) fn first_thread_ended(pid: u32) -> Failure {
    Failure::new(
        Status::NotProbeable,
        format!("process {pid} cannot be traced: its first thread has ended while others run"),
    )
    .caused_by("the kernel attaches probes by a process's first thread")
    .hint("sample it instead, which needs no probes: --mode sample")
}

/// The line of `/proc/PID/maps` about an address.
fn mapping(pid: u32, address: u64) -> Option<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let has = |line: &&str| {
        let range = line
            .split_once(' ')
            .and_then(|(range, _)| range.split_once('-'));
        let hex = |text| u64::from_str_radix(text, 16).ok();
        range.is_some_and(|(start, end)| {
            hex(start).is_some_and(|start| start <= address)
                && hex(end).is_some_and(|end| address < end)
        })
    };
    maps.lines().find(has).map(str::to_owned)
}
