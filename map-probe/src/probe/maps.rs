//! The maps of the target, by address: what the kernel side's table has of them now, and what it had before.
//!
//! The kernel keeps those that were used last. Here twice as many are remembered; operations of what is forgotten are
//! those that no row of a report has, and are shown as of an unknown map.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use map_probe_common::counts::{MAP_SLOTS, MapCount, MapKey, MapSlot, Shape};
use map_probe_common::op::of_cell;
use map_probe_common::slots::FILLED;

use super::cut::{Kind, Kinds};
use crate::report::counts::{Entry as _, List, MapRows, MapSize, Name, Rows, listed};

/// Counts that are remembered, of all maps together.
const REMEMBERED: usize = 2 * MAP_SLOTS as usize;

/// Maps whose directory is read from the target in one reading.
const ASKED: usize = 256;

/// All that is known of the target's maps.
#[derive(Debug, Default)]
pub(super) struct Maps {
    /// Of which program of the process.
    pub(super) life: u32,
    counts: HashMap<MapKey, Count>,
    /// The slots of the kernel's table, as they were at the last reading.
    slots: Vec<Held>,
    /// What is new in this reading.
    changes: Vec<(MapKey, MapCount)>,
    /// What was left for the next one.
    held: Vec<(MapKey, MapCount)>,
    /// What the last reading had of all operations, and of those of the maps.
    cut: Kinds,
    told: Kinds,
    known: HashMap<MapOfType, Map>,
    list: List<MapRows>,
    /// All operations of the maps.
    named: Rows,
    /// Whether counts may have been lost: a slot was given to another map, or something had to be forgotten.
    crowded: bool,
    /// Whether counts were forgotten in this reading.
    forgotten: bool,
    readings: u64,
}

/// A map's address, and the number of its type's name: the memory of one map may become that of another.
type MapOfType = (u64, u32);

/// All maps together that found no room.
const OTHERS: MapOfType = (0, u32::MAX);

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
struct Map {
    /// Shared with the reports that have it.
    rows: Arc<MapRows>,
    /// Which of its sights told the size: [`MapCount::seen`].
    seen: u64,
}

/// What is asked of others about maps.
pub(super) trait About {
    /// Whether these operations are to be reported.
    fn wanted(&self, key: &MapKey) -> bool;
    /// The number of the name that a block's type has.
    fn typ(&self, block: u32) -> u32;
    /// That name.
    fn name(&self, number: u32) -> Name;
    /// How many slots a map has whose shape alone does not say so.
    fn capacity(&mut self, map: u64, shape: &Shape) -> Option<u64>;
}

impl Maps {
    /// A reading begins.
    pub(super) fn begin(&mut self) {
        self.readings += 1;
        self.changes = std::mem::take(&mut self.held);
    }

    /// Takes in one slot of the kernel's table.
    pub(super) fn see(&mut self, index: usize, slot: &MapSlot) {
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
        known.reading = self.readings;
        if more > 0 {
            let more = MapCount {
                operations: more,
                ..*count
            };
            self.changes.push((key, more));
        }
    }

    /// A reading is complete: forgets what there is no room for.
    pub(super) fn end(&mut self) {
        if self.counts.len() <= REMEMBERED {
            return;
        }
        self.crowded = true;
        self.forgotten = true;
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
    }

    /// What the maps have of each kind of operation, if all operations are in it: none of a slot that was given away, and those
    /// that found none in `rest`.
    pub(super) fn kinds(&self, rest: Kinds) -> Option<Kinds> {
        if self.crowded {
            return None;
        }
        let mut kinds = rest;
        kinds.merge(&self.told);
        for (key, more) in &self.changes {
            kinds.add(kind(key), more.operations);
        }
        Some(kinds)
    }

