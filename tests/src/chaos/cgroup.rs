//! A cgroup for a map-probe, whose processes can be killed all at once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A cgroup of version 2. Removed when dropped.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one, if this machine has version 2 and its `cgroup.kill`.
    ///
    /// # Errors
    ///
    /// It has not.
    pub fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mut mounts = mounts.lines().map(|line| line.split(' '));
        let root = mounts.find_map(|mut words| {
            let place = words.nth(1)?;
            (words.next() == Some("cgroup2")).then(|| PathBuf::from(place))
        });
        let root = root.context("no file system of type cgroup2 is mounted")?;
        let group = Self(root.join(format!("map-probe-chaos-{}", std::process::id())));
        fs::create_dir_all(&group.0).context("cannot make a cgroup")?;
        // Since Linux 5.14.
        fs::metadata(group.0.join("cgroup.kill")).context("no cgroup.kill")?;
        Ok(group)
    }

    /// The file that takes the processes that shall be in it.
    #[must_use]
    pub fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Kills everything in it.
    ///
    /// # Errors
    ///
    /// The kernel refuses.
    pub fn kill(&self) -> Result<()> {
        fs::write(self.0.join("cgroup.kill"), "1").context("cgroup.kill")
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Whatever is still in it would keep it; it goes with the machine.
        let _ = fs::remove_dir(&self.0);
    }
}
