//! Whatever goes wrong, a file is there whole or as it was.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

fn place(path: &Path) -> Place {
    Place::file(path, "the report", "--output").expect("it can be written")
}

fn written(path: &Path, text: &str) {
    let mut place = place(path);
    let next = place.write(|out| out.write_all(text.as_bytes()));
    assert_eq!(next.expect("written"), ControlFlow::Continue(()));
    place.finish().expect("put in its place");
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string())
        .map(|name| name.expect("UTF-8"))
        .collect();
    names.sort();
    names
}

fn story(failure: &Failure) -> String {
    let mut story = Vec::new();
    failure
        .explain(&mut story)
        .expect("memory can be written to");
    String::from_utf8(story).expect("UTF-8")
}

#[test]
fn a_file_appears_at_the_end_and_nothing_else_does() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report");
    let mut place = place(&path);
    for _ in 0..3 {
        let _ = place.write(|out| out.write_all(b"part ")).expect("written");
        assert_eq!(entries(directory.path()), [""; 0]);
    }
    place.finish().expect("put in its place");
    assert_eq!(entries(directory.path()), ["report"]);
    assert_eq!(fs::read(&path).expect("a file"), b"part part part ");
}

#[test]
fn what_was_there_stays_until_all_is_written() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("report");
    fs::write(&path, "before").expect("written");
    let mut unfinished = place(&path);
    let _ = unfinished
        .write(|out| out.write_all(b"half of it"))
        .expect("written");
    let failure = unfinished
        .write(|out| {
            out.write_all(b"more")?;
            Err(io::ErrorKind::StorageFull.into())
        })
        .expect_err("the disk is full");
    assert_eq!(failure.status(), Status::Internal);
    assert!(story(&failure).contains("make room there"));
    drop(unfinished);
    assert_eq!(fs::read(&path).expect("a file"), b"before");
    written(&path, "after");
    assert_eq!(fs::read(&path).expect("a file"), b"after");
    assert_eq!(entries(directory.path()), ["report"]);
}

#[test]
fn a_file_keeps_its_permissions_and_a_new_one_has_those_of_any_other() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let (old, new, other) = (
        directory.path().join("old"),
        directory.path().join("new"),
        directory.path().join("other"),
    );
    fs::write(&old, "before").expect("written");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).expect("changed");
    written(&old, "after");
    written(&new, "after");
    fs::write(&other, "").expect("written");
    assert_eq!(mode(&old), 0o640);
    assert_eq!(mode(&new), mode(&other));
}

#[test]
fn links_stay_links_and_lead_to_the_report() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [first, second, file, dangling] =
        ["first", "second", "file", "dangling"].map(|name| directory.path().join(name));
    fs::write(&file, "before").expect("written");
    symlink("second", &first).expect("linked");
    symlink(&file, &second).expect("linked");
    symlink("missing", &dangling).expect("linked");
    written(&first, "after");
    written(&dangling, "new");
    assert!(
        [&first, &second, &dangling]
            .iter()
            .all(|link| link.is_symlink())
    );
    assert_eq!(fs::read(&file).expect("a file"), b"after");
    let missing = directory.path().join("missing");
    assert_eq!(fs::read(missing).expect("a file"), b"new");
    let (here, there) = (
        directory.path().join("here"),
        directory.path().join("there"),
    );
    symlink(&there, &here).expect("linked");
    symlink(&here, &there).expect("linked");
    assert!(
        Place::file(&here, "the report", "--output").is_err(),
        "an endless link"
    );
}

#[test]
fn devices_and_open_files_are_written_through() {
    written(Path::new("/dev/null"), "gone");
    assert!(!fs::metadata("/dev/null").expect("there").is_file());
    let failure = place(Path::new("/dev/full"))
        .write(|out| out.write_all(b"more than it takes"))
        .expect_err("it is full");
    assert_eq!(failure.status(), Status::Internal);
    // As `/dev/stdout` with `>> FILE`.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("log");
    fs::write(&path, "before ").expect("written");
    let file = OpenOptions::new().append(true).open(&path).expect("opened");
    let open = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    written(Path::new(&open), "after");
    assert_eq!(fs::read(&path).expect("a file"), b"before after");
}

#[test]
fn a_pipe_gets_each_part_at_once_and_stays_a_pipe() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("pipe");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("made");
    let reader = {
        let path = path.clone();
        thread::spawn(move || fs::read_to_string(path).expect("read"))
    };
    written(&path, "through");
    assert_eq!(reader.join().expect("it ends"), "through");
    assert_eq!(entries(directory.path()), ["pipe"]);
}

/// A place whose reader goes once it has had so much.
fn left_after(bytes: usize) -> Place {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let mut place = Place::new("a pipe".to_owned(), "the report", "stay".to_owned());
    place.out = Out::Through(File::from(std::os::fd::OwnedFd::from(writer)));
    if bytes > 0 {
        let next = place.write(|out| out.write_all(&vec![b'x'; bytes]));
        assert_eq!(next.expect("written"), ControlFlow::Continue(()));
        io::Read::read_exact(&mut reader, &mut vec![0; bytes]).expect("it is there");
    }
    place
}

#[test]
fn a_reader_that_had_some_ends_the_run_quietly() {
    let mut place = left_after(10);
    for _ in 0..2 {
        let next = place.write(|out| out.write_all(b"more")).expect("quiet");
        assert_eq!(next, ControlFlow::Break(()));
    }
    place.finish().expect("quiet");
}

#[test]
fn a_report_that_nobody_had_any_of_is_an_error() {
    let mut place = left_after(0);
    let next = place.write(|out| out.write_all(b"all")).expect("quiet");
    assert_eq!(next, ControlFlow::Break(()));
    let failure = place.finish().expect_err("nobody read it");
    assert_eq!(failure.status(), Status::Internal);
    assert!(story(&failure).contains("nobody read it"));
}

#[test]
fn what_cannot_be_written_is_wrong_usage() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    fs::write(&file, "before").expect("written");
    for path in [
        directory.path().join("missing/report"),
        directory.path().join("new/"),
        directory.path().to_owned(),
        file.join("below"),
        PathBuf::from("/proc/version"),
        PathBuf::new(),
    ] {
        let failure = Place::file(&path, "the report", "--output").expect_err("refused");
        assert_eq!(failure.status(), Status::Usage, "{}", path.display());
        let story = story(&failure);
        assert!(story.contains(&path.display().to_string()), "{story}");
        assert!(
            story.contains("caused by: ") && story.contains("with --output"),
            "{story}"
        );
    }
    assert_eq!(entries(directory.path()), ["file"]);
}
