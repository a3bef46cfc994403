//! The terminal: taken, drawn on, and given back as it was, whatever happens.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::mem::ManuallyDrop;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// No signal takes longer to reach us.
const UNTIL_STOPPED: Duration = Duration::from_millis(50);

/// Whether the terminal is ours. One program, one terminal.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A terminal that shows the dashboard. Given back when dropped, and before a panic is told.
pub(super) struct Screen(
    /// Never dropped: it would have the last word on standard error if the terminal is gone, and panic if that is, too.
    ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
);

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
            Ok(terminal) => Ok(Self(ManuallyDrop::new(terminal))),
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
        // Another thread may be the one that gets it: what is taken before it has stopped us all would stay taken.
        std::thread::sleep(UNTIL_STOPPED);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::{AsRawFd as _, FromRawFd as _};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    const PANICKING: &str = "dashboard::terminal::tests::panics_on_the_screen";

    /// Tells the child of the test below from other runs.
    const ON_PURPOSE: &str = "MAP_PROBE_TEST_PANICS";

    /// What the test below runs in a terminal of its own; nothing in other runs.
    #[test]
    fn panics_on_the_screen() {
        if std::env::var_os(ON_PURPOSE).is_none() {
            return;
        }
        let _screen = Screen::take().expect("a terminal");
        panic!("on purpose");
    }

    fn settings(terminal: &File) -> libc::termios {
        let mut settings = std::mem::MaybeUninit::uninit();
        // SAFETY: the descriptor is open, and there is room for the settings.
        let result = unsafe { libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()) };
        assert_eq!(result, 0);
        // SAFETY: tcgetattr has succeeded, and so has filled them in.
        unsafe { settings.assume_init() }
    }

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        let (mut master, mut slave) = (0, 0);
        let none = std::ptr::null_mut();
        // SAFETY: both descriptors are written to places of ours; the other pointers may be null.
        let opened = unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                none,
                none.cast(),
                none.cast(),
            )
        };
        assert_eq!(opened, 0);
        // SAFETY: both descriptors are new, and nobody else has them.
        let (mut master, slave) = unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) };
        let before = settings(&slave);
        let stdio = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", PANICKING, "--nocapture"]);
        child.env(ON_PURPOSE, "1");
        child.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: setsid(2) and ioctl(2) are all it calls, between fork and exec.
        unsafe {
            child.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let mut child = child.spawn().expect("started");
        let mut seen = Vec::new();
        let mut some = [0; 4096];
        let told = |seen: &[u8]| String::from_utf8_lossy(seen).contains("test result: FAILED");
        while !told(&seen) {
            let count = master.read(&mut some).expect("what the child writes");
            seen.extend_from_slice(&some[..count]);
        }
        assert!(!child.wait().expect("its end").success());
        let seen = String::from_utf8_lossy(&seen);
        let at = |words: &str| {
            seen.find(words)
                .unwrap_or_else(|| panic!("{words:?} is not in {seen:?}"))
        };
        let (taken, left) = (at("\x1b[?1049h"), at("\x1b[?1049l"));
        assert!(taken < left && left < at("on purpose"), "{seen:?}");
        assert!(at("\x1b[?25h") < at("on purpose"), "the cursor");
        let after = settings(&slave);
        let flags = |of: &libc::termios| (of.c_iflag, of.c_oflag, of.c_cflag, of.c_lflag, of.c_cc);
        assert_eq!(flags(&before), flags(&after));
    }
}
