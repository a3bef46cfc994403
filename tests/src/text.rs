//! A process's code, held against its file: whether anything is in it that was not there when it was built.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// An executable mapping of the process's own file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    length: u64,
    offset: u64,
}

/// The addresses at which a process's code is not as in its file.
///
/// # Errors
///
/// The process is gone, or has no code of its own file.
pub fn changed(pid: u32) -> Result<BTreeSet<u64>> {
    let at = |name: &str| format!("/proc/{pid}/{name}");
    let exe = fs::read_link(at("exe")).context("the process is gone")?;
    let maps = fs::read_to_string(at("maps"))?;
    // Of what is mapped, not of what has its path by now.
    let file = File::open(at("exe"))?;
    let memory = File::open(at("mem"))?;
    let mappings = mappings(&maps, exe.to_str().context("a path that is not UTF-8")?);
    ensure!(
        !mappings.is_empty(),
        "{} is nowhere in process {pid}",
        exe.display()
    );
    let mut addresses = BTreeSet::new();
    for mapping in mappings {
        let mut built = vec![0; usize::try_from(mapping.length)?];
        let mut found = built.clone();
        // The mapping's last page goes beyond the file's end.
        let there = read_up_to(&file, &mut built, mapping.offset)?;
        memory.read_exact_at(&mut found[..there], mapping.start)?;
        let bytes = found[..there].iter().zip(&built).zip(mapping.start..);
        let changed = bytes.filter(|((found, built), _)| found != built);
        addresses.extend(changed.map(|(_, address)| address));
    }
    Ok(addresses)
}

/// Waits until nothing but `known` is changed; what else still is when patience ends.
///
/// # Errors
///
/// As [`changed`].
pub fn wait_unchanged(
    pid: u32,
    known: &BTreeSet<u64>,
    patience: Duration,
) -> Result<BTreeSet<u64>> {
    let deadline = Instant::now() + patience;
    loop {
        let new: BTreeSet<_> = changed(pid)?.difference(known).copied().collect();
        if new.is_empty() || Instant::now() > deadline {
            return Ok(new);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Demands that a process's code is as in its file, within ten seconds.
///
/// # Errors
///
/// It is not.
pub fn expect_unchanged(pid: u32) -> Result<()> {
    let changed = wait_unchanged(pid, &BTreeSet::new(), Duration::from_secs(10))?;
    ensure!(
        changed.is_empty(),
        "{} bytes of code are not as in the file, at {:x?}",
        changed.len(),
        changed.iter().take(8).collect::<Vec<_>>()
    );
    Ok(())
}

/// Waits until probes are in a process's code.
///
/// # Errors
///
/// There are none in time.
pub fn wait_changed(pid: u32, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    while changed(pid)?.is_empty() {
        ensure!(Instant::now() < deadline, "no probes after {patience:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(filled)
}

fn mappings(maps: &str, exe: &str) -> Vec<Mapping> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let mapping = |line: &str| {
        // Addresses, rights, offset, device, inode, path.
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let executable = words.next()?.contains('x');
        let offset = number(words.next()?)?;
        let start = number(start)?;
        (executable && line.ends_with(exe)).then_some(Mapping {
            start,
            length: number(end)? - start,
            offset,
        })
    };
    maps.lines().filter_map(mapping).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_mappings_of_the_file_are_found_in_it() {
        let maps = "00400000-00401000 r--p 00000000 fe:00 12   /tmp/a b\n\
                    00401000-00500000 r-xp 00001000 fe:00 12   /tmp/a b\n\
                    7f0000000000-7f0000001000 r-xp 00000000 fe:00 13   /lib/c\n";
        let expected = Mapping {
            start: 0x40_1000,
            length: 0xf_f000,
            offset: 0x1000,
        };
        assert_eq!(mappings(maps, "/tmp/a b"), [expected]);
    }

    #[test]
    fn nothing_is_changed_in_this_program() {
        assert_eq!(
            changed(std::process::id()).expect("readable"),
            BTreeSet::new()
        );
    }
}
