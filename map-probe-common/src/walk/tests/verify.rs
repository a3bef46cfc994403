//! What the runtime did, compared with what the walk said.

use super::target::{CLASSIC, Host, SWISS, Target};
use crate::Layout;
use crate::op::{Class, Op, Outcome, cell};
use crate::walk::{Expected, Found, MapType, Returned, Verdict};

/// Where the zero value lies.
const ZERO: [u64; 2] = [0x5000, 0x5001];
const ENTRIES: u64 = 20;

/// An operation between its walk and its return. The map's slot is a tag in one word, and an element behind it.
struct Scene {
    target: Target,
    goroutine: u64,
    map: u64,
    slot: u64,
    expected: Expected,
}

fn found(slot: u64, is_indirect: u32) -> Found {
    Found {
        tag: slot,
        element: slot + 8,
        is_indirect,
        unit: slot,
        tags: 0x33,
        key: slot,
    }
}

impl Scene {
    fn new(layout: &'static Layout, op: Op, outcome: Outcome, class: Class) -> Self {
        Self::with(layout, (op, outcome, class), 0, |_, map| map)
    }

    /// `place` says where the map is to lie, given where there is room for it and its stack.
    fn with(
        layout: &'static Layout,
        (op, outcome, class): (Op, Outcome, Class),
        is_indirect: u32,
        stack: impl Fn(u64, u64) -> u64,
    ) -> Self {
        let target = Target::new(layout);
        let mut memory = target.memory.borrow_mut();
        let map = memory.place_words(&[ENTRIES, 0, 0, 0, 0, 0]);
        let slot = memory.place_words(&[0x33, 0]);
        let low = stack(slot, map);
        let goroutine = memory.place_words(&[low, low + 8]);
        drop(memory);
        let mut expected = Expected {
            cell: cell(op, outcome, class) as u16,
            ..Expected::default()
        };
        let found = match outcome {
            Outcome::Found => found(slot, is_indirect),
            Outcome::Absent => Found::default(),
        };
        expected
            .note(Host(&target), goroutine, map, &MapType::default(), found)
            .expect("readable");
        Self {
            target,
            goroutine,
            map,
            slot,
            expected,
        }
    }

    fn put(&self, address: u64, word: u64) -> &Self {
        self.target.memory.borrow_mut().put_word(address, word);
        self
    }

    fn verdict(&self, element: u64, found: u64) -> Verdict {
        let mut returned = Returned {
            element,
            found,
            count: 0,
        };
        self.expected
            .check(Host(&self.target), self.goroutine, ZERO, &mut returned)
            .expect("readable")
    }
}

#[test]
fn a_lookup_returns_the_slots_element_or_the_zero_value() {
    for layout in [&CLASSIC, &SWISS] {
        let hit = Scene::new(layout, Op::Lookup, Outcome::Found, Class::Table);
        for said in [1, Returned::UNSAID] {
            assert_eq!(hit.verdict(hit.slot + 8, said), Verdict::SameSlot);
            assert_eq!(hit.verdict(hit.slot, said), Verdict::Different);
            assert_eq!(hit.verdict(ZERO[0], said), Verdict::Different);
        }
        assert_eq!(hit.verdict(hit.slot + 8, 0), Verdict::Different);
        let miss = Scene::new(layout, Op::Lookup, Outcome::Absent, Class::Table);
        for said in [0, Returned::UNSAID] {
            assert_eq!(miss.verdict(ZERO[0], said), Verdict::BothAbsent);
            assert_eq!(miss.verdict(ZERO[1], said), Verdict::Different);
            assert_eq!(miss.verdict(miss.slot + 8, said), Verdict::Different);
        }
        assert_eq!(miss.verdict(ZERO[0], 1), Verdict::Different);
    }
}

#[test]
fn an_insert_adds_an_entry_if_it_is_new_and_none_if_not() {
    for layout in [&CLASSIC, &SWISS] {
        let update = Scene::new(layout, Op::Insert, Outcome::Found, Class::Table);
        let element = update.slot + 8;
        assert_eq!(update.verdict(element, Returned::UNSAID), Verdict::SameSlot);
        assert_eq!(
            update.verdict(element + 1, Returned::UNSAID),
            Verdict::Different
        );
        update.put(update.map, ENTRIES + 1);
        assert_eq!(
            update.verdict(element, Returned::UNSAID),
            Verdict::Different
        );
        let new = Scene::new(layout, Op::Insert, Outcome::Absent, Class::Table);
        assert_eq!(
            new.verdict(new.slot, Returned::UNSAID),
            Verdict::Different,
            "nothing was added"
        );
        new.put(new.map, ENTRIES + 1);
        assert_eq!(new.verdict(new.slot, Returned::UNSAID), Verdict::BothAbsent);
    }
}

#[test]
fn a_delete_frees_the_slot_and_takes_an_entry_away() {
    for (layout, free) in [
        (&CLASSIC, [0, 1].as_slice()),
        (&SWISS, [0x80, 0xfe].as_slice()),
    ] {
        let hit = Scene::new(layout, Op::Delete, Outcome::Found, Class::Table);
        hit.put(hit.map, ENTRIES - 1);
        assert_eq!(
            hit.verdict(0, Returned::UNSAID),
            Verdict::Different,
            "still there"
        );
        for tag in free {
            hit.put(hit.slot, *tag);
            assert_eq!(hit.verdict(0, Returned::UNSAID), Verdict::SameSlot);
        }
        hit.put(hit.map, ENTRIES);
        assert_eq!(hit.verdict(0, Returned::UNSAID), Verdict::Different);
        let miss = Scene::new(layout, Op::Delete, Outcome::Absent, Class::Table);
        assert_eq!(miss.verdict(0, Returned::UNSAID), Verdict::BothAbsent);
        miss.put(miss.map, ENTRIES - 1);
        assert_eq!(miss.verdict(0, Returned::UNSAID), Verdict::Different);
    }
}

