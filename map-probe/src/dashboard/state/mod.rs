//! What the dashboard knows: reports and keys go in, the next state comes out. Nothing here draws or waits.

mod data;
pub(crate) mod history;
mod keys;
pub(crate) mod list;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;

use crossterm::event::KeyEvent;
use map_probe_common::op::{Op, Outcome};

use self::data::Data;
use self::list::{Choice, List, Subject, Table};
use crate::report::model::{Mode, Report, Rows};

pub(crate) use self::keys::KINDS;

/// Lines kept of what was said.
const MESSAGES: usize = 200;

/// A kind of operation on tables.
pub(crate) type Kind = (Op, Outcome);

/// The pages that a number or Tab leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    Time,
    List(List),
    Target,
}

impl Tab {
    pub(crate) const ALL: [Self; 7] = [
        Self::Overview,
        Self::Time,
        Self::List(List::Types),
        Self::List(List::Maps),
        Self::List(List::Sites),
        Self::List(List::Stacks),
        Self::Target,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Time => "Time",
            Self::List(List::Types) => "Types",
            Self::List(List::Maps) => "Maps",
            Self::List(List::Sites) => "Sites",
            Self::List(List::Stacks) => "Stacks",
            Self::Target => "Target",
        }
    }
}

/// The time that counts are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Since the probes were in place, or since the last reset.
    Whole,
    /// The last interval.
    Interval,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A key.
    Key(KeyEvent),
    /// An interval has ended: its report, and that of the run so far.
    Reports(Box<(Report, Report)>),
    /// Something was said beside the reports.
    Said(String),
    /// The target has ended; nothing more will be counted.
    TargetEnded,
    /// What came of [`Effect::Export`]: the file's name, or why there is none.
    Exported(Result<String, String>),
    /// There is no keyboard, or not any more.
    NoKeys,
}

/// What is to be done outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// End the run.
    Quit,
    /// End the run as Ctrl-C does, for the command too.
    Interrupt,
    /// Give the terminal back to the shell, as Ctrl-Z does.
    Suspend,
    /// Write what is on the screen to a file.
    Export,
}

/// How histograms are drawn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bars {
    /// Every depth for itself, instead of powers of two.
    pub(crate) exact: bool,
    /// Bars by the logarithm of their counts.
    pub(crate) logarithmic: bool,
}

/// The row that is marked in a table.
#[derive(Clone, Debug, Default)]
struct Cursor {
    index: usize,
    /// The row itself, which is followed when rows move.
    subject: Option<Subject>,
}

/// Everything that a screen shows.
#[derive(Debug)]
pub(crate) struct State {
    /// What comes in.
    live: Data,
    /// What is shown instead while the display is paused.
    paused: Option<Box<Data>>,
    pub(crate) tab: usize,
    pub(crate) scope: Scope,
    pub(crate) choice: Choice,
    pub(crate) bars: Bars,
    /// Intervals per column.
    pub(crate) zoom: usize,
    /// The filter is being written; this was it before.
    pub(crate) editing: Option<String>,
    pub(crate) help: bool,
    /// What was opened, one out of the other.
    trail: Vec<Subject>,
    /// The marked rows: of each tab, and of each page that was opened.
    cursors: Vec<Cursor>,
    /// How far the Target tab and the help are scrolled.
    pub(crate) scroll: usize,
    /// The answer to the last key, if it has one.
    pub(crate) notice: Option<String>,
    pub(crate) messages: VecDeque<String>,
    pub(crate) ended: bool,
    /// The tables on the page.
    tables: Vec<Table>,
    /// What they were made from.
    basis: Option<Basis>,
    /// Counts the changes of what is shown.
    version: u64,
}

/// What the tables on a page depend on: while it stays the same, so do they.
#[derive(Debug, PartialEq)]
struct Basis {
    version: u64,
    scope: Scope,
    tab: usize,
    trail: Vec<Subject>,
    choice: Choice,
}

impl State {
    /// Before the first interval; `report` has no operations yet.
    pub(crate) fn new(report: Report) -> Self {
        Self {
            choice: Choice::new(report.ranking),
            live: Data::new(report),
            paused: None,
            tab: 0,
            scope: Scope::Whole,
            bars: Bars::default(),
            zoom: 1,
            editing: None,
            help: false,
            trail: Vec::new(),
            cursors: vec![Cursor::default(); Tab::ALL.len()],
            scroll: 0,
            notice: None,
            messages: VecDeque::new(),
            ended: false,
            tables: Vec::new(),
            basis: None,
            version: 0,
        }
    }

    /// Takes in what happened.
    pub(crate) fn update(&mut self, event: Event) -> Effect {
        let effect = self.take_in(event);
        self.renew_tables();
        effect
    }

    fn take_in(&mut self, event: Event) -> Effect {
        match event {
            Event::Key(key) => return self.key(key),
            Event::Reports(reports) => {
                let (interval, whole) = *reports;
                self.live.add(interval, whole);
                self.version += 1;
            }
            Event::Said(line) => {
                if self.messages.len() == MESSAGES {
                    self.messages.pop_front();
                }
                self.notice = Some(line.clone());
                self.messages.push_back(line);
            }
            Event::TargetEnded => {
                self.ended = true;
                // The final state is what is left to look at.
                self.paused = None;
                self.version += 1;
            }
            Event::Exported(Ok(file)) => self.notice = Some(format!("written to {file}")),
            Event::Exported(Err(error)) => self.notice = Some(format!("cannot export: {error}")),
            Event::NoKeys => {
                self.notice = Some("no keyboard: end with kill -INT or --duration".to_owned());
            }
        }
        Effect::None
    }

