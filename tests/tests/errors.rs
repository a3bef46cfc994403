//! What goes wrong is said in full, with a hint, and with the exit status of the contract.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;

const WRONG_USAGE: i32 = 2;
const NOT_PROBEABLE: i32 = 3;
const NOT_PERMITTED: i32 = 4;
const NO_PROCESS: i32 = 5;

/// The user that owns nothing.
const NOBODY: u32 = 65534;

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// A process that is killed at the end of a test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every way to name the file has to refuse it: `sites` needs no root, `-- COMMAND` starts it.
fn refused_as_a_binary(path: &Path) -> Result<()> {
    profiler::run(&["sites", text(path)?])?
        .refused(&[NOT_PROBEABLE])
        .context("sites")?;
    if kernel::wanted()? {
        profiler::run(&["--", text(path)?])?
            .refused(&[NOT_PROBEABLE])
            .context("as a command")?;
    }
    Ok(())
}

/// A copy of the Go 1.27 fixture with its bytes changed.
fn changed_fixture(directory: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<PathBuf> {
    changed(Go::V1_27, directory, change)
}

/// A copy of a fixture with its bytes changed.
fn changed(go: Go, directory: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<PathBuf> {
    let mut bytes = fs::read(go::fixture("oracle", go, Variant::Plain)?)?;
    change(&mut bytes);
    let path = directory.join("changed");
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Replaces all occurrences of a text by another of the same length; how many there were.
fn replace(bytes: &mut [u8], from: &str, to: &str) -> usize {
    assert_eq!(from.len(), to.len(), "the same length");
    let places: Vec<_> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, w)| *w == from.as_bytes())
        .map(|(i, _)| i)
        .collect();
    for place in &places {
        bytes[*place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    places.len()
}

#[test]
fn flags_that_make_no_sense_are_wrong_usage() -> Result<()> {
    for arguments in [
        &[][..],
        &["--pid"],
        &["--pid", "one"],
        &["--pid", "0"],
        &["--pid", "-1"],
        &["--pid", "1", "--", "/bin/true"],
        &["--pid", "1", "--duration", "10 parsecs"],
        &["--pid", "1", "--interval", "0s"],
        &["--pid", "1", "--format", "xml"],
        &["--pid", "1", "--max-overhead", "much"],
        &["--frobnicate"],
        &["--"],
        &["sites"],
    ] {
        profiler::run(arguments)?
            .refused(&[WRONG_USAGE])
            .with_context(|| format!("{arguments:?}"))?;
    }
    Ok(())
}

#[test]
fn a_process_that_does_not_exist_is_no_process() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // Above the kernel's own limit for process ids.
    profiler::run(&["--pid", "4194304"])?.refused(&[NO_PROCESS])
}

#[test]
fn a_process_that_has_just_ended_is_no_process() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    let mut child = Running(
        Command::new(fixture)
            .arg("-no-such-flag")
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()?,
    );
    // The end of its standard error is its end; it is not waited for, so its id stays.
    let mut said = String::new();
    std::io::Read::read_to_string(child.0.stderr.as_mut().context("stderr")?, &mut said)?;
    std::thread::sleep(std::time::Duration::from_millis(50));
    profiler::run(&["--pid", &child.0.id().to_string()])?.refused(&[NO_PROCESS])
}

#[test]
fn a_command_that_does_not_exist_is_refused() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    profiler::run(&["--", "/no/such/program"])?.refused(&[WRONG_USAGE, NOT_PROBEABLE, NO_PROCESS])
}

const INTERNAL: i32 = 1;

/// A command that cannot be started, and what is said of it.
fn not_started(command: &Path, status: i32, words: &str) -> Result<()> {
    let ended = profiler::run(&["--", text(command)?])?;
    ensure!(ended.stderr.contains(words), "{}", ended.stderr);
    ended.refused(&[status]).with_context(|| words.to_owned())
}

#[test]
fn each_reason_why_a_command_does_not_start_is_told_apart() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = |name: &str, contents: &str, mode: u32| -> Result<PathBuf> {
        let path = directory.path().join(name);
        fs::write(&path, contents)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
        Ok(path)
    };
    not_started(&directory.path().join("none"), WRONG_USAGE, "spelling")?;
    not_started(directory.path(), WRONG_USAGE, "that is a directory")?;
    not_started(&file("plain", "", 0o644)?, WRONG_USAGE, "chmod +x")?;
    let script = file("script", "#!/no/such/interpreter\n", 0o755)?;
    not_started(&script, WRONG_USAGE, "interpreter")?;
    let busy = file("busy", "", 0o755)?;
    fs::copy("/bin/true", &busy)?;
    let writer = fs::OpenOptions::new().append(true).open(&busy)?;
    not_started(&busy, WRONG_USAGE, "being written to")?;
    drop(writer);
    Ok(())
}

