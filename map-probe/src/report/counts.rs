//! Counted operations: exact, by kind and depth, for the process and by type.

use std::collections::BTreeMap;
use std::time::Duration;

use map_probe_common::op::{Class, Op, Outcome};
use map_probe_common::quality::{ALL, CAUSES, Cause};

use super::estimates::Estimates;
use super::samples::Samples;
use super::who;

/// Exact counts by depth: `depth -> operations`. Depths start at 1.
pub type Depths = BTreeMap<u32, u64>;

/// One kind of operation: what, with which outcome, on which class of map.
pub type RowKey = (Op, Outcome, Class);

/// Operations by kind and depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(pub BTreeMap<RowKey, Depths>);

impl Rows {
    /// Counts `operations` more of one kind and depth; none leave no trace.
    pub fn record(&mut self, kind: RowKey, depth: u32, operations: u64) {
        if operations > 0 {
            let count = self.0.entry(kind).or_default().entry(depth).or_default();
            *count = count.saturating_add(operations);
        }
    }

    /// Counts all operations of `other` as well.
    pub fn add(&mut self, other: &Self) {
        for (kind, depth, operations) in other.cells() {
            self.record(kind, depth, operations);
        }
    }

    /// The operations that were not yet in `earlier`, an older reading of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rows = Self::default();
        for (kind, depth, operations) in self.cells() {
            let before = earlier.0.get(&kind).and_then(|depths| depths.get(&depth));
            let before = before.copied().unwrap_or(0);
            rows.record(kind, depth, operations.saturating_sub(before));
        }
        rows
    }

    /// All operations.
    #[must_use]
    pub fn total(&self) -> u64 {
        sum(self.cells().map(|(.., operations)| operations))
    }

    /// The operations on maps of one class.
    #[must_use]
    pub fn total_of(&self, class: Class) -> u64 {
        sum(self
            .of(class)
            .flat_map(|(_, depths)| depths.values().copied()))
    }

    /// The rows of one class.
    pub fn of(&self, class: Class) -> impl Iterator<Item = (RowKey, &Depths)> {
        let rows = self.0.iter().map(|(kind, depths)| (*kind, depths));
        rows.filter(move |((_, _, of), depths)| *of == class && total(depths) > 0)
    }

    /// Probes that a perfect table would save, over all rows.
    #[must_use]
    pub fn excess(&self) -> u64 {
        sum(self.0.values().map(excess))
    }

    fn cells(&self) -> impl Iterator<Item = (RowKey, u32, u64)> {
        self.0.iter().flat_map(|(kind, depths)| {
            let cells = depths.iter();
            cells.map(|(depth, operations)| (*kind, *depth, *operations))
        })
    }
}

/// Probes that a perfect table would save: the sum of depth − 1 over the operations.
#[must_use]
pub fn excess(depths: &Depths) -> u64 {
    sum(depths
        .iter()
        .map(|(depth, count)| u64::from(depth.saturating_sub(1)).saturating_mul(*count)))
}

/// The operations of one row.
#[must_use]
pub fn total(depths: &Depths) -> u64 {
    sum(depths.values().copied())
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

/// Operations on maps of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRows {
    /// The type as Go's `%T` prints it; `None` if unknown.
    pub name: Option<String>,
    /// Its operations.
    pub rows: Rows,
}

/// One frame of the target's Go code, as Go's own traces show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// The function (`main.(*Cache).Get`).
    pub function: String,
    /// The source file, as the compiler recorded it.
    pub file: String,
    /// The line in it, from 1; 0 if unknown.
    pub line: u32,
}

/// A call site, or a stack: the frame that does the operation first, then its callers.
pub type Frames = Vec<Frame>;

/// Operations at one call site, or with one stack, on maps of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRows {
    /// By call site: the function that does the operation, behind it those it is inlined into. By stack: all frames.
    /// `None` if unknown.
    pub frames: Option<Frames>,
    /// The map's type; `None` if unknown.
    pub typ: Option<String>,
    /// Its operations.
    pub rows: Rows,
}

/// Operations on one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRows {
    /// Its address in the target; `None` for all maps together that found no room in the table.
    pub address: Option<u64>,
    /// Its type; `None` if unknown.
    pub typ: Option<String>,
    /// Entries, and slots for entries, when it was last read; `None` if it could not be.
    pub size: Option<MapSize>,
    /// From when the probes were in place to the reading that first had it.
    pub first_seen: Duration,
    /// To the last reading in which it had new operations.
    pub last_seen: Duration,
    /// Its operations.
    pub rows: Rows,
}

