//! The live dashboard: a terminal, its keys, and between them a state that reports and keys change and that is drawn.
//!
//! `state/` knows no terminal and `view/` no input; what is here strings them together.

mod export;
#[cfg(test)]
mod sample;
mod state;
mod terminal;
mod view;

use std::future::{pending, poll_fn};
use std::path::Path;
use std::pin::Pin;

use crossterm::event::{Event as Input, EventStream};
use futures_core::Stream as _;

use self::state::{Effect, Event, State};
use self::terminal::Screen;
use self::view::Look;
use crate::error::{Failure, Status};
use crate::messages;
use crate::output;
use crate::report::model::Report;

/// What the user wants of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That it goes on.
    GoOn,
    /// That it ends.
    End,
}

/// The dashboard, if there is one; otherwise nothing happens.
pub(crate) struct Live(Option<Dashboard>);

struct Dashboard {
    screen: Screen,
    /// `None` once there are none any more.
    keys: Option<EventStream>,
    state: State,
    look: Look,
    /// Whether the terminal cannot be drawn on any more.
    gone: bool,
}

impl Live {
    /// Takes the terminal and shows a run that has just begun, as `report` says; nothing if there is none.
    ///
    /// # Errors
    /// There is no terminal to take.
    pub(crate) fn start(report: Option<Report>) -> Result<Self, Failure> {
        let Some(report) = report else {
            return Ok(Self(None));
        };
        let screen = Screen::take().map_err(|error| {
            Failure::new(Status::Usage, "cannot show the dashboard on this terminal")
                .caused_by(error)
                .hint("give --format text for a block of text per interval")
        })?;
        let mut dashboard = Dashboard {
            screen,
            keys: Some(EventStream::new()),
            state: State::new(report),
            look: Look {
                colour: output::colour(),
                unicode: output::unicode(),
            },
            gone: false,
        };
        dashboard.draw();
        Ok(Self(Some(dashboard)))
    }

    /// Whether there is one.
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Shows an interval, and the run up to its end.
    pub(crate) fn show(&mut self, interval: &Report, run: Option<Report>) {
        if let (Some(dashboard), Some(run)) = (&mut self.0, run) {
            dashboard.hear();
            let reports = Box::new((interval.clone(), run));
            dashboard.state.update(Event::Reports(reports));
            dashboard.draw();
        }
    }

    /// Shows what was said meanwhile.
    pub(crate) fn messages(&mut self) {
        if let Some(dashboard) = &mut self.0
            && dashboard.hear()
        {
            dashboard.draw();
        }
    }

    /// Says that the target has ended.
    pub(crate) fn target_ended(&mut self) {
        if let Some(dashboard) = &mut self.0 {
            dashboard.state.update(Event::TargetEnded);
            dashboard.draw();
        }
    }

    /// Waits for a key or a new size, and does what it asks for; forever if there is no dashboard. A terminal that is gone
    /// asks for the end.
    pub(crate) async fn input(&mut self) -> Wish {
        match &mut self.0 {
            None => pending().await,
            Some(dashboard) => dashboard.input().await,
        }
    }

    /// Waits until the user has seen enough; forever if there is no dashboard.
    pub(crate) async fn until_left(&mut self) {
        while self.input().await == Wish::GoOn {}
    }
}

impl Dashboard {
    async fn input(&mut self) -> Wish {
        if self.gone {
            return Wish::End;
        }
        let Some(keys) = &mut self.keys else {
            return pending().await;
        };
        // Nothing is lost when this is dropped while it waits.
        let input = poll_fn(|context| Pin::new(&mut *keys).poll_next(context)).await;
        let effect = match input {
            Some(Ok(Input::Key(key))) => self.state.update(Event::Key(key)),
            // Drawing finds out the size.
            Some(Ok(_)) => Effect::None,
            Some(Err(_)) | None => {
                self.keys = None;
                self.state.update(Event::NoKeys)
            }
        };
        match effect {
            Effect::None => {}
            Effect::Quit => return Wish::End,
            Effect::Interrupt => {
                // What the terminal does on Ctrl-C when it is not ours: the whole job gets it, a command too.
                // SAFETY: a plain system call without memory effects; our own handler ends the run.
                unsafe {
                    libc::kill(0, libc::SIGINT);
                }
                return Wish::End;
            }
            Effect::Suspend => self.gone |= self.screen.suspend().is_err(),
            Effect::Export => {
                let written = export::write(&self.state, Path::new("."));
                let written = written.map_err(|error| error.to_string());
                self.state.update(Event::Exported(written));
            }
        }
        self.draw();
        Wish::GoOn
    }

    /// Takes in what was said; whether there was anything.
    fn hear(&mut self) -> bool {
        let said = messages::fresh();
        let any = !said.is_empty();
        for line in said {
            self.state.update(Event::Said(line));
        }
        any
    }

    /// What cannot be drawn ends the run: there is nobody to see it, but there may be a report to write.
    fn draw(&mut self) {
        let Self {
            screen,
            state,
            look,
            ..
        } = self;
        let drawn = screen.draw(|frame| view::draw(frame, state, *look));
        self.gone |= drawn.is_err();
    }
}
