//! Finding (or building) bpf-linker.

use crate::process::{on_path, read, remove_dir, run, say};
use crate::{debian, workspace};
use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "0.13.0";

/// bpf-linker, and what it says its version is.
#[derive(Debug)]
pub(crate) struct Linker {
    /// The folder it is in.
    pub(crate) dir: PathBuf,
    pub(crate) version: String,
}

/// bpf-linker from PATH or from the build directory, where it is built first if need be, against LLVM of this major version.
pub(crate) fn find(llvm: u32) -> Result<Linker> {
    let tools = workspace::work().join("tools");
    let own = tools.join("bin/bpf-linker");
    let linker = match on_path("bpf-linker") {
        Some(linker) => linker,
        None if own.is_file() => own,
        None => {
            build(llvm, &tools)?;
            own
        }
    };
    let version = read(Command::new(&linker).arg("--version"))?;
    let dir = linker
        .parent()
        .ok_or_else(|| anyhow!("{} is in no folder", linker.display()))?;
    Ok(Linker {
        dir: dir.to_owned(),
        version,
    })
}

/// Builds it against Debian's LLVM of this version, which is installed first if need be.
fn build(llvm: u32, tools: &Path) -> Result<()> {
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let package = format!("llvm-{llvm}-dev");
    let help = || {
        format!(
            "cannot build bpf-linker. It needs the development files of the compiler's LLVM, version {llvm} \
             (on Debian: apt-get install {package}). Or install it yourself: cargo install bpf-linker"
        )
    };
    if !prefix.join("include/llvm-c/Core.h").exists() {
        debian::install(&[&package]).with_context(help)?;
    }
    say(&format!(
        "Building bpf-linker {VERSION} (once; about two minutes)"
    ));
    let build = tools.join("build");
    let mut command = Command::new("cargo");
    command.args([
        "install",
        "bpf-linker",
        "--version",
        VERSION,
        "--locked",
        "--no-default-features",
    ]);
    command
        .args(["--features", &format!("llvm-{llvm}"), "--root"])
        .arg(tools)
        .arg("--target-dir")
        .arg(&build);
    command.env("LLVM_PREFIX", &prefix).env_remove("RUSTFLAGS");
    run(&mut command).with_context(help)?;
    remove_dir(&build)
}
