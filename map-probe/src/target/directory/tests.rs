//! Slots of maps that are well formed, damaged, or no maps at all.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::target::go;

const MAP: u64 = 0xc0_0001_0000;
const DIRECTORY: u64 = 0xc0_0002_0000;
/// Tables lie so many bytes apart from here on.
const TABLES: u64 = 0xc0_0010_0000;
const TABLE_LEN: u64 = 0x40;

/// Words of a process's memory, and how many bytes of it were asked for.
#[derive(Clone, Default)]
struct Heap {
    words: BTreeMap<u64, u64>,
    asked: Cell<usize>,
}

impl Memory for Heap {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.asked.set(self.asked.get() + buf.len());
        for (index, word) in (0..).zip(buf.chunks_mut(8)) {
            let found = address
                .checked_add(8 * index)
                .and_then(|address| self.words.get(&address));
            let Some(found) = found else {
                return false;
            };
            word.copy_from_slice(&found.to_le_bytes()[..word.len()]);
        }
        true
    }
}

impl Heap {
    /// A map as Go 1.24 to 1.27 lay it out (`internal/runtime/maps`): `used` first, `dirPtr` and `dirLen` at 16 and 24; the
    /// tables in its directory, each with its `groups.lengthMask` at 24.
    fn with_map(entries: u64, directory: &[u64], masks: &[u64]) -> Self {
        let mut heap = Self::default();
        heap.words.insert(MAP, entries);
        heap.words.insert(MAP + 16, DIRECTORY);
        heap.words.insert(MAP + 24, directory.len() as u64);
        for (index, table) in (0..).zip(directory) {
            heap.words.insert(DIRECTORY + 8 * index, *table);
        }
        for (number, mask) in (0..).zip(masks) {
            heap.words.insert(table(number) + 24, *mask);
        }
        heap
    }

    fn capacity(&self, entries: u64, tables: u64) -> Option<u64> {
        let of = |layout| capacity(layout, MAP, &seen(entries, tables), self);
        let all: Vec<_> = swiss().map(of).collect();
        assert!(all.windows(2).all(|two| two[0] == two[1]), "{all:?}");
        all[0]
    }
}

fn table(number: u64) -> u64 {
    TABLES + number * TABLE_LEN
}

fn seen(entries: u64, tables: u64) -> Shape {
    Shape {
        entries,
        tables,
        units: 1,
    }
}

fn layouts(kind: LayoutKind) -> impl Iterator<Item = &'static Layout> {
    go::every()
        .map(|facts| &facts.maps.layout)
        .filter(move |layout| layout.kind == kind as u32)
}

fn swiss() -> impl Iterator<Item = &'static Layout> {
    layouts(LayoutKind::Swiss)
}

#[test]
fn the_slots_of_all_tables_are_added_up_and_a_table_under_several_hashes_counts_once() {
    let [a, b, c] = [0, 1, 2].map(table);
    // 128, 64 and 1 groups of 8 slots.
    let heap = Heap::with_map(700, &[a, a, b, c], &[127, 63, 0]);
    assert_eq!(heap.capacity(650, 4), Some(1024 + 512 + 8));
}

#[test]
fn a_map_that_has_changed_since_it_was_seen_has_no_answer() {
    let [a, b] = [0, 1].map(table);
    let heap = Heap::with_map(10, &[a, b], &[0, 0]);
    assert_eq!(heap.capacity(16, 2), Some(16));
    assert_eq!(heap.capacity(17, 2), None, "more entries were seen");
    assert_eq!(heap.capacity(16, 4), None, "more tables were seen");
    let fuller = Heap::with_map(17, &[a, b], &[0, 0]);
    assert_eq!(fuller.capacity(16, 2), None, "more entries are there");
}

