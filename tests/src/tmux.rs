//! A terminal for the dashboard: a tmux of its own, in which keys are pressed and screens are read.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// No screen in these tests takes longer to appear, even on a slow machine.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether there is a tmux; `false` with a message if not.
///
/// # Errors
///
/// The message cannot be written.
pub fn wanted() -> Result<bool> {
    let found = Command::new("tmux").arg("-V").output().is_ok();
    if !found {
        writeln!(
            std::io::stderr(),
            "ignored: tmux is missing (on Debian: apt-get install tmux)"
        )?;
    }
    Ok(found)
}

/// A terminal in which one command runs. Its tmux server is killed when dropped.
#[derive(Debug)]
pub struct Tmux {
    directory: TempDir,
}

impl Tmux {
    /// Runs a command in a terminal of so many columns and lines, with variables of its own.
    ///
    /// The terminal's settings are noted before and after, and the command's process id and exit status. When the command is
    /// suspended, the shell notes the settings, says `suspended-1` (the next time 2), and continues it at the next Enter.
    ///
    /// # Errors
    ///
    /// tmux does not start.
    pub fn run(
        command: &[&str],
        variables: &[(&str, &str)],
        columns: u16,
        lines: u16,
    ) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let quoted: Vec<_> = command.iter().map(|word| quote(word)).collect();
        let exports: Vec<_> = variables
            .iter()
            .map(|(name, value)| format!("export {name}={}\n", quote(value)))
            .collect();
        let exports = exports.concat();
        let script = format!(
            "trap : INT QUIT\nset -m\nexport LC_ALL=C.UTF-8\n{exports}stty -a > before\n\
             sh -c 'echo $$ > pid; exec \"$@\"' sh {}\n\
             status=$?\n\
             while test $status = 148; do\n\
             stty -a > suspended\ntimes=$((times + 1))\necho suspended-$times\nread line\nfg\nstatus=$?\n\
             done\n\
             echo $status > status\nstty -a > after\necho the-shell-again\ncat\n",
            quoted.join(" ")
        );
        std::fs::write(directory.path().join("script"), script)?;
        let tmux = Self { directory };
        let size = [columns.to_string(), lines.to_string()];
        let at = tmux.directory().to_str().context("a path")?.to_owned();
        tmux.command(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-s",
            "dashboard",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "-c",
            &at,
            "sh",
            "script",
        ])?;
        Ok(tmux)
    }

    /// Where the command runs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, arguments: &[&str]) -> Result<Output> {
        let socket: PathBuf = self.directory().join("socket");
        let output = Command::new("tmux")
            .arg("-S")
            .arg(socket)
            .args(["-u"])
            .args(arguments)
            .env_remove("TMUX")
            .output()?;
        ensure!(
            output.status.success(),
            "tmux {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output)
    }

    /// Presses keys, by tmux's names for them.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        let mut arguments = vec!["send-keys", "-t", "dashboard"];
        arguments.extend(keys);
        self.command(&arguments).map(|_| ())
    }

    /// Makes the terminal another size.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn resize(&self, columns: u16, lines: u16) -> Result<()> {
        let size = [columns.to_string(), lines.to_string()];
        self.command(&[
            "resize-window",
            "-t",
            "dashboard",
            "-x",
            &size[0],
            "-y",
            &size[1],
        ])
        .map(|_| ())
    }

    /// What is on the screen.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn screen(&self) -> Result<String> {
        let output = self.command(&["capture-pane", "-p", "-t", "dashboard"])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What is on the screen and above it, with the escapes for colours.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn all_with_colours(&self) -> Result<String> {
        let output = self.command(&[
            "capture-pane",
            "-p",
            "-e",
            "-J",
            "-S",
            "-",
            "-t",
            "dashboard",
        ])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until all of these words are on the screen; the screen.
    ///
    /// # Errors
    ///
    /// They do not appear.
    pub fn wait_for(&self, words: &[&str]) -> Result<String> {
        let begun = Instant::now();
        loop {
            let screen = self.screen()?;
            if words.iter().all(|word| screen.contains(word)) {
                return Ok(screen);
            }
            if begun.elapsed() > LONGEST {
                bail!("{words:?} are not on the screen:\n{screen}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// The process id of the command.
    ///
    /// # Errors
    ///
    /// It was not started.
    pub fn pid(&self) -> Result<i32> {
        let pid = std::fs::read_to_string(self.directory().join("pid"))?;
        Ok(pid.trim().parse()?)
    }

    /// Closes the terminal, as when its window is closed or a connection breaks, and waits for the end of the command.
    ///
    /// # Errors
    ///
    /// It goes on.
    pub fn hang_up(&self) -> Result<()> {
        let process = PathBuf::from(format!("/proc/{}", self.pid()?));
        // The last terminal takes the server with it.
        self.command(&["kill-pane", "-t", "dashboard"])?;
        let begun = Instant::now();
        while process.exists() {
            ensure!(begun.elapsed() < LONGEST, "it goes on without a terminal");
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Demands that the terminal is the shell's while the command is suspended, for the first time or a later one.
    ///
    /// # Errors
    ///
    /// Anything is different from before the command began.
    pub fn expect_suspended(&self, time: u32) -> Result<()> {
        self.wait_for(&[&format!("suspended-{time}")])?;
        self.expect_settings("suspended")
    }

    /// Waits for the end of the command, and demands that the terminal is as it was: its settings, its cursor, its
    /// screen. All that is on it, and above.
    ///
    /// # Errors
    ///
    /// Anything is different, or the exit status is not 0.
    pub fn expect_the_terminal_as_it_was(&self) -> Result<String> {
        self.expect_the_terminal_after("0")
    }

    /// The same of a command that ends with this exit status.
    ///
    /// # Errors
    ///
    /// Anything is different.
    pub fn expect_the_terminal_after(&self, status: &str) -> Result<String> {
        self.wait_for(&["the-shell-again"])?;
        self.expect_settings("after")?;
        let all = self.all_with_colours()?;
        let ended = std::fs::read_to_string(self.directory().join("status"))?;
        ensure!(ended.trim() == status, "exit status {ended}\n{all}");
        Ok(all)
    }

    /// Demands that the terminal is as before the command; `now` is the file with its settings.
    fn expect_settings(&self, now: &str) -> Result<()> {
        let read = |name: &str| std::fs::read_to_string(self.directory().join(name));
        let (before, now) = (read("before")?, read(now)?);
        // tmux may have been resized meanwhile.
        let settings = |text: &str| {
            let (size, rest) = text.split_once("line =").unwrap_or(("", text));
            (size.contains("rows"), rest.to_owned())
        };
        ensure!(
            settings(&before) == settings(&now),
            "the terminal was\n{before}\nand is\n{now}"
        );
        let state = self.command(&[
            "display-message",
            "-p",
            "-t",
            "dashboard",
            "alternate #{alternate_on} cursor #{cursor_flag}",
        ])?;
        let state = String::from_utf8_lossy(&state.stdout).into_owned();
        ensure!(
            state.trim() == "alternate 0 cursor 1",
            "the terminal is left with {state}"
        );
        Ok(())
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.command(&["kill-server"]);
    }
}
