//! Finding (or installing) a Rust toolchain that can build for eBPF: nightly features and the sources of `core`.

use crate::debian;
use crate::process::{on_path, read};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's packages of a recent compiler and its sources.
const DEBIAN: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// Where Debian puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Where Debian puts its cargo: the second is hidden from PATH when another package owns the first.
const DEBIAN_CARGO: [&str; 2] = ["/usr/bin/cargo", "/usr/share/cargo/bin/cargo"];

/// The workspace's edition and `rust-version` need at least 1.88.
const OLDEST_MINOR: u32 = 88;

/// A toolchain that can build for eBPF.
#[derive(Debug, Clone)]
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// The folder with the sources of `core`: `<sysroot>/lib/rustlib/src/rust`.
    pub(crate) rust_src: PathBuf,
    /// What `rustc --version` says.
    pub(crate) version: String,
    /// Major version of the compiler's LLVM; bpf-linker has to be built against the same or a newer one.
    pub(crate) llvm: u32,
}

/// The toolchain to use; one with the wanted version, when there is a choice. Installs Debian's when there is none.
pub(crate) fn find(wanted: Option<&str>) -> Result<Toolchain> {
    let mut found = all();
    if found.is_empty() {
        install()?;
        found = all();
    }
    let same = found
        .iter()
        .position(|toolchain| Some(toolchain.version.as_str()) == wanted);
    if found.is_empty() {
        bail!(
            "there is still no eBPF-capable toolchain after installing {}",
            DEBIAN.join(" ")
        );
    }
    Ok(found.swap_remove(same.unwrap_or(0)))
}

fn all() -> Vec<Toolchain> {
    [rustup_nightly(), debians()]
        .into_iter()
        .flatten()
        .collect()
}

fn rustup_nightly() -> Option<Toolchain> {
    on_path("rustup")?;
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .env("RUSTUP_AUTO_INSTALL", "0");
    let bin = PathBuf::from(read(&mut command).ok()?).join("bin");
    at(bin.join("cargo"), bin.join("rustc"))
}

fn debians() -> Option<Toolchain> {
    let cargo = DEBIAN_CARGO
        .iter()
        .map(PathBuf::from)
        .find(|cargo| cargo.is_file())?;
    at(cargo, PathBuf::from(DEBIAN_RUSTC))
}

/// The toolchain of this cargo and rustc, if it is new enough and has the sources of `core`.
fn at(cargo: PathBuf, rustc: PathBuf) -> Option<Toolchain> {
    let sysroot = read(Command::new(&rustc).args(["--print", "sysroot"])).ok()?;
    let rust_src = Path::new(&sysroot).join("lib/rustlib/src/rust");
    if !cargo.is_file() || !rust_src.join("library/Cargo.lock").is_file() {
        return None;
    }
    let verbose = read(Command::new(&rustc).arg("-vV")).ok()?;
    let (version, minor, llvm) = versions(&verbose)?;
    (minor >= OLDEST_MINOR).then_some(Toolchain {
        cargo,
        rustc,
        rust_src,
        version,
        llvm,
    })
}

/// The version line, Rust's minor version and LLVM's major version out of `rustc -vV`.
fn versions(verbose: &str) -> Option<(String, u32, u32)> {
    let value = |key: &str| {
        verbose
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
    };
    let minor = value("release")?
        .strip_prefix("1.")?
        .split('.')
        .next()?
        .parse()
        .ok()?;
    let llvm = value("LLVM version")?.split('.').next()?.parse().ok()?;
    Some((verbose.lines().next()?.to_owned(), minor, llvm))
}

/// Installs Debian's toolchain, or says what to install.
fn install() -> Result<()> {
    debian::install(&DEBIAN).with_context(|| {
        format!(
            "no Rust toolchain here can build for eBPF. Install one of\n  \
             - a nightly with sources: rustup toolchain install nightly --component rust-src\n  \
             - on Debian: apt-get install {}\nIt was not installed for you",
            DEBIAN.join(" ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_rustc_says_about_itself() {
        let verbose = "rustc 1.96.0 (ac68faa20 2026-05-25)\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8";
        let (version, minor, llvm) = versions(verbose).expect("all three are there");
        assert_eq!(
            (version.as_str(), minor, llvm),
            ("rustc 1.96.0 (ac68faa20 2026-05-25)", 96, 22)
        );
    }

    #[test]
    fn a_compiler_that_does_not_name_its_llvm_is_not_used() {
        assert_eq!(versions("rustc 1.96.0\nrelease: 1.96.0"), None);
    }
}
