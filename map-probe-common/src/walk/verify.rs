//! The walk against the runtime: what a map function returns, and what it did to its map, has to be what the walk said.
//!
//! | operation | the walk said | the runtime has to show |
//! |---|---|---|
//! | lookup | found | the address of the slot's element (and `true`) |
//! | lookup | absent | the address of its zero value (and `false`) |
//! | insert | found | the address of the slot's element, and no further entry |
//! | insert | absent | one entry more |
//! | delete | found | one entry less, and the slot free |
//! | delete | absent | as many entries as before |
//!
//! An element that is held by pointer is returned as what the pointer points to.
//!
//! Where it shows something else, it may be that somebody wrote to the map meanwhile: a data race in the target, or memory
//! that it scrambles. So what the walk relied on is kept ([`Relied`]), and looked at again.

use super::{Header, MapType, World, swiss};
use crate::layout::LayoutKind;
use crate::op::{Class, Op, Outcome, of_cell};
use crate::quality::Cause;
use crate::shared::shared;
use crate::slots::mix;

/// Where a walk ended: where it found its key, or no more than where it looked last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Address of the slot's tophash or control byte; 0 if the key is absent.
    pub tag: u64,
    /// Address of the slot's element, or of the pointer to it.
    pub element: u64,
    /// 1 if it is a pointer to it.
    pub is_indirect: u32,
    /// Address of the bucket or group.
    pub unit: u64,
    /// Its first word as the walk read it: tophashes or control bytes.
    pub tags: u64,
    /// Address of the slot's key, or of the pointer to it.
    pub key: u64,
}

/// What a walk said of an operation, until the function returns.
///
/// Addresses on the goroutine's stack are kept as their distance from its end: a stack that grows moves, and maps on it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Expected {
    /// Address of the map's type.
    pub typ: u64,
    /// The key's hash.
    pub hash: u64,
    /// The map's header.
    pub map: u64,
    /// Entries before the operation.
    pub count: u64,
    /// [`Found::tag`]; 0 if the key is absent.
    pub tag: u64,
    /// [`Found::element`]; 0 if the key is absent.
    pub element: u64,
    /// [`Found::is_indirect`].
    pub is_indirect: u32,
    /// Which of the target's map functions it is.
    pub function: u16,
    /// Operation, outcome and class, as [`crate::op::cell`] numbers them.
    pub cell: u16,
    /// What of the map's memory the walk relied on.
    pub relied: Relied,
}
shared!(Expected, 104, {
    typ: u64, hash: u64, map: u64, count: u64, tag: u64, element: u64,
    is_indirect: u32, function: u16, cell: u16, relied: Relied,
});

/// What of a map's memory a walk relied on: as long as nobody else writes to the map, its operation leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Relied {
    /// The words of the header that the operation leaves alone, as one number.
    pub header: u64,
    /// Swiss: where the table has its groups, and how many, as one number.
    pub table: u64,
    /// The bucket or group that the key was found in, or else the first: its address.
    pub unit: u64,
    /// Its first word: tophashes or control bytes.
    pub tags: u64,
    /// The first word of the key that was found, or of the pointer to it: its address; 0 if none was.
    pub key: u64,
    /// That word.
    pub key_word: u64,
}
shared!(Relied, 48, { header: u64, table: u64, unit: u64, tags: u64, key: u64, key_word: u64 });

/// What a map function returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Returned {
    /// The element's address; anything after a delete.
    pub element: u64,
    /// 1 and 0: whether the key was there; [`Returned::UNSAID`] if the function does not say.
    pub found: u64,
    /// Entries after the operation, once [`Expected::check`] has read them.
    pub count: u64,
}
shared!(Returned, 24, { element: u64, found: u64, count: u64 });

impl Returned {
    /// The function returns no bool.
    pub const UNSAID: u64 = 2;
}

/// What came of comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// Both found the key, in the same slot.
    SameSlot = 0,
    /// Both found it absent.
    BothAbsent = 1,
    /// The runtime did something else than the walk said.
    Different = 2,
    /// Both found the key; but the runtime moved all entries to new memory, so that there is no slot to compare.
    Moved = 3,
    /// They differ; but what the walk relied on was changed meanwhile, by somebody else.
    Changed = 4,
}

/// How many verdicts there are.
pub const VERDICTS: usize = 5;

/// Bit of an address that is a distance from the end of the stack.
const ON_STACK: u64 = 1 << 63;

