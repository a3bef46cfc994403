//! However a program was changed after it was built, and wherever it runs: it is counted exactly, or refused with the
//! reason. Ways of building are in `matrix.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;
use map_probe_tests::{exact, kernel};

const NOT_PROBEABLE: i32 = 3;
/// All kinds of keys and patterns, in a second.
const SHORT: [&str; 2] = ["-n", "300"];

/// A copy of a fixture in a directory of the test's own, with its bytes changed.
fn copy(directory: &Path, go: Go, change: impl FnOnce(&mut Vec<u8>)) -> Result<PathBuf> {
    let mut bytes = fs::read(go::fixture("oracle", go, Variant::Plain)?)?;
    change(&mut bytes);
    let path = directory.join("oracle");
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Puts zeros in place of every occurrence.
fn blank(bytes: &mut [u8], pattern: &[u8]) {
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(pattern) {
            bytes[at..at + pattern.len()].fill(0);
        }
    }
}

/// Refused without being run, with this in the message.
fn refused(path: &Path, reason: &str) -> Result<()> {
    let ended = profiler::run(&["sites", path.to_str().context("a path")?])?;
    ensure!(
        ended.stderr.contains(reason),
        "another reason than {reason:?}: {}",
        ended.stderr
    );
    ended.refused(&[NOT_PROBEABLE])
}

#[test]
fn a_program_without_build_info_is_refused() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for go in [Go::V1_23, Go::V1_27] {
        let path = copy(directory.path(), go, |bytes| {
            blank(bytes, b"\xff Go buildinf:");
        })?;
        refused(
            &path,
            "its build info is missing, so its Go version is unknown",
        )?;
    }
    Ok(())
}

/// What UPX leaves: an ELF program with its mark, and nothing of Go that could be read.
#[test]
fn a_packed_program_is_refused() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = copy(directory.path(), Go::V1_27, |bytes| {
        blank(bytes, b"\xff Go buildinf:");
        blank(bytes, &[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8]);
        bytes[0x3e0..0x3e4].copy_from_slice(b"UPX!");
    })?;
    refused(&path, "packed with UPX")
}

/// The function's code up to the site is made into nops, so that nothing in it computes a hash. The program is probed
/// while it waits, and never gets to call the function.
#[test]
fn a_function_that_cannot_be_covered_is_named_with_the_reason() -> Result<()> {
    const FUNCTION: &str = "runtime.mapassign_fast32";
    const REASON: &str = "no call of the type's hasher was recognised";
    for go in [Go::V1_23, Go::V1_27] {
        let fixture = go::fixture("oracle", go, Variant::Plain)?;
        let intact = sites(&fixture)?;
        let function = function_of(&intact, FUNCTION)?;
        let site = &function["sites"][0];
        let (address, offset) = (number(&function["address"])?, site["offset"].as_u64());
        let length = usize::try_from(offset.context("an offset")?)?;
        let directory = tempfile::tempdir()?;
        // Linked at 0x400000, with the whole file from there on.
        let start = usize::try_from(address - 0x40_0000)?;
        let path = copy(directory.path(), go, |bytes| {
            bytes[start..start + length].fill(0x90);
        })?;

        let damaged = sites(&path)?;
        let found = function_of(&damaged, FUNCTION)?;
        ensure!(found["status"] == "not covered", "{found}");
        ensure!(found["reason"] == REASON, "{found}");
        let text = profiler::run(&["sites", path.to_str().context("a path")?])?.success()?;
        ensure!(
            text.stdout.contains(&format!("not covered: {REASON}")),
            "{}",
            text.stdout
        );

        if !kernel::wanted()? {
            continue;
        }
        for format in ["json", "text"] {
            let target = Target::start(&path, &SHORT)?;
            let profiler = Profiler::attach(&target.pid(), format, &[])?;
            profiler.interrupt()?;
            let report = profiler.finish()?.success()?.stdout;
            if format == "json" {
                let report = Report::parse(&report)?;
                let functions = &report.json["target"]["functions"]["not_covered"];
                let expected = serde_json::json!([{"function": FUNCTION, "reason": REASON}]);
                ensure!(functions == &expected, "{functions}");
            } else {
                // Lines are wrapped.
                let text: Vec<&str> = report.split_whitespace().collect();
                let expected = format!("not covered {FUNCTION}: {REASON}");
                ensure!(text.join(" ").contains(&expected), "{report}");
            }
        }
    }
    Ok(())
}

