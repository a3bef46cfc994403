//! Where reports go: standard output or a file, in one of the formats.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;

use crate::error::Failure;
use crate::place::Place;
use crate::report::model::Report;
use crate::report::{csv, hlog, json, pprof, text};

/// How reports are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people: a block per interval, and one for the whole run.
    Text,
    /// For programs: one document for the whole run.
    Json,
    /// For programs that follow along: one document a line per interval, and one for the whole run.
    Ndjson,
    /// For people: the live dashboard, and after it the whole run as text. A file gets the whole run as JSON.
    Tui,
    /// For spreadsheets: lines per interval, and for the whole run.
    Csv,
    /// For the tools of `HdrHistogram`: histograms per interval.
    Hlog,
    /// For `go tool pprof`: one profile at the end.
    Pprof,
}

/// Writes reports, each at once.
pub struct Emitter {
    format: Format,
    style: text::Style,
    out: Place,
    /// Whether what goes before all reports has been written.
    begun: bool,
    /// The file of a run with a dashboard.
    beside: Option<Box<Self>>,
}

impl Emitter {
    /// Opens where the reports go: `file`, or standard output. Done before anything else, so that a bad path costs no run.
    ///
    /// # Errors
    /// When that cannot be written to.
    pub fn open(format: Format, file: Option<&Path>) -> Result<Self, Failure> {
        let unicode = unicode();
        if format == Format::Tui && file.is_some() {
            let mut screen = Self::open(format, None)?;
            screen.beside = Some(Box::new(Self::open(Format::Json, file)?));
            return Ok(screen);
        }
        let (style, mut out) = match file {
            Some(_) => (text::Style::plain(unicode), place(file)?),
            None => (style_of_stdout(unicode), place(None)?),
        };
        if format == Format::Tui {
            // The dashboard.
            out.was_seen();
        }
        Ok(Self::new(format, style, out))
    }

    fn new(format: Format, style: text::Style, out: Place) -> Self {
        Self {
            format,
            style,
            out,
            begun: false,
            beside: None,
        }
    }

    /// Writes the report of one interval, in the formats that have those.
    ///
    /// [`ControlFlow::Break`] says that the reader is gone (`| head`): the run can end, quietly.
    ///
    /// # Errors
    /// When it cannot be written for any other reason, such as a full disk.
    pub fn interval(&mut self, report: &Report) -> Result<ControlFlow<()>, Failure> {
        self.begin(report)?;
        match self.format {
            Format::Text => {
                self.write(|out, style| out.write_all(text::interval(report, style).as_bytes()))
            }
            Format::Json | Format::Tui | Format::Pprof => Ok(ControlFlow::Continue(())),
            Format::Ndjson => self.write(|out, _| json::write_line(out, report)),
            Format::Csv => self.write(|out, _| csv::write_rows(out, report)),
            Format::Hlog => self.write(|out, _| hlog::write_interval(out, report)),
        }
    }

    /// Writes the report of the whole run, and puts a file in its place. A reader that has left misses nothing it wanted.
    ///
    /// # Errors
    /// When it cannot be written for any other reason, such as a full disk, or when nobody has read any of it.
    pub fn finish(&mut self, report: &Report) -> Result<(), Failure> {
        if let Some(beside) = &mut self.beside {
            beside.finish(report)?;
        }
        if self.format == Format::Tui {
            // The terminal may have another size by now.
            self.style = style_of_stdout(self.style.unicode);
        }
        self.begin(report)?;
        // Whether the reader is gone, the end says.
        let _ = match self.format {
            Format::Text | Format::Tui => {
                self.write(|out, style| out.write_all(text::whole_run(report, style).as_bytes()))
            }
            Format::Json => self.write(|out, _| json::write_document(out, report)),
            Format::Ndjson => self.write(|out, _| json::write_line(out, report)),
            Format::Csv => self.write(|out, _| csv::write_rows(out, report)),
            Format::Hlog => self.write(|out, _| hlog::write_end(out, report)),
            Format::Pprof => self.write(|out, _| pprof::write(out, report)),
        }?;
        self.out.finish()
    }

    /// Writes what goes before all reports, once.
    fn begin(&mut self, report: &Report) -> Result<(), Failure> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let written = match self.format {
            Format::Csv => self.write(|out, _| csv::write_header(out)),
            Format::Hlog => self.write(|out, _| hlog::write_head(out, report)),
            Format::Text | Format::Json | Format::Ndjson | Format::Tui | Format::Pprof => {
                return Ok(());
            }
        };
        written.map(|_| ())
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut dyn Write, text::Style) -> io::Result<()>,
    ) -> Result<ControlFlow<()>, Failure> {
        let style = self.style;
        self.out.write(|out| write(out, style))
    }
}

