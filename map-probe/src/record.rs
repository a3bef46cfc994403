//! `map-probe record`: one profile at the end, and how far it is meanwhile.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Failure;
use crate::messages::say;
use crate::place::Place;
use crate::report::model::{Mode, Report};
use crate::report::{json, pprof};

/// How often the bar's clock is drawn anew.
const REDRAW: Duration = Duration::from_millis(250);

/// Writes a profile, and the same run as JSON if asked to.
pub struct Recorder {
    profile: (Place, PathBuf),
    json: Option<(Place, PathBuf)>,
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
            profile: open(profile, "the profile", "--output")?,
            json: json
                .map(|path| open(path, "the report", "--json"))
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
        let (profile, path) = &mut self.profile;
        let _ = profile.write(|out| pprof::write(out, report))?;
        let mut places = path.display().to_string();
        if let Some((json, path)) = &mut self.json {
            let _ = json.write(|out| json::write_document(out, report))?;
            // Both are whole before either is there.
            json.finish()?;
            places = format!("{places} and {}", path.display());
        }
        profile.finish()?;
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
        say(&format!("recorded {what}, to {places}"));
        Ok(())
    }
}

/// A file, and its path for people.
fn open(
    path: &Path,
    what: &'static str,
    option: &'static str,
) -> Result<(Place, PathBuf), Failure> {
    Ok((Place::file(path, what, option)?, path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use std::fs;

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
