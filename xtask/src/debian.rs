//! Installing packages where that is possible without asking: as root on Debian and its kin.

use crate::process::{on_path, run, say};
use anyhow::{Result, bail};
use std::process::Command;

/// Installs the packages; an error, before anything is tried, unless we are root and there is apt.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if on_path("apt-get").is_none() {
        bail!("there is no apt-get here");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("only root can install packages");
    }
    say(&format!("Installing {}", packages.join(" ")));
    run(apt_get().arg("update"))?;
    run(apt_get()
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
    command
}
