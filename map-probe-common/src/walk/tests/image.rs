//! A sparse image of a process's memory: regions with gaps between them, so
//! that a read past the end of a structure is a fault.

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::layout::Field;

/// Memory.
pub(super) struct Image {
    regions: BTreeMap<u64, Vec<u8>>,
    next: u64,
    /// Every address can be read: it shows the first region, over and over.
    pub(super) is_everywhere: bool,
}

impl Image {
    /// The address of the first region.
    pub(super) const START: u64 = 0xc0_0000_0000;
    const GAP: u64 = 64;

    pub(super) fn new() -> Self {
        Self {
            regions: BTreeMap::new(),
            next: Self::START,
            is_everywhere: false,
        }
    }

    /// Puts a region of its own for `bytes` into memory; its address.
    pub(super) fn place(&mut self, bytes: &[u8]) -> u64 {
        let address = self.next;
        self.next += (bytes.len() as u64).next_multiple_of(16) + Self::GAP;
        self.regions.insert(address, bytes.to_vec());
        address
    }

    pub(super) fn place_words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.place(&bytes)
    }

    /// A region of zeros.
    pub(super) fn place_zeros(&mut self, size: usize) -> u64 {
        self.place(&std::vec![0; size])
    }

    /// Overwrites memory that is there.
    pub(super) fn put(&mut self, address: u64, bytes: &[u8]) {
        let (start, region) = self
            .regions
            .range_mut(..=address)
            .next_back()
            .expect("memory to overwrite");
        let at = (address - start) as usize;
        region[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn put_word(&mut self, address: u64, word: u64) {
        self.put(address, &word.to_le_bytes());
    }

    /// Writes one field of the structure at `base`; a constant must be what it says.
    pub(super) fn put_field(&mut self, base: u64, field: Field, value: u64) {
        if field.width == 0 {
            assert_eq!(u64::from(field.offset), value, "a constant of the layout");
            return;
        }
        let bytes = value.to_le_bytes();
        let (written, rest) = bytes.split_at(usize::from(field.width));
        assert!(rest.iter().all(|&byte| byte == 0), "{value} in {field:?}");
        self.put(base + u64::from(field.offset), written);
    }

    /// The bytes at `address`, if all of them lie in one region.
    pub(super) fn get(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        if self.is_everywhere {
            let (_, region) = self.regions.first_key_value()?;
            let at = (address % region.len() as u64) as usize;
            let shown = region[at..].iter().chain(region.iter().cycle()).take(len);
            return Some(shown.copied().collect());
        }
        let (start, region) = self.regions.range(..=address).next_back()?;
        let at = usize::try_from(address - start).ok()?;
        region.get(at..at.checked_add(len)?).map(<[u8]>::to_vec)
    }
}
