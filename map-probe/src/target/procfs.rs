//! Whether `/proc` shows what map-probe looks for there, and why not.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use nix::unistd::Pid;

use super::error::TargetError;

/// Whether `/proc` is there, with the processes of our own pid namespace: in that of another, a number is another process's.
pub(super) fn check() -> Result<(), TargetError> {
    if !statfs("/proc").is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC) {
        return Err(TargetError::NoProc);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let here = fs::read_link("/proc/self").unwrap_or_default();
    if is_ours(&here, std::process::id(), &status) {
        Ok(())
    } else {
        Err(TargetError::OtherNamespace)
    }
}

/// Whether `/proc/self` is us by our own number, and by that alone (`NSpid` has those of all namespaces below `/proc`'s).
fn is_ours(link: &Path, pid: u32, status: &str) -> bool {
    let mut lines = status.lines();
    let numbers = lines.find_map(|line| line.strip_prefix("NSpid:"));
    let only = numbers.is_none_or(|numbers| numbers.split_ascii_whitespace().count() == 1);
    only && link == Path::new(&pid.to_string())
}

/// Why there is no `/proc/PID`: there is no such process, or it is none of our business (`hidepid`).
pub(super) fn missing(pid: u32) -> TargetError {
    let number = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    let asked = number.map(|pid| kill(Pid::from_raw(pid), None));
    let directory = format!("/proc/{pid}");
    // One that started a moment ago is there by now.
    let is_hidden = matches!(asked, Some(Ok(()) | Err(Errno::EPERM)))
        && fs::metadata(directory).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    if !is_hidden {
        return TargetError::NoSuchProcess { pid };
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let option = hidepid(&mounts).unwrap_or("hidepid").to_owned();
    TargetError::Hidden { pid, option }
}

/// The option of `/proc` that hides processes: of what was mounted there last.
fn hidepid(mounts: &str) -> Option<&str> {
    let last = mounts.lines().rev().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        (fields.next() == Some("/proc")).then(|| fields.nth(1))?
    })?;
    last.split(',')
        .find(|option| option.starts_with("hidepid="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_proc_is_told_from_those_of_other_namespaces() {
        check().expect("our own");
        let status = "Name:\tx\nNSpid:\t4711\n";
        assert!(is_ours(Path::new("4711"), 4711, status));
        assert!(is_ours(Path::new("4711"), 4711, ""), "without namespaces");
        // A namespace that we are not in, one above ours, and one above ours where we have the same number.
        assert!(!is_ours(Path::new(""), 4711, ""));
        assert!(!is_ours(Path::new("4711"), 7, "NSpid:\t4711\t7\n"));
        assert!(!is_ours(Path::new("7"), 7, "NSpid:\t7\t7\n"));
    }

    #[test]
    fn the_option_is_that_of_the_last_mount() {
        let mounts = "proc /proc proc rw,hidepid=1 0 0\nsysfs /sys sysfs rw 0 0\n\
                      none /proc proc rw,relatime,hidepid=invisible 0 0\n";
        assert_eq!(hidepid(mounts), Some("hidepid=invisible"));
        assert_eq!(hidepid("proc /proc proc rw 0 0\n"), None);
        assert_eq!(hidepid(""), None);
    }
}
