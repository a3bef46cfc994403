//! Why a command could not be started, in the user's words.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Failure, Status, shortage};

/// Added to the number of an error of `PTRACE_TRACEME`, as what comes from between fork and exec is a number alone.
const NOT_TRACED: i32 = 1 << 16;

/// Marks an error of `PTRACE_TRACEME` between fork and exec.
pub(super) fn not_traced(error: nix::errno::Errno) -> io::Error {
    io::Error::from_raw_os_error(error as i32 | NOT_TRACED)
}

/// What to say of an error of starting `program`.
pub(super) fn not_started(program: &OsStr, error: io::Error) -> Failure {
    let name = program.to_string_lossy();
    let number = error.raw_os_error().unwrap_or(0);
    if number & NOT_TRACED != 0 {
        let message = format!("'{name}' cannot be held until the probes are in place");
        let cause = io::Error::from_raw_os_error(number & !NOT_TRACED);
        return Failure::new(Status::NotPermitted, message)
            .caused_by(format!("the kernel refuses to let it be traced: {cause}"))
            .hint(why_not_traced());
    }
    let (status, hint) = match shortage(&error) {
        Some(hint) => (Status::Internal, hint),
        None => (Status::Usage, advice(Path::new(program), number)),
    };
    Failure::new(status, format!("cannot start '{name}'"))
        .caused_by(error)
        .hint(hint)
}

/// What can be done about an error of execve(2).
fn advice(program: &Path, number: i32) -> &'static str {
    // One that is looked for in PATH is not in the directory we are in.
    let is_there = program.components().count() > 1 && program.exists();
    match number {
        libc::ENOENT if is_there => {
            "the file is there, but the interpreter or dynamic linker that it names is not: build or install it for this system"
        }
        libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ENAMETOOLONG => {
            "give the path of the program, or check the spelling"
        }
        libc::EACCES if program.is_dir() => "that is a directory: give the program in it",
        libc::EACCES => {
            "check that the file is executable (chmod +x), and that its file system is not mounted noexec"
        }
        libc::ETXTBSY => "the file is being written to: wait until it is whole",
        libc::E2BIG => "its arguments and environment are too long",
        _ => "check that the command runs by itself",
    }
}

/// Who stands in the way of `PTRACE_TRACEME`.
fn why_not_traced() -> String {
    const INSTEAD: &str = "start the command yourself, and give its process with --pid";
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let tracer = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    if let Some(tracer) = tracer.map(str::trim).filter(|tracer| *tracer != "0") {
        return format!(
            "map-probe is itself traced, by process {tracer} (strace -f, a debugger), and so is all that it starts: {INSTEAD}"
        );
    }
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if scope.trim() == "3" {
        return format!("kernel.yama.ptrace_scope is 3, which forbids all tracing: {INSTEAD}");
    }
    format!("a seccomp filter or security module (of a container?) forbids ptrace: {INSTEAD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(program: &Path, number: i32) -> (Status, String) {
        let error = io::Error::from_raw_os_error(number);
        let failure = not_started(program.as_os_str(), error);
        let mut story = Vec::new();
        failure
            .explain(&mut story)
            .expect("memory can be written to");
        (failure.status(), String::from_utf8(story).expect("UTF-8"))
    }

    #[test]
    fn each_cause_has_its_own_words() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let causes = [
            (libc::ENOENT, Status::Usage, "interpreter"),
            (libc::EACCES, Status::Usage, "chmod +x"),
            (libc::ETXTBSY, Status::Usage, "written to"),
            (libc::E2BIG, Status::Usage, "too long"),
            (libc::EAGAIN, Status::Internal, "ulimit -u"),
            (libc::EMFILE, Status::Internal, "ulimit -n"),
            (libc::ENFILE, Status::Internal, "fs.file-max"),
            (libc::ENOMEM, Status::Internal, "memory.max"),
            (libc::EIO, Status::Usage, "runs by itself"),
        ];
        for (number, status, words) in causes {
            let (found, story) = told(file.path(), number);
            assert_eq!(found, status, "{story}");
            assert!(
                story.contains(words) && story.contains("caused by: "),
                "{story}"
            );
        }
        let (_, story) = told(Path::new("servr"), libc::ENOENT);
        assert!(story.contains("spelling"), "{story}");
        let (_, story) = told(&std::env::temp_dir(), libc::EACCES);
        assert!(story.contains("directory"), "{story}");
    }

    #[test]
    fn a_refusal_to_be_traced_is_none_to_be_executed() {
        for errno in [nix::errno::Errno::EPERM, nix::errno::Errno::ENOSYS] {
            let number = not_traced(errno).raw_os_error().expect("a number");
            let (status, story) = told(Path::new("/bin/true"), number);
            assert_eq!(status, Status::NotPermitted);
            assert!(
                story.contains("--pid") && !story.contains("chmod"),
                "{story}"
            );
            let cause = io::Error::from(errno).to_string();
            assert!(story.contains(&cause), "{story}");
        }
    }
}