/// Runs map-probe on a command that is no Go program, after a change to its process.
fn limited(
    change: impl FnMut() -> std::io::Result<()> + Send + Sync + 'static,
    user: u32,
) -> Result<profiler::Ended> {
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let program = directory.path().join("map-probe");
    profiler::copy(&profiler::binary()?, &program)?;
    let mut command = Command::new(&program);
    command.args(["--", "/bin/true"]).uid(user).current_dir("/");
    // SAFETY: what the tests below change are system calls alone, between fork and exec.
    unsafe {
        command.pre_exec(change);
    }
    Profiler::spawn(&mut command)?.finish()
}

fn limit(resource: libc::__rlimit_resource_t, limit: u64) -> std::io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: `limit` lives for the call.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn limits_of_processes_and_files_are_said() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // Root has no limit of processes.
    let ended = limited(|| limit(libc::RLIMIT_NPROC, 0), NOBODY)?;
    ensure!(ended.stderr.contains("ulimit -u"), "{}", ended.stderr);
    ended.refused(&[INTERNAL])?;
    // Wherever it runs out of files first, until it has enough of them to find that the command is no Go program.
    let mut refused = Vec::new();
    for files in 3..40 {
        let ended = limited(move || limit(libc::RLIMIT_NOFILE, files), 0)?;
        if ended.status.code() == Some(NOT_PROBEABLE) {
            ensure!(refused.len() > 2, "{refused:?} files are no limit");
            return Ok(());
        }
        // Before its own first instruction.
        if ended
            .stderr
            .contains("error while loading shared libraries")
        {
            continue;
        }
        refused.push(files);
        ensure!(
            ended.stderr.contains("file descriptors"),
            "{files} files:\n{}",
            ended.stderr
        );
        ended
            .refused(&[INTERNAL])
            .with_context(|| format!("{files} files"))?;
    }
    anyhow::bail!("40 files are not enough")
}

