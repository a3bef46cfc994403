//! Reads the kernel side's tables of slots.

use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use map_probe_common::slots::{FILLED, STATUS, Slot};

use super::mapped::Mapped;

/// A table of the kernel side, in our memory.
#[derive(Debug)]
pub(super) struct Slots<K, V> {
    mapped: Mapped,
    content: PhantomData<(K, V)>,
}

impl<K: aya::Pod, V: aya::Pod> Slots<K, V> {
    const WORDS: usize = size_of::<Slot<K, V>>() / 8;

    /// Maps the table, which has so many slots.
    ///
    /// # Errors
    /// It is smaller, or there is no memory.
    pub(super) fn new(table: BorrowedFd<'_>, slots: u32) -> io::Result<Self> {
        Ok(Self {
            mapped: Mapped::new(table, slots as usize * Self::WORDS)?,
            content: PhantomData,
        })
    }

    /// All slots that have a key, with their index.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, Slot<K, V>)> {
        let slots = self.mapped.words().chunks_exact(Self::WORDS).enumerate();
        slots.filter_map(|(index, words)| Some((index, filled(words)?)))
    }
}

/// The slot in these words; `None` if it has no key, or gets another one just now.
fn filled<K: aya::Pod, V: aya::Pod>(words: &[AtomicU64]) -> Option<Slot<K, V>> {
    let state = words.first()?.load(Ordering::Acquire);
    if state & STATUS != FILLED {
        return None;
    }
    let mut slot = MaybeUninit::<Slot<K, V>>::uninit();
    let to = slot.as_mut_ptr().cast::<u64>();
    for (index, word) in words.iter().enumerate() {
        // SAFETY: a slot has as many words as are passed here, and none of it is padding.
        unsafe { to.add(index).write(word.load(Ordering::Relaxed)) };
    }
    fence(Ordering::Acquire);
    let after = words.first()?.load(Ordering::Relaxed);
    // SAFETY: all its words have been written, and any bytes are a `K` and a `V`.
    (after == state).then(|| unsafe { slot.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use map_probe_common::counts::{SiteKey, SiteSlot};
    use map_probe_common::slots::{FILLING, FREE, GIVEN};

    fn read(state: u64) -> Option<SiteSlot> {
        let kind = 4_u64 | 3 << 32 | 2 << 48;
        filled(&[state, 0x40_1000, kind, 17].map(AtomicU64::new))
    }

    #[test]
    fn a_slot_is_read_once_it_has_its_key() {
        assert!(read(FREE).is_none());
        assert!(read(FILLING).is_none());
        assert!(read(GIVEN | FILLING).is_none());
        for state in [FILLED, (5 * GIVEN) | FILLED] {
            let slot = read(state).expect("a filled slot");
            let key = SiteKey {
                caller: 0x40_1000,
                block: 4,
                cell: 3,
                depth: 2,
            };
            assert_eq!((slot.state, slot.key, slot.value), (state, key, 17));
        }
    }
}
