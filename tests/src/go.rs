//! Go toolchains and the fixtures built with them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail, ensure};

/// What the oracle calls all map types of generic code in one, with [`Go::uses_shapes`].
pub const SHAPES: &str = "map[go.shape]";

/// A Go toolchain that fixtures are built with, and how its maps are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Go {
    version: &'static str,
    experiment: Option<&'static str>,
    layout: &'static str,
    /// What its programs say instead of its version.
    stamp: Option<&'static str>,
}

impl Go {
    /// Debian's.
    pub const V1_19: Self = Self::classic("1.19.8");
    /// An older release of Go 1.23.
    pub const V1_23_1: Self = Self::classic("1.23.1");
    /// An older release of Go 1.24.
    pub const V1_24_3: Self = Self::swiss("1.24.3");
    /// The first release of Go 1.25.
    pub const V1_25_0: Self = Self::swiss("1.25.0");
    /// The first release of Go 1.26.
    pub const V1_26_0: Self = Self::swiss("1.26.0");
    /// The first release of Go 1.27.
    pub const V1_27_0: Self = Self::swiss("1.27.0");
    /// The first one with `clear`.
    pub const V1_21: Self = Self::classic("1.21.13");
    /// Classic maps.
    pub const V1_22: Self = Self::classic("1.22.10");
    /// The last one with classic maps only.
    pub const V1_23: Self = Self::classic("1.23.9");
    /// The first one with Swiss maps.
    pub const V1_24: Self = Self::swiss("1.24.11");
    /// Swiss maps that prune tombstones.
    pub const V1_25: Self = Self::swiss("1.25.5");
    /// Swiss maps; the direct-interface bit has moved.
    pub const V1_26: Self = Self::swiss("1.26.6");
    /// The newest, with Swiss maps.
    pub const V1_27: Self = Self::swiss("1.27.3");
    /// Go 1.24 whose `sync.Map` is one of Go's maps, as before.
    pub const V1_24_SYNC_MAP: Self = Self::V1_24.with("nosynchashtriemap");
    /// Go 1.24 with classic maps.
    pub const V1_24_CLASSIC: Self = Self::classic("1.24.11").with("noswissmap");
    /// Go 1.25 with classic maps.
    pub const V1_25_CLASSIC: Self = Self::classic("1.25.5").with("noswissmap");
    /// Go 1.27 with all keys of a group before all elements.
    pub const V1_27_SPLIT: Self = Self {
        layout: "swiss-split",
        ..Self::V1_27.with("mapsplitgroup")
    };

    /// Go 1.27 that hashes with vector instructions, in place.
    pub const V1_27_SIMD: Self = Self::V1_27.with("simd");
    /// Go 1.27 whose programs say that they are of a development version, which no release's number tells anything of.
    pub const DEVELOPMENT: Self = Self::V1_27.stamped();

    const fn classic(version: &'static str) -> Self {
        Self {
            version,
            experiment: None,
            layout: "classic",
            stamp: None,
        }
    }

    const fn swiss(version: &'static str) -> Self {
        Self {
            version,
            experiment: None,
            layout: "swiss",
            stamp: None,
        }
    }

    const fn with(self, experiment: &'static str) -> Self {
        Self {
            experiment: Some(experiment),
            ..self
        }
    }

    /// The same toolchain, whose programs say that they are of a development version.
    #[must_use]
    pub const fn stamped(self) -> Self {
        Self {
            stamp: Some("devel go1.28-1a2b3c4d5e"),
            ..self
        }
    }