#[test]
fn only_swiss_maps_of_several_tables_have_a_directory() {
    let heap = Heap::with_map(1, &[table(0), table(0)], &[0]);
    for layout in layouts(LayoutKind::Classic) {
        assert_eq!(capacity(layout, MAP, &seen(1, 2), &heap), None);
    }
    for tables in [0, 1] {
        assert_eq!(heap.capacity(1, tables), None);
    }
    assert_eq!(heap.asked.get(), 0, "nothing was read for that");
}

#[test]
fn a_number_of_groups_that_go_never_has_is_no_map() {
    for mask in [2, 5, 128, 255, 1 << 63, u64::MAX - 1, u64::MAX] {
        let heap = Heap::with_map(1, &[table(0), table(1)], &[127, mask]);
        assert_eq!(heap.capacity(1, 2), None, "{mask:#x}");
    }
}

#[test]
fn a_word_that_cannot_be_read_is_no_answer() {
    let whole = Heap::with_map(1, &[table(0), table(1)], &[0, 0]);
    for address in whole.words.keys() {
        let mut heap = whole.clone();
        heap.words.remove(address);
        assert_eq!(heap.capacity(1, 2), None, "{address:#x}");
    }
}

#[test]
fn addresses_at_the_end_of_memory_overflow_nothing() {
    for far in [u64::MAX, u64::MAX - 7, u64::MAX - 31] {
        let heap = Heap::with_map(1, &[table(0), far], &[0]);
        assert_eq!(heap.capacity(1, 2), None);
        let mut heap = Heap::with_map(1, &[table(0), table(1)], &[0, 0]);
        heap.words.insert(MAP + 16, far);
        assert_eq!(heap.capacity(1, 2), None);
        for layout in swiss() {
            assert_eq!(capacity(layout, far, &seen(1, 2), &heap), None);
        }
    }
}

#[test]
fn a_directory_of_any_length_is_read_within_the_bound() {
    for tables in [MAX_TABLES + 1, 1 << 40, u64::MAX / 8 + 2, u64::MAX] {
        let mut heap = Heap::with_map(1, &[], &[]);
        heap.words.insert(MAP + 24, tables);
        assert_eq!(heap.capacity(1, tables), None);
        assert_eq!(heap.asked.get(), 0, "{tables}");
    }
    let directory: Vec<u64> = (0..MAX_TABLES).map(table).collect();
    let heap = Heap::with_map(1, &directory, &vec![127; directory.len()]);
    assert_eq!(heap.capacity(1, MAX_TABLES), Some(MAX_TABLES * 1024));
}

proptest! {
    /// Tables that lead anywhere, the directory and the map itself included.
    #[test]
    fn any_memory_gives_a_possible_number_or_none(
        directory in prop::collection::vec(prop_oneof![
            (0..6_u64).prop_map(table), Just(MAP), Just(DIRECTORY), Just(0), any::<u64>(),
        ], 2..12),
        masks in prop::collection::vec(prop_oneof![(0..8_u32).prop_map(|bits| (1 << bits) - 1), any::<u64>()], 0..6),
        entries in prop_oneof![0..200_u64, any::<u64>()],
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u64>())),
    ) {
        let mut heap = Heap::with_map(entries, &directory, &masks);
        if let Some((place, word)) = damage {
            let address = *place.get(&heap.words.keys().copied().collect::<Vec<_>>());
            heap.words.insert(address, word);
        }
        if let Some(slots) = heap.capacity(0, directory.len() as u64) {
            let different: HashSet<_> = directory.iter().collect();
            let tables = different.len() as u64 + 1;
            prop_assert!(slots % GROUP_SLOTS == 0 && slots > 0, "{slots}");
            prop_assert!(slots <= tables * MAX_TABLE_SLOTS, "{slots}");
        }
    }

    #[test]
    fn random_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), tables in 2..40_u64) {
        let region = memory::Region { start: MAP, bytes };
        for layout in swiss() {
            if let Some(slots) = capacity(layout, MAP, &seen(0, tables), &region) {
                prop_assert!(slots <= tables * MAX_TABLE_SLOTS);
            }
        }
    }
}