/// How full a map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSize {
    /// Entries in it.
    pub entries: u64,
    /// Slots for entries in its buckets or groups, overflow buckets not counted; `None` if unknown: of a Swiss map of
    /// many tables it is read from the running target.
    pub capacity: Option<u64>,
}

/// Everything counted in one window of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// The whole process.
    pub operations: Rows,
    /// By type, most operations first.
    pub by_type: Vec<TypeRows>,
    /// By map.
    pub by_map: Vec<MapRows>,
    /// By call site.
    pub by_site: Vec<SiteRows>,
    /// By stack; empty unless stacks are asked for.
    pub by_stack: Vec<SiteRows>,
    /// Operations that are in no row, by cause.
    pub quality: Quality,
    /// Where only the operations of windows of time were seen: what that says of all of them.
    pub estimates: Option<Estimates>,
    /// Where the counts are of samples: all that were taken.
    pub samples: Option<Samples>,
}

impl Counts {
    /// The counts of a process from those of its types.
    ///
    /// Types with the same name become one: what is reported of a type is its name.
    pub fn of_types(
        types: impl IntoIterator<Item = (Option<String>, Rows)>,
        quality: Quality,
    ) -> Self {
        let mut operations = Rows::default();
        let mut by_name: BTreeMap<Option<String>, Rows> = BTreeMap::new();
        for (name, rows) in types {
            operations.add(&rows);
            by_name.entry(name).or_default().add(&rows);
        }
        let types = by_name.into_iter();
        let mut by_type: Vec<TypeRows> = types
            .filter(|(_, rows)| rows.total() > 0)
            .map(|(name, rows)| TypeRows { name, rows })
            .collect();
        // Stable, so that equally frequent types stay in the order of their names.
        by_type.sort_by_key(|of_type| std::cmp::Reverse(of_type.rows.total()));
        Self {
            operations,
            by_type,
            quality,
            ..Self::default()
        }
    }

    /// Counts everything in `other` as well.
    pub fn add(&mut self, other: &Self) {
        let types = std::mem::take(&mut self.by_type);
        let both = types.into_iter().chain(other.by_type.iter().cloned());
        let both = both.map(|of_type| (of_type.name, of_type.rows));
        let by_type = Self::of_types(both, Quality::default()).by_type;
        self.by_type = by_type;
        who::add_sites(&mut self.by_site, &other.by_site);
        who::add_sites(&mut self.by_stack, &other.by_stack);
        who::add_maps(&mut self.by_map, &other.by_map);
        self.operations.add(&other.operations);
        self.quality.add(&other.quality);
    }

    /// What was counted after `earlier`, an older reading of the same counters:
    /// the kernel's counters only grow, so an interval is the difference of two readings.
    ///
    /// A type must have the same name in both readings.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let none = Rows::default();
        let before: BTreeMap<_, _> = earlier
            .by_type
            .iter()
            .map(|of_type| (&of_type.name, &of_type.rows))
            .collect();
        let types = self.by_type.iter().map(|of_type| {
            let before = before.get(&of_type.name).copied().unwrap_or(&none);
            (of_type.name.clone(), of_type.rows.since(before))
        });
        let operations = self.operations.since(&earlier.operations);
        Self {
            // Of an interval by itself.
            estimates: None,
            quality: self.quality.since(&earlier.quality),
            samples: self.samples.as_ref().map(|samples| match &earlier.samples {
                Some(earlier) => samples.since(earlier),
                None => samples.clone(),
            }),
            by_type: Self::of_types(types, Quality::default()).by_type,
            by_map: who::maps_since(&self.by_map, &earlier.by_map, &operations),
            by_site: who::sites_since(&self.by_site, &earlier.by_site),
            by_stack: who::sites_since(&self.by_stack, &earlier.by_stack),
            operations,
        }
    }
}

/// Operations seen that are in no row. All zero: the counts are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Not recorded: a table was full, or a probe fired without a site.
    pub lost: u64,
    /// Memory of the target could not be read.
    pub faults: u64,
    /// The map changed under the walk.
    pub torn: u64,
    /// The walk reached its bound, or the key's equality cannot be decided.
    pub truncated: u64,
}

impl Quality {
    /// From the kernel's counters, one per cause in the order of [`ALL`].
    #[must_use]
    pub fn from_causes(counters: &[u64; CAUSES]) -> Self {
        let mut quality = Self::default();
        for (cause, operations) in ALL.into_iter().zip(counters) {
            let counter = match cause {
                Cause::TableFull | Cause::UnknownSite => &mut quality.lost,
                Cause::Fault => &mut quality.faults,
                Cause::Torn => &mut quality.torn,
                Cause::Bound | Cause::Undecidable => &mut quality.truncated,
            };
            *counter = counter.saturating_add(*operations);
        }
        quality
    }

