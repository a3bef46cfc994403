//! `map-probe record`: one profile at the end, and how far it is meanwhile.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tempfile::NamedTempFile;

use crate::error::{Failure, Status};
use crate::report::model::{Mode, Report};
use crate::report::{json, pprof};

/// How often the bar's clock is drawn anew.
const REDRAW: Duration = Duration::from_millis(250);

/// Writes a profile, and the same run as JSON if asked to.
pub struct Recorder {
    profile: Place,
    json: Option<Place>,
    duration: Option<Duration>,
    /// On a terminal, once the probes are in place.
    bar: ProgressBar,
    operations: u64,
}

impl Recorder {
    /// Looks whether the files can be written, so that a bad path costs no run; they are written at the end.
    ///
    /// # Errors
    /// When they cannot.
    pub fn open(
        profile: &Path,
        json: Option<&Path>,
        duration: Option<Duration>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            profile: Place::open(profile, "the profile", "--output")?,
            json: json
                .map(|path| Place::open(path, "the report", "--json"))
                .transpose()?,
            duration,
            bar: ProgressBar::hidden(),
            operations: 0,
        })
    }

    /// The probes are in place: shows how far the recording is, if standard error is a terminal.
    pub fn begin(&mut self) {
        let bar = ProgressBar::new(self.duration.unwrap_or_default().as_millis() as u64);
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let template = match self.duration {
            Some(_) => "recording {wide_bar} {elapsed} {prefix} {msg}",
            None => "recording {spinner} {elapsed} {msg} (Ctrl-C ends and writes)",
        };
        if let Some(duration) = self.duration {
            bar.set_prefix(format!("of {}", humantime::format_duration(duration)));
        }
        // The templates are right, as a test shows; were one wrong, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(REDRAW);
        self.bar = bar;
    }

    /// Shows how far the recording is.
    pub fn interval(&mut self, report: &Report) -> ControlFlow<()> {
        let elapsed = Duration::try_from_secs_f64(report.until_seconds).unwrap_or_default();
        self.bar.set_position(elapsed.as_millis() as u64);
        let operations = report.counts.operations.total();
        self.operations = self.operations.saturating_add(operations);
        let operations = self.operations;
        let noun = match report.mode {
            Mode::Trace => "operations",
            Mode::Sample => "samples",
        };
        self.bar.set_message(format!("{operations} {noun}"));
        ControlFlow::Continue(())
    }

    /// Writes the profile of the whole run.
    ///
    /// # Errors
    /// When that is not possible. What was at its place before is still there then.
    pub fn finish(&mut self, report: &Report) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        self.profile.write(|out| pprof::write(out, report))?;
        if let Some(json) = &self.json {
            json.write(|out| json::write_document(out, report))?;
        }
        let rows = &report.counts.operations;
        let what = match &report.counts.samples {
            None => format!(
                "{} operations, {} excess probes",
                rows.total(),
                rows.excess()
            ),
            Some(samples) => format!(
                "{} samples in map operations, of {} of the process",
                samples.in_map_functions() + samples.in_callees(),
                samples.total
            ),
        };
        let mut line = format!("recorded {what}, to {}", self.profile.path.display());
        if let Some(json) = &self.json {
            line.push_str(" and ");
            line.push_str(&json.path.display().to_string());
        }
        // Nobody listens: nothing to be done about it.
        let _ = writeln!(io::stderr(), "{line}");
        Ok(())
    }
}

/// Where a file is to be: written beside it first, so that it is there whole or not at all.
struct Place {
    path: PathBuf,
    /// What it is, for messages.
    what: &'static str,
    /// The option that named it.
    option: &'static str,
}