#[test]
fn an_element_held_by_pointer_is_what_it_points_to() {
    let kind = (Op::Lookup, Outcome::Found, Class::Table);
    let hit = Scene::with(&CLASSIC, kind, 1, |_, map| map);
    hit.put(hit.slot + 8, 0x7000);
    assert_eq!(hit.verdict(0x7000, 1), Verdict::SameSlot);
    assert_eq!(hit.verdict(hit.slot + 8, 1), Verdict::Different);
}

#[test]
fn a_slot_on_a_stack_that_moved_is_the_same_slot() {
    let kind = (Op::Lookup, Outcome::Found, Class::Small);
    // The element's word is all of the stack.
    let hit = Scene::with(&SWISS, kind, 0, |slot, _| slot + 8);
    let moved = 0xd0_0000_0000;
    hit.put(hit.goroutine, moved - 64)
        .put(hit.goroutine + 8, moved);
    assert_eq!(hit.verdict(moved - 8, 1), Verdict::SameSlot);
    assert_eq!(hit.verdict(hit.slot + 8, 1), Verdict::Different);
}

/// Go 1.24 to 1.26: the slot is another one then. A map that is a table already, or stays small, moves nothing.
#[test]
fn a_full_small_map_that_becomes_a_table_has_no_slot_to_compare() {
    let second = u64::from(SWISS.second.offset);
    for (class, tables, verdict) in [
        (Class::Small, 1, Verdict::Moved),
        (Class::Small, 0, Verdict::Different),
        // A table's directory that an update changed was changed by somebody else.
        (Class::Table, 1, Verdict::Changed),
    ] {
        let update = Scene::new(&SWISS, Op::Insert, Outcome::Found, class);
        update.put(update.map + second, tables);
        assert_eq!(update.verdict(0x7000, Returned::UNSAID), verdict);
    }
}

/// What differs because somebody else wrote to the map is no fault of the walk.
#[test]
fn memory_that_was_changed_meanwhile_is_no_difference() {
    for layout in [&CLASSIC, &SWISS] {
        let seed = 8;
        for (address, word) in [(seed, 0x1234), (0, ENTRIES + 1)] {
            let miss = Scene::new(layout, Op::Lookup, Outcome::Absent, Class::Table);
            assert_eq!(miss.verdict(miss.slot + 8, 1), Verdict::Different);
            miss.put(miss.map + address, word);
            assert_eq!(miss.verdict(miss.slot + 8, 1), Verdict::Changed);
            assert_eq!(miss.verdict(ZERO[0], 0), Verdict::BothAbsent);
        }
        // Tags are the first word, which is the key too here.
        let hit = Scene::new(layout, Op::Lookup, Outcome::Found, Class::Table);
        assert_eq!(hit.verdict(ZERO[0], 0), Verdict::Different);
        hit.put(hit.slot, 0x34);
        assert_eq!(hit.verdict(ZERO[0], 0), Verdict::Changed);
        // An insert fills one slot, not two; and counts one more, not many.
        let new = Scene::new(layout, Op::Insert, Outcome::Found, Class::Table);
        new.put(new.slot, 0x3433);
        assert_eq!(new.verdict(0x7000, Returned::UNSAID), Verdict::Different);
        new.put(new.slot, 0x3432);
        assert_eq!(new.verdict(0x7000, Returned::UNSAID), Verdict::Changed);
        new.put(new.slot, 0x33).put(new.map, ENTRIES + 2);
        assert_eq!(new.verdict(0x7000, Returned::UNSAID), Verdict::Changed);
    }
}

/// Tags are those that the walk read: a change before they were noted is one too.
#[test]
fn a_change_between_the_walk_and_its_note_is_no_difference() {
    for layout in [&CLASSIC, &SWISS] {
        for (outcome, element) in [(Outcome::Found, ZERO[0]), (Outcome::Absent, 0x7000)] {
            let mut scene = Scene::new(layout, Op::Lookup, outcome, Class::Table);
            let relied = scene.expected.relied;
            assert_eq!(scene.verdict(element, Returned::UNSAID), Verdict::Different);
            let mut found = match outcome {
                Outcome::Found => found(scene.slot, 0),
                Outcome::Absent => Found {
                    unit: relied.unit,
                    ..Found::default()
                },
            };
            found.tags = !relied.tags;
            let typ = MapType::default();
            let Scene {
                target,
                goroutine,
                map,
                expected,
                ..
            } = &mut scene;
            expected
                .note(Host(target), *goroutine, *map, &typ, found)
                .expect("readable");
            assert_eq!(scene.verdict(element, Returned::UNSAID), Verdict::Changed);
        }
    }
}

#[test]
fn memory_that_cannot_be_read_is_no_verdict() {
    for op in [Op::Lookup, Op::Insert, Op::Delete] {
        let scene = Scene::new(&CLASSIC, op, Outcome::Found, Class::Table);
        let element = scene.slot + 8;
        let check = |target: &Target| {
            target.begin();
            let returned = &mut Returned {
                element,
                found: Returned::UNSAID,
                count: 0,
            };
            scene
                .expected
                .check(Host(target), scene.goroutine, ZERO, returned)
                .is_err()
        };
        let failed = scene.target.with_each_fault(check);
        assert!(failed.iter().all(|failed| *failed), "{op:?}");
    }
}
