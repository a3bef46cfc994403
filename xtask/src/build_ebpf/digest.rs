//! The digest of what the eBPF object is made from.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The crates that end up in the object, as folders of the workspace.
const CRATES: [&str; 2] = ["map-probe-common", "map-probe-ebpf"];

/// Dependencies whose code ends up in the object too, by the beginning of their names.
const DEPENDENCIES: [&str; 3] = ["aya-ebpf", "aya-log-ebpf", "aya-log-common"];

/// SHA-256, in hex, over the path and content of each source of the object and the locked versions of its dependencies.
pub(crate) fn of_sources(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for name in CRATES {
        files.push(PathBuf::from(name).join("Cargo.toml"));
        collect(root, &PathBuf::from(name).join("src"), &mut files)?;
    }
    files.sort();

    let mut hash = Sha256::new();
    for file in files {
        let content = read(&root.join(&file))?;
        field(&mut hash, file.to_string_lossy().as_bytes());
        field(&mut hash, &content);
    }
    let lock = String::from_utf8(read(&root.join("Cargo.lock"))?)?;
    for package in locked(&lock) {
        field(&mut hash, package.as_bytes());
    }
    Ok(hex(&hash.finalize()))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

/// One field of the hash: its length first, so that no two lists of fields hash alike.
fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// All files below `root/dir`, as paths relative to `root`; not the folders of unit tests, which no object is made from.
fn collect(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let full = root.join(dir);
    let entries =
        std::fs::read_dir(&full).with_context(|| format!("cannot list {}", full.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = dir.join(entry.file_name());
        if entry.file_name() == "tests" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// `name version checksum` of each package in Cargo.lock whose code ends up in the object, in the file's (sorted) order.
fn locked(lock: &str) -> Vec<String> {
    let value = |package: &str, key: &str| {
        let line = package
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        line.map_or_else(String::new, |line| line.trim_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .map(|package| ["name", "version", "checksum"].map(|key| value(package, key)))
        .filter(|[name, ..]| DEPENDENCIES.iter().any(|prefix| name.starts_with(prefix)))
        .map(|fields| fields.join(" "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "anyhow"
version = "1.0.0"

[[package]]
name = "aya-ebpf"
version = "0.2.1"
checksum = "abc"
dependencies = [
 "aya-ebpf-bindings",
]
"#;

    /// A workspace of the right shape in a temporary folder.
    fn workspace() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in CRATES {
            let src = dir.path().join(name).join("src/walk");
            std::fs::create_dir_all(&src).expect("made");
            std::fs::write(dir.path().join(name).join("Cargo.toml"), name).expect("written");
            std::fs::write(src.join("mod.rs"), "// walk").expect("written");
        }
        std::fs::write(dir.path().join("Cargo.lock"), LOCK).expect("written");
        dir
    }

    #[test]
    fn only_packages_whose_code_ends_up_in_the_object_count() {
        assert_eq!(locked(LOCK), ["aya-ebpf 0.2.1 abc"]);
    }

    #[test]
    fn the_digest_does_not_depend_on_where_the_workspace_is() {
        let (one, two) = (workspace(), workspace());
        let digest = of_sources(one.path()).expect("digest");
        assert_eq!(digest, of_sources(two.path()).expect("digest"));
        assert_eq!(digest.len(), 64);
    }

    #[test]
    fn every_kind_of_change_to_the_sources_changes_the_digest() {
        let dir = workspace();
        let src = dir.path().join("map-probe-ebpf/src");
        let mut seen = vec![of_sources(dir.path()).expect("digest")];
        let mut changed = |what: &str| {
            let digest = of_sources(dir.path()).expect("digest");
            assert!(!seen.contains(&digest), "{what}");
            seen.push(digest);
        };
        std::fs::write(src.join("walk/mod.rs"), "// walk on").expect("written");
        changed("content");
        std::fs::rename(src.join("walk/mod.rs"), src.join("walk.rs")).expect("renamed");
        changed("name");
        std::fs::write(src.join("new.rs"), "").expect("written");
        changed("new empty file");
        std::fs::write(
            dir.path().join("Cargo.lock"),
            LOCK.replace("0.2.1", "0.2.2"),
        )
        .expect("written");
        changed("a dependency's version");
    }

    #[test]
    fn unit_tests_are_not_among_the_sources() {
        let dir = workspace();
        let before = of_sources(dir.path()).expect("digest");
        let tests = dir.path().join("map-probe-ebpf/src/walk/tests");
        std::fs::create_dir_all(&tests).expect("created");
        std::fs::write(tests.join("mod.rs"), "#[test] fn f() {}").expect("written");
        assert_eq!(of_sources(dir.path()).expect("digest"), before);
    }
}
