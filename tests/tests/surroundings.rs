//! What map-probe says where its surroundings keep it from its work: `/proc`, capabilities, namespaces and limits.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::Go;
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Ended, Profiler};
use map_probe_tests::target::Target;

const INTERNAL: i32 = 1;
const NOT_PROBEABLE: i32 = 3;
const NOT_PERMITTED: i32 = 4;
const NO_PROCESS: i32 = 5;

/// map-probe where every user may execute it.
struct Program(tempfile::TempDir);

impl Program {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let program = Self(directory);
        profiler::copy(&profiler::binary()?, &program.path())?;
        Ok(program)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("map-probe")
    }

    /// Runs it by a shell in mounts of its own: `$map_probe` and `$pid` in the script are what they say.
    fn by(&self, script: &str, pid: &str) -> Result<Ended> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", script]);
        command.env("map_probe", self.path()).env("pid", pid);
        Profiler::spawn(&mut command)?.finish()
    }
}

/// An error with this status that says all of this.
fn says(ended: &Ended, status: i32, words: &[&str]) -> Result<()> {
    ended.refused(&[status])?;
    for words in words {
        ensure!(
            ended.stderr.contains(words),
            "no '{words}' in:\n{}",
            ended.stderr
        );
    }
    Ok(())
}

#[test]
fn why_proc_does_not_show_a_process_is_said() -> Result<()> {
    const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    const WEAK: &str =
        "setpriv --regid 65534 --clear-groups --bounding-set -sys_ptrace --inh-caps -sys_ptrace";
    if !kernel::wanted()? {
        return Ok(());
    }
    let program = Program::new()?;
    let target = Target::waiting(Go::V1_27, &[])?;
    let hidden = "mount -t proc -o hidepid=2 none /proc";
    let is_hidden = [
        "/proc hides it",
        "hidepid=invisible",
        "lacks CAP_SYS_PTRACE",
        "remount,hidepid=0",
    ];
    let other = ["another pid namespace", "nsenter"];
    let cases: [(String, i32, &[&str]); 8] = [
        (
            format!("{hidden}; {NOBODY} $map_probe --pid $pid"),
            NOT_PERMITTED,
            &is_hidden,
        ),
        // It may send signals to it, but not look into it.
        (
            format!("{hidden}; {WEAK} $map_probe --pid $pid"),
            NOT_PERMITTED,
            &is_hidden,
        ),
        (
            format!("{hidden}; {NOBODY} $map_probe --pid 4194304"),
            NO_PROCESS,
            &["there is no process 4194304"],
        ),
        (
            "mount -t tmpfs none /proc; $map_probe --pid $pid".to_owned(),
            NOT_PERMITTED,
            &["not mounted at /proc", "mount -t proc"],
        ),
        (
            "mount -t tmpfs none /proc; $map_probe -- /bin/true".to_owned(),
            NOT_PERMITTED,
            &["not mounted at /proc"],
        ),
        // Below the namespace of /proc: by a number that is a process's there, and by one that is a process's here.
        (
            "unshare --pid --fork $map_probe --pid $pid".to_owned(),
            NOT_PERMITTED,
            &other,
        ),
        (
            "unshare --pid --fork $map_probe --pid 1".to_owned(),
            NOT_PERMITTED,
            &other,
        ),
        // In the mounts of a namespace that map-probe is not in.
        (
            "unshare --pid --fork mount -t proc none /proc; $map_probe --pid $pid".to_owned(),
            NOT_PERMITTED,
            &other,
        ),
    ];
    for (script, status, words) in cases {
        let ended = program.by(&script, &target.pid())?;
        says(&ended, status, words).with_context(|| script.clone())?;
    }
    Ok(())
}

