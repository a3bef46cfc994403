//! A running process: whether it can be looked into, its program, where that is loaded, its memory.
//!
//! Kernel: `Documentation/filesystems/proc.rst`; the words of `/proc/PID/auxv`: `linux/auxvec.h`.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt;

use super::binary::Binary;
use super::error::TargetError;
use super::go::AssumedGo;
use super::leftovers;
use super::libraries::Libraries;
use super::memory::Memory;
use super::places::Places;
use super::procfs::{self, missing};

/// `AT_ENTRY` in `/proc/PID/auxv`: where the kernel says the program starts.
const AT_ENTRY: u64 = 9;
/// `PF_KTHREAD` among the flags in `/proc/PID/stat`.
const PF_KTHREAD: u64 = 0x0020_0000;

/// The most threads that are looked at for one that lives.
const MAX_THREADS: usize = 1 << 16;

/// A process that runs a program: this one program. What it turns into by `exec` is not it any more.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// Where `/proc` has it: that of another thread if its first has ended.
    directory: String,
    exe: String,
    start_time: u64,
    /// Its memory: of no other program that it turns into. Nothing can be read any more then.
    memory: File,
    /// The file it runs, opened once: whatever is read, planned and probed is this one.
    program: File,
    /// Where that begins, once that is known.
    entry: OnceCell<u64>,
}

impl Process {
    /// Looks at the process with this number.
    ///
    /// # Errors
    ///
    /// There is no such process, it runs no program, or it may not be looked into.
    pub fn open(pid: u32) -> Result<Self, TargetError> {
        procfs::check()?;
        let stat = Stat::read(pid)?;
        let mut directory = format!("/proc/{pid}");
        if stat.has_ended() {
            let thread = living_thread(pid).ok_or(TargetError::Zombie { pid })?;
            directory = format!("{directory}/task/{thread}");
        }
        if stat.flags & PF_KTHREAD != 0 {
            return Err(TargetError::KernelThread { pid });
        }
        if let Some(leader) = leader(pid).filter(|leader| *leader != pid) {
            return Err(TargetError::Thread { pid, leader });
        }
        let link = format!("{directory}/exe");
        let exe = fs::read_link(&link).map_err(|source| failed(pid, &link, source))?;
        let program = File::open(&link).map_err(|source| failed(pid, &link, source))?;
        let mem = format!("{directory}/mem");
        let memory = File::open(&mem).map_err(|source| failed(pid, &mem, source))?;
        let process = Self {
            pid,
            directory,
            exe: exe.to_string_lossy().into_owned(),
            start_time: stat.start_time,
            memory,
            program,
            entry: OnceCell::new(),
        };
        process.check_same()?;
        Ok(process)
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its program, by the path that the process itself knows; ` (deleted)` if that is gone.
    #[must_use]
    pub fn exe(&self) -> &str {
        &self.exe
    }

    /// When it started, in clock ticks since boot: with the number, this is one process for all time.
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// The file it runs, even where that was deleted, replaced, or lies in a container.
    #[must_use]
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Whether its first thread has ended while others run.
    #[must_use]
    pub fn has_lost_its_first_thread(&self) -> bool {
        Stat::read(self.pid).is_ok_and(|stat| stat.has_ended()) && living_thread(self.pid).is_some()
    }

    /// Linked addresses of `binary`, this process's program, at which it has a breakpoint that its file has not.
    #[must_use]
    pub fn breakpoints(&self, binary: &Binary, bias: u64) -> Vec<u64> {
        leftovers::find(self.pid, self, binary, bias)
    }

    /// The process that traces it, as debuggers do.
    #[must_use]
    pub fn tracer(&self) -> Option<u32> {
        let status = fs::read_to_string(format!("{}/status", self.directory)).ok()?;
        let mut lines = status.lines();
        let tracer = lines.find_map(|line| line.strip_prefix("TracerPid:"))?;
        tracer.trim().parse().ok().filter(|tracer| *tracer != 0)
    }

    /// Where probes are, to be looked at while they are attached.
    ///
    /// # Errors
    ///
    /// The system gives no more descriptors.
    pub fn places(&self, addresses: Vec<u64>) -> Result<Places, TargetError> {
        let memory = self.memory.try_clone();
        let memory = memory.map_err(|source| failed(self.pid, "its memory", source))?;
        Ok(Places::new(memory, addresses))
    }

    /// The program it runs.
    ///
    /// # Errors
    ///
    /// It ended, or its program is none that can be probed.
    pub fn binary(&self) -> Result<Binary, TargetError> {
        self.binary_assuming(None)
    }

    /// The program it runs, taken for one built by `assumed` where its own version is not known.
    ///
    /// # Errors
    ///
    /// As [`Process::binary`]; and its version is one that it cannot be taken for.
    pub fn binary_assuming(&self, assumed: Option<AssumedGo>) -> Result<Binary, TargetError> {
        let file = self.program.try_clone();
        let file = file.map_err(|source| failed(self.pid, &self.exe, source))?;
        Binary::open_assuming(file, &self.exe, assumed).map_err(|error| match error {
            TargetError::NotGo { path } => match Libraries::of(self.pid, 0).found() {
                [library, ..] => TargetError::GoLibrary {
                    path,
                    library: library.clone(),
                },
                [] => TargetError::NotGo { path },
            },
            other => other,
        })
    }

    /// Whether this process still runs this program: not ended, its number not given to another, and no `exec`.
    #[must_use]
    pub fn is_running(&self) -> bool {
        // For want of descriptors nothing is known: it is not said to have ended for that.
        matches!(self.check_same(), Ok(()) | Err(TargetError::Read { .. }))
    }

    /// What to add to a linked address of `binary`, this process's program, to
    /// get the address in this process.
    ///
    /// It follows from where the kernel says the program starts. Mappings would
    /// have to be matched to the file first, which device and inode do not do on
    /// every file system (btrfs, overlayfs).
    ///
    /// # Errors
    ///
    /// It ended, or no longer runs this program.
    pub fn load_bias(&self, binary: &Binary) -> Result<u64, TargetError> {
        let path = format!("{}/auxv", self.directory);
        let auxv = fs::read(&path).map_err(|source| failed(self.pid, &path, source))?;
        let changed = TargetError::Changed { pid: self.pid };
        let Some(entry) = auxv_entry(&auxv) else {
            return Err(changed);
        };
        let bias = entry.wrapping_sub(binary.entry());
        let fits = bias == 0 || (binary.is_position_independent() && bias % 4096 == 0);
        if !fits || !binary.is_loaded_at(bias, self) {
            return Err(changed);
        }
        self.entry.get_or_init(|| entry);
        self.check_same()?;
        Ok(bias)
    }

    fn check_same(&self) -> Result<(), TargetError> {
        let has_memory = |entry: &u64| self.memory.read_at(&mut [0], *entry).is_ok_and(|n| n > 0);
        let same = match Stat::read(self.pid) {
            Ok(stat) => {
                stat.start_time == self.start_time
                    && (!stat.has_ended() || living_thread(self.pid).is_some())
            }
            Err(error @ TargetError::Read { .. }) => return Err(error),
            Err(_) => false,
        };
        if same && self.entry.get().is_none_or(has_memory) {
            Ok(())
        } else {
            Err(TargetError::Changed { pid: self.pid })
        }
    }
}

impl Memory for Process {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.memory.read_exact_at(buf, address).is_ok()
    }
}

