//! One operation's search: what it starts from, and the steps it takes.

use core::mem::MaybeUninit;

use super::compare::{Comparison, Verdict};
use super::types::MapType;
use super::verify::Found;
use super::{End, Header, MAX_STEPS, World, classic, first_byte, swiss};
use crate::counts::Shape;
use crate::layout::LayoutKind;
use crate::op::{Class, Op, Outcome};
use crate::quality::Cause;
use crate::site::{KeyForm, Role};

/// An operation as a probe site sees it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// What it does.
    pub op: Op,
    /// When it is walked: an operation at [`Role::SearchOrDefer`] may be put off.
    pub role: Role,
    /// How the key is held.
    pub key_form: KeyForm,
    /// [`crate::site::STOPS_AT_EMPTY_REST`] and its siblings.
    pub search: u8,
    /// Address of the map's header.
    pub map: u64,
    /// The key, or its address.
    pub key: u64,
    /// The length of a string key, in bytes.
    pub key_len: u64,
    /// The key's hash under the map's seed.
    pub hash: u64,
    /// Swiss: the table that the operation searches, if it is known already; 0 if not. (Then the map's header need not be read.)
    pub table: u64,
}

/// Where in its sequence a search is: the bucket or group it examines, and how it goes on.
#[derive(Clone, Copy, Default)]
pub(super) struct Position {
    /// Address of the bucket or group.
    pub(super) unit: u64,
    /// Swiss: whether it is a small map's only group.
    pub(super) is_only: bool,
    /// Swiss: the first group of the table.
    pub(super) groups: u64,
    /// Swiss: number of groups less one.
    pub(super) mask: u64,
    /// Swiss: index of the group in the table.
    pub(super) group: u64,
}

/// The start of a search, or its end if there is nothing to step through.
pub(super) enum Start {
    Search(Position, Class),
    End(End),
}

/// Where a search stands.
mod status {
    pub(super) const UNDER_WAY: u32 = 0;
    pub(super) const FOUND: u32 = 1;
    pub(super) const ABSENT: u32 = 2;
    pub(super) const FAULT: u32 = 3;
    pub(super) const UNDECIDABLE: u32 = 4;
    pub(super) const ENDLESS: u32 = 5;
}

/// A search under way.
pub struct Search<W> {
    world: W,
    typ: MapType,
    key: u64,
    key_len: u64,
    key_form: KeyForm,
    rules: u8,
    /// Whether the bucket's or group's tags have been looked at.
    examined: bool,
    /// Whether the search ends with this bucket or group.
    is_last: bool,
    comparing: bool,
    class: Class,
    /// Numbers instead of an enum: what the verifier does not know, it takes for any number at all.
    status: u32,
    depth: u32,
    /// The tophash or the second part of the hash that a slot's must equal.
    tag: u8,
    /// Slots of this bucket or group whose tag matches and whose key has not been compared: a top bit per byte.
    candidates: u64,
    /// The bucket's or group's tags, as they were read.
    tags: u64,
    /// The first slot's first words, where [`Search::reads_first`].
    first: [u64; 2],
    position: Position,
    comparison: Comparison,
}

impl<W: World> Search<W> {
    /// Walks `operation` on a map of type `typ`.
    pub fn walk(world: W, typ: MapType, operation: &Operation) -> End {
        let shape = &mut Shape::default();
        Self::walk_in(&mut MaybeUninit::uninit(), shape, world, typ, operation)
    }

