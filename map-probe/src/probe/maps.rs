//! The maps of the target, by address: what the kernel side's table has of them now, and what it had before.
//!
//! The kernel keeps those that were used last. Here twice as many are remembered; operations of what is forgotten are
//! those that no row of a report has, and are shown as of an unknown map.

use std::collections::HashMap;
use std::time::Duration;

use map_probe_common::counts::{MAP_SLOTS, MapKey, MapSlot, Shape};
use map_probe_common::op::of_cell;
use map_probe_common::slots::FILLED;

use crate::report::counts::{MapRows, MapSize, Rows};

/// Counts that are remembered, of all maps together.
const REMEMBERED: usize = 2 * MAP_SLOTS as usize;

/// Maps whose directory is read from the target in one reading.
const ASKED: usize = 256;

/// All that is known of the target's maps.
#[derive(Debug, Default)]
pub(super) struct Maps {
    counts: HashMap<MapKey, Count>,
    seen: HashMap<MapOfType, Seen>,
    /// The slots of the kernel's table, as they were at the last reading.
    slots: Vec<Held>,
    /// Whether counts may have been lost: a slot was given to another map, or something had to be forgotten.
    crowded: bool,
    readings: u64,
}

/// A map's address, and the block of its type: the memory of one map may become that of another.
type MapOfType = (u64, u32);

/// What a slot had.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    state: u64,
    operations: u64,
}

#[derive(Debug, Default)]
struct Count {
    /// All operations.
    total: u64,
    /// The reading that last had it.
    reading: u64,
}

#[derive(Debug)]
struct Seen {
    first: Duration,
    last: Duration,
    shape: Shape,
    /// When it had this shape.
    time: u64,
    /// Of a Swiss map of several tables, when that was last asked for.
    capacity: Option<u64>,
}

impl Maps {
    /// A reading begins.
    pub(super) fn begin(&mut self) {
        self.readings += 1;
    }

    /// Takes in one slot of the kernel's table, read at `now`.
    pub(super) fn see(&mut self, index: usize, slot: &MapSlot, now: Duration) {
        if self.slots.len() <= index {
            self.slots.resize(index + 1, Held::default());
        }
        let count = &slot.value;
        let held = &mut self.slots[index];
        let more = if held.state == slot.state {
            count.operations.saturating_sub(held.operations)
        } else {
            count.operations
        };
        *held = Held {
            state: slot.state,
            operations: count.operations,
        };
        self.crowded |= slot.state != FILLED;
        let key = slot.key;
        let known = self.counts.entry(key).or_default();
        known.total = known.total.saturating_add(more);
        known.reading = self.readings;
        if more == 0 {
            return;
        }
        let seen = self
            .seen
            .entry((key.map, key.site.block))
            .or_insert_with(|| Seen {
                first: now,
                last: now,
                shape: count.shape,
                time: count.time,
                capacity: None,
            });
        seen.last = now;
        if count.time >= seen.time {
            seen.shape = count.shape;
            seen.time = count.time;
        }
    }

    /// A reading is complete: forgets what there is no room for.
    pub(super) fn end(&mut self) {
        if self.counts.len() <= REMEMBERED {
            return;
        }
        self.crowded = true;
        // The oldest first, and none that the kernel still has.
        let mut old: Vec<_> = self
            .counts
            .iter()
            .filter(|(_, count)| count.reading < self.readings)
            .map(|(key, count)| (count.reading, *key))
            .collect();
        old.sort_unstable();
        // A quarter more than is needed, so that this is rare.
        let excess = self.counts.len() - REMEMBERED + REMEMBERED / 4;
        for (_, key) in old.into_iter().take(excess) {
            self.counts.remove(&key);
        }
        let counts = &self.counts;
        let left: std::collections::HashSet<MapOfType> =
            counts.keys().map(|key| (key.map, key.site.block)).collect();
        self.seen.retain(|map, _| left.contains(map));
    }

    /// Whether some operations may be in no row.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The maps. `typ` names a block's type, `capacity` says how many slots a map has whose shape alone does not.
    pub(super) fn rows(
        &mut self,
        now: Duration,
        mut wanted: impl FnMut(&MapKey) -> bool,
        mut typ: impl FnMut(u32) -> Option<String>,
        mut capacity: impl FnMut(u64, &Shape) -> Option<u64>,
    ) -> Vec<MapRows> {
        let mut rows: HashMap<MapOfType, Rows> = HashMap::new();
        for (key, count) in &self.counts {
            if let Some(kind) = of_cell(key.site.cell.into())
                && wanted(key)
            {
                rows.entry((key.map, key.site.block)).or_default().record(
                    kind,
                    key.site.depth.into(),
                    count.total,
                );
            }
        }
        let mut asked = 0;
        rows.into_iter()
            .filter_map(|((address, block), rows)| {
                let seen = self.seen.get_mut(&(address, block))?;
                if seen.shape.tables > 1 && seen.last == now && asked < ASKED {
                    asked += 1;
                    seen.capacity = capacity(address, &seen.shape).or(seen.capacity);
                }
                Some(MapRows {
                    address: Some(address),
                    typ: typ(block),
                    size: Some(MapSize {
                        entries: seen.shape.entries,
                        capacity: capacity_of(&seen.shape).or(seen.capacity),
                    }),
                    first_seen: seen.first,
                    last_seen: seen.last,
                    rows,
                })
            })
            .collect()
    }
}

