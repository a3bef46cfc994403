//! `cargo xtask build-ebpf`: from `map-probe-ebpf` to the object that is committed and embedded in `map-probe`.

mod digest;
mod linker;
mod object;
mod toolchain;

use crate::process::{print, run as run_command, say};
use crate::workspace;
use ::object::{Object as _, ObjectSection as _};
use anyhow::{Context, Result, anyhow, bail};
use linker::Linker;
use object::Note;
use std::path::PathBuf;
use std::process::Command;
use toolchain::Toolchain;

/// The committed object, relative to the workspace.
const OBJECT: &str = "map-probe/ebpf/map-probe.bpf.o";

const STALE: &str = "the eBPF object is stale: its sources have changed since it was built. \
                     Run `cargo xtask build-ebpf` and commit the object";

/// Options of `cargo xtask build-ebpf`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rebuild and compare with the committed object instead of replacing it.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Builds the object and writes it to its place, or compares it with what is there.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Building the kernel side. Needs: a Rust nightly with rust-src, or Debian's rustc-web; and bpf-linker.",
    );
    let place = workspace::root().join(OBJECT);
    let committed = std::fs::read(&place).ok();
    let note = committed
        .as_deref()
        .and_then(|bytes| object::read(bytes).ok());
    let toolchain = toolchain::find(note.as_ref().map(|note| note.rustc.as_str()))?;
    let linker = linker::find(toolchain.llvm)?;
    say(&format!(
        "Using {} and {}",
        toolchain.version, linker.version
    ));

    let sources = digest::of_sources(workspace::root())?;
    let output = compile(&toolchain, &linker)?;
    let made = Note {
        sources,
        rustc: toolchain.version,
        linker: linker.version,
    };
    let built = object::finish(&output, &made)?;
    if args.check {
        let committed = committed.ok_or_else(|| anyhow!("there is no {OBJECT} to compare with"))?;
        return compare(&committed, &built, &made);
    }
    if let Some(dir) = place.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(&place, &built).with_context(|| format!("cannot write {}", place.display()))?;
    print(&format!(
        "{OBJECT}: {} bytes, from sources {}",
        built.len(),
        made.sources
    ));
    Ok(())
}

/// Compiles and links the kernel side; the linker's output.
fn compile(toolchain: &Toolchain, linker: &Linker) -> Result<Vec<u8>> {
    let target_dir = workspace::work().join("ebpf");
    // Fetch first: the registry's folders have to be there to be listed in the flags.
    run_command(cargo(toolchain, linker).args(["fetch", "--locked", "--quiet"]))?;
    let prefixes = local_prefixes(toolchain)?;
    let mut build = cargo(toolchain, linker);
    build.env("CARGO_ENCODED_RUSTFLAGS", flags(&prefixes).join("\x1f"));
    build.args([
        "build",
        "--locked",
        "--release",
        "-Zbuild-std=core",
        "--target=bpfel-unknown-none",
    ]);
    build
        .args([
            "--package=map-probe-ebpf",
            "--bin=map-probe",
            "--target-dir",
        ])
        .arg(&target_dir);
    run_command(&mut build)?;

    let output = target_dir.join("bpfel-unknown-none/release/map-probe");
    std::fs::read(&output).with_context(|| format!("cannot read {}", output.display()))
}

/// Cargo with this compiler and linker, whatever toolchain runs this very task.
fn cargo(toolchain: &Toolchain, linker: &Linker) -> Command {
    let mut path = vec![linker.dir.clone()];
    path.extend(
        std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths),
    );
    let mut command = Command::new(&toolchain.cargo);
    command.current_dir(workspace::root());
    for name in [
        "RUSTUP_TOOLCHAIN",
        "CARGO",
        "RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    if let Ok(path) = std::env::join_paths(path) {
        command.env("PATH", path);
    }
    // -Z options on Debian's compiler, which is a stable one.
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", &toolchain.rustc);
    command
}

/// Folders of this machine that must not show in the object, and what to call them there.
fn local_prefixes(toolchain: &Toolchain) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut prefixes = vec![
        (workspace::root().to_owned(), "/map-probe"),
        (toolchain.rust_src.clone(), "/rust"),
    ];
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
        .ok_or_else(|| anyhow!("neither CARGO_HOME nor HOME is set"))?;
    let registries = home.join("registry/src");
    let entries = std::fs::read_dir(&registries)
        .with_context(|| format!("cannot list {}", registries.display()))?;
    for entry in entries {
        prefixes.push((entry?.path(), "/registry"));
    }
    prefixes.sort();
    Ok(prefixes)
}

