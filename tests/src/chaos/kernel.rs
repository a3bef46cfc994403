//! What a run leaves in the kernel: BPF objects, definitions of uprobes, words in its log.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};

/// Commands of bpf(2) (`linux/bpf.h`).
const PROG_GET_NEXT_ID: i32 = 11;
const MAP_GET_NEXT_ID: i32 = 12;
const PROG_GET_FD_BY_ID: i32 = 13;
const MAP_GET_FD_BY_ID: i32 = 14;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const LINK_GET_FD_BY_ID: i32 = 30;
const LINK_GET_NEXT_ID: i32 = 31;

/// Where `struct bpf_prog_info` and `struct bpf_map_info` have their names, and `struct bpf_link_info` its program.
const PROG_NAME: usize = 64;
const MAP_NAME: usize = 24;
const LINK_PROGRAM: usize = 8;

/// Beginnings of the names of map-probe's programs.
const PROGRAMS: [&str; 3] = ["map_probe", "map_sample", "empty"];

/// Objects of map-probe's in the kernel, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Attached programs.
    pub links: BTreeSet<u32>,
    /// Programs.
    pub programs: BTreeSet<u32>,
    /// Tables.
    pub maps: BTreeSet<u32>,
}

impl Objects {
    /// All that there are, whoever made them.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn now() -> Result<Self> {
        let named = |info: &[u8; INFO], at: usize| {
            let name = &info[at..at + 16];
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(16);
            String::from_utf8_lossy(&name[..end]).into_owned()
        };
        let programs = ids(PROG_GET_NEXT_ID, PROG_GET_FD_BY_ID, |info| {
            let name = named(info, PROG_NAME);
            PROGRAMS.iter().any(|ours| name.starts_with(ours))
        })?;
        Ok(Self {
            links: ids(LINK_GET_NEXT_ID, LINK_GET_FD_BY_ID, |info| {
                let bytes = info[LINK_PROGRAM..LINK_PROGRAM + 4].try_into();
                bytes.is_ok_and(|bytes| programs.contains(&u32::from_ne_bytes(bytes)))
            })?,
            // Such names are rarely anybody else's.
            maps: ids(MAP_GET_NEXT_ID, MAP_GET_FD_BY_ID, |info| {
                let name = named(info, MAP_NAME);
                let ours = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
                !name.is_empty() && name.bytes().all(ours)
            })?,
            programs,
        })
    }

    /// Those that were not there before.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let new = |now: &BTreeSet<u32>, before| now.difference(before).copied().collect();
        Self {
            links: new(&self.links, &before.links),
            programs: new(&self.programs, &before.programs),
            maps: new(&self.maps, &before.maps),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// As much of an object's description as is read.
const INFO: usize = 256;

/// The ids of all objects of one kind whose description is wanted.
fn ids(next: i32, open: i32, wanted: impl Fn(&[u8; INFO]) -> bool) -> Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    let mut id = 0;
    loop {
        // `start_id`, which comes back as `next_id` behind it.
        let mut attributes = [0_u32; 4];
        attributes[0] = id;
        if let Err(error) = bpf(next, &mut attributes) {
            return match error.raw_os_error() {
                Some(libc::ENOENT) => Ok(found),
                _ => Err(error).context("listing BPF objects"),
            };
        }
        id = attributes[1];
        let mut attributes = [id, 0, 0, 0];
        // It may just have gone.
        let Ok(number) = bpf(open, &mut attributes) else {
            continue;
        };
        // SAFETY: the kernel has just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        let mut info = [0_u8; INFO];
        let address = info.as_mut_ptr() as u64;
        let mut attributes = [
            number.cast_unsigned(),
            INFO as u32,
            address as u32,
            (address >> 32) as u32,
        ];
        let described = bpf(OBJ_GET_INFO_BY_FD, &mut attributes);
        drop(fd);
        if described.is_ok() && wanted(&info) {
            found.insert(id);
        }
    }
}

fn bpf(command: i32, attributes: &mut [u32; 4]) -> std::io::Result<i32> {
    // SAFETY: the kernel reads and writes no more of the attributes than their size, and of what they point to no more than
    // they say; both are alive.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes.as_mut_ptr(),
            size_of_val(attributes),
        )
    };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// How many definitions of uprobes in tracefs are map-probe's.
#[must_use]
pub fn definitions() -> usize {
    let places = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
    let texts = places.map(|place| fs::read_to_string(format!("{place}/uprobe_events")));
    let text = texts.into_iter().find_map(Result::ok).unwrap_or_default();
    let ours = |line: &&str| line.contains("map_probe") || line.contains("map-probe");
    text.lines().filter(ours).count()
}

/// The kernel's log from now on.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// Remembers where it ends.
    ///
    /// # Errors
    ///
    /// It is not to be read.
    pub fn open() -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let mut file = options.open("/dev/kmsg").context("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// What it says of breakpoints that were left in a target, since the last time.
    pub fn leaks(&mut self) -> Vec<String> {
        let mut record = [0; 8192];
        let mut leaks = Vec::new();
        loop {
            match self.0.read(&mut record) {
                Ok(length @ 1..) => {
                    let text = String::from_utf8_lossy(&record[..length]);
                    if text.contains("leaking uprobe") {
                        leaks.push(text.trim().to_owned());
                    }
                }
                // Records were overwritten before they were read: the next read is of what is there.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                _ => return leaks,
            }
        }
    }
}