    /// The full version, as `go1.23.9` without the `go`.
    #[must_use]
    pub fn version(self) -> &'static str {
        self.version
    }

    /// The version that its programs are reported with: as they say it, without experiments.
    #[must_use]
    pub fn reported_version(self) -> String {
        match self.stamp {
            None => format!("go{}", self.version),
            Some(stamp) => stamp.to_owned(),
        }
    }

    /// The minor version whose map layout map-probe has to be told to assume: `1.27`.
    #[must_use]
    pub fn assumed(self) -> Option<&'static str> {
        let (minor, _) = self.version.rsplit_once('.')?;
        self.stamp.map(|_| minor)
    }

    /// The experiment that its programs are built with.
    #[must_use]
    pub fn experiment(self) -> Option<&'static str> {
        self.experiment
    }

    /// What `runtime.Version` says: with the experiment, if there is one.
    #[must_use]
    pub fn runtime_version(self) -> String {
        match self.experiment {
            None => self.reported_version(),
            // The separator changed in 1.26.
            Some(experiment) if self.version.starts_with("1.27") => {
                format!("go{}-X:{experiment}", self.version)
            }
            Some(experiment) => format!("go{} X:{experiment}", self.version),
        }
    }

    /// The map layout that a report names.
    #[must_use]
    pub fn layout(self) -> &'static str {
        self.layout
    }

    /// Whether generic code hands the runtime the map type of its shape, which several types share: the report names
    /// that one, and the oracle sums them all up as [`SHAPES`].
    #[must_use]
    pub fn uses_shapes(self) -> bool {
        self.version.starts_with("1.19.")
    }

    /// Whether its maps have buckets with overflow chains.
    #[must_use]
    pub fn is_classic(self) -> bool {
        self.layout == "classic"
    }

    /// The `go` command: of the installation that `MAP_PROBE_GO_1_23` (`MAP_PROBE_GO_1_27`, ...) names (its root, or
    /// the command itself), else of the one that `cargo xtask` fetched.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn command(self) -> Result<PathBuf> {
        let minor = self.version.split('.').nth(1).unwrap_or_default();
        let variable = format!("MAP_PROBE_GO_1_{minor}");
        let root = match std::env::var_os(&variable) {
            Some(path) => PathBuf::from(path),
            None => build_dir().join("go").join(self.version).join("go"),
        };
        if root.is_file() {
            return Ok(root);
        }
        let command = root.join("bin/go");
        ensure!(
            command.is_file(),
            "no Go {} at {}: `cargo xtask test --full` fetches it, or set {variable} to an installation's root",
            self.version,
            command.display()
        );
        Ok(command)
    }
}

/// How a fixture is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As `go build -trimpath` does.
    Plain,
    /// Without symbol table and DWARF: `-ldflags=-s -w`.
    Stripped,
    /// For 32-bit processors: `GOARCH=386`.
    Bits32,
    /// With the paths of the sources in it.
    Untrimmed,
    /// Position-independent.
    Pie,
    /// Position-independent and stripped.
    PieStripped,
    /// With C in it, linked by the C toolchain.
    Cgo,
    /// With C in it, position-independent and stripped.
    CgoPieStripped,
    /// With C in it, position-independent, and without a dynamic linker.
    StaticPie,
    /// For a debugger: neither optimised nor inlined.
    Unoptimized,
    /// Optimised, but not inlined.
    NotInlined,
    /// `GOAMD64=v2`.
    Amd64V2,
    /// `GOAMD64=v3`.
    Amd64V3,
    /// `GOAMD64=v4`.
    Amd64V4,
    /// With the race detector.
    Race,
    /// With the address sanitizer.
    Asan,
    /// With the memory sanitizer, which only clang has.
    Msan,
    /// Writes a profile of itself.
    Profiling,
    /// By that profile, the runtime included: `-pgo`.
    ProfileGuided,
    /// By the profile that Go's own compiler is built by: it has the evacuation and the hasher of interfaces inlined.
    CompilersProfile,
    /// A library for Go programs.
    Plugin,
    /// A library for programs in C.
    CShared,
}

/// What a variant changes about a build.
struct Build {
    name: &'static str,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const CGO: (&str, &str) = ("CGO_ENABLED", "1");

impl Variant {
    /// Its name in file names and in the table of what was tried.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.build().name
    }

