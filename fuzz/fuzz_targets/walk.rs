//! The walk through any memory: version, operation, role, key form, rules and whether memory is everywhere (a byte
//! each), map, key, key length and hash (eight bytes each), four programs of equality, then the memory at `START`.
#![no_main]

use std::cell::Cell;

use map_probe::target::fuzzing;
use map_probe_common::Layout;
use map_probe_common::equal::{BASIC_PROGRAMS, BASIC_STEPS, EqualProgram, EqualStep};
use map_probe_common::op::Op;
use map_probe_common::site::{KeyForm, Role};
use map_probe_common::walk::{End, MAX_STEPS, Operation, Plain, Search, World, map_type};

const START: u64 = 0xc0_0000_0000;

struct Target {
    layout: &'static Layout,
    memory: Vec<u8>,
    everywhere: bool,
    steps: Vec<EqualStep>,
    taken: Cell<u32>,
}

#[derive(Clone, Copy)]
struct Host<'a>(&'a Target);

impl World for Host<'_> {
    fn read<T: Plain>(self, address: u64) -> Option<T> {
        assert!(size_of::<T>() <= 48);
        let Target {
            memory, everywhere, ..
        } = self.0;
        let mut value = T::default();
        let at = if *everywhere {
            address as usize % memory.len().max(1)
        } else {
            usize::try_from(address.checked_sub(START)?).ok()?
        };
        let bytes = memory.get(at..at.checked_add(size_of::<T>())?)?;
        // SAFETY: as many bytes as a `T` has, and any bytes are a `T`.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut value).cast(), bytes.len());
        }
        Some(value)
    }

    fn layout(self) -> &'static Layout {
        self.0.layout
    }

    fn equal_program(self, typ: u64) -> Option<EqualProgram> {
        let basic = BASIC_PROGRAMS.iter().find(|(of, _)| *of == typ);
        basic.map(|(_, program)| *program).or_else(|| {
            let start = BASIC_STEPS.len() as u32;
            let index = (typ.checked_sub(START)? / 8 % 8) as u32;
            (index < 4).then_some(EqualProgram {
                start: start + index,
                end: start + 4,
            })
        })
    }

    fn equal_step(self, index: u32) -> Option<EqualStep> {
        self.0.steps.get(index as usize).copied()
    }

    fn repeat(self, limit: u32, search: &mut Search<Self>) {
        assert!(limit <= MAX_STEPS);
        for _ in 0..limit {
            self.0.taken.set(self.0.taken.get() + 1);
            if !search.step() {
                return;
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((head, rest)) = bytes.split_first_chunk::<6>() else {
        return;
    };
    let Some((words, rest)) = rest.split_first_chunk::<40>() else {
        return;
    };
    let Some((programs, memory)) = rest.split_first_chunk::<16>() else {
        return;
    };
    let word = |index: usize| {
        u64::from_le_bytes(words[8 * index..8 * index + 8].try_into().expect("eight"))
    };
    let maps: Vec<_> = fuzzing::maps().collect();
    let mut steps = BASIC_STEPS.to_vec();
    for step in programs.chunks_exact(4) {
        steps.push(EqualStep {
            kind: u32::from(step[0] % 8),
            offset: u32::from(step[1]) * 8,
            len: u32::from(u16::from_le_bytes([step[2], step[3]])) << (step[0] / 8 % 17),
        });
    }
    let target = Target {
        layout: &maps[usize::from(head[0]) % maps.len()].layout,
        memory: memory.to_vec(),
        everywhere: head[5] & 1 != 0,
        steps,
        taken: Cell::new(0),
    };
    let operation = Operation {
        op: [Op::Lookup, Op::Insert, Op::Delete][usize::from(head[1]) % 3],
        role: [Role::Search, Role::SearchOrDefer, Role::AfterEvacuation][usize::from(head[2]) % 3],
        key_form: [
            KeyForm::Pointer,
            KeyForm::Value32,
            KeyForm::Value64,
            KeyForm::String,
        ][usize::from(head[3]) % 4],
        search: head[4],
        map: word(0),
        key: word(1),
        key_len: word(2),
        hash: word(3),
        // Half of the operations know their table.
        table: if head[5] & 2 == 0 { 0 } else { word(4) },
    };
    // The map's type lies at the start of memory.
    let Ok(typ) = map_type(Host(&target), START) else {
        return;
    };
    assert!(typ.unit_size <= 2072 && typ.keys_offset <= typ.unit_size);
    let end = Search::walk(Host(&target), typ, &operation);
    assert!(target.taken.get() <= MAX_STEPS);
    if let End::At { depth, .. } = end {
        assert!((1..=MAX_STEPS).contains(&depth));
        assert!(target.taken.get() <= MAX_STEPS);
    }
});
