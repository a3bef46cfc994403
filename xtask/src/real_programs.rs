//! The programs that `cargo xtask test --full` verifies beside the oracle (`docs/real-programs.md`): Debian's and npm's,
//! fetched by the ordinary package clients and unpacked below the build directory; nothing is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use crate::process::{on_path, run, say};
use crate::{tools, workspace};

/// Debian packages and the program of each.
const DEBIAN: [(&str, &str); 3] = [
    ("prometheus", "prometheus"),
    ("caddy", "caddy"),
    ("etcd-server", "etcd"),
];

/// Releases of esbuild and the npm package of each for this platform: built by Go 1.18, 1.19, 1.20 and 1.23.
const ESBUILD: [(&str, &str); 4] = [
    ("0.14.38", "esbuild-linux-64"),
    ("0.16.17", "@esbuild/linux-x64"),
    ("0.21.5", "@esbuild/linux-x64"),
    ("0.24.2", "@esbuild/linux-x64"),
];

/// Fetches what is not there yet. What cannot be fetched is said; its tests then say that they were left out.
pub(crate) fn fetch() {
    let debian = DEBIAN.map(|(package, program)| (package, debian(package, program)));
    let npm = ESBUILD.map(|(version, package)| ("esbuild", esbuild(version, package)));
    let typescript = ("typescript", tools::typescript().map(|_| ()));
    for (name, fetched) in debian.into_iter().chain(npm).chain([typescript]) {
        if let Err(error) = fetched {
            say(&format!("{name} is not verified: {error:#}"));
        }
    }
}

fn debian(package: &str, program: &str) -> Result<()> {
    let home = workspace::work().join("debs");
    let places = [
        Path::new("/usr/bin").join(program),
        home.join("usr/bin").join(program),
    ];
    if places.iter().any(|place| place.is_file()) {
        return Ok(());
    }
    let apt = client("apt-get")?;
    say(&format!("Fetching Debian's {package} (once)"));
    std::fs::create_dir_all(&home)?;
    let download = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(&home)?;
    // apt drops its rights for downloads where it can.
    run(Command::new(apt).current_dir(&download).args([
        "-qq",
        "-o",
        "APT::Sandbox::User=root",
        "download",
        package,
    ]))
    .with_context(|| format!("apt-get cannot download {package} (`apt-get update` first?)"))?;
    let deb = tools::only_file(download.path())?;
    run(Command::new(client("dpkg")?).arg("-x").arg(deb).arg(&home))
}

fn esbuild(version: &str, package: &str) -> Result<()> {
    let home = workspace::work().join("esbuild").join(version);
    let program = home.join("node_modules").join(package).join("bin/esbuild");
    if program.is_file() {
        return Ok(());
    }
    let npm = client("npm")?;
    say(&format!("Fetching esbuild {version} by npm (once)"));
    std::fs::create_dir_all(&home)?;
    run(Command::new(npm)
        .args(["install", "--no-audit", "--no-fund", "--silent"])
        .args(["--ignore-scripts", "--prefix"])
        .arg(&home)
        .arg(format!("{package}@{version}")))
}

fn client(name: &str) -> Result<PathBuf> {
    on_path(name).ok_or_else(|| anyhow!("there is no {name} here"))
}