    /// Leaves in this reading no more than the cut has. What was told as of no known map stays so.
    pub(super) fn hold_back(&mut self, cut: &Kinds) {
        for (key, more) in &mut self.changes {
            let kind = kind(key);
            let others = self.cut.of(kind).saturating_sub(self.told.of(kind));
            let room = cut.of(kind).saturating_sub(others + self.told.of(kind));
            let over = more.operations.saturating_sub(room);
            if over > 0 {
                more.operations -= over;
                let over = MapCount {
                    operations: over,
                    ..*more
                };
                self.held.push((*key, over));
            }
            // Others as many as before: they are what the cut has beyond these.
            self.told.add(kind, more.operations);
            self.cut.add(kind, more.operations);
        }
        self.changes.retain(|(_, more)| more.operations > 0);
        self.cut = cut.clone();
    }

    /// The maps, as of a reading that was complete at `now`. Of all `operations`, those that are of none of them are in a row
    /// of their own, if there may be any: `no_room` says so, or counts were lost.
    pub(super) fn rows(
        &mut self,
        now: Duration,
        operations: &Rows,
        no_room: bool,
        about: &mut dyn About,
    ) -> List<MapRows> {
        let changes = std::mem::take(&mut self.changes);
        let mut large = HashMap::new();
        for (key, more) in &changes {
            let total = &mut self.counts.entry(*key).or_default().total;
            *total = total.saturating_add(more.operations);
            if about.wanted(key) {
                let map = (key.map, about.typ(key.site.block));
                if self.change(map, key, more, now, about) && more.shape.tables > 1 {
                    large.insert(map, more.shape);
                }
            }
        }
        for ((address, typ), shape) in large.into_iter().take(ASKED) {
            if let Some(capacity) = about.capacity(address, &shape)
                && let Some(map) = self.known.get_mut(&(address, typ))
                && let Some(size) = &mut Arc::make_mut(&mut map.rows).size
            {
                size.capacity = Some(capacity);
            }
        }
        let mut is_new = !changes.is_empty();
        if std::mem::take(&mut self.forgotten) {
            self.count_anew(about);
            is_new = true;
        }
        if self.crowded || no_room {
            is_new |= self.count_others(operations, now);
        }
        if is_new {
            self.list = listed(self.known.values().map(|map| Arc::clone(&map.rows)));
        }
        Arc::clone(&self.list)
    }

    /// Gives a row to the operations of no map that is known; whether it is another than before.
    fn count_others(&mut self, operations: &Rows, now: Duration) -> bool {
        let rows = operations.since(&self.named);
        let others = self.known.entry(OTHERS).or_insert_with(|| Map {
            rows: Arc::new(MapRows {
                address: None,
                typ: None,
                life: 0,
                size: None,
                first_seen: Duration::ZERO,
                last_seen: now,
                rows: Rows::default(),
            }),
            seen: 0,
        });
        let changed = others.rows.rows != rows;
        if changed {
            let others = Arc::make_mut(&mut others.rows);
            (others.rows, others.last_seen) = (rows, now);
        }
        changed
    }

    /// Counts operations that were done between the last reading and one at `now`; whether they tell its newest size.
    fn change(
        &mut self,
        (address, typ): MapOfType,
        key: &MapKey,
        more: &MapCount,
        now: Duration,
        about: &dyn About,
    ) -> bool {
        let Some(kind) = of_cell(key.site.cell.into()) else {
            return false;
        };
        let map = self.known.entry((address, typ)).or_insert_with(|| Map {
            rows: Arc::new(MapRows {
                address: Some(address),
                typ: about.name(typ),
                life: self.life,
                size: None,
                first_seen: now,
                last_seen: now,
                rows: Rows::default(),
            }),
            seen: 0,
        });
        let rows = Arc::make_mut(&mut map.rows);
        rows.last_seen = now;
        let depth = key.site.depth.into();
        rows.rows.record(kind, depth, more.operations);
        self.named.record(kind, depth, more.operations);
        if more.seen < map.seen {
            return false;
        }
        map.seen = more.seen;
        let before = rows.size.and_then(|size| size.capacity);
        rows.size = Some(MapSize {
            entries: more.shape.entries,
            capacity: capacity_of(&more.shape).or(before),
        });
        true
    }