/// What `map-probe sites` says of a program.
fn sites(path: &Path) -> Result<serde_json::Value> {
    let path = path.to_str().context("a path")?;
    let ended = profiler::run(&["sites", path, "--format", "json"])?.success()?;
    Ok(serde_json::from_str(&ended.stdout)?)
}

fn function_of<'a>(sites: &'a serde_json::Value, name: &str) -> Result<&'a serde_json::Value> {
    let functions = sites["functions"].as_array().context("a list")?;
    let mut found = functions
        .iter()
        .filter(|function| function["function"] == name);
    found.next().with_context(|| format!("no {name}"))
}

/// `0x401000`.
fn number(text: &serde_json::Value) -> Result<u64> {
    let digits = text.as_str().and_then(|text| text.strip_prefix("0x"));
    Ok(u64::from_str_radix(digits.context("a number")?, 16)?)
}

#[test]
fn a_program_deleted_while_it_runs_is_counted_exactly() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let directory = tempfile::tempdir()?;
        let path = copy(directory.path(), go, |_| {})?;
        let target = Target::start(&path, &SHORT)?;
        fs::remove_file(&path)?;
        let pid = target.pid();
        exact::process(go, target, &pid, || Ok(()))?;
    }
    Ok(())
}

#[test]
fn a_program_replaced_on_disk_while_it_runs_is_counted_exactly() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for (go, other) in [(Go::V1_23, Go::V1_27), (Go::V1_27, Go::V1_23)] {
        let directory = tempfile::tempdir()?;
        let path = copy(directory.path(), go, |_| {})?;
        let target = Target::start(&path, &SHORT)?;
        fs::remove_file(&path)?;
        copy(directory.path(), other, |_| {})?;
        let pid = target.pid();
        exact::process(go, target, &pid, || Ok(()))?;
    }
    Ok(())
}

/// The other process works while the first one is probed, of the same file or of a copy.
#[test]
fn operations_of_another_process_of_the_program_do_not_count() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let directory = tempfile::tempdir()?;
        let twin = copy(directory.path(), go, |_| {})?;
        let fixture = go::fixture("oracle", go, Variant::Plain)?;
        for other in [&fixture, &twin] {
            let target = Target::start(&fixture, &SHORT)?;
            let mut bystander = Target::start(other, &SHORT)?;
            let pid = target.pid();
            exact::process(go, target, &pid, || {
                bystander.begin()?;
                bystander.wait_done()
            })?;
            bystander.finish()?;
        }
    }
    Ok(())
}

#[test]
fn two_processes_of_one_file_are_each_counted_exactly_at_the_same_time() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let fixture = go::fixture("oracle", go, Variant::Plain)?;
        let (first, second) = (
            Target::start(&fixture, &SHORT)?,
            Target::start(&fixture, &SHORT)?,
        );
        let (pid, other) = (first.pid(), second.pid());
        exact::process(go, first, &pid, || {
            exact::process(go, second, &other, || Ok(()))
        })?;
    }
    Ok(())
}

/// Its file lies where only it can see it.
#[test]
fn a_process_in_another_mount_namespace_is_counted_exactly() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let fixture = go::fixture("oracle", go, Variant::Plain)?;
        let directory = tempfile::tempdir()?;
        let hidden = directory.path().join("oracle");
        let script = r#"mount -t tmpfs none "$1" && cp "$2" "$3" && exec "$3" -wait -hold -n 300"#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh"]);
        command.arg(directory.path()).arg(&fixture).arg(&hidden);
        let target = Target::spawn(&mut command)?;
        ensure!(!hidden.exists(), "the file can be seen here");
        let pid = target.pid();
        exact::process(go, target, &pid, || Ok(()))?;
    }
    Ok(())
}

