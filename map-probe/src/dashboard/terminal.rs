//! The terminal: taken, drawn on, and given back as it was, whatever happens.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use crate::messages;

/// Whether the terminal is ours. One program, one terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that shows the dashboard. Given back when dropped, and before a panic is told.
pub(super) struct Screen(Terminal<CrosstermBackend<BufWriter<Stdout>>>);

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take() -> io::Result<Self> {
        give_back_on_panic();
        take()?;
        messages::divert();
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(io::stdout())));
        match terminal {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                give_back();
                messages::restore();
                Err(error)
            }
        }
    }

    /// Draws, if the terminal is still ours.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if TAKEN.load(Ordering::Acquire) {
            self.0.draw(draw)?;
        }
        Ok(())
    }

    /// Gives the terminal to the shell until it wakes us again.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // The whole job, as the terminal does it on Ctrl-Z. Returns when the shell continues us.
        // SAFETY: plain system calls without memory effects.
        unsafe {
            libc::kill(0, libc::SIGTSTP);
        }
        take()?;
        self.0.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
        messages::restore();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    let taken = execute!(io::stdout(), EnterAlternateScreen, Hide);
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back, once.
fn give_back() {
    if !TAKEN.swap(false, Ordering::AcqRel) {
        return;
    }
    // A terminal that is gone needs nothing.
    let mut out = io::stdout();
    let _ = queue!(out, ResetColor, LeaveAlternateScreen, Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// A panic is told on the terminal as it was.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
    });
}
