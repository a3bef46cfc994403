//! What each key does. The help page (`view/help.rs`) says the same in words.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use map_probe_common::op::{Op, Outcome};

use super::list::Sort;
use super::{Cursor, Effect, Kind, Scope, State, Tab};

/// Rows that `PageUp` and `PageDown` go.
const PAGE: usize = 10;
/// Letters of a filter.
const LONGEST_FILTER: usize = 100;
/// Intervals per column.
const ZOOMS: [usize; 5] = [1, 2, 5, 10, 20];

/// The kinds of operations, in the order of the overview; first all together.
pub(crate) const KINDS: [Option<Kind>; 7] = [
    None,
    Some((Op::Lookup, Outcome::Found)),
    Some((Op::Lookup, Outcome::Absent)),
    Some((Op::Insert, Outcome::Found)),
    Some((Op::Insert, Outcome::Absent)),
    Some((Op::Delete, Outcome::Found)),
    Some((Op::Delete, Outcome::Absent)),
];

impl State {
    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        self.notice = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Effect::Interrupt,
                KeyCode::Char('z') => Effect::Suspend,
                KeyCode::Char('u') if self.editing.is_some() => {
                    self.choice.filter.clear();
                    Effect::None
                }
                _ => Effect::None,
            };
        }
        if self.editing.is_some() {
            self.edit(key.code);
            return Effect::None;
        }
        if self.help {
            return self.help_key(key.code);
        }
        match key.code {
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char('e') => return Effect::Export,
            KeyCode::Char('?') | KeyCode::F(1) => (self.help, self.scroll) = (true, 0),
            KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => {
                self.go_to((self.tab + 1) % Tab::ALL.len());
            }
            KeyCode::BackTab | KeyCode::Left | KeyCode::Char('h') => {
                self.go_to((self.tab + Tab::ALL.len() - 1) % Tab::ALL.len());
            }
            KeyCode::Char(digit @ '1'..='7') => self.go_to(digit as usize - '1' as usize),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::PageDown => self.step(PAGE.cast_signed()),
            KeyCode::PageUp => self.step(-PAGE.cast_signed()),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Enter => self.open(),
            KeyCode::Esc | KeyCode::Backspace => self.back(),
            KeyCode::Char('/') => self.start_filter(),
            KeyCode::Char('s') => self.next_sort(),
            KeyCode::Char('S') => self.choice.reversed = !self.choice.reversed,
            KeyCode::Char('o') => self.next_kind(1),
            KeyCode::Char('O') => self.next_kind(KINDS.len() - 1),
            KeyCode::Char('x') => self.bars.exact = !self.bars.exact,
            KeyCode::Char('b') => self.bars.logarithmic = !self.bars.logarithmic,
            KeyCode::Char('w') => {
                self.scope = match self.scope {
                    Scope::Whole => Scope::Interval,
                    Scope::Interval => Scope::Whole,
                };
            }
            KeyCode::Char('p' | ' ') => self.pause(),
            KeyCode::Char('r') => self.reset(),
            KeyCode::Char('R') => {
                self.live.take_reset_back();
                self.version += 1;
                self.notice = Some("counts are of the whole run again".to_owned());
            }
            KeyCode::Char('-') => self.zoom(1),
            KeyCode::Char('+' | '=') => self.zoom(-1),
            _ => {}
        }
        Effect::None
    }

    fn help_key(&mut self, code: KeyCode) -> Effect {
        match code {
            KeyCode::Down | KeyCode::Char('j') => self.scroll = self.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                self.scroll = self.scroll.saturating_add(PAGE);
            }
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            // Any other key goes on with what it does.
            KeyCode::Char('q' | '?') | KeyCode::Esc | KeyCode::Enter | KeyCode::F(1) => {
                (self.help, self.scroll) = (false, 0);
            }
            _ => {}
        }
        Effect::None
    }

    fn edit(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.editing = None,
            KeyCode::Esc => self.choice.filter = self.editing.take().unwrap_or_default(),
            KeyCode::Backspace => {
                self.choice.filter.pop();
            }
            KeyCode::Char(letter) if self.choice.filter.len() < LONGEST_FILTER => {
                self.choice.filter.push(letter);
            }
            _ => {}
        }
    }

    fn start_filter(&mut self) {
        if self.opened().is_none() && matches!(self.tab(), Tab::List(_)) {
            self.editing = Some(self.choice.filter.clone());
        } else {
            self.notice = Some("filters are for the tables: tabs 3 to 6".to_owned());
        }
    }

    fn go_to(&mut self, tab: usize) {
        (self.tab, self.scroll) = (tab, 0);
        self.trail.clear();
        self.cursors.truncate(Tab::ALL.len());
    }

    /// Moves what can be moved on this page: the marked row, the operation, or the text.
    fn step(&mut self, by: isize) {
        if self.opened().is_none() {
            match self.tab() {
                Tab::Overview | Tab::Time => {
                    let at = self
                        .kind_index()
                        .saturating_add_signed(by)
                        .min(KINDS.len() - 1);
                    self.choice.kind = KINDS[at];
                    return;
                }
                Tab::Target => {
                    // The end of the text is known to the drawing alone: it stops there.
                    self.scroll = self
                        .scroll
                        .saturating_add_signed(by)
                        .min(usize::from(u16::MAX));
                    return;
                }
                Tab::List(_) => {}
            }
        }
        self.mark(self.marked().saturating_add_signed(by));
    }

    fn open(&mut self) {
        let marked = self.marked();
        let Some(subject) = self.subject(marked) else {
            if matches!(self.tab(), Tab::Overview | Tab::Time) {
                self.notice = Some("tabs 3 to 6 have rows to open".to_owned());
            }
            return;
        };
        self.mark(marked);
        self.trail.push(subject);
        self.cursors.push(Cursor::default());
    }

    fn back(&mut self) {
        if self.trail.pop().is_some() {
            self.cursors.truncate(Tab::ALL.len() + self.trail.len());
        } else {
            self.choice.filter.clear();
        }
    }

    fn next_sort(&mut self) {
        let at = Sort::ALL
            .iter()
            .position(|sort| *sort == self.choice.sort)
            .unwrap_or(0);
        self.choice.sort = Sort::ALL[(at + 1) % Sort::ALL.len()];
        self.choice.reversed = false;
        self.notice = Some(format!("sorted by {}", self.choice.sort.name()));
    }

    fn kind_index(&self) -> usize {
        KINDS
            .iter()
            .position(|kind| *kind == self.choice.kind)
            .unwrap_or(0)
    }

    fn next_kind(&mut self, by: usize) {
        self.choice.kind = KINDS[(self.kind_index() + by) % KINDS.len()];
    }

    fn pause(&mut self) {
        if self.paused.take().is_none() {
            if self.ended {
                self.notice = Some("the target has ended: nothing changes any more".to_owned());
                return;
            }
            self.paused = Some(Box::new(self.live.clone()));
        }
        self.version += 1;
    }

    fn reset(&mut self) {
        if self.ended {
            self.notice = Some("the target has ended: nothing would follow".to_owned());
            return;
        }
        self.live.reset();
        self.paused = None;
        self.version += 1;
        self.notice = Some("counts start over; R takes that back".to_owned());
    }

    fn zoom(&mut self, by: isize) {
        let at = ZOOMS
            .iter()
            .position(|zoom| *zoom == self.zoom)
            .unwrap_or(0);
        self.zoom = ZOOMS[at.saturating_add_signed(by).min(ZOOMS.len() - 1)];
    }
}