    /// Leaves out of the maps what was forgotten.
    fn count_anew(&mut self, about: &dyn About) {
        self.named = Rows::default();
        let told = self.counts.iter();
        self.told = told.map(|(key, count)| (kind(key), count.total)).collect();
        let mut rows: HashMap<MapOfType, Rows> = HashMap::new();
        for (key, count) in &self.counts {
            if let Some(kind) = of_cell(key.site.cell.into())
                && about.wanted(key)
            {
                let depth = key.site.depth.into();
                self.named.record(kind, depth, count.total);
                let map = (key.map, about.typ(key.site.block));
                let rows = rows.entry(map).or_default();
                rows.record(kind, depth, count.total);
            }
        }
        self.known.retain(|map, known| {
            let Some(rows) = rows.remove(map) else {
                return *map == OTHERS;
            };
            if known.rows.rows != rows {
                known.rows = Arc::new(known.rows.with(rows));
            }
            true
        });
    }
}

fn kind(key: &MapKey) -> Kind {
    (key.site.cell.into(), key.site.depth.into())
}

/// Slots for entries: eight in each bucket or group. `None` for a Swiss map of several tables, which differ.
fn capacity_of(shape: &Shape) -> Option<u64> {
    (shape.tables <= 1).then(|| shape.units.saturating_mul(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use map_probe_common::counts::SiteKey;
    use map_probe_common::slots::{GIVEN, Slot};

    fn key(map: u64, depth: u16) -> MapKey {
        let site = SiteKey {
            depth,
            ..SiteKey::default()
        };
        MapKey { map, site }
    }

    fn count(operations: u64, entries: u64, seen: u64) -> MapCount {
        let shape = Shape {
            entries,
            tables: 1,
            units: 4,
        };
        MapCount {
            operations,
            shape,
            seen,
            tick: 1,
        }
    }

    /// The kernel's table has these counts, each in the slot after the other, given away so many times.
    fn reading(maps: &mut Maps, at: u64, given: u64, counts: &[(MapKey, MapCount)]) {
        maps.begin();
        for (index, (key, value)) in counts.iter().enumerate() {
            let slot = Slot {
                state: (given * GIVEN) | FILLED,
                key: *key,
                value: *value,
            };
            maps.see(index, &slot);
        }
        maps.end();
        maps.rows(Duration::from_secs(at), &Rows::default(), false, &mut All);
    }

    /// Everything is wanted, and nothing known.
    struct All;

    impl About for All {
        fn wanted(&self, _: &MapKey) -> bool {
            true
        }

        fn typ(&self, _: u32) -> u32 {
            0
        }

        fn name(&self, _: u32) -> Name {
            None
        }

        fn capacity(&mut self, _: u64, _: &Shape) -> Option<u64> {
            None
        }
    }

    fn rows(maps: &mut Maps) -> List<MapRows> {
        let list = maps.rows(Duration::MAX, &Rows::default(), false, &mut All);
        let mut sum = Rows::default();
        for map in list.iter() {
            sum.add(&map.rows);
        }
        assert_eq!(sum, maps.named);
        list
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
        let list = rows(&mut maps);
        let [map] = &list[..] else {
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
        assert!(!maps.crowded);
        reading(&mut maps, 2, 2, &[(key(16, 1), count(103, 1, 2))]);
        assert_eq!(rows(&mut maps)[0].rows.total(), 203);
        assert!(maps.crowded);
    }

    #[test]
    fn a_map_with_two_slots_of_one_kind_has_the_operations_of_both() {
        let mut maps = Maps::default();
        let twice = |first, second| {
            [
                (key(16, 1), count(first, 1, 1)),
                (key(16, 1), count(second, 1, 1)),
            ]
        };
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
            let all = maps.known.keys().filter(|map| **map != OTHERS);
            assert_eq!(all.count(), maps.counts.len());
        }
        assert!(maps.crowded);
        let last = 4 * u64::from(MAP_SLOTS);
        let rows = rows(&mut maps);
        let current = rows.iter().filter(|map| map.address >= Some(last));
        assert_eq!(current.count(), MAP_SLOTS as usize);
    }
}
