//! Kernels as packages: which there are, and how to get at them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::dir;
use crate::process::{on_path, read, remove_dir, say};

/// Kernels for virtual machines, as Debian and Ubuntu call them: they boot without modules.
const FLAVOURS: [&str; 2] = ["-cloud-amd64", "-generic"];
/// Packages that have a kernel's file: those of some releases have it in one beside the main one.
const PREFIXES: [&str; 3] = ["linux-binary-", "linux-image-unsigned-", "linux-image-"];

/// apt, with the machine's own sources or with others; those have a state of their own, and the machine's stays untouched.
pub(super) struct Apt {
    options: Vec<String>,
}

impl Apt {
    pub(super) fn new(sources: &[String]) -> Result<Self> {
        if sources.is_empty() {
            return Ok(Self {
                options: Vec::new(),
            });
        }
        let home = dir().join("apt");
        for part in ["lists/partial", "cache/archives/partial", "state"] {
            fs::create_dir_all(home.join(part))?;
        }
        let list = home.join("sources.list");
        fs::write(&list, sources.join("\n") + "\n")?;
        fs::write(home.join("status"), "")?;
        let at = |key: &str, part: &str| format!("{key}={}", home.join(part).display());
        let apt = Self {
            options: vec![
                at("Dir::State", "state"),
                at("Dir::State::Lists", "lists"),
                at("Dir::State::status", "status"),
                at("Dir::Cache", "cache"),
                at("Dir::Etc::SourceList", "sources.list"),
                "Dir::Etc::SourceParts=/dev/null".to_owned(),
                "Acquire::Languages=none".to_owned(),
            ],
        };
        say("Fetching the lists of packages");
        read(apt.command("apt-get").args(["-qq", "update"]))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }

    /// The newest package of each version of the kernel (its first two numbers), oldest version first.
    pub(super) fn newest(&self) -> Result<Vec<String>> {
        if on_path("apt-cache").is_none() {
            return Ok(Vec::new());
        }
        let names = read(self.command("apt-cache").arg("pkgnames").arg("linux-"))?;
        Ok(newest(names.lines())
            .into_values()
            .map(|(_, name)| name)
            .collect())
    }

    /// The kernel's file of a package.
    fn fetch(&self, package: &str) -> Result<PathBuf> {
        let release = release(package).context("no kernel's package")?;
        let kernel = dir().join(format!("vmlinuz-{release}"));
        if kernel.is_file() {
            return Ok(kernel);
        }
        say(&format!("Fetching {package}"));
        let aside = dir().join("fetch");
        remove_dir(&aside)?;
        fs::create_dir_all(&aside)?;
        read(
            self.command("apt-get")
                .current_dir(&aside)
                .args(["-qq", "download", package]),
        )?;
        let archive = fs::read_dir(&aside)?
            .next()
            .context("apt-get downloaded nothing")??
            .path();
        let mut unpacked = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(&archive)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dpkg-deb")?;
        let tar = unpacked.stdout.take().context("a pipe")?;
        // dpkg-deb is told to stop when tar has what it wants: only tar's result counts.
        let found = Command::new("tar")
            .args(["--extract", "--directory"])
            .arg(&aside)
            .args(["--wildcards", "*/vmlinuz*"])
            .stdin(tar)
            .stderr(Stdio::null())
            .status()?;
        unpacked.wait()?;
        ensure!(found.success(), "{package} has no kernel in it");
        let mut places = [
            format!("boot/vmlinuz-{release}"),
            format!("usr/lib/modules/{release}/vmlinuz"),
        ]
        .into_iter()
        .map(|place| aside.join(place));
        let from = places
            .find(|place| place.is_file())
            .with_context(|| format!("{package} has its kernel in another place"))?;
        fs::rename(from, &kernel)?;
        remove_dir(&aside)?;
        Ok(kernel)
    }
}

/// The files of the kernels that are asked for, which are fetched if they are packages.
pub(super) fn kernels(apt: &Apt, asked: &[String]) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(dir())?;
    let mut files = Vec::new();
    if asked.is_empty() {
        for entry in fs::read_dir(dir())? {
            let path = entry?.path();
            if release_of_file(&path).is_some() {
                files.push(path);
            }
        }
        files.sort_by_key(|path| release_of_file(path).map(numbers));
        if files.is_empty() {
            for package in apt.newest()? {
                files.push(apt.fetch(&package)?);
            }
        }
        return Ok(files);
    }
    let offered = apt.newest()?;
    for kernel in asked {
        let path = Path::new(kernel);
        if path.is_file() {
            files.push(path.to_owned());
            continue;
        }
        let wanted = numbers(kernel);
        let package = offered.iter().find(|package| {
            release(package)
                .is_some_and(|release| numbers(release).starts_with(&wanted[..wanted.len().min(2)]))
        });
        match package {
            Some(package) => files.push(apt.fetch(package)?),
            None => bail!(
                "'{kernel}' is no file, and apt offers no such kernel: `cargo xtask kernels --list` says which"
            ),
        }
    }
    Ok(files)
}

/// A kernel as the table calls it.
pub(super) fn name(kernel: &Path) -> String {
    release_of_file(kernel).map_or_else(|| kernel.display().to_string(), str::to_owned)
}

fn release_of_file(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix("vmlinuz-")
}

/// The kernel's release in the name of its package, as in `linux-image-6.1.0-50-cloud-amd64`.
fn release(package: &str) -> Option<&str> {
    let release = PREFIXES
        .iter()
        .find_map(|prefix| package.strip_prefix(prefix))?;
    let begins = release.starts_with(|first: char| first.is_ascii_digit());
    let of_flavour = FLAVOURS.iter().any(|flavour| release.ends_with(flavour));
    (begins && of_flavour && numbers(release).len() > 2).then_some(release)
}

/// The numbers in a release, which order releases.
fn numbers(release: &str) -> Vec<u32> {
    release
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// By a version's first two numbers, the newest release and the package that has its file.
fn newest<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<Vec<u32>, (Vec<u32>, String)> {
    let rank = |name: &str| PREFIXES.iter().position(|prefix| name.starts_with(prefix));
    let mut newest: BTreeMap<Vec<u32>, (Vec<u32>, String)> = BTreeMap::new();
    for name in names {
        let Some(release) = release(name) else {
            continue;
        };
        let numbers = numbers(release);
        let known = newest.entry(numbers[..2].to_vec()).or_default();
        let better = numbers > known.0 || (numbers == known.0 && rank(name) < rank(&known.1));
        if better {
            *known = (numbers, name.to_owned());
        }
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_version_the_newest_kernel_is_taken_from_the_package_that_has_it() {
        let names = [
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
            "linux-image-6.1.0-60-rt-amd64",
            "linux-image-6.12-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-image-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-image-6.8.0-31-generic",
            "linux-image-unsigned-6.8.0-31-generic",
            "linux-headers-6.8.0-31-generic",
        ];
        let newest = newest(names.into_iter());
        let newest: Vec<_> = newest.values().map(|(_, name)| name.as_str()).collect();
        assert_eq!(
            newest,
            [
                "linux-image-6.1.0-50-cloud-amd64",
                "linux-image-unsigned-6.8.0-31-generic",
                "linux-binary-7.2.12+deb13-cloud-amd64",
            ]
        );
    }
}