/// Why a file below `/proc/PID` cannot be opened.
fn failed(pid: u32, what: &str, source: io::Error) -> TargetError {
    match source.kind() {
        ErrorKind::PermissionDenied => TargetError::Denied {
            pid,
            what: what.to_owned(),
            source,
        },
        // ESRCH has no kind of its own.
        _ if source.raw_os_error() == Some(libc::ESRCH) => TargetError::Changed { pid },
        ErrorKind::NotFound => TargetError::Changed { pid },
        _ => TargetError::Read {
            path: what.to_owned(),
            source,
        },
    }
}

/// The fields of `/proc/PID/stat` that are used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    state: u8,
    flags: u64,
    start_time: u64,
}

impl Stat {
    /// Whether the process's first thread has.
    fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }

    fn read(pid: u32) -> Result<Self, TargetError> {
        let path = format!("/proc/{pid}/stat");
        match fs::read(&path) {
            Ok(text) => Self::parse(&text).ok_or(TargetError::NoSuchProcess { pid }),
            Err(source) if source.kind() == ErrorKind::NotFound => Err(missing(pid)),
            Err(source) if source.raw_os_error() == Some(libc::ESRCH) => Err(missing(pid)),
            Err(source) => Err(failed(pid, &path, source)),
        }
    }

    /// The second field is the program's name in parentheses, and may hold anything.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let text = str::from_utf8(text.get(end + 1..)?).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        // Counted from the state, which is field 3: flags are field 9, the start time field 22.
        let flags = fields.nth(5)?.parse().ok()?;
        let start_time = fields.nth(12)?.parse().ok()?;
        Some(Self {
            state,
            flags,
            start_time,
        })
    }
}

/// A thread of the process that has not ended, the first one left out.
pub(super) fn living_thread(pid: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let threads = threads.take(MAX_THREADS).filter_map(Result::ok);
    let mut threads = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    threads.find(|thread| {
        let text = fs::read(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or_default();
        *thread != pid && Stat::parse(&text).is_some_and(|stat| !stat.has_ended())
    })
}

/// The process that a thread belongs to.
fn leader(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok()
}

/// `AT_ENTRY` in the auxiliary vector: pairs of words.
pub(super) fn auxv_entry(auxv: &[u8]) -> Option<u64> {
    auxv.chunks_exact(16).find_map(|pair| {
        let (key, value) = pair.split_first_chunk::<8>()?;
        (u64::from_le_bytes(*key) == AT_ENTRY)
            .then(|| value.try_into().ok().map(u64::from_le_bytes))?
    })
}

#[cfg(test)]
mod tests;
