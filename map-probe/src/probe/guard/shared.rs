//! Memory that map-probe and its guard share: what changes too often, or too fast, for messages.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::ftruncate;

use crate::probe::mapped::{Mapped, memory_file};

/// The words, by their places.
#[derive(Clone, Copy)]
enum Word {
    Until,
    Cut,
    Closing,
    Spent,
    Released,
    Releasing,
}

const WORDS: usize = 6;

/// The memory. Times are `CLOCK_MONOTONIC`, in nanoseconds; 0 is no time.
#[derive(Debug)]
pub(super) struct Shared(Mapped);

impl Shared {
    /// All zero.
    pub(super) fn new() -> io::Result<Self> {
        let memory = memory_file(c"map-probe-guard")?;
        let bytes = i64::try_from(8 * WORDS).map_err(io::Error::other)?;
        ftruncate(&memory, bytes)?;
        Mapped::new(memory.as_fd(), WORDS).map(Self)
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        &self.0.words()[word as usize]
    }

    /// When the guard detaches by itself what is attached.
    pub(super) fn until(&self) -> u64 {
        self.word(Word::Until).load(Ordering::Acquire)
    }

    pub(super) fn set_until(&self, time: u64) {
        self.word(Word::Until).store(time, Ordering::Release);
    }

    /// When it did.
    pub(super) fn cut(&self) -> u64 {
        self.word(Word::Cut).load(Ordering::Acquire)
    }

    pub(super) fn set_cut(&self, time: u64) {
        self.word(Word::Cut).store(time, Ordering::Release);
    }

    /// Links that are not gone for certain.
    pub(super) fn closing(&self) -> usize {
        self.word(Word::Closing).load(Ordering::Acquire) as usize
    }

    /// One more is to be closed.
    pub(super) fn begin_closing(&self) {
        self.word(Word::Closing).fetch_add(1, Ordering::AcqRel);
    }

    /// One is closed, which took so much CPU time. Of what is in the target counts what that took beyond what closing those
    /// takes that are nowhere in it.
    pub(super) fn closed(&self, took: u64, in_target: bool) {
        if in_target {
            let released = self.word(Word::Released).load(Ordering::Relaxed).max(1);
            let usual = self.word(Word::Releasing).load(Ordering::Relaxed) / released;
            let more = took.saturating_sub(usual);
            self.word(Word::Spent).fetch_add(more, Ordering::Relaxed);
        } else {
            self.word(Word::Releasing)
                .fetch_add(took, Ordering::Relaxed);
            self.word(Word::Released).fetch_add(1, Ordering::Relaxed);
        }
        self.word(Word::Closing).fetch_sub(1, Ordering::AcqRel);
    }

    /// The CPU time that detaching took since this was last asked, in nanoseconds.
    pub(super) fn take_spent(&self) -> u64 {
        self.word(Word::Spent).swap(0, Ordering::Relaxed)
    }
}