    /// Walks `operation` on a map of type `typ`, with the walk's state in `place`: it is large for a kernel's stack.
    /// `shape` is set for every walk that ends [`End::At`] a depth; but for [`see_map`]'s part of it where the operation's
    /// table is known.
    #[expect(
        clippy::inline_always,
        reason = "a frame of its own would be one too many for the kernel's stack"
    )]
    #[inline(always)]
    pub fn walk_in(
        place: &mut MaybeUninit<Self>,
        shape: &mut Shape,
        world: W,
        typ: MapType,
        operation: &Operation,
    ) -> End {
        let layout = world.layout();
        let is_swiss = is_swiss(world);
        let in_known_table = is_swiss && operation.table != 0;
        let mut header = Header::default();
        let start = if in_known_table {
            swiss::in_table(world, operation.table, &typ, operation.hash)
        } else {
            let Some(read) = Header::read(world, operation.map) else {
                return End::Failed(Cause::Fault);
            };
            header = read;
            if operation.op as u8 == Op::Lookup as u8
                && header.get(layout.writing) & u64::from(layout.writing_mask) != 0
            {
                return End::Failed(Cause::Torn);
            }
            see(world, &header, shape);
            if is_swiss {
                shape.units = u64::from(header.get(layout.storage) != 0);
                swiss::start(world, &header, &typ, operation)
            } else {
                shape.units = 1 << (header.get(layout.shift) & 63);
                classic::start(world, &header, &typ, operation)
            }
        };
        let (position, class) = match start {
            Start::Search(position, class) => (position, class),
            Start::End(end) => return end,
        };
        let tag = if is_swiss {
            shape.units = position.mask.wrapping_add(1);
            swiss::tag(operation.hash)
        } else {
            classic::tag(operation.hash)
        };
        let search = place.write(Self {
            world,
            typ,
            key: operation.key,
            key_len: operation.key_len,
            key_form: operation.key_form,
            rules: operation.search,
            examined: false,
            is_last: false,
            comparing: false,
            class,
            status: status::UNDER_WAY,
            depth: 1,
            tag,
            candidates: 0,
            tags: 0,
            first: [0; 2],
            position,
            comparison: Comparison::default(),
        });
        world.repeat(MAX_STEPS, search);
        if search.depth > 1 && !in_known_table && moved(world, &header, operation.map) {
            return End::Failed(Cause::Torn);
        }
        let Self { class, depth, .. } = *search;
        match search.status {
            status::FOUND => End::At {
                outcome: Outcome::Found,
                class,
                depth,
            },
            status::ABSENT => End::At {
                outcome: Outcome::Absent,
                class,
                depth,
            },
            status::FAULT => End::Failed(Cause::Fault),
            status::UNDECIDABLE => End::Failed(Cause::Undecidable),
            status::ENDLESS => End::Failed(Cause::Endless),
            _ => End::Failed(Cause::Bound),
        }
    }

    fn finish(&mut self, status: u32) -> bool {
        self.status = status;
        false
    }

    fn fail(&mut self, cause: Cause) -> bool {
        self.finish(match cause {
            Cause::Fault => status::FAULT,
            Cause::Undecidable => status::UNDECIDABLE,
            _ => status::UNDER_WAY,
        })
    }

    /// Whether the first slot's key is read together with the tags that it follows: one read costs little more than
    /// another of a few more bytes. Buckets and groups that are smaller than that hold keys of a byte or two.
    fn reads_first(&self) -> bool {
        self.typ.keys_offset == 8 && self.typ.unit_size >= 24 && self.typ.indirect_key == 0
    }

    /// Looks at the tags of the bucket or group.
    fn examine(&mut self) -> bool {
        let tags = if self.reads_first() {
            let words = self.world.read::<[u64; 3]>(self.position.unit);
            words.map(|[tags, key, more]| {
                self.first = [key, more];
                tags
            })
        } else {
            self.world.read::<u64>(self.position.unit)
        };
        let Some(tags) = tags else {
            return false;
        };
        let (candidates, is_last) = if is_swiss(self.world) {
            swiss::candidates(tags, self.tag, self.rules, self.position.is_only)
        } else {
            classic::candidates(tags, self.tag, self.rules)
        };
        self.tags = tags;
        self.candidates = candidates;
        self.is_last = is_last;
        self.examined = true;
        true
    }

    /// Goes to the next bucket or group; ends the search where there is none.
    fn advance(&mut self) -> bool {
        if self.is_last {
            return self.finish(status::ABSENT);
        }
        if is_swiss(self.world) {
            if !swiss::advance(&mut self.position, self.typ.unit_size, self.depth) {
                return self.finish(status::ENDLESS);
            }
        } else {
            match classic::advance(self.world, self.position.unit, self.typ.unit_size) {
                None => return self.fail(Cause::Fault),
                Some(0) => return self.finish(status::ABSENT),
                Some(overflow) => self.position.unit = overflow,
            }
        }
        self.depth += 1;
        self.examined = false;
        true
    }

    /// A slot's string, as the address and the number of its bytes.
    fn string_at(&self, address: u64, known: bool) -> Option<[u64; 2]> {
        if known {
            return Some(self.first);
        }
        self.world.read(address)
    }

    /// Compares the key with that of the first candidate, or begins to.
    fn compare_candidate(&mut self) -> bool {
        let slot = first_byte(self.candidates);
        let mut address = self
            .position
            .unit
            .wrapping_add(u64::from(self.typ.keys_offset))
            .wrapping_add(slot * u64::from(self.typ.key_stride));
        if self.typ.indirect_key != 0 {
            match self.world.read::<u64>(address) {
                Some(pointer) => address = pointer,
                None => return self.fail(Cause::Fault),
            }
        }
        let known = slot == 0 && self.reads_first();
        let equal = match self.key_form {
            KeyForm::Value64 if known => Some(self.first[0] == self.key),
            KeyForm::Value64 => self.world.read::<u64>(address).map(|key| key == self.key),
            KeyForm::Value32 if known => Some(self.first[0] as u32 == self.key as u32),
            KeyForm::Value32 => self
                .world
                .read::<u32>(address)
                .map(|key| key == self.key as u32),
            KeyForm::String => match self.string_at(address, known) {
                None => None,
                Some([_, len]) if len != self.key_len => Some(false),
                Some([bytes, _]) if bytes == self.key => Some(true),
                Some([bytes, len]) => {
                    self.comparison = Comparison::memory(self.key, bytes, len);
                    self.comparing = true;
                    return true;
                }
            },
            KeyForm::Pointer if known && self.typ.compares_memory() && self.typ.key_bytes == 16 => {
                self.world
                    .read::<[u64; 2]>(self.key)
                    .map(|key| key == self.first)
            }
            KeyForm::Pointer if known && self.typ.compares_memory() && self.typ.key_bytes == 8 => {
                self.world
                    .read::<u64>(self.key)
                    .map(|key| key == self.first[0])
            }
            KeyForm::Pointer => {
                self.comparison = if self.typ.compares_memory() {
                    Comparison::memory(self.key, address, u64::from(self.typ.key_bytes))
                } else {
                    Comparison::program(self.key, address, self.typ.key_program)
                };
                self.comparing = true;
                return true;
            }
        };
        match equal {
            None => self.fail(Cause::Fault),
            Some(true) => self.finish(status::FOUND),
            Some(false) => {
                self.candidates &= self.candidates.wrapping_sub(1);
                true
            }
        }
    }
}