    fn build(self) -> Build {
        let (name, arguments, environment): (_, &[_], &[_]) = match self {
            Self::Plain => ("plain", &["-trimpath"], &[]),
            Self::Stripped => ("stripped", &["-trimpath", "-ldflags=-s -w"], &[]),
            Self::Bits32 => ("386", &["-trimpath"], &[("GOARCH", "386")]),
            Self::Untrimmed => ("untrimmed", &[], &[]),
            Self::Pie => ("pie", &["-trimpath", "-buildmode=pie"], &[]),
            Self::PieStripped => (
                "pie-stripped",
                &["-trimpath", "-buildmode=pie", "-ldflags=-s -w"],
                &[],
            ),
            Self::Cgo => ("cgo", &["-trimpath", "-ldflags=-linkmode=external"], &[CGO]),
            Self::CgoPieStripped => (
                "cgo-pie-stripped",
                &[
                    "-trimpath",
                    "-buildmode=pie",
                    "-ldflags=-linkmode=external -s -w",
                ],
                &[CGO],
            ),
            Self::StaticPie => (
                "static-pie",
                &[
                    "-trimpath",
                    "-buildmode=pie",
                    "-ldflags=-linkmode=external -extldflags=-static-pie",
                ],
                &[CGO],
            ),
            Self::Unoptimized => ("unoptimized", &["-trimpath", "-gcflags=all=-N -l"], &[]),
            Self::NotInlined => ("not-inlined", &["-trimpath", "-gcflags=all=-l"], &[]),
            Self::Amd64V2 => ("v2", &["-trimpath"], &[("GOAMD64", "v2")]),
            Self::Amd64V3 => ("v3", &["-trimpath"], &[("GOAMD64", "v3")]),
            Self::Amd64V4 => ("v4", &["-trimpath"], &[("GOAMD64", "v4")]),
            Self::Race => ("race", &["-trimpath", "-race"], &[CGO]),
            Self::Profiling => ("profiling", &["-trimpath", "-tags=profiling"], &[]),
            Self::ProfileGuided => ("profile-guided", &["-trimpath"], &[]),
            Self::CompilersProfile => ("compilers-profile", &["-trimpath"], &[]),
            Self::Plugin => ("plugin", &["-trimpath", "-buildmode=plugin"], &[CGO]),
            Self::CShared => ("c-shared", &["-trimpath", "-buildmode=c-shared"], &[CGO]),
            Self::Asan => ("asan", &["-trimpath", "-asan"], &[CGO]),
            Self::Msan => ("msan", &["-trimpath", "-msan"], &[CGO, ("CC", "clang")]),
        };
        Build {
            name,
            arguments,
            environment,
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
    let experiment = go
        .experiment
        .map_or(String::new(), |name| format!("-{name}"));
    let how = variant.build();
    let stamp = go.stamp.map_or("", |_| "-stamped");
    let binary = directory.join(format!(
        "{name}-{}{experiment}{stamp}-{}",
        go.version, how.name
    ));

    // Before the lock: it builds another fixture.
    let profile = match variant {
        Variant::ProfileGuided => Some(profile(name, go, &binary)?),
        Variant::CompilersProfile => Some(compilers_profile(&command)?),
        _ => None,
    };
    let _lock = Lock::take(&beside(&binary, "lock"))?;
    if is_newer(&binary, &source)? {
        return Ok(binary);
    }
    let fresh = beside(&binary, "new");
    let mut build = Command::new(&command);
    build
        .current_dir(&source)
        .args(["build", "-buildvcs=false", "-o"])
        .arg(&fresh)
        .args(arguments(go, &how))
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env("GOARCH", "amd64")
        .env_remove("GOAMD64")
        .env_remove("GOROOT")
        .env_remove("GOEXPERIMENT")
        .envs(how.environment.iter().copied());
    build.args(profile);
    if let Some(experiment) = go.experiment {
        build.env("GOEXPERIMENT", experiment);
    }
    if std::env::var_os("GOCACHE").is_none() {
        build.env("GOCACHE", build_dir().join("gocache"));
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

/// A build's arguments, with the version that its programs are to name: the linker's own way to set it, which build info
/// then has too.
fn arguments(go: Go, how: &Build) -> Vec<String> {
    const FLAGS: &str = "-ldflags=";
    let mut arguments: Vec<String> = how.arguments.iter().map(ToString::to_string).collect();
    if let Some(stamp) = go.stamp {
        let flags = arguments.iter().position(|flag| flag.starts_with(FLAGS));
        let flags = flags.map_or(FLAGS.to_owned(), |at| arguments.remove(at));
        arguments.push(format!("{flags} -X 'runtime.buildVersion={stamp}'"));
    }
    arguments
}

/// Has a fixture profile itself; the argument to build `binary` by that.
fn profile(name: &str, go: Go, binary: &Path) -> Result<OsString> {
    let path = beside(binary, "pprof");
    let status = Command::new(fixture(name, go, Variant::Profiling)?)
        .env("ORACLE_PROFILE", &path)
        .args(["-n", "2000"])
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "profiling {name} ended with {status}");
    let mut argument = OsString::from("-pgo=");
    argument.push(path);
    Ok(argument)
}

/// The argument to build by the profile that a toolchain's own compiler was built by.
fn compilers_profile(go: &Path) -> Result<OsString> {
    let root = go.ancestors().nth(2).context("a toolchain's root")?;
    let path = root.join("src/cmd/compile/default.pgo");
    ensure!(path.is_file(), "there is no {}", path.display());
    let mut argument = OsString::from("-pgo=");
    argument.push(path);
    Ok(argument)
}

/// A file's path with a further extension: names of fixtures have dots in them.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(extension);
    path.into()
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
