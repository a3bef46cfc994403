//! Where things are in the tree and in the build directory.

use std::path::{Path, PathBuf};

/// The workspace's root: the parent of this crate's folder.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The folder for everything that tasks fetch or make: `target/map-probe`, never committed.
pub(crate) fn work() -> PathBuf {
    target().join("map-probe")
}

/// Cargo's build directory.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().join("target"),
        |dir| root().join(PathBuf::from(dir)),
    )
}

/// The release build of the `map-probe` program.
pub(crate) fn map_probe() -> PathBuf {
    target().join("release").join("map-probe")
}
