//! Children that a process forks and that run on in a copy of its memory: not those that run another program at once.

use std::fs;
use std::os::linux::fs::MetadataExt as _;

/// The most children that are named.
const MOST: usize = 16;
/// The most threads whose children are looked at.
const MAX_THREADS: usize = 4096;

/// Children of a process.
#[derive(Debug, Default)]
pub struct Forks {
    /// How many times more they are looked for: right after a fork, a child may still be about to run another program.
    looks: u8,
    found: Vec<u32>,
}

impl Forks {
    /// There is a new one.
    pub fn expect(&mut self) {
        self.looks = 2;
    }

    /// Those found so far, by their process ids.
    #[must_use]
    pub fn found(&self) -> &[u32] {
        &self.found
    }

    /// Looks for new ones, if there may be any: children that run the same file as process `pid`.
    pub fn look(&mut self, pid: u32) -> Vec<u32> {
        if self.looks == 0 {
            return Vec::new();
        }
        self.looks -= 1;
        let Some(ours) = program(pid) else {
            return Vec::new();
        };
        let is_new = |child: &u32| !self.found.contains(child) && program(*child) == Some(ours);
        let mut new: Vec<_> = children(pid).into_iter().filter(is_new).collect();
        new.truncate(MOST.saturating_sub(self.found.len()));
        self.found.extend(&new);
        new
    }
}

/// The file that a process runs: its device and inode.
fn program(pid: u32) -> Option<(u64, u64)> {
    let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
    Some((file.st_dev(), file.st_ino()))
}

/// Its children, of all its threads (`CONFIG_PROC_CHILDREN`; none without that).
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().take(MAX_THREADS).flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<_> = lists.collect();
    let children = lists.iter().flat_map(|list| list.split_ascii_whitespace());
    children.filter_map(|child| child.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_that_runs_another_program_is_not_one_that_runs_on() {
        let mut other = Command::new("sleep").arg("60").spawn().expect("started");
        let me = std::process::id();
        assert!(children(me).contains(&other.id()));
        let mut forks = Forks::default();
        forks.expect();
        assert_eq!(forks.look(me), [0_u32; 0]);
        other.kill().expect("ended");
        other.wait().expect("ended");
    }
}
