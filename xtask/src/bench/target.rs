//! The Go program that measures itself: `tests/fixtures/bench`.

use anyhow::{Context, Result, anyhow};
use object::{Object as _, ObjectSymbol as _};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A running target. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Target {
    binary: PathBuf,
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Target {
    /// Starts it and waits until it is ready.
    pub(super) fn start(binary: &Path) -> Result<Self> {
        let mut child = Command::new(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (commands, answers) = pipes.ok_or_else(|| anyhow!("the target has no pipes"))?;
        let mut target = Self {
            binary: binary.to_owned(),
            child,
            commands,
            answers: BufReader::new(answers),
        };
        let ready = target.answer()?;
        if ready != "ready" {
            return Err(anyhow!("the target said {ready:?} instead of being ready"));
        }
        Ok(target)
    }

    /// The linked address of a function, by its name in the symbol table.
    pub(super) fn address_of(&self, symbol: &str) -> Result<u64> {
        let file = fs::read(&self.binary)?;
        let file = object::File::parse(&*file)?;
        file.symbol_by_name(symbol)
            .map(|symbol| symbol.address())
            .with_context(|| format!("the target has no function {symbol}"))
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Nanoseconds per operation of this kind over the window, as the target measures them.
    pub(super) fn measure(&mut self, kind: &str, window: Duration) -> Result<f64> {
        self.begin(kind, window)?;
        let answer = self.answer()?;
        answer
            .parse()
            .with_context(|| format!("the target answered {answer:?}"))
    }

    /// Has it do this kind of operation for so long; nothing else can be asked of it meanwhile.
    pub(super) fn begin(&mut self, kind: &str, window: Duration) -> Result<()> {
        writeln!(self.commands, "{kind} {}ms", window.as_millis())?;
        Ok(())
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(anyhow!("the target has ended"));
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have ended already; there is nothing else to do about a failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
