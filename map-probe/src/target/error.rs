//! What can be wrong with a target, in words for the user: what failed, why, what to do.

use std::io;

use crate::error::shortage;
use crate::privileges::Privileges;

/// Why a binary or a process cannot be probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The file could not be opened or read.
    #[error("cannot read {path}")]
    Read {
        /// The file, as the user knows it.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// Not an ELF file at all.
    #[error("{path} cannot be probed: it is {found}, not an ELF program")]
    NotElf {
        /// The file.
        path: String,
        /// What it is, with its article.
        found: &'static str,
    },
    /// An ELF file of another kind or for another machine.
    #[error(
        "{path} cannot be probed: it is {found}, and only 64-bit x86-64 programs are supported"
    )]
    Foreign {
        /// The file.
        path: String,
        /// What it is: `a 64-bit ELF for aarch64`.
        found: String,
    },
    /// A table or segment lies outside the file, or makes no sense.
    #[error("{path} is truncated or damaged: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// Which part.
        what: &'static str,
    },
    /// Packed with UPX: the Go program only exists unpacked in memory.
    #[error(
        "{path} cannot be probed: it is packed with UPX, so the program's own code is not in the file"
    )]
    Packed {
        /// The file.
        path: String,
    },
    /// An ELF program, but nothing of Go in it.
    #[error(
        "{path} cannot be probed: it is not a Go program (no Go build info, no Go function table)"
    )]
    NotGo {
        /// The file.
        path: String,
    },
    /// Go, but of another compiler.
    #[error(
        "{path} cannot be probed: it was built by gccgo or gollvm, whose runtime has other map functions and tables than the go command's"
    )]
    Gccgo {
        /// The file.
        path: String,
    },
    /// Not a Go program, but with Go code loaded: `-buildmode=c-shared`.
    #[error(
        "{path} cannot be probed: it is not a Go program; the Go library {library} is loaded in it, but only programs can be probed"
    )]
    GoLibrary {
        /// The program's file.
        path: String,
        /// The library, as the process knows it.
        library: String,
    },
    /// A Go program that does not say its version.
    #[error(
        "{path} cannot be probed: it is a Go program, but its build info is missing, so its Go version is unknown"
    )]
    NoBuildInfo {
        /// The file.
        path: String,
    },
    /// A version of Go whose maps are not known here.
    #[error(
        "{path} cannot be probed: it was built by {found}, and the map layouts known here are those of {supported}"
    )]
    Version {
        /// The file.
        path: String,
        /// The version as the binary says it.
        found: String,
        /// The versions that are supported.
        supported: String,
    },
    /// The version that the user said it is like is not one that it can be taken for.
    #[error("{path} cannot be probed as {assumed}: it was built by {found}, {why}")]
    Assumed {
        /// The file.
        path: String,
        /// The version as the binary says it.
        found: String,
        /// The version that was to be assumed.
        assumed: String,
        /// What speaks against it.
        why: &'static str,
    },
    /// The tables are not as the version that was assumed has them.
    #[error(
        "{path} cannot be probed as {assumed}: the tables of its functions and types (pclntab, moduledata) are not where {assumed} has them"
    )]
    NotAsAssumed {
        /// The file.
        path: String,
        /// The version that was assumed.
        assumed: String,
    },
    /// A known version, but built with an experiment that changes maps, or may.
    #[error(
        "{path} cannot be probed: it was built by {version} with GOEXPERIMENT={experiment}, {why}"
    )]
    Experiment {
        /// The file.
        path: String,
        /// The version.
        version: String,
        /// The experiment.
        experiment: String,
        /// Why it matters.
        why: &'static str,
    },
    /// A Go program without the tables that say where its functions and types are.
    #[error(
        "{path} cannot be probed: the tables of its functions and types (pclntab, moduledata) were not found in it"
    )]
    NoTable {
        /// The file.
        path: String,
    },
    /// The Go runtime is in a shared library.
    #[error(
        "{path} cannot be probed: the Go runtime is not in it but in a shared library (-linkshared)"
    )]
    RuntimeElsewhere {
        /// The file.
        path: String,
    },
    /// No process with that number.
    #[error("there is no process {pid}")]
    NoSuchProcess {
        /// The number asked for.
        pid: u32,
    },
    /// There is one with that number, but it is not to be seen.
    #[error("process {pid} is there, but /proc hides it from map-probe")]
    Hidden {
        /// The number asked for.
        pid: u32,
        /// The option of the file system that hides it.
        option: String,
    },
    /// `/proc` is not there, or something else is there.
    #[error("the kernel's file system of processes is not mounted at /proc")]
    NoProc,
    /// `/proc` is there, but not ours.
    #[error(
        "/proc shows the processes of another pid namespace than map-probe's, where numbers mean other processes"
    )]
    OtherNamespace,
    /// The process has ended and waits to be reaped.
    #[error("process {pid} has ended (it is a zombie)")]
    Zombie {
        /// The number asked for.
        pid: u32,
    },
    /// A thread of the kernel: it has no program.
    #[error("process {pid} cannot be probed: it is a kernel thread and runs no program")]
    KernelThread {
        /// The number asked for.
        pid: u32,
    },
    /// A thread's number instead of its process's.
    #[error("{pid} is not a process but a thread of process {leader}")]
    Thread {
        /// The number asked for.
        pid: u32,
        /// The process it belongs to.
        leader: u32,
    },
    /// The process belongs to someone else.
    #[error("not permitted to look into process {pid} ({what})")]
    Denied {
        /// The process.
        pid: u32,
        /// The file that was refused: `/proc/4711/exe`.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// The process ended, or went on to another program, in the meantime.
    #[error("process {pid} ended or started another program while it was being looked at")]
    Changed {
        /// The process.
        pid: u32,
    },
}

