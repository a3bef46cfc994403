//! The kernel side's memory for windows of time, mapped into ours: the gate, the tallies, the log.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use map_probe_common::window::{Gate, LOG_RECORDS, Record, TRAP_KINDS, Tally};

use super::load::{Loaded, nr_cpus};
use super::mapped::Mapped;
use crate::error::Failure;

/// Words of a [`Tally`].
const TALLY_WORDS: usize = size_of::<Tally>() / 8;

/// The kernel side's memory for windows.
#[derive(Debug)]
pub struct WindowMemory {
    gate: Mapped,
    tallies: Mapped,
    log: Mapped,
    /// Records read so far, by CPU.
    read: Vec<u64>,
    number: u64,
    cpus: usize,
}

impl WindowMemory {
    /// Maps it.
    ///
    /// # Errors
    /// The kernel side was not loaded for windows, or there is no memory.
    pub fn new(loaded: &Loaded) -> Result<Self, Failure> {
        let cpus = nr_cpus()?;
        Ok(Self {
            gate: loaded.map("GATE", 1)?,
            tallies: loaded.map("TALLY", cpus * TALLY_WORDS)?,
            log: loaded.map("LOG", cpus * LOG_RECORDS as usize)?,
            read: vec![0; cpus],
            number: 0,
            cpus,
        })
    }

    /// How many CPUs there can be.
    #[must_use]
    pub fn cpus(&self) -> usize {
        self.cpus
    }

    /// Begins the next window, its gate closed.
    pub fn begin(&mut self) {
        self.number += 1;
        self.set_gate(false);
        for cpu in 0..self.cpus {
            // `first`; the word's place is checked by a test.
            self.tallies.words()[cpu * TALLY_WORDS + FIRST].store(0, Ordering::Release);
        }
    }

    /// Opens or closes the gate of the current window.
    pub fn set_gate(&self, open: bool) {
        let gate = Gate::new(self.number, open);
        self.gate.words()[0].store(gate.0, Ordering::Release);
    }

    /// What traps cost on a CPU so far.
    #[must_use]
    pub fn tally(&self, cpu: usize) -> Tally {
        let words = &self.tallies.words()[cpu * TALLY_WORDS..(cpu + 1) * TALLY_WORDS];
        let word = |index: usize| words[index].load(Ordering::Acquire);
        let three =
            |from: usize| -> [u64; TRAP_KINDS] { [word(from), word(from + 1), word(from + 2)] };
        Tally {
            traps: three(0),
            program_ns: word(3),
            open_traps: three(4),
            open_program_ns: word(7),
            logged: word(8),
            first: word(FIRST),
            last: word(10),
            last_site: word(11),
            reserved: [0; 4],
        }
    }

    /// Takes the new records of a CPU, those of the current window. How many were overwritten before they were read.
    pub fn drain(&mut self, cpu: usize, into: &mut HashMap<Record, u64>) -> u64 {
        let written = self.tally(cpu).logged;
        let records = u64::from(LOG_RECORDS);
        let from = self.read[cpu].max(written.saturating_sub(records));
        let lost = from - self.read[cpu];
        let log = &self.log.words()[cpu * LOG_RECORDS as usize..][..LOG_RECORDS as usize];
        // Neighbours are mostly alike.
        let mut run: (Option<Record>, u64) = (None, 0);
        for at in from..written {
            let record = Record(log[(at % records) as usize].load(Ordering::Relaxed));
            if !record.is_of(self.number) {
                continue;
            }
            let kind = record.kind();
            if run.0 == Some(kind) {
                run.1 += 1;
                continue;
            }
            if let (Some(kind), count) = run {
                *into.entry(kind).or_default() += count;
            }
            run = (Some(kind), 1);
        }
        if let (Some(kind), count) = run {
            *into.entry(kind).or_default() += count;
        }
        self.read[cpu] = written;
        lost
    }
}

/// The place of [`Tally::first`] among its words.
const FIRST: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn the_words_of_a_tally_are_where_they_are_read() {
        assert_eq!(offset_of!(Tally, program_ns), 3 * 8);
        assert_eq!(offset_of!(Tally, open_traps), 4 * 8);
        assert_eq!(offset_of!(Tally, open_program_ns), 7 * 8);
        assert_eq!(offset_of!(Tally, logged), 8 * 8);
        assert_eq!(offset_of!(Tally, first), FIRST * 8);
        assert_eq!(offset_of!(Tally, last), 10 * 8);
        assert_eq!(offset_of!(Tally, last_site), 11 * 8);
    }
}
