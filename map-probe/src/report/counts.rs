//! Everything that is counted: for the process, and by type, map, call site and stack.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use map_probe_common::quality::{ALL, CAUSES, Cause};

use super::estimates::Estimates;
use super::list::{since, together};
use super::samples::Samples;

pub use super::list::{Entry, List, listed};
pub use super::rows::{Depths, RowKey, Rows, excess, total};

/// What a type is called; `None` if unknown. Shared, as many rows have the same.
pub type Name = Option<Arc<str>>;

/// Operations on maps of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRows {
    /// The type as Go's `%T` prints it; `None` if unknown.
    pub name: Name,
    /// Its operations.
    pub rows: Rows,
}

impl Entry for TypeRows {
    type Key<'a> = Option<&'a str>;

    fn key(&self) -> Self::Key<'_> {
        self.name.as_deref()
    }

    fn rows(&self) -> &Rows {
        &self.rows
    }

    fn with(&self, rows: Rows) -> Self {
        Self {
            name: self.name.clone(),
            rows,
        }
    }
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
pub type Frames = Arc<[Frame]>;

/// Operations at one call site, or with one stack, on maps of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRows {
    /// By call site: the function that does the operation, behind it those it is inlined into. By stack: all frames.
    /// `None` if unknown.
    pub frames: Option<Frames>,
    /// The map's type; `None` if unknown.
    pub typ: Name,
    /// Its operations.
    pub rows: Rows,
}

impl Entry for SiteRows {
    type Key<'a> = (Option<&'a [Frame]>, Option<&'a str>);

    fn key(&self) -> Self::Key<'_> {
        (self.frames.as_deref(), self.typ.as_deref())
    }

    fn rows(&self) -> &Rows {
        &self.rows
    }

    fn with(&self, rows: Rows) -> Self {
        Self {
            frames: self.frames.clone(),
            typ: self.typ.clone(),
            rows,
        }
    }
}

/// Operations on one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRows {
    /// Its address in the target; `None` for all maps together that found no room in the table.
    pub address: Option<u64>,
    /// Its type; `None` if unknown.
    pub typ: Name,
    /// Of which of the programs that the process ran while it was watched, from 0: addresses are given anew in each.
    pub life: u32,
    /// Entries, and slots for entries, when it was last read; `None` if it could not be.
    pub size: Option<MapSize>,
    /// From when the probes were in place to the reading that first had it.
    pub first_seen: Duration,
    /// To the last reading in which it had new operations.
    pub last_seen: Duration,
    /// Its operations.
    pub rows: Rows,
}

impl Entry for MapRows {
    /// Maps that found no room come last.
    type Key<'a> = (bool, Option<u64>, Option<&'a str>, u32);

    fn key(&self) -> Self::Key<'_> {
        let (address, typ) = (self.address, self.typ.as_deref());
        (address.is_none(), address, typ, self.life)
    }

    fn rows(&self) -> &Rows {
        &self.rows
    }

    fn with(&self, rows: Rows) -> Self {
        Self {
            typ: self.typ.clone(),
            rows,
            ..*self
        }
    }
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
    /// By type.
    pub by_type: List<TypeRows>,
    /// By map.
    pub by_map: List<MapRows>,
    /// By call site.
    pub by_site: List<SiteRows>,
    /// By stack; empty unless stacks are asked for.
    pub by_stack: List<SiteRows>,
    /// Operations that are in no row, by cause.
    pub quality: Quality,
    /// Where only the operations of windows of time were seen: what that says of all of them.
    pub estimates: Option<Estimates>,
    /// Where the counts are of samples: all that were taken.
    pub samples: Option<Samples>,
    /// Operations that could not be walked, and are in no list; the most frequent first.
    pub failures: Vec<FailureRow>,
}

impl Counts {
    /// The counts of a process from those of its types.
    ///
    /// Types with the same name become one: what is reported of a type is its name.
    pub fn of_types(types: impl IntoIterator<Item = (Name, Rows)>, quality: Quality) -> Self {
        let mut operations = Rows::default();
        let mut by_name: HashMap<Name, Rows> = HashMap::new();
        for (name, rows) in types {
            operations.add(&rows);
            by_name.entry(name).or_default().add(&rows);
        }
        let types = by_name.into_iter();
        Self {
            operations,
            by_type: listed(types.map(|(name, rows)| Arc::new(TypeRows { name, rows }))),
            quality,
            ..Self::default()
        }
    }

    /// What was counted after `earlier`, an older reading of the same counters:
    /// the kernel's counters only grow, so an interval is the difference of two readings.
    ///
    /// A type must have the same name in both readings.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let operations = self.operations.since(&earlier.operations);
        let mut by_map = since(&self.by_map, &earlier.by_map);
        // Maps that found no room are not counted: they are what is left of all operations.
        by_map.retain(|map| map.address.is_some());
        if let Some(like) = self.by_map.iter().find(|map| map.address.is_none()) {
            by_map.extend(rest(&by_map, &operations, like));
        }
        Self {
            // Of an interval by itself.
            estimates: None,
            quality: self.quality.since(&earlier.quality),
            samples: self.samples.as_ref().map(|samples| match &earlier.samples {
                Some(earlier) => samples.since(earlier),
                None => samples.clone(),
            }),
            by_type: listed(since(&self.by_type, &earlier.by_type)),
            by_map: listed(by_map),
            by_site: listed(since(&self.by_site, &earlier.by_site)),
            by_stack: listed(since(&self.by_stack, &earlier.by_stack)),
            failures: failures_since(&self.failures, &earlier.failures),
            operations,
        }
    }
}

