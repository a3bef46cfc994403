//! What map-probe says beside its reports: on standard error, and in the dashboard while there is one.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::printable;

/// Lines kept for the time after the dashboard.
const KEPT: usize = 1000;

/// What was said while the dashboard has the screen.
struct Said {
    /// What the dashboard has not seen.
    fresh: Vec<String>,
    /// What standard error has not seen: all of it if it is the dashboard's terminal.
    owed: Vec<String>,
    left_out: u64,
    stderr_is_the_screen: bool,
}

static SAID: Mutex<Option<Said>> = Mutex::new(None);

fn said() -> MutexGuard<'static, Option<Said>> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says a line.
pub(crate) fn say(line: &str) {
    let line = &printable(line);
    let mut said = said();
    if let Some(said) = said.as_mut() {
        if said.fresh.len() < KEPT {
            said.fresh.push(line.to_owned());
        }
        if said.stderr_is_the_screen {
            if said.owed.len() < KEPT {
                said.owed.push(line.to_owned());
            } else {
                said.left_out = said.left_out.saturating_add(1);
            }
            return;
        }
    }
    // Nobody listens: nothing to be done about it.
    let _ = writeln!(io::stderr(), "{line}");
}

/// From now on the screen is the dashboard's: what is said goes there.
pub(crate) fn divert() {
    *said() = Some(Said {
        fresh: Vec::new(),
        owed: Vec::new(),
        left_out: 0,
        stderr_is_the_screen: io::stderr().is_terminal(),
    });
}

/// What was said since the last call, for the dashboard.
pub(crate) fn fresh() -> Vec<String> {
    let mut said = said();
    said.as_mut()
        .map(|said| std::mem::take(&mut said.fresh))
        .unwrap_or_default()
}

/// The screen is free again: standard error gets what it has missed.
pub(crate) fn restore() {
    let Some(said) = said().take() else { return };
    for line in &said.owed {
        say(line);
    }
    if said.left_out > 0 {
        say(&format!("{} more lines left out", said.left_out));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_beside_the_dashboard_is_shown_there_and_owed_to_the_terminal() {
        divert();
        if let Some(said) = said().as_mut() {
            said.stderr_is_the_screen = true;
        }
        for line in 0..KEPT + 3 {
            say(&line.to_string());
        }
        let fresh = fresh();
        assert_eq!((fresh.len(), fresh[0].as_str()), (KEPT, "0"));
        let said = said().take().expect("diverted");
        assert_eq!((said.owed.len(), said.left_out), (KEPT, 3));
        assert!(said.fresh.is_empty());
    }
}
