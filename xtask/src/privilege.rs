//! Root, BPF and uprobes: whether they are there, and how to run as root.

use crate::process::{new_descriptor, on_path};
use anyhow::{Result, bail};
use std::ffi::OsStr;
use std::io::Error;
use std::process::Command;

/// Where the kernel says how to make uprobes, when it can.
const UPROBES: &str = "/sys/bus/event_source/devices/uprobe/type";

/// A command that runs the program as root: itself when we are root, else by sudo.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Result<Command> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Command::new(program));
    }
    if on_path("sudo").is_none() {
        bail!("this needs root, and there is no sudo here: run it as root");
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}

/// An error with the reason unless this process can use eBPF and uprobes.
pub(crate) fn check_kernel() -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the end-to-end tests need root. Run as root, or leave them out with --no-kernel");
    }
    if let Err(error) = create_bpf_map() {
        bail!(
            "this kernel does not let root use BPF here ({error}): a container without CAP_BPF, a seccomp filter, \
             or a kernel without CONFIG_BPF_SYSCALL. Leave the end-to-end tests out with --no-kernel"
        );
    }
    if let Err(error) = std::fs::read(UPROBES) {
        bail!(
            "no uprobes here ({UPROBES}: {error}). Leave the end-to-end tests out with --no-kernel"
        );
    }
    Ok(())
}

/// Makes a BPF map of one element and drops it: the least that BPF has to be able to do.
fn create_bpf_map() -> std::result::Result<(), Error> {
    const BPF_MAP_CREATE: libc::c_int = 0;
    const BPF_MAP_TYPE_ARRAY: u32 = 2;
    // The beginning of the kernel's `union bpf_attr`: map_type, key_size, value_size, max_entries, map_flags.
    let attributes: [u32; 5] = [BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0];
    // SAFETY: the kernel reads `size_of_val(&attributes)` bytes from a live array and writes nothing.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_MAP_CREATE,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    // SAFETY: it is a new descriptor or negative.
    unsafe { new_descriptor(fd) }.map(drop)
}
