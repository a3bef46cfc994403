//! Go code that a process has mapped beside its program: plugins, and libraries of `-buildmode=c-shared`.
//!
//! Each has map functions of its own, even where the program has the same ones (Go: `cmd/link/internal/ld/lib.go`,
//! `-buildmode=plugin`, tried with 1.27).

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Instant;

use super::elf::Image;

/// Sections of which Go's linker makes at least one, in every kind of file that has the runtime in it
/// (Go: `cmd/link/internal/ld/elf.go`, `data.go`, 1.18 to 1.27).
// Go 1.18..1.27 cmd/link/internal/ld/data.go: section .go.buildinfo
// Go 1.18..1.27 cmd/link/internal/ld/elf.go: section .note.go.buildid
// Go 1.18..1.27 cmd/link/internal/ld/elf.go: section .gopclntab
const SECTIONS: [&str; 3] = [".go.buildinfo", ".note.go.buildid", ".gopclntab"];
/// The most that is read of `/proc/PID/maps`: 65,530 mappings, the kernel's own limit, have less.
const MAX_MAPS: u64 = 16 << 20;
/// The most mapped files that are looked at. Programs have a few dozen.
const MAX_FILES: usize = 4096;
/// Looking takes at most one part in so many of the time: a process can have many mappings, and reading the list
/// keeps it from changing them.
const SHARE: u32 = 100;

/// The libraries found so far.
#[derive(Debug)]
pub struct Libraries {
    pid: u32,
    /// Mapped files that have been looked at: device, inode and path, as `maps` has them.
    seen: HashSet<String>,
    found: Vec<String>,
    /// Not before then.
    next: Instant,
}

impl Libraries {
    /// Looks at what a process has mapped now, but for the file at address `program`.
    #[must_use]
    pub fn of(pid: u32, program: u64) -> Self {
        let mut libraries = Self {
            pid,
            seen: HashSet::new(),
            found: Vec::new(),
            next: Instant::now(),
        };
        let text = libraries.maps();
        let mut mappings = text.lines().filter_map(Mapping::parse);
        let program = mappings.find(|mapping| (mapping.start..mapping.end).contains(&program));
        let program = program.map(|mapping| mapping.file.to_owned());
        libraries.seen.extend(program);
        libraries.look();
        libraries
    }

    /// The paths of those with Go code in them, as the process knows them.
    #[must_use]
    pub fn found(&self) -> &[String] {
        &self.found
    }

    /// Whether there were more files than are looked at.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.len() == MAX_FILES
    }

    /// Looks at the files that were mapped since the last time.
    pub fn look(&mut self) {
        let start = Instant::now();
        if start < self.next {
            return;
        }
        let text = self.maps();
        for mapping in text.lines().filter_map(Mapping::parse) {
            if !mapping.executable
                || self.seen.len() == MAX_FILES
                || self.seen.contains(mapping.file)
            {
                continue;
            }
            self.seen.insert(mapping.file.to_owned());
            if self.is_go(&mapping) {
                self.found.push(mapping.path.to_owned());
            }
        }
        self.next = Instant::now() + start.elapsed() * SHARE;
    }

    /// Nothing, if the process has ended.
    fn maps(&self) -> String {
        let mut text = Vec::new();
        let file = File::open(format!("/proc/{}/maps", self.pid));
        // What was read until an error is still true.
        let _ = file.and_then(|file| file.take(MAX_MAPS).read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    }

    fn is_go(&self, mapping: &Mapping<'_>) -> bool {
        let Mapping {
            start, end, path, ..
        } = mapping;
        // The first one opens files that were deleted or replaced, too, but needs more privileges.
        // Not to wait: where the file was, there may be a pipe by now.
        let open = |path| {
            let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
            OpenOptions::new().read(true).custom_flags(flags).open(path)
        };
        let file = open(format!("/proc/{}/map_files/{start:x}-{end:x}", self.pid))
            .or_else(|_| open(format!("/proc/{}/root{path}", self.pid)));
        let image = file.map(|file| Image::open(file, (*path).to_owned()));
        image.is_ok_and(|image| {
            image.is_ok_and(|image| SECTIONS.iter().any(|name| image.section(name).is_some()))
        })
    }
}

/// A line of `/proc/PID/maps` that is about a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapping<'a> {
    start: u64,
    end: u64,
    executable: bool,
    /// Device, inode and path.
    file: &'a str,
    pub(super) path: &'a str,
}

impl<'a> Mapping<'a> {
    /// `start-end permissions offset device inode path`; the path may hold anything but a line's end.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let file = fields.nth(1)?;
        let path = file.get(file.find('/')?..)?;
        Some(Self {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            executable: permissions.contains('x'),
            file,
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_about_files_are_read_with_any_path() {
        let line = "7f00a000-7f00c000 r-xp 00001000 fe:00 4711                       /opt/my lib.so (deleted)";
        let mapping = Mapping::parse(line).expect("valid");
        assert_eq!((mapping.start, mapping.end), (0x7f00_a000, 0x7f00_c000));
        assert!(mapping.executable);
        assert_eq!(mapping.path, "/opt/my lib.so (deleted)");
        assert!(mapping.file.starts_with("fe:00 4711"));
    }

    #[test]
    fn memory_without_a_file_is_none_of_them() {
        assert_eq!(
            Mapping::parse("c000000000-c000400000 rw-p 00000000 00:00 0 "),
            None
        );
        assert_eq!(
            Mapping::parse("7ffd1000-7ffd2000 r-xp 00000000 00:00 0    [vdso]"),
            None
        );
        assert_eq!(Mapping::parse(""), None);
    }

    #[test]
    fn the_c_library_of_this_test_is_no_go_library() {
        let libraries = Libraries::of(std::process::id(), 0);
        assert!(libraries.seen.len() > 1);
        assert!(libraries.found().is_empty());
    }

    #[test]
    fn a_pipe_in_place_of_a_mapped_file_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let pipe = dir.path().join("libapp.so");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("made");
        let path = pipe.to_str().expect("text");
        let line = format!("1000-2000 r-xp 00000000 fe:00 4711 {path}");
        let mapping = Mapping::parse(&line).expect("valid");
        let libraries = Libraries::of(std::process::id(), 0);
        assert!(!libraries.is_go(&mapping));
    }

    proptest! {
        #[test]
        fn any_line_ends_in_an_answer(line in ".*") {
            let _ = Mapping::parse(&line);
        }
    }
}