/// The goroutine's stack, as it lies at the moment.
#[derive(Clone, Copy)]
struct Stack {
    low: u64,
    end: u64,
}

impl Stack {
    fn of<W: World>(world: W, goroutine: u64) -> Result<Self, Cause> {
        let at = goroutine.wrapping_add(u64::from(world.layout().stack.offset));
        let [low, end]: [u64; 2] = world.read(at).ok_or(Cause::Fault)?;
        Ok(Self { low, end })
    }

    /// An address as it is kept.
    fn keep(self, address: u64) -> u64 {
        if self.low <= address && address < self.end {
            ON_STACK | (self.end - address)
        } else {
            address
        }
    }

    /// An address that was kept.
    fn address(self, kept: u64) -> u64 {
        if kept & ON_STACK == 0 {
            kept
        } else {
            self.end.wrapping_sub(kept & !ON_STACK)
        }
    }
}

impl Expected {
    /// Notes where things are: `map`, of type `typ`, and what was `found`. The other fields are the caller's.
    ///
    /// # Errors
    ///
    /// [`Cause::Fault`] if memory cannot be read.
    pub fn note<W: World>(
        &mut self,
        world: W,
        goroutine: u64,
        map: u64,
        typ: &MapType,
        found: Found,
    ) -> Result<(), Cause> {
        let stack = Stack::of(world, goroutine)?;
        let header = Header::read(world, map).ok_or(Cause::Fault)?;
        self.map = stack.keep(map);
        self.count = header.get(world.layout().entries);
        self.tag = stack.keep(found.tag);
        self.element = stack.keep(found.element);
        self.is_indirect = found.is_indirect;
        let unit = match found.tag {
            0 => first_unit(world, &header, typ, self.hash),
            _ => found.unit,
        };
        // 0 is what there is none of.
        let at = |address| match address {
            0 => Ok(0),
            address => world.read(address).ok_or(Cause::Fault),
        };
        self.relied = Relied {
            header: self.header(world, &header),
            table: groups(world, &header, self.hash).map_or(0, |[groups, mask]| mix(groups, mask)),
            unit: stack.keep(unit),
            // What was changed since the walk was changed meanwhile, too.
            tags: if unit == found.unit {
                found.tags
            } else {
                at(unit)?
            },
            key: stack.keep(found.key),
            key_word: at(found.key)?,
        };
        Ok(())
    }

    fn is_lookup(&self) -> bool {
        matches!(of_cell(usize::from(self.cell)), Some((Op::Lookup, ..)))
    }

    /// The header's words that the operation leaves alone, as one number.
    fn header<W: World>(&self, world: W, header: &Header) -> u64 {
        let layout = world.layout();
        if !self.is_lookup() {
            let storage = mix(header.get(layout.storage), header.get(layout.second));
            return mix(storage, header.get(layout.shift));
        }
        let mut all = 0;
        for word in header.0 {
            all = mix(all, word);
        }
        all
    }

    /// Whether what the walk relied on has been changed by somebody else.
    fn is_changed<W: World>(&self, world: W, stack: Stack, header: &Header) -> Result<bool, Cause> {
        let relied = &self.relied;
        let table = groups(world, header, self.hash).map_or(0, |[groups, mask]| mix(groups, mask));
        if relied.header != self.header(world, header) || relied.table != table {
            return Ok(true);
        }
        let at = |kept| match kept {
            0 => Ok(0),
            kept => world.read::<u64>(stack.address(kept)).ok_or(Cause::Fault),
        };
        let changed = at(relied.unit)? ^ relied.tags;
        if self.is_lookup() {
            return Ok(changed != 0 || at(relied.key)? != relied.key_word);
        }
        // An insert or delete fills or frees one slot, and counts that.
        let more = header
            .get(world.layout().entries)
            .wrapping_sub(self.count)
            .wrapping_add(1);
        let lowest = changed & changed.wrapping_neg();
        let first = lowest.checked_ilog2().map_or(0, |bit| 0xff << (bit & !7));
        Ok(changed & !first != 0 || more > 2)
    }

