//! The world of a walk on the host: a memory image, the tables that userspace
//! makes, and the means to observe and disturb the walk.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

use super::image::Image;
use super::values::Shape;
use crate::equal::{BASIC_PROGRAMS, BASIC_STEPS, EqualProgram, EqualStep};
use crate::layout::{Field, Layout, LayoutKind};
use crate::quality::Cause;
use crate::walk::{End, MAX_STEPS, MapType, Operation, Plain, Search, World, map_type};

/// Go 1.23: `runtime/map.go`, `internal/abi/type.go`.
pub(super) static CLASSIC: Layout = Layout {
    kind: LayoutKind::Classic as u32,
    indirect_key: 1,
    indirect_elem: 2,
    entries: Field::at(0, 8),
    writing: Field::at(8, 1),
    shift: Field::at(9, 1),
    storage: Field::at(16, 8),
    second: Field::at(24, 8),
    groups: Field::constant(0),
    writing_mask: 4,
    same_size_mask: 8,
    key_type: Field::at(48, 8),
    type_flags: Field::at(84, 4),
    unit_size: Field::at(82, 2),
    keys_offset: Field::constant(8),
    key_stride: Field::at(80, 1),
    elems_offset: Field::at(80, 1),
    elems_base: 8,
    elems_times: 8,
    elem_stride: Field::at(81, 1),
    stack: Field::at(0, 8),
    tflag: Field::at(20, 1),
    kind_byte: Field::at(23, 1),
    kind_mask: 0x1f,
    regular_memory: 8,
    direct_interface: Field::at(23, 1),
    direct_interface_mask: 0x20,
    interface_methods: Field::at(64, 8),
    itab_type: Field::at(8, 8),
};

/// Go 1.27: `internal/runtime/maps/{map,table}.go`, `internal/abi/{map,type}.go`.
pub(super) static SWISS: Layout = Layout {
    kind: LayoutKind::Swiss as u32,
    indirect_key: 4,
    indirect_elem: 8,
    entries: Field::at(0, 8),
    writing: Field::at(34, 1),
    shift: Field::at(33, 1),
    groups: Field::at(16, 8),
    writing_mask: 1,
    same_size_mask: 0,
    type_flags: Field::at(128, 4),
    unit_size: Field::at(80, 8),
    keys_offset: Field::at(88, 8),
    key_stride: Field::at(96, 8),
    elems_offset: Field::at(104, 8),
    elems_base: 0,
    elems_times: 1,
    elem_stride: Field::at(112, 8),
    direct_interface: Field::at(20, 1),
    ..CLASSIC
};

/// A target, stopped before a map operation.
pub(super) struct Target {
    pub(super) memory: RefCell<Image>,
    pub(super) layout: &'static Layout,
    pub(super) programs: BTreeMap<u64, EqualProgram>,
    pub(super) steps: Vec<EqualStep>,
    /// Types that have a descriptor.
    pub(super) types: BTreeMap<Shape, u64>,
    /// The itab of each type that an interface with methods holds.
    pub(super) itabs: BTreeMap<u64, u64>,
    /// Where strings lie that may be shared.
    pub(super) texts: BTreeMap<Vec<u8>, u64>,
    /// All reads since the last walk began: address and bytes.
    reads: RefCell<Vec<(u64, usize)>>,
    steps_taken: Cell<u32>,
    /// The read that fails, by its number.
    failing: Cell<Option<usize>>,
    /// After this many reads the target writes this word there.
    writes: Cell<Option<(usize, u64, u64)>>,
}

impl Target {
    pub(super) fn new(layout: &'static Layout) -> Self {
        Self {
            memory: RefCell::new(Image::new()),
            layout,
            programs: BASIC_PROGRAMS.into_iter().collect(),
            steps: BASIC_STEPS.to_vec(),
            types: BTreeMap::new(),
            itabs: BTreeMap::new(),
            texts: BTreeMap::new(),
            reads: RefCell::default(),
            steps_taken: Cell::new(0),
            failing: Cell::new(None),
            writes: Cell::new(None),
        }
    }

    pub(super) fn is_swiss(&self) -> bool {
        self.layout.kind == LayoutKind::Swiss as u32
    }

    /// Begins to record anew, and to count for what is to happen at the n-th read.
    pub(super) fn begin(&self) {
        self.reads.borrow_mut().clear();
        self.steps_taken.set(0);
    }

    pub(super) fn walk(&self, typ: MapType, operation: &Operation) -> End {
        self.begin();
        let end = Search::walk(Host(self), typ, operation);
        assert!(self.steps_taken.get() <= MAX_STEPS);
        assert!(self.reads().iter().all(|&(_, bytes)| bytes <= 48));
        end
    }

    pub(super) fn map_type(&self, typ: u64) -> Result<MapType, Cause> {
        self.begin();
        map_type(Host(self), typ)
    }

    /// What `run` gives when its n-th read fails, for each read that it makes by itself.
    pub(super) fn with_each_fault<T>(&self, run: impl Fn(&Self) -> T) -> Vec<T> {
        run(self);
        let reads = self.reads().len();
        assert!(reads < 5000, "too many to fail each");
        let ends = (0..reads).map(|number| {
            self.failing.set(Some(number));
            let end = run(self);
            let failing = self.failing.take();
            assert_eq!(failing, None, "the injected fault was never hit");
            end
        });
        ends.collect()
    }

    /// Walks while the target writes `word` to `address` after `reads` reads.
    pub(super) fn walk_disturbed(
        &self,
        typ: MapType,
        operation: &Operation,
        (reads, address, word): (usize, u64, u64),
    ) -> End {
        self.writes.set(Some((reads, address, word)));
        let end = self.walk(typ, operation);
        assert_eq!(self.writes.take(), None, "the walk ended before");
        end
    }

    pub(super) fn reads(&self) -> Vec<(u64, usize)> {
        self.reads.borrow().clone()
    }

    pub(super) fn steps_taken(&self) -> u32 {
        self.steps_taken.get()
    }

    fn read_bytes(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        let number = self.reads.borrow().len();
        self.reads.borrow_mut().push((address, len));
        if let Some((reads, at, word)) = self.writes.get()
            && reads <= number
        {
            self.memory.borrow_mut().put_word(at, word);
            self.writes.set(None);
        }
        if self.failing.get() == Some(number) {
            self.failing.set(None);
            return None;
        }
        self.memory.borrow().get(address, len)
    }
}

/// What the walk is given.
#[derive(Clone, Copy)]
pub(super) struct Host<'a>(pub(super) &'a Target);

impl<'a> Host<'a> {
    pub(super) fn of(target: &'a Target) -> Self {
        Self(target)
    }
}

impl World for Host<'_> {
    fn read<T: Plain>(self, address: u64) -> Option<T> {
        let bytes = self.0.read_bytes(address, size_of::<T>())?;
        assert_eq!(bytes.len(), size_of::<T>());
        // SAFETY: there are as many bytes as a `T` has, and any bytes are a `T`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }

    fn layout(self) -> &'static Layout {
        self.0.layout
    }

    fn equal_program(self, typ: u64) -> Option<EqualProgram> {
        self.0.programs.get(&typ).copied()
    }

    fn equal_step(self, index: u32) -> Option<EqualStep> {
        self.0.steps.get(index as usize).copied()
    }

    fn repeat(self, limit: u32, search: &mut Search<Self>) {
        for _ in 0..limit {
            self.0.steps_taken.set(self.0.steps_taken.get() + 1);
            if !search.step() {
                return;
            }
        }
    }
}
