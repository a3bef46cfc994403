//! The kernel's file system of events: defines an event that happens at each of several places in a file.
//!
//! Documentation/trace/uprobetracer.rst; several places for one event: Linux 5.5.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use super::perf::new_descriptor;

/// Where it is mounted, if it is (Documentation/trace/ftrace.rst).
const MOUNTED: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const DEFINITIONS: &str = "uprobe_events";
/// How the groups of our events begin; the process that defined it follows.
const GROUP: &str = "map_probe_";
const NAME: &str = "sites";

/// An event that was defined here. Dropping it removes it again, unless somebody uses it.
#[derive(Debug)]
pub(super) struct Event {
    definitions: File,
    group: String,
    /// The number by which it is opened.
    pub(super) id: u64,
}

impl Event {
    /// An event that happens when the code at one of these offsets of a file is reached.
    pub(super) fn define(
        tracefs: Tracefs,
        path: &str,
        offsets: impl Iterator<Item = u64>,
    ) -> io::Result<Self> {
        let root = tracefs.mount.root();
        let Tracefs {
            mount: _mounted,
            definitions,
        } = tracefs;
        remove_leftovers(&definitions, &root);
        let random = RandomState::new().hash_one(path) as u32;
        let group = format!("{GROUP}{}_{random:08x}", std::process::id());
        let mut event = Self {
            definitions,
            group,
            id: 0,
        };
        for offset in offsets {
            let group = &event.group;
            command(
                &event.definitions,
                &format!("p:{group}/{NAME} {path}:{offset:#x}"),
            )?;
        }
        let id = root.join("events").join(&event.group).join(NAME).join("id");
        event.id = fs::read_to_string(id)?
            .trim()
            .parse()
            .map_err(io::Error::other)?;
        Ok(event)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // If it was not defined, there is nothing to remove.
        let _ = command(&self.definitions, &format!("-:{}/{NAME}", self.group));
    }
}

fn command(mut definitions: &File, line: &str) -> io::Result<()> {
    definitions.write_all(format!("{line}\n").as_bytes())
}

/// Removes the events of processes of ours that were killed. Nothing is trapped for them, but they keep their files' file
/// system busy.
fn remove_leftovers(definitions: &File, root: &Path) {
    let Ok(list) = fs::read_to_string(root.join(DEFINITIONS)) else {
        return;
    };
    for event in leftovers(&list, |pid| !Path::new(&format!("/proc/{pid}")).exists()) {
        // Of a process in another namespace, which uses it: then it stays.
        let _ = command(definitions, &format!("-:{event}"));
    }
}

/// Events of ours in a list of definitions, each once, whose process has ended.
fn leftovers(list: &str, ended: impl Fn(u32) -> bool) -> Vec<&str> {
    let mut events: Vec<_> = list
        .lines()
        .filter_map(|line| line.strip_prefix("p:")?.split_whitespace().next())
        .filter(|event| {
            let rest = event.strip_prefix(GROUP);
            let pid = rest.and_then(|rest| rest.split_once('_')?.0.parse().ok());
            pid.is_some_and(&ended)
        })
        .collect();
    events.dedup();
    events
}

/// Its files.
pub(super) struct Tracefs {
    mount: Mount,
    /// Each definition is appended, and written by itself: the file takes commands.
    definitions: File,
}

enum Mount {
    At(&'static str),
    /// Of our own, and in nobody's tree of files.
    Detached(OwnedFd),
}

impl Tracefs {
    /// Opens it where it is mounted, or else mounts it for us alone.
    pub(super) fn open() -> io::Result<Self> {
        for path in MOUNTED {
            match open_definitions(Path::new(path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    return opened.map(|definitions| Self {
                        mount: Mount::At(path),
                        definitions,
                    });
                }
            }
        }
        let mount = Mount::Detached(mount()?);
        Ok(Self {
            definitions: open_definitions(&mount.root())?,
            mount,
        })
    }
}

impl Mount {
    fn root(&self) -> PathBuf {
        match self {
            Self::At(path) => PathBuf::from(path),
            Self::Detached(mount) => format!("/proc/self/fd/{}", mount.as_raw_fd()).into(),
        }
    }
}

fn open_definitions(root: &Path) -> io::Result<File> {
    let path = root.join(DEFINITIONS);
    OpenOptions::new().append(true).open(path)
}

/// Mounts it nowhere (Linux 5.2).
fn mount() -> io::Result<OwnedFd> {
    /// `FSOPEN_CLOEXEC` and `FSMOUNT_CLOEXEC` (`linux/mount.h`).
    const CLOSE_ON_EXEC: libc::c_uint = 1;
    /// `FSCONFIG_CMD_CREATE`.
    const CREATE: libc::c_uint = 6;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the name outlives the call.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, c"tracefs".as_ptr(), CLOSE_ON_EXEC) };
    // SAFETY: what it returned is a new descriptor or negative.
    let context = unsafe { new_descriptor(context) }?;
    let fd = context.as_raw_fd();
    // SAFETY: the command takes neither key nor value.
    if unsafe { libc::syscall(libc::SYS_fsconfig, fd, CREATE, null, null, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it takes numbers.
    let mount = unsafe { libc::syscall(libc::SYS_fsmount, fd, CLOSE_ON_EXEC, 0) };
    // SAFETY: what it returned is a new descriptor or negative.
    unsafe { new_descriptor(mount) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_events_of_processes_that_ended_are_left_over() {
        let list = "p:map_probe_7_0a/sites /proc/8/exe:0x0000000000001000\n\
                    p:map_probe_7_0a/sites /proc/8/exe:0x0000000000002000\n\
                    p:map_probe_9_0b/sites /proc/8/exe:0x0000000000001000\n\
                    p:map_probe_x/sites /bin/a:0x10\n\
                    r:map_probe_7_0c/sites /bin/a:0x10\n\
                    p:other/sites /bin/a:0x10\n";
        assert_eq!(leftovers(list, |pid| pid == 7), ["map_probe_7_0a/sites"]);
        assert_eq!(leftovers(list, |_| false), [""; 0]);
    }
}