    /// What is shown.
    pub(crate) fn data(&self) -> &Data {
        self.paused.as_deref().unwrap_or(&self.live)
    }

    /// How the counts come about.
    pub(crate) fn data_mode(&self) -> Mode {
        self.data().whole.mode
    }

    pub(crate) const fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The report of the time that is looked at.
    pub(crate) fn report(&self) -> &Report {
        match self.scope {
            Scope::Whole => &self.data().whole,
            Scope::Interval => &self.data().interval,
        }
    }

    pub(crate) fn tab(&self) -> Tab {
        Tab::ALL.get(self.tab).copied().unwrap_or(Tab::Overview)
    }

    /// What was opened last, if anything.
    pub(crate) fn opened(&self) -> Option<&Subject> {
        self.trail.last()
    }

    /// The operations of what was opened last, if it has any in this time.
    pub(crate) fn opened_rows(&self) -> Option<&Rows> {
        let counts = &self.report().counts;
        match self.opened()? {
            Subject::Type(name) => counts
                .by_type
                .iter()
                .find(|of| of.name == *name)
                .map(|of| &of.rows),
            Subject::Map(address, typ) => {
                let found = counts
                    .by_map
                    .iter()
                    .find(|of| of.address == *address && of.typ == *typ);
                found.map(|of| &of.rows)
            }
            Subject::Site(frames, typ) => {
                let found = counts
                    .by_site
                    .iter()
                    .find(|of| of.frames == *frames && of.typ == *typ);
                found.map(|of| &of.rows)
            }
            Subject::Stack(frames, typ) => {
                let found = counts
                    .by_stack
                    .iter()
                    .find(|of| of.frames == *frames && of.typ == *typ);
                found.map(|of| &of.rows)
            }
        }
    }

    pub(crate) fn trail(&self) -> &[Subject] {
        &self.trail
    }

    /// The tables on the page.
    pub(crate) fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// Makes the tables anew, if anything about them has changed, and remembers where the marked row is now, for when it is
    /// gone.
    fn renew_tables(&mut self) {
        let basis = Basis {
            version: self.version,
            scope: self.scope,
            tab: self.tab,
            trail: self.trail.clone(),
            choice: self.choice.clone(),
        };
        if self.basis.as_ref() == Some(&basis) {
            return;
        }
        self.tables = self.new_tables();
        self.basis = Some(basis);
        let (marked, page) = (self.marked(), self.page());
        if let Some(cursor) = self.cursors.get_mut(page) {
            cursor.index = marked;
        }
    }

    fn new_tables(&self) -> Vec<Table> {
        let Some(subject) = self.opened() else {
            return match self.tab() {
                Tab::List(list) => vec![Table::new(list, self.report(), &self.choice, None)],
                Tab::Overview | Tab::Time | Tab::Target => Vec::new(),
            };
        };
        let choice = Choice {
            filter: String::new(),
            ..self.choice.clone()
        };
        let lists: &[List] = match subject {
            Subject::Type(_) => &[List::Maps, List::Sites, List::Stacks],
            Subject::Site(..) => &[List::Types, List::Maps, List::Stacks],
            Subject::Map(..) | Subject::Stack(..) => &[List::Types, List::Sites],
        };
        let related = |list: &List| Table::new(*list, self.report(), &choice, Some(subject));
        lists.iter().map(related).collect()
    }

    /// The index of the marked row among all rows of the page's tables.
    pub(crate) fn marked(&self) -> usize {
        let Some(cursor) = self.cursors.get(self.page()) else {
            return 0;
        };
        let counts = &self.report().counts;
        let mut before = 0;
        let mut found = None;
        for table in &self.tables {
            if let (None, Some(subject)) = (found, &cursor.subject) {
                let position = table.position(subject, counts);
                found = position.map(|position| before + position);
            }
            before += table.len();
        }
        found.unwrap_or(cursor.index).min(before.saturating_sub(1))
    }

    /// What a row is about, counted over all tables of the page.
    fn subject(&self, mut index: usize) -> Option<Subject> {
        for table in &self.tables {
            if index < table.len() {
                return table.subject(index, &self.report().counts);
            }
            index -= table.len();
        }
        None
    }

    /// Whose cursor is in use: the tab's, or that of the page opened last.
    fn page(&self) -> usize {
        match self.trail.len() {
            0 => self.tab,
            deep => Tab::ALL.len() + deep - 1,
        }
    }

    /// Marks a row, counted over all tables of the page.
    fn mark(&mut self, index: usize) {
        let rows: usize = self.tables.iter().map(Table::len).sum();
        let index = index.min(rows.saturating_sub(1));
        let subject = self.subject(index);
        let page = self.page();
        if let Some(cursor) = self.cursors.get_mut(page) {
            *cursor = Cursor { index, subject };
        }
    }
}