/// Has ptrace(2) refused from now on, as a container's filter may.
fn forbid_ptrace() -> std::io::Result<()> {
    // The number of the system call is the first word that a filter sees.
    let filter = [
        (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        (
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_ptrace as u32,
            1,
        ),
        (libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
        (
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
            0,
        ),
    ];
    let mut filter = filter.map(|(code, k, equal)| libc::sock_filter {
        code: code as u16,
        jt: equal,
        jf: 0,
        k,
    });
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the filter lives for the calls, of which the kernel makes a copy.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) == 0
    };
    if done {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

#[test]
fn a_refusal_to_trace_the_command_is_none_to_execute_it() -> Result<()> {
    let ended = limited(forbid_ptrace, 0)?;
    ensure!(
        ended.stderr.contains("seccomp") && !ended.stderr.contains("chmod"),
        "{}",
        ended.stderr
    );
    ended.refused(&[NOT_PERMITTED])?;
    // Under a tracer, where there is one to try.
    if Command::new("strace").arg("-V").output().is_err() {
        return Ok(());
    }
    let mut traced = Command::new("strace");
    traced
        .args(["-f", "-o", "/dev/null"])
        .arg(profiler::binary()?)
        .args(["--", "/bin/true"]);
    let ended = Profiler::spawn(&mut traced)?.finish()?;
    ensure!(
        ended
            .stderr
            .contains("map-probe is itself traced, by process"),
        "{}",
        ended.stderr
    );
    ended.refused(&[NOT_PERMITTED])
}

#[test]
fn a_program_that_is_not_go_is_not_probeable() -> Result<()> {
    refused_as_a_binary(Path::new("/bin/sleep"))?;
    if kernel::wanted()? {
        let sleep = Running(Command::new("/bin/sleep").arg("60").spawn()?);
        profiler::run(&["--pid", &sleep.0.id().to_string()])?.refused(&[NOT_PROBEABLE])?;
    }
    Ok(())
}

/// A program by GCC's front end for Go: a real one where that is installed, else a C program with its section.
#[test]
fn a_program_of_gccgo_is_told_from_what_is_not_go() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let built = |compiler: &str, name: &str, source: &str, arguments: &[&str]| -> Result<bool> {
        let file = directory.path().join(name);
        fs::write(&file, source)?;
        let mut command = Command::new(compiler);
        command
            .arg("-o")
            .arg(directory.path().join("program"))
            .arg(&file)
            .args(arguments);
        Ok(command.output().is_ok_and(|output| output.status.success()))
    };
    let program = directory.path().join("program");
    let refused = || -> Result<()> {
        let ended = profiler::run(&["sites", text(&program)?])?;
        ensure!(
            ended.stderr.contains("gccgo") && !ended.stderr.contains("wrapper"),
            "{}",
            ended.stderr
        );
        refused_as_a_binary(&program)
    };
    let section = "__asm__(\".pushsection .go_export,\\\"\\\"\\n.byte 1\\n.popsection\"); \
                   int main(void) { return 0; }";
    ensure!(built("cc", "main.c", section, &[])?, "no C compiler");
    refused().context("crafted")?;
    let go = "package main\nfunc main() { println(len(map[string]int{\"a\": 1})) }";
    for compiler in ["gccgo", "gccgo-14", "gccgo-13", "gccgo-12"] {
        for arguments in [&[][..], &["-static-libgo"], &["-static", "-s"]] {
            if built(compiler, "main.go", go, arguments)? {
                refused().with_context(|| format!("{compiler} {arguments:?}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_program_is_not_probeable() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("script", b"#!/bin/sh\nexit 0\n"),
        ("noise", &[0x7f; 5000]),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, bytes)?;
        profiler::run(&["sites", text(&path)?])?
            .refused(&[NOT_PROBEABLE])
            .context(name)?;
    }
    Ok(())
}

#[test]
fn a_go_version_that_nobody_knows_is_not_probeable() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for version in ["go1.99.3", "go1.17.3", "go2.27.3", "gibberis"] {
        let mut places = 0;
        let path = changed_fixture(directory.path(), |bytes| {
            places = replace(bytes, "go1.27.3", version);
        })?;
        ensure!(places > 0, "the fixture does not name its version");
        refused_as_a_binary(&path).context(version)?;
    }
    Ok(())
}

#[test]
fn a_go_version_that_was_never_tried_is_probed_and_marked() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // What is known of Go 1.20 differs from 1.21 in nothing but that no program of it was at hand.
    let mut places = 0;
    let path = changed(Go::V1_21, directory.path(), |bytes| {
        places = replace(bytes, "go1.21.13", "go1.20.14");
    })?;
    ensure!(places > 0, "the fixture does not name its version");
    let sites = profiler::run(&["sites", "--format", "json", text(&path)?])?.success()?;
    let sites: serde_json::Value = serde_json::from_str(&sites.stdout)?;
    ensure!(sites["untested"] == true, "{sites}");
    if !kernel::wanted()? {
        return Ok(());
    }
    let output = directory.path().join("report.json");
    let ended = profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        text(&output)?,
        "--",
        text(&path)?,
        "-workload",
        "direct",
    ])?
    .success()?;
    ensure!(
        ended.stderr.contains("go1.20.14 is untested"),
        "{}",
        ended.stderr
    );
    let report = Report::parse(&fs::read_to_string(output)?)?;
    ensure!(report.json["target"]["untested"] == true);
    Ok(())
}

#[test]
fn a_32_bit_program_is_not_probeable() -> Result<()> {
    refused_as_a_binary(&go::fixture("tiny", Go::V1_27, Variant::Bits32)?)
}

#[test]
fn a_truncated_program_is_not_probeable() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let whole = fs::metadata(go::fixture("oracle", Go::V1_27, Variant::Plain)?)?.len();
    let whole = usize::try_from(whole)?;
    for length in [3, 20, 63, 64, 100, 700, 4096, whole / 4, whole / 2] {
        let path = changed_fixture(directory.path(), |bytes| bytes.truncate(length))?;
        profiler::run(&["sites", text(&path)?])?
            .refused(&[NOT_PROBEABLE])
            .with_context(|| format!("cut to {length} bytes"))?;
    }
    Ok(())
}

#[test]
fn a_kernel_thread_is_not_probeable() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // Kernel threads are the children of process 2, and itself. In a container there are none to be seen.
    let is_kernel_thread =
        fs::read_to_string("/proc/2/stat").is_ok_and(|stat| stat.contains("(kthreadd)"));
    if is_kernel_thread {
        profiler::run(&["--pid", "2"])?.refused(&[NOT_PROBEABLE])?;
    }
    Ok(())
}

#[test]
fn an_output_that_cannot_be_written_is_wrong_usage_and_starts_nothing() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let missing = directory.path().join("missing/report.json");
    let fixture = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    for output in [directory.path(), &missing] {
        let ended = profiler::run(&["--output", text(output)?, "--", text(&fixture)?, "-n", "20"])?;
        ended.refused(&[WRONG_USAGE])?;
        ensure!(ended.stdout.is_empty(), "the command ran: {}", ended.stdout);
    }
    Ok(())
}

