//! The Go program that measures itself: `tests/fixtures/bench`.

use super::fixture::Fixture;
use anyhow::{Context, Result};
use object::{Object as _, ObjectSymbol as _};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A running target. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Target {
    binary: PathBuf,
    fixture: Fixture,
}

impl Target {
    /// Starts it and waits until it is ready.
    pub(super) fn start(binary: &Path) -> Result<Self> {
        Ok(Self {
            binary: binary.to_owned(),
            fixture: Fixture::start(binary, &[])?,
        })
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
        self.fixture.pid()
    }

    /// Nanoseconds per operation of this kind over the window, as the target measures them.
    pub(super) fn measure(&mut self, kind: &str, window: Duration) -> Result<f64> {
        self.begin(kind, window)?;
        let answer = self.fixture.answer()?;
        answer
            .parse()
            .with_context(|| format!("the target answered {answer:?}"))
    }

    /// Has it do this kind of operation for so long; nothing else can be asked of it meanwhile.
    pub(super) fn begin(&mut self, kind: &str, window: Duration) -> Result<()> {
        self.fixture
            .tell(&format!("{kind} {}ms", window.as_millis()))
    }
}