    /// Operations in no row, by whatever cause.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let Self {
            lost,
            faults,
            torn,
            truncated,
        } = *self;
        sum([lost, faults, torn, truncated].into_iter())
    }

    fn add(&mut self, other: &Self) {
        *self = self.with(other, u64::saturating_add);
    }

    fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    fn with(&self, other: &Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            lost: combine(self.lost, other.lost),
            faults: combine(self.faults, other.faults),
            torn: combine(self.torn, other.torn),
            truncated: combine(self.truncated, other.truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HIT: RowKey = (Op::Lookup, Outcome::Found, Class::Table);
    const MISS: RowKey = (Op::Lookup, Outcome::Absent, Class::Table);
    const SMALL: RowKey = (Op::Insert, Outcome::Absent, Class::Small);

    fn rows(cells: &[(RowKey, u32, u64)]) -> Rows {
        let mut rows = Rows::default();
        for (kind, depth, operations) in cells {
            rows.record(*kind, *depth, *operations);
        }
        rows
    }

    fn named(name: &str, cells: &[(RowKey, u32, u64)]) -> (Option<String>, Rows) {
        (Some(name.to_owned()), rows(cells))
    }

    #[test]
    fn an_interval_is_the_difference_of_two_readings() {
        let quality = Quality::from_causes(&[1, 2, 3, 0, 0, 0]);
        let earlier = Counts::of_types(
            [named("a", &[(HIT, 1, 100)]), named("b", &[(HIT, 2, 5)])],
            quality,
        );
        let quality = Quality::from_causes(&[1, 2, 4, 7, 1, 1]);
        let later = Counts::of_types(
            [
                named("a", &[(HIT, 1, 100), (MISS, 3, 1)]),
                named("b", &[(HIT, 2, 9)]),
                named("c", &[(SMALL, 1, 2)]),
            ],
            quality,
        );
        let interval = later.since(&earlier);
        assert_eq!(
            interval.operations,
            rows(&[(MISS, 3, 1), (HIT, 2, 4), (SMALL, 1, 2)])
        );
        let names: Vec<_> = interval
            .by_type
            .iter()
            .map(|of_type| {
                (
                    of_type.name.as_deref().expect("named"),
                    of_type.rows.total(),
                )
            })
            .collect();
        assert_eq!(names, [("b", 4), ("c", 2), ("a", 1)]);
        let quality = Quality {
            lost: 0,
            faults: 1,
            torn: 7,
            truncated: 2,
        };
        assert_eq!(interval.quality, quality);
        assert_eq!(quality.missing(), 10);
    }

    #[test]
    fn types_of_one_name_are_one_and_types_without_operations_are_none() {
        let counts = Counts::of_types(
            [
                named("a", &[(HIT, 1, 1)]),
                (None, rows(&[(HIT, 1, 9)])),
                named("idle", &[]),
                named("a", &[(HIT, 4, 2), (SMALL, 1, 3)]),
            ],
            Quality::default(),
        );
        let expected = [
            TypeRows {
                name: None,
                rows: rows(&[(HIT, 1, 9)]),
            },
            TypeRows {
                name: Some("a".to_owned()),
                rows: rows(&[(HIT, 1, 1), (HIT, 4, 2), (SMALL, 1, 3)]),
            },
        ];
        assert_eq!(counts.by_type, expected);
        assert_eq!(counts.operations.total(), 15);
        assert_eq!(counts.operations.total_of(Class::Table), 12);
    }

    fn any_counts() -> impl Strategy<Value = Counts> {
        let kind = prop_oneof![Just(HIT), Just(MISS), Just(SMALL)];
        let name = prop_oneof![Just(None), "[ab]".prop_map(Some)];
        let cells = vec((kind, 1..20_u32, 0..1_000_u64), 0..6);
        let types = vec((name, cells), 0..5);
        (types, any::<[u32; CAUSES]>()).prop_map(|(types, causes)| {
            let types = types.into_iter().map(|(name, cells)| (name, rows(&cells)));
            Counts::of_types(types, Quality::from_causes(&causes.map(u64::from)))
        })
    }

    proptest! {
        #[test]
        fn what_was_counted_before_plus_the_interval_is_what_is_counted_now(
            before in any_counts(),
            interval in any_counts(),
        ) {
            let mut now = before.clone();
            now.add(&interval);
            prop_assert_eq!(now.since(&before), interval);
        }
    }
}
