//! Go toolchains and the fixtures built with them.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};

/// A Go version that fixtures are built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// The last one with classic maps only.
    V1_23,
    /// The newest, with Swiss maps.
    V1_27,
}

impl Go {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V1_23, Self::V1_27];

    /// The full version, as `go1.23.9` without the `go`.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::V1_23 => "1.23.9",
            Self::V1_27 => "1.27.3",
        }
    }

    /// The map layout that a report names.
    #[must_use]
    pub fn layout(self) -> &'static str {
        match self {
            Self::V1_23 => "classic",
            Self::V1_27 => "swiss",
        }
    }

    /// The `go` command: of the installation that `MAP_PROBE_GO_1_23` or `MAP_PROBE_GO_1_27` names (its root, or the
    /// command itself), else of the one that `cargo xtask` fetched.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn command(self) -> Result<PathBuf> {
        let variable = match self {
            Self::V1_23 => "MAP_PROBE_GO_1_23",
            Self::V1_27 => "MAP_PROBE_GO_1_27",
        };
        let root = match std::env::var_os(variable) {
            Some(path) => PathBuf::from(path),
            None => build_dir().join("go").join(self.version()).join("go"),
        };
        if root.is_file() {
            return Ok(root);
        }
        let command = root.join("bin/go");
        ensure!(
            command.is_file(),
            "no Go {} at {}: `cargo xtask test` fetches it, or set {variable} to an installation's root",
            self.version(),
            command.display()
        );
        Ok(command)
    }
}

/// How a fixture is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As `go build` does.
    Plain,
    /// Without symbol table and DWARF: `-ldflags=-s -w`.
    Stripped,
    /// For 32-bit processors: `GOARCH=386`.
    Bits32,
}

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Stripped => "stripped",
            Self::Bits32 => "386",
        }
    }
}

/// The fixture called `name` (a directory below `fixtures/`), built if need be.
///
/// # Errors
///
/// The toolchain is missing, or the build fails.
pub fn fixture(name: &str, go: Go, variant: Variant) -> Result<PathBuf> {
    let command = go.command()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name);
    let directory = build_dir().join("fixtures");
    fs::create_dir_all(&directory)?;
    let binary = directory.join(format!("{name}-{}-{}", go.version(), variant.name()));

    let _lock = Lock::take(&binary.with_extension("lock"))?;
    if is_newer(&binary, &source)? {
        return Ok(binary);
    }
    let fresh = binary.with_extension("new");
    let mut build = Command::new(&command);
    build
        .current_dir(&source)
        .args(["build", "-trimpath", "-buildvcs=false", "-o"])
        .arg(&fresh)
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env("GOARCH", "amd64")
        .env_remove("GOROOT")
        .env_remove("GOEXPERIMENT");
    if std::env::var_os("GOCACHE").is_none() {
        build.env("GOCACHE", build_dir().join("gocache"));
    }
    match variant {
        Variant::Plain => {}
        Variant::Stripped => {
            build.arg("-ldflags=-s -w");
        }
        Variant::Bits32 => {
            build.env("GOARCH", "386");
        }
    }
    let output = build
        .output()
        .with_context(|| format!("running {}", command.display()))?;
    if !output.status.success() {
        bail!(
            "building {name} failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    fs::rename(&fresh, &binary)?;
    Ok(binary)
}

/// Where this project keeps what it fetches and builds besides cargo's own things: `target/map-probe`.
#[must_use]
pub fn build_dir() -> PathBuf {
    target_dir().join("map-probe")
}

/// Cargo's target directory.
#[must_use]
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}

/// Whether a built file is newer than everything in a source directory.
fn is_newer(built: &Path, source: &Path) -> Result<bool> {
    let Ok(built) = fs::metadata(built) else {
        return Ok(false);
    };
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(source)? {
        newest = newest.max(entry?.metadata()?.modified()?);
    }
    Ok(built.modified()? > newest)
}

/// Tests run in parallel, in threads or processes; one builds and the others wait. Released when dropped.
struct Lock(
    #[expect(
        dead_code,
        reason = "held for its file descriptor, which holds the lock"
    )]
    File,
);

impl Lock {
    fn take(path: &Path) -> Result<Self> {
        let file = File::create(path)?;
        // SAFETY: the descriptor is open for as long as `file` lives.
        let result = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) };
        ensure!(
            result == 0,
            "locking {}: {}",
            path.display(),
            std::io::Error::last_os_error()
        );
        Ok(Self(file))
    }
}