impl Place {
    fn open(path: &Path, what: &'static str, option: &'static str) -> Result<Self, Failure> {
        let place = Self {
            path: path.to_owned(),
            what,
            option,
        };
        if path.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(place.failure(Status::Usage, error));
        }
        if !place.is_special() {
            // Made and taken away again: the same as at the end, but for the name.
            place
                .beside()
                .map_err(|error| place.failure(Status::Usage, error))?;
        }
        Ok(place)
    }

    /// A device or pipe, such as `/dev/stdout`: there is nothing to put in its place.
    fn is_special(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|metadata| !metadata.is_file())
    }

    /// A new file in the same directory as the one that a link leads to.
    fn beside(&self) -> io::Result<(NamedTempFile, PathBuf)> {
        let path = self.path.canonicalize().unwrap_or(self.path.clone());
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let file = tempfile::Builder::new()
            .prefix(".map-probe-")
            // As any other new file; the umask takes away from it.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)?;
        Ok((file, path))
    }

    fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let written = if self.is_special() {
            File::create(&self.path).and_then(|file| filled(file, write))
        } else {
            self.beside().and_then(|(mut file, path)| {
                filled(&mut file, write)?;
                file.persist(path).map_err(|error| error.error)?;
                Ok(())
            })
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(self.failure(Status::Internal, error))
            }
            _ => Ok(()),
        }
    }

    fn failure(&self, status: Status, error: io::Error) -> Failure {
        let Self { path, what, option } = self;
        let message = format!("cannot write {what} to '{}'", path.display());
        let hint = match error.kind() {
            io::ErrorKind::NotFound => {
                format!("create the directory first, or give another file with {option}")
            }
            io::ErrorKind::IsADirectory => {
                format!("give the name of a file, not of a directory, with {option}")
            }
            io::ErrorKind::StorageFull => {
                format!("make room there, or give another file with {option}")
            }
            _ => format!("give a file in a directory that you may write to with {option}"),
        };
        Failure::new(status, message).caused_by(error).hint(hint)
    }
}

fn filled<W: Write>(
    out: W,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    write(&mut out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn entries(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string())
            .map(|name| name.expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_files_are_written_at_the_end_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (profile, json) = (
            directory.path().join("maps.pb.gz"),
            directory.path().join("r.json"),
        );
        fs::write(&profile, "what was there before").expect("written");
        let mut recorder =
            Recorder::open(&profile, Some(&json), None).expect("both can be written");
        assert_eq!(entries(directory.path()), ["maps.pb.gz"]);
        let report = sample::report();
        assert_eq!(recorder.interval(&report), ControlFlow::Continue(()));
        recorder.finish(&report).expect("written");
        assert_eq!(entries(directory.path()), ["maps.pb.gz", "r.json"]);
        assert_eq!(fs::read(&profile).expect("a file")[..2], [0x1f, 0x8b]);
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(&json).expect("a file")).expect("JSON");
        assert_eq!(json["final"], true);
    }

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("maps.pb.gz");
        fs::write(&path, "before").expect("written");
        let place = Place::open(&path, "the profile", "--output").expect("it can be written");
        let failure = place
            .write(|out| {
                out.write_all(b"half of it")?;
                Err(io::ErrorKind::StorageFull.into())
            })
            .expect_err("the disk is full");
        assert_eq!(failure.status(), Status::Internal);
        assert_eq!(fs::read(&path).expect("a file"), b"before");
        assert_eq!(entries(directory.path()), ["maps.pb.gz"]);
    }

    #[test]
    fn links_and_devices_stay_what_they_are() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (link, file) = (directory.path().join("link"), directory.path().join("file"));
        fs::write(&file, "before").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        for path in [&link, Path::new("/dev/null")] {
            Place::open(path, "the profile", "--output")
                .and_then(|place| place.write(|out| out.write_all(b"after")))
                .expect("written");
        }
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).expect("a file"), b"after");
        assert!(!fs::metadata("/dev/null").expect("there").is_file());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_wrong_usage() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for path in [
            directory.path().join("missing/maps.pb.gz"),
            directory.path().to_owned(),
        ] {
            let failure = Recorder::open(&path, None, None).err().expect("refused");
            assert_eq!(failure.status(), Status::Usage);
            let mut story = Vec::new();
            failure
                .explain(&mut story)
                .expect("memory can be written to");
            let story = String::from_utf8(story).expect("UTF-8");
            assert!(
                story.contains("caused by: ") && story.contains("with --output"),
                "{story}"
            );
        }
        assert_eq!(entries(directory.path()), [""; 0]);
    }

    #[test]
    fn the_bar_has_a_style_with_and_without_a_duration() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for duration in [None, Some(Duration::from_secs(30))] {
            let mut recorder = Recorder::open(&directory.path().join("p"), None, duration)
                .expect("it can be written");
            recorder.begin();
            recorder.bar.finish_and_clear();
        }
        for template in [
            "recording {wide_bar} {elapsed}",
            "recording {spinner} {elapsed}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
