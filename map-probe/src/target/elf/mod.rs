//! The target's file: an ELF program for x86-64, read by the addresses it is linked at.
//!
//! Every read is a `pread` of a bounded range into memory of our own. A mapping
//! would turn a file that shrinks under us (a linker writing it anew) into a
//! SIGBUS; of a 90 MB binary only its function table and types are wanted, and
//! reading those takes a few milliseconds.

mod headers;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::error::TargetError;
use super::memory::{self, Memory, Region};

use headers::{Headers, Segment};

/// Bytes that a scan of the file holds at a time.
const BLOCK: usize = 1 << 20;

/// How much of a file is searched at most, all searches together. Of a program that says what it is by its sections
/// next to nothing is searched, of others its data and constants once; of tables of lines some KiB for each call site.
const MAX_SEARCH: u64 = 16 << 30;

/// An ELF program for x86-64 whose segments all lie within its file.
#[derive(Debug)]
pub(crate) struct Image {
    source: Source,
    headers: Headers,
    /// What may still be searched, in bytes.
    searchable: AtomicU64,
}

/// A file, the name that messages call it by, and its length when it was opened.
#[derive(Debug)]
struct Source {
    file: File,
    path: String,
    length: u64,
}

impl Source {
    fn open(file: File, path: String) -> Result<Self, TargetError> {
        match file.metadata() {
            Err(source) => Err(TargetError::Read { path, source }),
            Ok(metadata) if metadata.is_dir() => Err(TargetError::NotElf {
                path,
                found: "a directory",
            }),
            Ok(metadata) if !metadata.is_file() => Err(TargetError::NotElf {
                path,
                found: "a device, pipe or socket",
            }),
            Ok(metadata) => Ok(Self {
                length: metadata.len(),
                file,
                path,
            }),
        }
    }

    fn damaged(&self, what: &'static str) -> TargetError {
        TargetError::Damaged {
            path: self.path.clone(),
            what,
        }
    }

    /// Refuses a range that does not lie within the file, with `what` as the reason.
    fn check(&self, offset: u64, len: u64, what: &'static str) -> Result<(), TargetError> {
        match offset.checked_add(len) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(self.damaged(what)),
        }
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), TargetError> {
        self.file
            .read_exact_at(buf, offset)
            .map_err(|source| TargetError::Read {
                path: self.path.clone(),
                source,
            })
    }

    /// The first bytes of the file, at most `limit` of them.
    fn head(&self, limit: usize) -> Result<Vec<u8>, TargetError> {
        let len = usize::try_from(self.length).unwrap_or(limit).min(limit);
        let mut bytes = vec![0; len];
        self.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

impl Image {
    /// Reads the headers of `file`; `path` is what messages call it.
    pub(crate) fn open(file: File, path: String) -> Result<Self, TargetError> {
        let source = Source::open(file, path)?;
        let headers = Headers::read(&source)?;
        Ok(Self {
            source,
            headers,
            searchable: AtomicU64::new(MAX_SEARCH),
        })
    }

    /// What messages call the file.
    pub(crate) fn path(&self) -> String {
        self.source.path.clone()
    }

    /// The error that says which part of the file makes no sense.
    pub(crate) fn damaged(&self, what: &'static str) -> TargetError {
        self.source.damaged(what)
    }

    /// Whether the kernel chooses where the program is loaded.
    pub(crate) fn is_position_independent(&self) -> bool {
        self.headers.position_independent
    }

    /// Linked address of the first instruction.
    pub(crate) fn entry(&self) -> u64 {
        self.headers.entry
    }

    /// The loaded segments.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.headers.segments
    }

    /// Linked addresses of the section with this name, if it is loaded from the file.
    pub(crate) fn section(&self, name: &str) -> Option<Range<u64>> {
        let mut sections = self.headers.sections.iter();
        let section = sections.find(|section| section.name == name.as_bytes())?;
        section.addresses.clone()
    }

    /// Whether it has a section with this name, loaded or not.
    pub(crate) fn has_section(&self, name: &str) -> bool {
        let mut sections = self.headers.sections.iter();
        sections.any(|section| section.name == name.as_bytes())
    }

    /// The segment whose bytes in the file cover the address.
    pub(crate) fn segment_of(&self, address: u64) -> Option<&Segment> {
        let mut segments = self.headers.segments.iter();
        segments.find(|segment| segment.addresses.contains(&address))
    }

    /// Where the byte at a linked address lies in the file.
    pub(crate) fn file_offset(&self, address: u64) -> Option<u64> {
        let segment = self.segment_of(address)?;
        Some(segment.offset + (address - segment.addresses.start))
    }

    /// The bytes between two linked addresses of one segment, if there are at most `limit`.
    pub(crate) fn region(&self, addresses: &Range<u64>, limit: usize) -> Option<Region> {
        let start = addresses.start;
        let len = addresses.end.checked_sub(start)?;
        // Asked first, so that an absurd range costs no memory.
        if len > self.segment_of(start)?.addresses.end - start {
            return None;
        }
        let bytes = memory::bytes(self, start, len, limit)?;
        Some(Region { start, bytes })
    }

    /// Whether the file begins as UPX leaves it: its mark lies behind the program headers.
    pub(crate) fn is_packed(&self) -> bool {
        let head = self.source.head(4096).unwrap_or_default();
        head.windows(4).any(|bytes| bytes == b"UPX!")
    }

    /// As [`Memory::read`], for reads whose number is up to the file: in all they are bounded.
    pub(crate) fn search(&self, address: u64, buf: &mut [u8]) -> bool {
        let left = |searchable: u64| searchable.checked_sub(buf.len() as u64);
        let within = self.searchable.fetch_update(Relaxed, Relaxed, left);
        within.is_ok() && self.read(address, buf)
    }

    /// Shows `look` the `window` bytes at every address of a range of one segment
    /// that is a multiple of `step`, until it breaks off with a result.
    pub(crate) fn scan<T>(
        &self,
        addresses: &Range<u64>,
        step: u32,
        window: usize,
        mut look: impl FnMut(u64, &[u8]) -> ControlFlow<T>,
    ) -> Option<T> {
        let mut at = addresses.start.checked_next_multiple_of(step.into())?;
        let end = addresses.end;
        let mut block = vec![0; BLOCK + window];
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let bytes = block.get_mut(..left.min(BLOCK + window))?;
            if !self.search(at, bytes) {
                return None;
            }
            let windows = bytes.windows(window).enumerate().take(BLOCK);
            for (index, bytes) in windows.step_by(step as usize) {
                if let ControlFlow::Break(result) = look(at + index as u64, bytes) {
                    return Some(result);
                }
            }
            at = at.checked_add(BLOCK as u64)?;
        }
        None
    }
}

impl Memory for Image {
    /// By linked address, within one segment's bytes in the file.
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        let Some(segment) = self.segment_of(address) else {
            return false;
        };
        let inside = address - segment.addresses.start;
        segment.addresses.end - address >= buf.len() as u64
            && self.source.read_at(segment.offset + inside, buf).is_ok()
    }
}