/// Root without single capabilities, as in a container: the one that is missing is named, and no other.
#[test]
fn what_root_lacks_is_named() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let program = Program::new()?;
    let target = Target::waiting(Go::V1_27, &[])?;
    let bpf_disabled = fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled")?;
    let setting = format!("unprivileged_bpf_disabled is {}", bpf_disabled.trim());
    let without = |capabilities: &[&str]| {
        let list: Vec<_> = capabilities.iter().map(|name| format!("-{name}")).collect();
        let list = list.join(",");
        let script = format!(
            "setpriv --bounding-set {list} --inh-caps {list} $map_probe --duration 10ms --pid $pid"
        );
        program.by(&script, &target.pid())
    };
    let cases: [(&[&str], &str, &[&str]); 4] = [
        (
            &["sys_ptrace"],
            "CAP_SYS_PTRACE,",
            &["--cap-add=SYS_PTRACE"],
        ),
        (
            &["sys_admin", "bpf"],
            "CAP_BPF,",
            &["--cap-add=BPF", &setting],
        ),
        (
            &["sys_admin", "perfmon"],
            "CAP_PERFMON,",
            &["--cap-add=PERFMON"],
        ),
        (
            &["sys_admin", "perfmon", "bpf"],
            "CAP_BPF and CAP_PERFMON,",
            &["--cap-add=BPF --cap-add=PERFMON"],
        ),
    ];
    for (missing, names, hints) in cases {
        let ended = without(missing)?;
        says(
            &ended,
            NOT_PERMITTED,
            &[&format!("map-probe lacks {names}")],
        )
        .and_then(|()| says(&ended, NOT_PERMITTED, hints))
        .with_context(|| format!("without {missing:?}"))?;
    }
    // CAP_SYS_ADMIN stands for both, as on kernels before 5.8; and they do without it.
    for enough in [&["perfmon", "bpf"][..], &["sys_admin"]] {
        without(enough)?
            .success()
            .with_context(|| format!("without {enough:?}"))?;
    }
    // All of them, but of a user namespace.
    let ended = program.by(
        "unshare --user --map-root-user $map_probe --pid $pid",
        &target.pid(),
    )?;
    says(&ended, NOT_PERMITTED, &["user namespace"])
}

/// However many processes and threads a user may have: the first that is refused is said, whichever it is.
#[test]
fn too_few_processes_are_said_wherever_they_end() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let program = Program::new()?;
    let target = Target::waiting(Go::V1_27, &[])?;
    // A user that has no other processes.
    let user = ["--inh-caps", "--ambient-caps", "--bounding-set"]
        .map(|set| format!("{set}=-all,+bpf,+perfmon,+sys_ptrace,+dac_read_search"))
        .join(" ");
    let user = format!("setpriv --reuid 61613 --regid 61613 --clear-groups {user}");
    let what = [
        (
            "--duration 10ms --pid $pid",
            0,
            &["guard process", "keeps the windows"][..],
        ),
        (
            "-- /bin/true",
            NOT_PROBEABLE,
            &["guard process", "cannot start '/bin/true'"][..],
        ),
    ];
    for (arguments, end, places) in what {
        let mut refused = String::new();
        let mut ended = None;
        for most in 1..30 {
            let script = format!("exec prlimit --nproc={most} {user} $map_probe {arguments}");
            let one = program.by(&script, &target.pid())?;
            if one.status.code() == Some(end) {
                ended = Some(most);
                break;
            }
            says(&one, INTERNAL, &["ulimit -u", "caused by: "])
                .with_context(|| format!("{arguments}: {most} processes"))?;
            refused += &one.stderr;
        }
        ensure!(ended > Some(2), "{ended:?} processes are no limit");
        for place in places {
            ensure!(
                refused.contains(place),
                "'{place}' was never refused:\n{refused}"
            );
        }
    }
    Ok(())
}

/// The same of open files: never is it the verifier, or a process that has ended.
#[test]
fn too_few_files_are_said_wherever_they_end() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let program = Program::new()?;
    let target = Target::waiting(Go::V1_27, &[])?;
    // Samples take one more for each CPU.
    let enough = 100 + std::thread::available_parallelism()?.get();
    for mode in ["trace", "sample"] {
        let mut refused = 0;
        // Its own libraries take some before its first instruction.
        for most in 6..enough {
            let script = format!(
                "exec prlimit --nofile={most} $map_probe --mode {mode} --duration 10ms --pid $pid"
            );
            let ended = program.by(&script, &target.pid())?;
            if ended.status.success() {
                break;
            }
            says(&ended, INTERNAL, &["ulimit -n", "caused by: "])
                .with_context(|| format!("{mode}: {most} files"))?;
            refused += 1;
        }
        ensure!(
            refused > 40 && refused < enough - 6,
            "{mode}: refused {refused} times"
        );
    }
    Ok(())
}