    /// Compares with what the runtime did. Its zero value lies in `zero`, from the first address to before the second. Where
    /// it differs, looks whether what the walk relied on has been changed by somebody else.
    ///
    /// # Errors
    ///
    /// [`Cause::Fault`] if memory cannot be read.
    pub fn check<W: World>(
        &self,
        world: W,
        goroutine: u64,
        zero: [u64; 2],
        returned: &mut Returned,
    ) -> Result<Verdict, Cause> {
        let stack = Stack::of(world, goroutine)?;
        let header = Header::read(world, stack.address(self.map)).ok_or(Cause::Fault)?;
        returned.count = header.get(world.layout().entries);
        let verdict = self.compare(world, stack, &header, zero, returned)?;
        if verdict as u32 == Verdict::Different as u32 && self.is_changed(world, stack, &header)? {
            return Ok(Verdict::Changed);
        }
        Ok(verdict)
    }

    fn compare<W: World>(
        &self,
        world: W,
        stack: Stack,
        header: &Header,
        zero: [u64; 2],
        returned: &Returned,
    ) -> Result<Verdict, Cause> {
        let layout = world.layout();
        let Some((op, outcome, class)) = of_cell(usize::from(self.cell)) else {
            return Ok(Verdict::Different);
        };
        let is_found = outcome as u8 == Outcome::Found as u8;
        let change = match (op, is_found) {
            (Op::Insert, false) => 1,
            (Op::Delete, true) => u64::MAX,
            _ => 0,
        };
        let is_lookup = op as u8 == Op::Lookup as u8;
        if !is_lookup && returned.count != self.count.wrapping_add(change) {
            return Ok(Verdict::Different);
        }
        if !is_found {
            let is_absent = !is_lookup
                || (returned.found != 1
                    && zero[0] <= returned.element
                    && returned.element < zero[1]);
            return Ok(if is_absent {
                Verdict::BothAbsent
            } else {
                Verdict::Different
            });
        }
        if op as u8 == Op::Delete as u8 {
            let tag = world.read(stack.address(self.tag)).ok_or(Cause::Fault)?;
            return Ok(same(is_free(layout.kind, tag)));
        }
        let mut element = stack.address(self.element);
        if self.is_indirect != 0 {
            element = world.read(element).ok_or(Cause::Fault)?;
        }
        // `growToTable` makes a full small map a table before any insert (Go 1.24 to 1.26).
        let may_move = !is_lookup
            && class as u8 == Class::Small as u8
            && layout.kind == LayoutKind::Swiss as u32
            && header.get(layout.second) != 0;
        if element != returned.element && may_move {
            return Ok(Verdict::Moved);
        }
        Ok(same(element == returned.element && returned.found != 0))
    }
}

/// Swiss: where the hash's table has its groups, and how many less one. `None` of a small map, or if that cannot be read.
fn groups<W: World>(world: W, header: &Header, hash: u64) -> Option<[u64; 2]> {
    let layout = world.layout();
    let tables = header.get(layout.second);
    if layout.kind != LayoutKind::Swiss as u32 || tables == 0 {
        return None;
    }
    let index = swiss::directory_index(tables, header.get(layout.shift), hash);
    let directory = header.get(layout.storage);
    let table = world.read::<u64>(directory.wrapping_add(index.wrapping_mul(8)))?;
    world.read(table.wrapping_add(u64::from(layout.groups.offset)))
}

/// The bucket or group that a search begins in; of a classic map that grows it may be another.
fn first_unit<W: World>(world: W, header: &Header, typ: &MapType, hash: u64) -> u64 {
    let layout = world.layout();
    let storage = header.get(layout.storage);
    let size = u64::from(typ.unit_size);
    if layout.kind != LayoutKind::Swiss as u32 {
        let mask = (1 << (header.get(layout.shift) & 63)) - 1;
        return storage.wrapping_add((hash & mask).wrapping_mul(size));
    }
    match groups(world, header, hash) {
        Some([groups, mask]) => groups.wrapping_add(((hash >> 7) & mask).wrapping_mul(size)),
        None => storage,
    }
}

fn same(is_same: bool) -> Verdict {
    if is_same {
        Verdict::SameSlot
    } else {
        Verdict::Different
    }
}

/// Whether nothing is in a slot: tophash `emptyRest` or `emptyOne` (runtime/map.go), or a control
/// byte of `ctrlEmpty` or `ctrlDeleted` (internal/runtime/maps/group.go).
fn is_free(kind: u32, tag: u8) -> bool {
    if kind == LayoutKind::Swiss as u32 {
        tag & 0x80 != 0
    } else {
        tag <= 1
    }
}