impl<W: World> Search<W> {
    /// Where it looked last.
    pub fn examined(&self) -> Found {
        Found {
            unit: self.position.unit,
            tags: self.tags,
            ..Found::default()
        }
    }

    /// Where the key was found: of a walk that ended with [`Outcome::Found`].
    pub fn found(&self) -> Found {
        let slot = first_byte(self.candidates);
        let element = u64::from(self.typ.elems_offset) + slot * u64::from(self.typ.elem_stride);
        Found {
            tag: self.position.unit.wrapping_add(slot),
            element: self.position.unit.wrapping_add(element),
            is_indirect: self.typ.indirect_elem,
            key: self
                .position
                .unit
                .wrapping_add(u64::from(self.typ.keys_offset))
                .wrapping_add(slot * u64::from(self.typ.key_stride)),
            ..self.examined()
        }
    }

    /// Takes one step; false when the search has ended.
    pub fn step(&mut self) -> bool {
        if self.comparing {
            return match self.comparison.step(self.world) {
                Verdict::Undecided => true,
                Verdict::Equal => self.finish(status::FOUND),
                Verdict::Different => {
                    self.comparing = false;
                    self.candidates &= self.candidates.wrapping_sub(1);
                    true
                }
                Verdict::Failed(cause) => self.fail(cause),
            };
        }
        if !self.examined && !self.examine() {
            return self.fail(Cause::Fault);
        }
        if self.candidates == 0 {
            self.advance()
        } else {
            self.compare_candidate()
        }
    }
}

fn is_swiss<W: World>(world: W) -> bool {
    world.layout().kind == LayoutKind::Swiss as u32
}

/// Sees how full a map is, as far as its header says it.
pub fn see_map<W: World>(world: W, map: u64, shape: &mut Shape) -> Option<()> {
    see(world, &Header::read(world, map)?, shape);
    Some(())
}

fn see<W: World>(world: W, header: &Header, shape: &mut Shape) {
    let layout = world.layout();
    shape.entries = header.get(layout.entries);
    shape.tables = if is_swiss(world) {
        header.get(layout.second)
    } else {
        1
    };
}

/// Whether the map has got other storage since `header` was read.
fn moved<W: World>(world: W, header: &Header, map: u64) -> bool {
    let layout = world.layout();
    let Some(now) = Header::read(world, map) else {
        return true;
    };
    now.get(layout.storage) != header.get(layout.storage)
        || now.get(layout.second) != header.get(layout.second)
        || now.get(layout.shift) != header.get(layout.shift)
}