impl TargetError {
    /// What the user can do about it, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                if nix::unistd::geteuid().is_root() {
                    "this root may not read it (NFS with root_squash, a security module, a container): run map-probe as the file's owner".into()
                } else {
                    "run map-probe as root (sudo)".into()
                }
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "check the path".into()
            }
            Self::Read { source, .. } => shortage(source)
                .unwrap_or("its file system gives no more: the kernel's log (dmesg) may say why")
                .into(),
            Self::NotElf { .. } | Self::NotGo { .. } => {
                "give the Go program itself, not a script or wrapper that starts it".into()
            }
            Self::Gccgo { .. } => {
                "build it with the go command and its own compiler (go build -compiler gc)".into()
            }
            Self::GoLibrary { .. } => "call the library's code from a Go program, and probe that".into(),
            Self::Foreign { .. } => "build the program with GOOS=linux GOARCH=amd64".into(),
            Self::Damaged { .. } => "copy or build the program again".into(),
            Self::Packed { .. } => "unpack it first: upx -d FILE".into(),
            Self::NoBuildInfo { .. } => {
                "build it with the go command, 1.18 or later, and do not strip the section .go.buildinfo".into()
            }
            Self::Version { supported, .. } => {
                format!("build the program with a released version of {supported}; or, if it was built by a development version whose maps are like a known one's, say which with --assume-go VERSION")
            }
            Self::NotAsAssumed { .. } => "name the version of Go whose sources are nearest to those it was built from; there may be none yet".into(),
            Self::Assumed { .. } => "run map-probe without --assume-go, which is for development versions and newer ones".into(),
            Self::Experiment { experiment, .. } => {
                format!("build the program without GOEXPERIMENT={experiment}")
            }
            Self::NoTable { .. } => {
                "build it with the standard go command and linker, without tools that rewrite the binary (where LLD links it: with -Wl,--apply-dynamic-relocs)".into()
            }
            Self::RuntimeElsewhere { .. } => "build it without -linkshared".into(),
            Self::NoSuchProcess { .. } | Self::Zombie { .. } => {
                "list the running processes with: ps -e".into()
            }
            Self::KernelThread { .. } => "give the number of a Go program".into(),
            Self::Thread { leader, .. } => format!("use --pid {leader}"),
            Self::Denied { pid, .. } => Privileges::now().to_look_into(*pid),
            Self::Hidden { pid, option } => format!(
                "/proc is mounted with {option}; {}; or show it to all: mount -o remount,hidepid=0 /proc",
                Privileges::now().to_look_into(*pid)
            ),
            Self::NoProc => "mount it: mount -t proc proc /proc (in a container, do not hide /proc from map-probe)".into(),
            Self::OtherNamespace => {
                "enter the pid namespace and the mounts of the target together (nsenter --target PID --pid --mount), or mount \
                 map-probe's own /proc: unshare --mount sh -c 'mount -t proc proc /proc; map-probe ...'"
                    .into()
            }
            Self::Changed { .. } => "try again, or let map-probe start it: map-probe -- COMMAND".into(),
        })
    }

    /// The exit status that scripts see: 3 cannot be probed, 4 not permitted, 5 no such process.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 4,
            Self::Read { source, .. } if shortage(source).is_some() => 1,
            Self::Denied { .. } | Self::Hidden { .. } | Self::NoProc | Self::OtherNamespace => 4,
            Self::Assumed { .. } => 2,
            Self::NoSuchProcess { .. }
            | Self::Zombie { .. }
            | Self::Thread { .. }
            | Self::Changed { .. } => 5,
            _ => 3,
        }
    }
}