/// With the capabilities that README names and no others, all works; without any one of them, that is said with a hint.
#[test]
fn a_missing_capability_is_said() -> Result<()> {
    const ALL: [&str; 4] = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"];
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let program = directory.path().join("map-probe");
    profiler::copy(&profiler::binary()?, &program)?;
    let target = Target::waiting(Go::V1_27, &[])?;
    let with = |capabilities: &[&str], options: &[&str]| {
        let mut list = "-all".to_owned();
        for capability in capabilities {
            list += ",+";
            list += capability;
        }
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid",
                &NOBODY.to_string(),
                "--regid",
                &NOBODY.to_string(),
            ])
            .arg("--clear-groups");
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            command.arg(format!("{set}={list}"));
        }
        command
            .arg(&program)
            .args(["--duration", "300ms", "--pid", &target.pid()]);
        Profiler::spawn(command.args(options))?.finish()
    };
    let modes: [&[&str]; 3] = [&[], &["--max-overhead", "off"], &["--mode", "sample"]];
    for mode in modes {
        with(&ALL, mode)?
            .success()
            .with_context(|| format!("{mode:?}"))?;
        for missing in ALL {
            let others: Vec<_> = ALL.into_iter().filter(|name| *name != missing).collect();
            let ended = with(&others, mode)?;
            ended
                .refused(&[NOT_PERMITTED])
                .and_then(|()| {
                    ensure!(
                        ended
                            .stderr
                            .contains(&format!("lacks CAP_{}:", missing.to_uppercase())),
                        "not named:\n{}",
                        ended.stderr
                    );
                    Ok(())
                })
                .with_context(|| format!("{mode:?} without {missing}"))?;
        }
    }
    // Kernels before 6.6 need root.
    let ended = with(&ALL, &["--no-uprobe-links"])?;
    ended.refused(&[NOT_PERMITTED])?;
    ensure!(ended.stderr.contains("root"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn without_privileges_it_is_not_permitted() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // Copies in a place that everybody may read.
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
    let program = directory.path().join("map-probe");
    let fixture = directory.path().join("oracle");
    profiler::copy(&profiler::binary()?, &program)?;
    profiler::copy(&go::fixture("oracle", Go::V1_27, Variant::Plain)?, &fixture)?;
    let as_nobody = |program: &Path| {
        let mut command = Command::new(program);
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
        command
    };

    let foreign = Target::start(&fixture, &[])?;
    Profiler::spawn(as_nobody(&program).args(["--pid", &foreign.pid()]))?
        .finish()?
        .refused(&[NOT_PERMITTED])
        .context("another user's process")?;
    let own = Target::spawn(as_nobody(&fixture).args(["-wait", "-hold"]))?;
    Profiler::spawn(as_nobody(&program).args(["--pid", &own.pid()]))?
        .finish()?
        .refused(&[NOT_PERMITTED])
        .context("one's own process")?;
    Profiler::spawn(as_nobody(&program).arg("--").arg(&fixture))?
        .finish()?
        .refused(&[NOT_PERMITTED])
        .context("a command")
}

/// The verifier gives up while a signal is pending: whatever signals come while the program is loaded, it starts.
#[test]
fn signals_while_it_starts_do_no_harm() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    for _ in 0..25 {
        let mut command = Command::new(profiler::binary()?);
        command
            .args([
                "--max-overhead",
                "off",
                "--duration",
                "10ms",
                "--pid",
                &target.pid(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id())?;
        while child.try_wait()?.is_none() {
            for signal in [libc::SIGCONT, libc::SIGWINCH] {
                // SAFETY: kill has no memory effects; the child may have ended, and has not been waited for by others.
                unsafe { libc::kill(pid, signal) };
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Runs map-probe by a shell that first does something to its surroundings.
fn in_surroundings(prepare: &str, target: &Target) -> Result<map_probe_tests::profiler::Ended> {
    let program = profiler::binary()?;
    let script = format!(
        "{prepare}; exec {} --duration 10ms --pid {}",
        text(&program)?,
        target.pid()
    );
    Profiler::spawn(Command::new("unshare").args(["--mount", "sh", "-ec", &script]))?.finish()
}

#[test]
fn what_the_system_lacks_is_said() -> Result<()> {
    const INTERNAL: i32 = 1;
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    for (prepare, words, statuses) in [
        ("umount -R -l /sys", "/sys", &[NOT_PERMITTED][..]),
        ("ulimit -n 20", "ulimit -n", &[INTERNAL][..]),
    ] {
        let ended = in_surroundings(prepare, &target)?;
        ended.refused(statuses).context(prepare)?;
        ensure!(
            ended.stderr.contains(words) && !ended.stderr.contains("a bug"),
            "{prepare}: {}",
            ended.stderr
        );
    }
    Ok(())
}