/// Slots for entries: eight in each bucket or group. `None` for a Swiss map of several tables, which differ.
fn capacity_of(shape: &Shape) -> Option<u64> {
    (shape.tables <= 1).then(|| shape.units.saturating_mul(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use map_probe_common::counts::{MapCount, SiteKey};
    use map_probe_common::slots::{GIVEN, Slot};

    fn key(map: u64, depth: u16) -> MapKey {
        let site = SiteKey {
            depth,
            ..SiteKey::default()
        };
        MapKey { map, site }
    }

    fn count(operations: u64, entries: u64, time: u64) -> MapCount {
        let shape = Shape {
            entries,
            tables: 1,
            units: 4,
        };
        MapCount {
            operations,
            shape,
            time,
        }
    }

    /// The kernel's table has these counts, each in the slot after the other, given away so many times.
    fn reading(maps: &mut Maps, at: u64, given: u64, counts: &[(MapKey, MapCount)]) {
        maps.begin();
        for (index, (key, value)) in counts.iter().enumerate() {
            let slot = Slot {
                state: given * GIVEN | FILLED,
                key: *key,
                value: *value,
            };
            maps.see(index, &slot, Duration::from_secs(at));
        }
        maps.end();
    }

    fn rows(maps: &mut Maps) -> Vec<MapRows> {
        let mut rows = maps.rows(Duration::ZERO, |_| true, |_| None, |_, _| None);
        rows.sort_by_key(|map| map.address);
        rows
    }

    #[test]
    fn a_map_is_as_full_as_its_last_operation_saw_it() {
        let mut maps = Maps::default();
        reading(
            &mut maps,
            1,
            0,
            &[(key(16, 1), count(5, 20, 7)), (key(16, 2), count(1, 18, 6))],
        );
        reading(
            &mut maps,
            2,
            0,
            &[(key(16, 1), count(5, 20, 7)), (key(16, 2), count(2, 19, 9))],
        );
        let [map] = &rows(&mut maps)[..] else {
            panic!("one map");
        };
        assert_eq!(map.rows.total(), 7);
        assert_eq!(map.size.map(|size| size.entries), Some(19));
        assert_eq!(map.size.and_then(|size| size.capacity), Some(32));
        assert_eq!(map.first_seen, Duration::from_secs(1));
        assert_eq!(map.last_seen, Duration::from_secs(2));
    }

    #[test]
    fn a_map_that_lost_its_slot_and_got_it_again_goes_on() {
        let mut maps = Maps::default();
        reading(&mut maps, 1, 0, &[(key(16, 1), count(100, 1, 1))]);
        assert!(!maps.is_crowded());
        reading(&mut maps, 2, 2, &[(key(16, 1), count(103, 1, 2))]);
        assert_eq!(rows(&mut maps)[0].rows.total(), 203);
        assert!(maps.is_crowded());
    }

    #[test]
    fn a_map_with_two_slots_of_one_kind_has_the_operations_of_both() {
        let mut maps = Maps::default();
        let twice = |first, second| [(key(16, 1), count(first, 1, 1)), (key(16, 1), count(second, 1, 1))];
        reading(&mut maps, 1, 0, &twice(10, 1));
        reading(&mut maps, 2, 0, &twice(15, 1));
        assert_eq!(rows(&mut maps)[0].rows.total(), 16);
    }

    #[test]
    fn what_the_kernel_no_longer_has_is_forgotten_once_there_is_too_much() {
        let mut maps = Maps::default();
        let some = |from: u64| -> Vec<_> {
            (from..from + u64::from(MAP_SLOTS))
                .map(|map| (key(map, 1), count(1, 1, 1)))
                .collect()
        };
        for round in 0..5 {
            reading(&mut maps, round, round, &some(round * u64::from(MAP_SLOTS)));
            assert!(maps.counts.len() <= REMEMBERED);
            assert_eq!(maps.seen.len(), maps.counts.len());
        }
        assert!(maps.is_crowded());
        let last = 4 * u64::from(MAP_SLOTS);
        let rows = rows(&mut maps);
        let current = rows.iter().filter(|map| map.address >= Some(last));
        assert_eq!(current.count(), MAP_SLOTS as usize);
    }
}
