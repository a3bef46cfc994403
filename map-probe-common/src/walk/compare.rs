//! Compares an operation's key with a slot's, as the runtime would: one small step at a time.

use super::types::{Equality, TypeHeader};
use super::{World, read_field};
use crate::equal::{EqualKind, EqualProgram};
use crate::quality::Cause;

/// Where a comparison stands after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Undecided,
    Equal,
    Different,
    Failed(Cause),
}

/// Two values of one type that are being compared, and the steps still to take.
#[derive(Clone, Copy, Default)]
struct Frame {
    left: u64,
    right: u64,
    next: u32,
    end: u32,
}

/// A comparison under way: a run of plain memory first, then the innermost frame's steps, then the outer ones'.
#[derive(Clone, Copy, Default)]
pub(super) struct Comparison {
    run_left: u64,
    run_right: u64,
    run_bytes: u64,
    /// The value being compared, and the ones it is nested in whose own steps
    /// are not done. Deeper nesting is not decided.
    frames: [Frame; 3],
}

impl Comparison {
    /// Two values that compare as `bytes` bytes.
    pub(super) fn memory(left: u64, right: u64, bytes: u64) -> Self {
        Self {
            run_left: left,
            run_right: right,
            run_bytes: bytes,
            ..Self::default()
        }
    }

    /// Two values that compare by a program.
    pub(super) fn program(left: u64, right: u64, program: EqualProgram) -> Self {
        let frame = Frame {
            left,
            right,
            next: program.start,
            end: program.end,
        };
        Self {
            frames: [frame, Frame::default(), Frame::default()],
            ..Self::default()
        }
    }

    /// Compares a little more.
    pub(super) fn step<W: World>(&mut self, world: W) -> Verdict {
        if self.run_bytes > 0 {
            return self.run(world);
        }
        let frame = &mut self.frames[0];
        if frame.next >= frame.end {
            return self.leave();
        }
        let Some(step) = world.equal_step(frame.next) else {
            return Verdict::Failed(Cause::Undecidable);
        };
        frame.next += 1;
        let left = frame.left.wrapping_add(u64::from(step.offset));
        let right = frame.right.wrapping_add(u64::from(step.offset));
        match step.kind {
            k if k == EqualKind::Memory as u32 => {
                self.start_run(left, right, u64::from(step.len));
                Verdict::Undecided
            }
            k if k == EqualKind::String as u32 => self.string(world, left, right),
            k if k == EqualKind::Float32 as u32 => {
                match (world.read::<u32>(left), world.read::<u32>(right)) {
                    (Some(a), Some(b)) => decided(float_equal(
                        u64::from(a) << 32,
                        u64::from(b) << 32,
                        0x7f80_0000 << 32,
                    )),
                    _ => Verdict::Failed(Cause::Fault),
                }
            }
            k if k == EqualKind::Float64 as u32 => {
                match (world.read::<u64>(left), world.read::<u64>(right)) {
                    (Some(a), Some(b)) => decided(float_equal(a, b, 0x7ff0_0000_0000_0000)),
                    _ => Verdict::Failed(Cause::Fault),
                }
            }
            k if k == EqualKind::EmptyInterface as u32 => self.interface(world, left, right, false),
            k if k == EqualKind::Interface as u32 => self.interface(world, left, right, true),
            _ => Verdict::Failed(Cause::Undecidable),
        }
    }

    /// Goes back to the value that the finished one is nested in.
    fn leave(&mut self) -> Verdict {
        let [_, outer, outermost] = self.frames;
        self.frames = [outer, outermost, Frame::default()];
        if self.frames[0].next >= self.frames[0].end && outermost.next >= outermost.end {
            Verdict::Equal
        } else {
            Verdict::Undecided
        }
    }

    fn start_run(&mut self, left: u64, right: u64, bytes: u64) {
        self.run_left = left;
        self.run_right = right;
        // Equal without a look.
        // Go 1.18..1.27 internal/bytealg/equal_amd64.s: says "JEQ eq"
        self.run_bytes = if left == right { 0 } else { bytes };
    }

