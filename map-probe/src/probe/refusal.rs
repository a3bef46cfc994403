//! Why the kernel refuses, in the user's words.

use std::io;

use crate::error::{Failure, Status, system_failure};
use crate::privileges::Privileges;

/// A map could not be created: the first thing that an unprivileged user is refused.
pub(super) fn not_created(error: aya::maps::MapError) -> Failure {
    match error {
        aya::maps::MapError::CreateError { io_error, .. } => {
            not_permitted("create its tables in the kernel", io_error)
        }
        other => internal(other),
    }
}

/// A `bpf(2)` call failed: for want of permission, or of something in the kernel.
pub(super) fn not_permitted(what: &str, error: io::Error) -> Failure {
    let message = format!("map-probe may not {what}");
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            Failure::new(Status::NotPermitted, message)
                .caused_by(error)
                .hint(Privileges::now().to_trace())
        }
        Some(libc::ENOSYS) => Failure::new(Status::NotPermitted, message)
            .caused_by(error)
            .hint("this kernel has no bpf(2): use one built with CONFIG_BPF_SYSCALL"),
        // Unknown to it: an attach type, a link type, or a flag.
        Some(libc::EINVAL | libc::E2BIG | libc::EOPNOTSUPP) => {
            let kernel = nix::sys::utsname::uname()
                .map(|name| name.release().to_string_lossy().into_owned())
                .unwrap_or_default();
            Failure::new(
                Status::NotPermitted,
                format!("this kernel ({kernel}) does not let map-probe {what}"),
            )
            .caused_by(error)
            .hint("Linux 6.0 or later is needed, with CONFIG_BPF_EVENTS and CONFIG_UPROBE_EVENTS")
        }
        Some(NOT_SUPPORTED) => Failure::new(
            Status::NotPermitted,
            format!("this kernel does not let map-probe {what}: it cannot probe one of these instructions"),
        )
        .caused_by(error)
        .hint("--mode sample needs no probes; please report it, with the output of `map-probe sites BINARY`"),
        // The verifier's way to say that a signal is pending: it was asked many times.
        Some(libc::EAGAIN | libc::EINTR) => {
            Failure::new(Status::Internal, format!("cannot {what}"))
                .caused_by(error)
                .hint("signals kept interrupting it: try again")
        }
        _ => system_failure(format!("cannot {what}"), error),
    }
}

/// Probes could not be attached to a process.
pub(super) fn not_attached(pid: u32, error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT | libc::EBADF) => Failure::new(
            Status::NoProcess,
            format!("process {pid} ended before the probes were in place"),
        )
        .caused_by(error)
        .hint("start it anew under map-probe: map-probe -- COMMAND"),
        _ => not_permitted("attach probes", error),
    }
}

/// `ENOTSUPP`, which the kernel does not mean to let out: uprobes refuse an instruction with it.
const NOT_SUPPORTED: i32 = 524;

/// The kernel's file system of events cannot be used, which kernels without links of uprobes need.
pub(super) fn no_tracefs(error: io::Error) -> Failure {
    let message =
        "map-probe may not define events of uprobes, which this kernel needs to attach probes";
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "run it as root (sudo): only from Linux 6.6 on, which attaches probes without events, are a few capabilities enough"
        }
        _ => {
            "use a kernel with CONFIG_UPROBE_EVENTS; in a container, mount tracefs: \
             mount -t tracefs tracefs /sys/kernel/tracing"
        }
    };
    Failure::new(Status::NotPermitted, message)
        .caused_by(error)
        .hint(hint)
}

/// Whether this kernel is older than the first that has what map-probe needs (distributions may have added it to an
/// older one, so it only explains a refusal), and its release.
pub(super) fn too_old() -> Option<String> {
    let name = nix::sys::utsname::uname().ok()?;
    let release = name.release().to_str()?;
    is_older(release, (6, 0)).then(|| release.to_owned())
}

/// Whether a release like `6.1.0-56-cloud-amd64` comes before a version.
fn is_older(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < version,
        _ => false,
    }
}

/// A failure that nobody but a developer of map-probe can mend, unless the system lacks something.
pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    system_failure("cannot load map-probe's kernel side", error)
}

/// How many CPUs there can be is in a file of the kernel's.
pub(super) fn no_cpus(path: &str, error: io::Error) -> Failure {
    let message = format!("cannot tell how many CPUs there are: {path} cannot be read");
    let failure = Failure::new(Status::NotPermitted, message).caused_by(error);
    failure
        .hint("mount sysfs: mount -t sysfs sysfs /sys (in a container, do not hide /sys from it)")
}

/// The embedded object is not the one this program was written for.
#[derive(Debug, thiserror::Error)]
#[error("the kernel side has no {0}")]
pub(super) struct Missing(pub(super) String);

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(failure: &Failure) -> String {
        let mut out = Vec::new();
        failure.explain(&mut out).expect("memory can be written to");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_cause_has_its_own_words() {
        let causes = [
            (libc::EMFILE, "ulimit -n", Status::Internal),
            (libc::ENFILE, "fs.file-max", Status::Internal),
            (libc::ENOMEM, "memory.max", Status::Internal),
            (libc::ENOSPC, "no room", Status::Internal),
            (libc::EAGAIN, "signals", Status::Internal),
            (NOT_SUPPORTED, "--mode sample", Status::NotPermitted),
            (libc::EPERM, "map-probe", Status::NotPermitted),
            (libc::EIO, "please report it", Status::Internal),
        ];
        for (errno, words, status) in causes {
            let failure = not_permitted("attach probes", io::Error::from_raw_os_error(errno));
            assert_eq!(failure.status(), status, "{errno}");
            assert!(
                explained(&failure).contains(words),
                "{}",
                explained(&failure)
            );
        }
    }

    #[test]
    fn a_release_is_compared_by_its_first_two_numbers() {
        for (release, older) in [
            ("5.10.0-32-cloud-amd64", true),
            ("5.19.0-50-generic", true),
            ("6.0.12", false),
            ("6.1.0-56-cloud-amd64", false),
            ("6.12.117+deb12-cloud-amd64", false),
            ("7.3-cloud-amd64", false),
            ("unknown", false),
        ] {
            assert_eq!(is_older(release, (6, 0)), older, "{release}");
        }
    }
}
