//! Which process it is, for the kernel side.

use std::fs;
use std::os::linux::fs::MetadataExt as _;

use map_probe_common::lives::Identity;

use super::process::living_thread;
use crate::error::{Failure, Status};

/// Which process it is, in its own pid namespace: the only one in which the kernel side can ask for it.
///
/// # Errors
/// It ended, or may not be looked into.
pub fn identity(pid: u32) -> Result<Identity, Failure> {
    let mut namespace = fs::metadata(format!("/proc/{pid}/ns/pid"));
    if let (Err(_), Some(thread)) = (&namespace, living_thread(pid)) {
        // A thread that has ended is in no namespace.
        namespace = fs::metadata(format!("/proc/{pid}/task/{thread}/ns/pid"));
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    let (namespace, status) = match (namespace, status) {
        (Ok(namespace), Ok(status)) => (namespace, status),
        (Err(error), _) | (_, Err(error)) => {
            return Err(Failure::new(
                Status::NoProcess,
                format!("the pid namespace of process {pid} cannot be seen"),
            )
            .caused_by(error)
            .hint("it ended, or map-probe needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"));
        }
    };
    Ok(Identity {
        // As the kernel numbers devices inside.
        namespace_device: u64::from(libc::major(namespace.st_dev())) << 20
            | u64::from(libc::minor(namespace.st_dev())),
        namespace_inode: namespace.st_ino(),
        pid: u64::from(innermost_pid(&status).unwrap_or(pid)),
    })
}

/// A line like `NSpid: 4711 12` has the ids from our namespace down to the process's own.
fn innermost_pid(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_id_in_its_own_namespace() {
        assert_eq!(innermost_pid("Name:\tapp\nNSpid:\t4711\t12\n"), Some(12));
        assert_eq!(innermost_pid("NSpid:\t4711\n"), Some(4711));
        assert_eq!(innermost_pid("Name:\tapp\n"), None);
    }
}
