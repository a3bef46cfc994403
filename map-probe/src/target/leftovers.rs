//! Breakpoints that somebody left in a process: a profiler that was killed while it detached, for one.
//!
//! Pages of code that nobody wrote to are the file's; so only those are looked at that have become the process's own
//! (`/proc/PID/pagemap`: Documentation/admin-guide/mm/pagemap.rst).

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::binary::Binary;
use super::memory::Memory;

/// The most breakpoints that are looked for.
const MOST: usize = 4096;
const PAGE: u64 = 4096;
/// Pages whose entries are read at once.
const PAGES: usize = 4096;
/// A page's entry: it is in memory, or in swap; and it is a file's, or shared.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const OF_A_FILE: u64 = 1 << 61;
const BREAKPOINT: u8 = 0xcc;

/// The linked addresses at which process `pid`, with this memory, has a breakpoint and its program's file has none.
pub(super) fn find(pid: u32, memory: &dyn Memory, binary: &Binary, bias: u64) -> Vec<u64> {
    let Ok(map) = File::open(format!("/proc/{pid}/pagemap")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for code in binary.code() {
        let (mut page, end) = (code.start & !(PAGE - 1), code.end);
        while page < end && found.len() < MOST {
            let mut entries = vec![0; PAGES * 8];
            let at = page.wrapping_add(bias) / PAGE * 8;
            let Ok(read) = map.read_at(&mut entries, at) else {
                return found;
            };
            let (entries, _) = entries.get(..read).unwrap_or_default().as_chunks();
            if entries.is_empty() {
                return found;
            }
            for entry in entries {
                let entry = u64::from_le_bytes(*entry);
                if page >= end || found.len() >= MOST {
                    break;
                }
                let own = entry & OF_A_FILE == 0 && entry & (PRESENT | SWAPPED) != 0;
                if own {
                    let (start, end) = (page.max(code.start), end.min(page + PAGE));
                    compare(start, end, memory, binary, bias, &mut found);
                }
                page += PAGE;
            }
        }
    }
    found.truncate(MOST);
    found
}

/// Compares a page, or the part of it that is code.
fn compare(
    start: u64,
    end: u64,
    memory: &dyn Memory,
    binary: &Binary,
    bias: u64,
    found: &mut Vec<u64>,
) {
    let len = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
    let (mut is, mut was) = (vec![0; len], vec![0; len]);
    if !memory.read(start.wrapping_add(bias), &mut is) || !binary.read_code(start, &mut was) {
        return;
    }
    let bytes = is.iter().zip(&was).zip(start..);
    let left = bytes.filter(|((is, was), _)| **is == BREAKPOINT && **was != BREAKPOINT);
    found.extend(left.map(|(_, address)| address));
}