    fn run<W: World>(&mut self, world: W) -> Verdict {
        let (left, right) = (self.run_left, self.run_right);
        let (equal, bytes) = if self.run_bytes >= 32 {
            (same::<W, [u64; 4]>(world, left, right), 32)
        } else if self.run_bytes >= 16 {
            (same::<W, [u64; 2]>(world, left, right), 16)
        } else if self.run_bytes >= 8 {
            (same::<W, u64>(world, left, right), 8)
        } else if self.run_bytes >= 4 {
            (same::<W, u32>(world, left, right), 4)
        } else {
            (same::<W, u8>(world, left, right), 1)
        };
        match equal {
            None => Verdict::Failed(Cause::Fault),
            Some(false) => Verdict::Different,
            Some(true) => {
                // A rest that is shorter is read together with the end of what has been compared.
                let rest = self.run_bytes - bytes;
                let step = rest.min(bytes);
                self.run_left = left.wrapping_add(step);
                self.run_right = right.wrapping_add(step);
                self.run_bytes = if rest == 0 { 0 } else { rest.max(bytes) };
                Verdict::Undecided
            }
        }
    }

    fn string<W: World>(&mut self, world: W, left: u64, right: u64) -> Verdict {
        let (Some([a, a_len]), Some([b, b_len])) =
            (world.read::<[u64; 2]>(left), world.read::<[u64; 2]>(right))
        else {
            return Verdict::Failed(Cause::Fault);
        };
        if a_len != b_len {
            return Verdict::Different;
        }
        self.start_run(a, b, a_len);
        Verdict::Undecided
    }

    /// Equal types, then equal values.
    // Go 1.18..1.25 runtime/alg.go: efaceeq has "if isDirectIface(t) {"
    // Go 1.26..1.27 runtime/alg.go: efaceeq has "if t.IsDirectIface() {"
    // Go 1.18..1.27 runtime/alg.go: ifaceeq has "if tab == nil { return true }"
    fn interface<W: World>(&mut self, world: W, left: u64, right: u64, methods: bool) -> Verdict {
        let (Some([tab, a]), Some([other_tab, b])) =
            (world.read::<[u64; 2]>(left), world.read::<[u64; 2]>(right))
        else {
            return Verdict::Failed(Cause::Fault);
        };
        if tab != other_tab {
            return Verdict::Different;
        }
        if tab == 0 {
            return Verdict::Undecided;
        }
        let typ = if methods {
            match read_field(world, tab, world.layout().itab_type) {
                Some(typ) => typ,
                None => return Verdict::Failed(Cause::Fault),
            }
        } else {
            tab
        };
        let header = match TypeHeader::read(world, typ) {
            Ok(header) => header,
            Err(cause) => return Verdict::Failed(cause),
        };
        if header.is_direct(world) {
            return decided(a == b);
        }
        match header.equality(world, typ) {
            Err(cause) => Verdict::Failed(cause),
            Ok(Equality::Memory(bytes)) => {
                self.start_run(a, b, u64::from(bytes));
                Verdict::Undecided
            }
            Ok(Equality::Program(program)) => self.enter(a, b, program),
        }
    }

    fn enter(&mut self, left: u64, right: u64, program: EqualProgram) -> Verdict {
        let [current, outer, outermost] = self.frames;
        let inner = Frame {
            left,
            right,
            next: program.start,
            end: program.end,
        };
        if current.next >= current.end {
            self.frames[0] = inner;
            return Verdict::Undecided;
        }
        if outermost.next < outermost.end {
            return Verdict::Failed(Cause::Undecidable);
        }
        self.frames = [inner, current, outer];
        Verdict::Undecided
    }
}

fn decided(equal: bool) -> Verdict {
    if equal {
        Verdict::Undecided
    } else {
        Verdict::Different
    }
}

fn same<W: World, T: super::Plain + PartialEq>(world: W, left: u64, right: u64) -> Option<bool> {
    Some(world.read::<T>(left)? == world.read::<T>(right)?)
}

/// `==` of two floats with their sign in the top bit, by their bits: the kernel has no floating point.
fn float_equal(a: u64, b: u64, infinity: u64) -> bool {
    if (a | b) << 1 == 0 {
        return true;
    }
    // Infinity's bits are the largest of all numbers'; above them is NaN.
    a == b && a << 1 <= infinity << 1
}
