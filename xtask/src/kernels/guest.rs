//! The virtual machine: an initial file system of what it needs, and a kernel that runs it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::check::Check;
use super::{dir, package};
use crate::process::{on_path, read, remove_dir};
use crate::workspace;

/// No machine runs longer.
const LONGEST: Duration = Duration::from_secs(300);

/// What comes before and behind what a check printed.
const BEGIN: &str = "@@@ begin ";
const END: &str = "@@@ end ";

/// Mounts what programs expect, and runs the checks. What they print goes to the second serial line, which is a file here.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
uname -a
sh /checks > /dev/ttyS1 2>&1
poweroff -f
";

/// What one check did.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Its exit status; `None` if it was not reached or did not end.
    pub(super) status: Option<i32>,
    /// Everything it printed.
    pub(super) text: String,
}

/// Boots a kernel and runs the checks in it.
pub(super) fn run(kernel: &Path, checks: &[Check]) -> Result<Vec<Output>> {
    let name = package::name(kernel).replace('/', "_");
    let initrd = dir().join("initrd");
    let printed = dir().join(format!("{name}.out"));
    let console = dir().join(format!("{name}.console"));
    file_system(&initrd, checks)?;
    let mut serial = std::ffi::OsString::from("file:");
    serial.push(&printed);
    let mut machine = Command::new("qemu-system-x86_64")
        // With more threads emulation was not reliable.
        .args([
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1024",
        ])
        .args([
            "-nodefaults",
            "-no-reboot",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-serial",
        ])
        .arg(serial)
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&initrd)
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&console)?)
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let deadline = Instant::now() + LONGEST;
    while machine.try_wait()?.is_none() {
        if Instant::now() > deadline {
            machine.kill()?;
            machine.wait()?;
            break;
        }
        sleep(Duration::from_millis(100));
    }
    fs::remove_file(&initrd)?;
    let printed = fs::read(&printed)?;
    let printed = String::from_utf8_lossy(&printed).replace('\r', "");
    Ok((0..checks.len())
        .map(|index| output(&printed, index))
        .collect())
}

fn output(printed: &str, index: usize) -> Output {
    let Some((_, rest)) = printed.split_once(&format!("{BEGIN}{index}\n")) else {
        return Output::default();
    };
    match rest.split_once(&format!("{END}{index} ")) {
        Some((text, status)) => Output {
            status: status.lines().next().and_then(|status| status.parse().ok()),
            text: text.to_owned(),
        },
        None => Output {
            status: None,
            text: rest.to_owned(),
        },
    }
}

/// Writes the initial file system.
fn file_system(initrd: &Path, checks: &[Check]) -> Result<()> {
    let root = dir().join("root");
    remove_dir(&root)?;
    for part in ["bin", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(part))?;
    }
    let busybox = on_path("busybox").context("no busybox")?;
    fs::copy(busybox, root.join("bin/busybox"))?;
    let program = workspace::map_probe();
    for library in libraries(&program)? {
        let to = root.join(library.strip_prefix("/")?);
        fs::create_dir_all(to.parent().context("a folder")?)?;
        fs::copy(&library, to)?;
    }
    fs::copy(&program, root.join("bin/map-probe"))?;
    let mut script = String::new();
    for (index, check) in checks.iter().enumerate() {
        let (path, name) = check.program();
        fs::copy(path, root.join("bin").join(name))?;
        let commands = check.commands();
        writeln!(
            script,
            "echo '{BEGIN}{index}'\n({commands})\nstatus=$?; echo; echo \"{END}{index} $status\""
        )?;
    }
    fs::write(root.join("checks"), script)?;
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let archived = Command::new("sh")
        .args(["-c", "find . | busybox cpio -o -H newc"])
        .current_dir(&root)
        .stdout(fs::File::create(initrd)?)
        .stderr(Stdio::null())
        .status()?;
    ensure!(archived.success(), "busybox cpio failed: {archived}");
    remove_dir(&root)
}

/// The shared libraries of a program, and what loads them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let list = read(Command::new("ldd").arg(program))?;
    Ok(list
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_check_printed_is_told_apart() {
        let printed = "@@@ begin 0\nok\n\n@@@ end 0 3\n@@@ begin 1\nhalf";
        let first = output(printed, 0);
        assert_eq!((first.status, first.text.as_str()), (Some(3), "ok\n\n"));
        let second = output(printed, 1);
        assert_eq!((second.status, second.text.as_str()), (None, "half"));
        assert_eq!(output(printed, 2).status, None);
    }
}
