//! The kernel side's memory for windows of time, mapped into ours: the gate, the tallies, the log.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Records taken so far, by CPU.
    taken: Vec<u64>,
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
            taken: vec![0; cpus],
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
        let kinds = |from: usize| -> [u64; TRAP_KINDS] { [word(from), word(from + 1)] };
        Tally {
            traps: kinds(0),
            program_ns: word(2),
            open_traps: kinds(3),
            open_program_ns: word(5),
            logged: word(6),
            first: word(FIRST),
            last: word(8),
            last_site: word(9),
            taken: word(TAKEN),
            reserved: [0; 5],
        }
    }

    /// Takes the records of a CPU that are there. A place without its record belongs to an operation that is under way: those
    /// behind it wait for it.
    pub fn drain(&mut self, cpu: usize, into: &mut HashMap<Record, u64>) {
        let log = &self.log.words()[cpu * LOG_RECORDS as usize..][..LOG_RECORDS as usize];
        let taken = take(log, &mut self.taken[cpu], into);
        if taken > 0 {
            // The places are empty by then.
            let words = &self.tallies.words()[cpu * TALLY_WORDS..];
            words[TAKEN].store(self.taken[cpu], Ordering::Release);
        }
    }
}

/// Takes records out of a CPU's log, from place `at` on, which goes on to the next. How many.
fn take(log: &[AtomicU64], at: &mut u64, into: &mut HashMap<Record, u64>) -> u64 {
    let before = *at;
    // Neighbours are mostly alike.
    let mut run = (Record::VOID, 0);
    for _ in log {
        let place = &log[(*at % log.len() as u64) as usize];
        let record = Record(place.load(Ordering::Acquire));
        if record.0 == 0 {
            break;
        }
        place.store(0, Ordering::Relaxed);
        *at += 1;
        if record != run.0 {
            add(run, into);
            run = (record, 0);
        }
        run.1 += 1;
    }
    add(run, into);
    *at - before
}

fn add((record, count): (Record, u64), into: &mut HashMap<Record, u64>) {
    if record != Record::VOID {
        *into.entry(record).or_default() += count;
    }
}

/// The places of [`Tally::first`] and [`Tally::taken`] among its words.
const FIRST: usize = 7;
const TAKEN: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn the_words_of_a_tally_are_where_they_are_read() {
        assert_eq!(offset_of!(Tally, program_ns), 2 * 8);
        assert_eq!(offset_of!(Tally, open_traps), 3 * 8);
        assert_eq!(offset_of!(Tally, open_program_ns), 5 * 8);
        assert_eq!(offset_of!(Tally, logged), 6 * 8);
        assert_eq!(offset_of!(Tally, first), FIRST * 8);
        assert_eq!(offset_of!(Tally, last), 8 * 8);
        assert_eq!(offset_of!(Tally, last_site), 9 * 8);
        assert_eq!(offset_of!(Tally, taken), TAKEN * 8);
    }

    #[test]
    fn records_are_taken_once_and_none_before_it_is_there() {
        let log: Vec<_> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let [hit, miss] = [1, 2].map(|cell| Record::new(4, cell, 1));
        let put = |at: usize, record: Record| log[at % 8].store(record.0, Ordering::Relaxed);
        let mut at = 6;
        let taken = |at: &mut u64| {
            let mut records = HashMap::new();
            take(&log, at, &mut records);
            records
        };
        // Beyond the end; and the third place has been given away, but its record is still to come.
        put(6, hit);
        put(7, Record::VOID);
        put(9, miss);
        assert_eq!(taken(&mut at), HashMap::from([(hit, 1)]));
        assert_eq!(at, 8);
        assert_eq!(taken(&mut at), HashMap::new());
        put(8, hit);
        assert_eq!(taken(&mut at), HashMap::from([(hit, 1), (miss, 1)]));
        // A whole log, and no more than that.
        for place in 10..18 {
            put(place, miss);
        }
        assert_eq!(taken(&mut at), HashMap::from([(miss, 8)]));
        assert_eq!(at, 18);
        assert_eq!(taken(&mut at), HashMap::new());
    }
}