/// The compiler's flags.
fn flags(prefixes: &[(PathBuf, &str)]) -> Vec<String> {
    let mut flags: Vec<String> = [
        // BTF is made from debug information, and the kernel needs it for callbacks (`bpf_loop`).
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
        // Without it memory is cleared and copied by calls, byte by byte: slow, and too many steps for the verifier.
        "-Clink-arg=--disable-expand-memcpy-in-order",
        // v3 has 32-bit arithmetic and jumps (Linux 5.1) and the atomic exchanges (5.12); v4 would need Linux 6.6.
        "-Ctarget-cpu=v3",
        "-Cpanic=abort",
        // The probed programs' registers are amd64's.
        "--cfg=bpf_target_arch=\"x86_64\"",
    ]
    .map(str::to_owned)
    .to_vec();
    flags.extend(
        prefixes
            .iter()
            .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display())),
    );
    flags
}

/// Succeeds if the two objects are equal; else tells how they differ.
fn compare(committed: &[u8], built: &[u8], made: &Note) -> Result<()> {
    let note = object::read(committed).context(OBJECT)?;
    if committed == built {
        print(&format!(
            "{OBJECT} is what its sources build to ({})",
            made.rustc
        ));
        return Ok(());
    }
    if note.sources != made.sources {
        bail!(STALE);
    }
    for line in differences(committed, built)? {
        print(&line);
    }
    if (&note.rustc, &note.linker) == (&made.rustc, &made.linker) {
        bail!("{OBJECT} differs from what its sources build to with the same compiler and linker");
    }
    bail!(
        "{OBJECT} was built from these sources by another compiler or linker ({}, {}); this is {}, {}: \
         a byte-for-byte comparison needs the same",
        note.rustc,
        note.linker,
        made.rustc,
        made.linker
    )
}

/// One line for each section that is not in both objects with the same content.
fn differences(committed: &[u8], built: &[u8]) -> Result<Vec<String>> {
    let sections = |bytes: &'_ [u8]| -> Result<Vec<(String, Vec<u8>)>> {
        let file = ::object::File::parse(bytes)?;
        file.sections()
            .map(|section| Ok((section.name()?.to_owned(), section.data()?.to_vec())))
            .collect()
    };
    let (old, new) = (sections(committed)?, sections(built)?);
    let size = |list: &[(String, Vec<u8>)], name: &str| {
        let found = list.iter().find(|(other, _)| other == name);
        found.map_or_else(
            || "absent".to_owned(),
            |(_, data)| format!("{} bytes", data.len()),
        )
    };
    let mut names: Vec<&String> = old
        .iter()
        .filter(|section| !new.contains(section))
        .chain(new.iter().filter(|section| !old.contains(section)))
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names.dedup();
    Ok(names
        .into_iter()
        .map(|name| {
            format!(
                "  {name}: committed {}, built {}",
                size(&old, name),
                size(&new, name)
            )
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// An error unless the committed object is intact and was built from the sources as they are.
    fn check_fresh(root: &Path) -> Result<()> {
        let place = root.join(OBJECT);
        let bytes =
            std::fs::read(&place).with_context(|| format!("cannot read {}", place.display()))?;
        let note = object::read(&bytes).context(OBJECT)?;
        if note.sources != digest::of_sources(root)? {
            bail!(STALE);
        }
        Ok(())
    }

    #[test]
    fn the_committed_object_is_intact_and_built_from_the_sources_as_they_are() {
        check_fresh(workspace::root()).expect("run `cargo xtask build-ebpf` and commit the object");
    }

    #[test]
    fn a_tree_without_the_object_is_not_fresh() {
        let error = check_fresh(Path::new("/nonexistent")).expect_err("nothing is there");
        assert!(
            format!("{error:#}").contains("map-probe.bpf.o"),
            "{error:#}"
        );
    }

    #[test]
    fn folders_of_this_machine_are_renamed_in_the_object() {
        let flags = flags(&[(PathBuf::from("/some/where"), "/map-probe")]);
        assert!(flags.contains(&"--remap-path-prefix=/some/where=/map-probe".to_owned()));
    }
}