impl Counts {
    /// These and `earlier` ones together: those of another program that the process ran before.
    #[must_use]
    pub fn after(self, earlier: &Self) -> Self {
        let mut operations = self.operations;
        operations.add(&earlier.operations);
        Self {
            operations,
            by_type: together(&self.by_type, &earlier.by_type),
            by_map: together(&self.by_map, &earlier.by_map),
            by_site: together(&self.by_site, &earlier.by_site),
            by_stack: together(&self.by_stack, &earlier.by_stack),
            quality: self.quality.with(&earlier.quality, u64::saturating_add),
            failures: failures_together(&self.failures, &earlier.failures),
            estimates: self.estimates,
            samples: match (self.samples, &earlier.samples) {
                (Some(samples), Some(earlier)) => Some(samples.after(earlier)),
                (samples, _) => samples,
            },
        }
    }
}

/// Those of `operations` that are of no map in the list, if there are any; when they were seen is as `like` says.
fn rest(maps: &[Arc<MapRows>], operations: &Rows, like: &MapRows) -> Option<Arc<MapRows>> {
    let mut named = Rows::default();
    for map in maps {
        named.add(&map.rows);
    }
    let rows = operations.since(&named);
    (!rows.is_empty()).then(|| {
        Arc::new(MapRows {
            address: None,
            typ: None,
            life: 0,
            size: None,
            rows,
            ..*like
        })
    })
}

/// Operations that could not be walked, of one cause, at one call site, on maps of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureRow {
    /// Why.
    pub cause: Cause,
    /// The map's type; `None` if unknown.
    pub typ: Name,
    /// The call site, as in [`SiteRows`]; `None` if unknown.
    pub frames: Option<Frames>,
    /// Operations, or samples.
    pub count: u64,
}

impl FailureRow {
    /// How many of the same are in a list.
    fn same_in(&self, list: &[Self]) -> u64 {
        let same = |other: &&Self| {
            (other.cause, &other.typ, &other.frames) == (self.cause, &self.typ, &self.frames)
        };
        list.iter().find(same).map_or(0, |other| other.count)
    }
}

/// Those after `earlier`, an older reading of the same counters; the most frequent first.
fn failures_since(later: &[FailureRow], earlier: &[FailureRow]) -> Vec<FailureRow> {
    most_first(later.iter().map(|row| FailureRow {
        count: row.count.saturating_sub(row.same_in(earlier)),
        ..row.clone()
    }))
}

/// Those of both lists; the most frequent first.
fn failures_together(one: &[FailureRow], other: &[FailureRow]) -> Vec<FailureRow> {
    let both = one.iter().map(|row| FailureRow {
        count: row.count.saturating_add(row.same_in(other)),
        ..row.clone()
    });
    let more = other.iter().filter(|row| row.same_in(one) == 0).cloned();
    most_first(both.chain(more))
}

fn most_first(rows: impl Iterator<Item = FailureRow>) -> Vec<FailureRow> {
    let mut rows: Vec<_> = rows.filter(|row| row.count > 0).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
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
                Cause::TableFull | Cause::UnknownSite | Cause::OtherProgram => &mut quality.lost,
                Cause::Fault => &mut quality.faults,
                Cause::Torn => &mut quality.torn,
                Cause::Bound | Cause::Undecidable | Cause::Endless => &mut quality.truncated,
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
        [lost, faults, torn, truncated]
            .into_iter()
            .fold(0, u64::saturating_add)
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
    use crate::report::sample::added;
    use map_probe_common::op::{Class, Op, Outcome};
    use proptest::collection::vec;
    use proptest::prelude::*;

    const HIT: RowKey = (Op::Lookup, Outcome::Found, Class::Table);
    const MISS: RowKey = (Op::Lookup, Outcome::Absent, Class::Table);
    const SMALL: RowKey = (Op::Insert, Outcome::Absent, Class::Small);

    fn rows(cells: &[(RowKey, u32, u64)]) -> Rows {
        cells.iter().copied().collect()
    }

    fn named(name: &str, cells: &[(RowKey, u32, u64)]) -> (Name, Rows) {
        (Some(name.into()), rows(cells))
    }

    #[test]
    fn an_interval_is_the_difference_of_two_readings() {
        let quality = Quality::from_causes(&[1, 2, 3, 0, 0, 0, 0, 0]);
        let earlier = Counts::of_types(
            [named("a", &[(HIT, 1, 100)]), named("b", &[(HIT, 2, 5)])],
            quality,
        );
        let quality = Quality::from_causes(&[1, 2, 4, 7, 1, 1, 1, 0]);
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
            truncated: 3,
        };
        assert_eq!(interval.quality, quality);
        assert_eq!(quality.missing(), 11);
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
                name: Some("a".into()),
                rows: rows(&[(HIT, 1, 1), (HIT, 4, 2), (SMALL, 1, 3)]),
            },
        ];
        assert_eq!(*counts.by_type, expected.map(Arc::new));
        assert_eq!(counts.operations.total(), 15);
        assert_eq!(counts.operations.total_of(Class::Table), 12);
    }

    fn any_counts() -> impl Strategy<Value = Counts> {
        let kind = prop_oneof![Just(HIT), Just(MISS), Just(SMALL)];
        let name = prop_oneof![Just(None), "[ab]".prop_map(|name| Some(name.into()))];
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
            let now = added(&before, &interval);
            prop_assert_eq!(now.since(&before), interval);
        }
    }
}