/// Where a report goes: the file of `--output`, or standard output.
pub(crate) fn place(file: Option<&Path>) -> Result<Place, Failure> {
    match file {
        Some(path) => Place::file(path, "the report", "--output"),
        None => Place::standard_output("the report"),
    }
}

/// Prints what goes to standard output and nowhere else.
pub(crate) fn print(
    what: &'static str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = Place::only_standard_output(what)?;
    let _ = out.write(write)?;
    out.finish()
}

/// Wider lines are harder to read.
const WIDEST: usize = 100;

/// Whether standard output can show colours, if it is a terminal.
pub(crate) fn colour() -> bool {
    colour_wanted(|name| env::var(name).ok())
}

/// Whether the locale has characters beyond ASCII.
pub(crate) fn unicode() -> bool {
    utf8_locale(|name| env::var(name).ok())
}

/// Whether standard output is a terminal that a dashboard can be drawn on.
pub(crate) fn is_screen() -> bool {
    io::stdout().is_terminal()
        && env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb")
}

fn style_of_stdout(unicode: bool) -> text::Style {
    let stdout = io::stdout();
    let plain = text::Style::plain(unicode);
    if !stdout.is_terminal() {
        return plain;
    }
    let width = terminal_size::terminal_size_of(&stdout).map_or(plain.width, |(columns, _)| {
        usize::from(columns.0).clamp(1, WIDEST)
    });
    text::Style {
        width,
        colour: colour(),
        unicode,
    }
}

/// `NO_COLOR` (<https://no-color.org>) or a terminal that has none.
fn colour_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && variable("TERM").as_deref() != Some("dumb")
}

/// Whether the locale has characters beyond ASCII; the first variable that is set decides, as in POSIX.
pub(crate) fn utf8_locale(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use std::fs;

    fn intervals_and_end(format: Format) -> String {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("report");
        let mut emitter = Emitter::open(format, Some(&path)).expect("the file can be written");
        let mut interval = sample::report();
        interval.is_final = false;
        for _ in 0..2 {
            let next = emitter.interval(&interval).expect("written");
            assert_eq!(next, ControlFlow::Continue(()));
        }
        assert!(!path.exists(), "the file is there before it is whole");
        emitter.finish(&sample::report()).expect("written");
        fs::read_to_string(&path).expect("the report")
    }

    #[test]
    fn text_has_a_block_per_interval_and_one_for_the_whole_run() {
        let text = intervals_and_end(Format::Text);
        assert_eq!(text.matches("lookup hit").count(), 3);
        assert_eq!(text.matches("whole run").count(), 1);
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn json_is_one_document_for_the_whole_run() {
        let document: serde_json::Value =
            serde_json::from_str(&intervals_and_end(Format::Json)).expect("one document");
        assert_eq!(document["final"], true);
    }

    #[test]
    fn ndjson_is_a_document_per_interval_and_one_for_the_whole_run() {
        let finals: Vec<_> = intervals_and_end(Format::Ndjson)
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON")["final"].clone()
            })
            .collect();
        assert_eq!(finals, [false, false, true]);
    }

    #[test]
    fn a_run_that_fails_leaves_the_report_of_the_last_one() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("report");
        fs::write(&path, "yesterday's").expect("written");
        for format in [Format::Json, Format::Csv, Format::Hlog, Format::Text] {
            let mut emitter = Emitter::open(format, Some(&path)).expect("it can be written");
            let _ = emitter.interval(&sample::report()).expect("written");
            drop(emitter);
            assert_eq!(fs::read(&path).expect("a file"), b"yesterday's");
        }
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let of = |set: &'static [(&str, &str)]| {
            utf8_locale(move |name| {
                let found = set.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(of(&[("LANG", "de_DE.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!of(&[]));
    }

    #[test]
    fn colour_is_refused_by_no_color_and_by_dumb_terminals() {
        let of = |name: &'static str, value: &'static str| {
            colour_wanted(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert!(of("TERM", "xterm"));
        assert!(of("NO_COLOR", ""));
        assert!(!of("NO_COLOR", "1"));
        assert!(!of("TERM", "dumb"));
    }
}
