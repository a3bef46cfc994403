//! A large Go program, if it is installed: terraform (90 MB), waiting for input.

use crate::process::on_path;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// `terraform console`. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Terraform {
    child: Child,
    /// Its program's file.
    pub(super) binary: PathBuf,
    _directory: TempDir,
}

impl Terraform {
    /// Starts it; the reason if there is none to start.
    pub(super) fn start() -> Result<Result<Self, &'static str>> {
        let Some(binary) = on_path("terraform") else {
            return Ok(Err("terraform is not installed"));
        };
        let directory = tempfile::tempdir()?;
        let child = Command::new(&binary)
            .arg("console")
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start terraform")?;
        let mut terraform = Self {
            child,
            binary,
            _directory: directory,
        };
        // Long enough to have started and to be waiting.
        std::thread::sleep(Duration::from_secs(2));
        Ok(match terraform.child.try_wait()? {
            Some(_) => Err("`terraform console` ended at once"),
            None => Ok(terraform),
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Terraform {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to do about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
