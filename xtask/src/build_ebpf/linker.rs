//! Finding (or building) bpf-linker.

use crate::process::{on_path, read, run, say};
use crate::workspace;
use anyhow::{Context, Result, anyhow};
use std::path::PathBuf;
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

fn build(llvm: u32, tools: &std::path::Path) -> Result<()> {
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{llvm}"));
    let mut command = Command::new("cargo");
    command
        .args([
            "install",
            "bpf-linker",
            "--version",
            VERSION,
            "--locked",
            "--root",
        ])
        .arg(tools);
    // A folder of its own outside of the workspace's, and none of the flags meant for the workspace.
    command
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .env_remove("RUSTFLAGS");
    if prefix.join("include/llvm-c/Core.h").is_file() {
        command.env("LLVM_PREFIX", &prefix).args([
            "--no-default-features",
            "--features",
            &format!("llvm-{llvm}"),
        ]);
    }
    say(&format!(
        "Building bpf-linker {VERSION} (once; about two minutes)"
    ));
    run(&mut command).with_context(|| {
        format!(
            "cannot build bpf-linker: it needs LLVM {llvm}'s development files, the version the compiler uses \
             (on Debian: apt-get install llvm-{llvm}-dev). Or install it yourself: cargo install bpf-linker"
        )
    })?;
    crate::process::remove_dir(&tools.join("build"))
}