#[test]
fn a_process_in_another_pid_namespace_is_counted_exactly() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let fixture = go::fixture("oracle", go, Variant::Plain)?;
        let mut command = Command::new("unshare");
        command.args(["-pf", "--mount-proc", "--kill-child"]);
        let target = Target::spawn(command.arg(&fixture).args(["-wait", "-hold"]).args(SHORT))?;
        let pid = child_of(&target.pid())?;
        exact::process(go, target, &pid, || Ok(()))?;
    }
    Ok(())
}

/// The only child of a process.
fn child_of(parent: &str) -> Result<String> {
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(status) = fs::read_to_string(path.join("status")) else {
            continue; // no process, or one that has just ended
        };
        let is_child = |line: &str| line.strip_prefix("PPid:").map(str::trim) == Some(parent);
        if status.lines().any(is_child) {
            let name = path.file_name().context("a number")?;
            return Ok(name.to_string_lossy().into_owned());
        }
    }
    bail!("process {parent} has no child")
}

/// Its operations are in no count, and the report says so, though it was loaded after the start.
#[test]
fn a_plugin_is_reported_as_not_covered() -> Result<()> {
    if !kernel::full()? || !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let plugin = go::fixture("library", go, Variant::Plugin)?;
        let host = go::fixture("plugin_host", go, Variant::Cgo)?;
        let mut target = Target::spawn(Command::new(host).arg(&plugin))?;
        let profiler = Profiler::attach(&target.pid(), "json", &[])?;
        let report = exact::work(&mut target, profiler)?;

        let not_covered = &report.json["target"]["functions"]["not_covered"];
        let [entry] = not_covered.as_array().context("a list")?.as_slice() else {
            bail!("not covered: {not_covered}");
        };
        let path = fs::canonicalize(plugin)?;
        let reason = entry["reason"].as_str().context("a reason")?;
        ensure!(
            entry["function"] == path.to_str().context("a path")?,
            "{entry}"
        );
        ensure!(reason.contains("has map functions of its own"), "{entry}");
        let counted = |name: &str| report.by_type.contains_key(&Some(name.to_owned()));
        ensure!(
            counted("map[uint32]main.owned"),
            "the program's own are missing"
        );
        ensure!(
            !counted("map[uint32]library.borrowed"),
            "the plugin's were found"
        );
    }
    Ok(())
}

#[test]
fn a_program_in_c_with_a_go_library_is_refused_by_the_librarys_name() -> Result<()> {
    if !kernel::full()? || !kernel::wanted()? {
        return Ok(());
    }
    let library = go::fixture("library", Go::V1_27, Variant::CShared)?;
    let directory = tempfile::tempdir()?;
    let (source, host) = (
        directory.path().join("host.c"),
        directory.path().join("host"),
    );
    let text = r#"
        #include <dlfcn.h>
        #include <stdio.h>
        int main(int argc, char **argv) {
            if (!dlopen(argv[1], RTLD_NOW)) return 1;
            puts("ready in C");
            fflush(stdout);
            return getchar();
        }"#;
    fs::write(&source, text)?;
    let mut compiler = Command::new("cc");
    let status = compiler
        .arg(&source)
        .arg("-o")
        .arg(&host)
        .arg("-ldl")
        .status()?;
    ensure!(status.success(), "the C compiler failed");
    let target = Target::spawn(Command::new(host).arg(&library))?;
    let ended = profiler::run(&["--pid", &target.pid()])?;
    let name = library
        .file_name()
        .context("a name")?
        .to_string_lossy()
        .into_owned();
    ensure!(
        ended
            .stderr
            .contains("it is not a Go program; the Go library")
            && ended.stderr.contains(&name),
        "another reason: {}",
        ended.stderr
    );
    ended.refused(&[NOT_PROBEABLE])
}
