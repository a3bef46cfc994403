//! Classic maps: a bucket by the hash's low bits, then its overflow chain
//! (Go 1.18–1.23 `runtime/map.go` and `runtime/map_fast*.go`).

use super::search::{Operation, Position, Start};
use super::types::MapType;
use super::{End, Header, World, broadcast, zero_bytes};
use crate::op::{Class, Op, Outcome};
use crate::quality::Cause;
use crate::site::{Role, STOPS_AT_EMPTY_REST};

/// The tophash that says that nothing is in this slot, nor in any after it.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const emptyRest = 0
const EMPTY_REST: u8 = 0;
/// The lowest tophash of a filled slot.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const minTopHash = 5
const MIN_TOPHASH: u8 = 5;
/// The lowest tophash of a bucket that has been evacuated.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const evacuatedX = 2
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: evacuated has "return h > emptyOne && h < minTopHash"
const EVACUATED_FIRST: u8 = 2;
/// The highest.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const evacuatedEmpty = 4
const EVACUATED_LAST: u8 = 4;
/// More buckets than that no memory holds: such a `B` is none.
const MAX_B: u64 = 48;

/// The hash's top byte, clear of the marks.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: tophash has "top := uint8(hash >> (goarch.PtrSize*8 - 8)) if top < minTopHash { top += minTopHash }"
pub(super) fn tag(hash: u64) -> u8 {
    let top = (hash >> 56) as u8;
    if top < MIN_TOPHASH {
        top + MIN_TOPHASH
    } else {
        top
    }
}

/// The bucket that the operation searches first.
pub(super) fn start<W: World>(
    world: W,
    header: &Header,
    typ: &MapType,
    operation: &Operation,
) -> Start {
    let layout = world.layout();
    let b = header.get(layout.shift);
    if b > MAX_B {
        return Start::End(End::Failed(Cause::Torn));
    }
    let class = if b == 0 { Class::Small } else { Class::Table };
    let buckets = header.get(layout.storage);
    if buckets == 0 {
        // The first insert allocates the only bucket, and finds nothing in it.
        return Start::End(End::At {
            outcome: Outcome::Absent,
            class,
            depth: 1,
        });
    }
    let size = u64::from(typ.unit_size);
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: bucketShift has "return uintptr(1) << (b & (goarch.PtrSize*8 - 1))"
    let mask = (1 << b) - 1;
    let mut unit = buckets.wrapping_add((operation.hash & mask).wrapping_mul(size));
    let old = header.get(layout.second);
    if old != 0 && operation.role as u8 != Role::AfterEvacuation as u8 {
        let same_size = header.get(layout.writing) & u64::from(layout.same_size_mask) != 0;
        // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapaccess1 has "if !h.sameSizeGrow() {"
        let old_mask = if same_size { mask } else { mask >> 1 };
        let old_unit = old.wrapping_add((operation.hash & old_mask).wrapping_mul(size));
        let Some(first_tophash) = world.read::<u8>(old_unit) else {
            return Start::End(End::Failed(Cause::Fault));
        };
        if !(EVACUATED_FIRST..=EVACUATED_LAST).contains(&first_tophash) {
            if operation.op as u8 != Op::Lookup as u8 {
                // The operation evacuates this chain before it searches.
                return Start::End(End::Deferred);
            }
            unit = old_unit;
        }
    }
    Start::Search(
        Position {
            unit,
            ..Position::default()
        },
        class,
    )
}

/// The slots whose tophash is `tag`, and whether the search stops with this bucket.
pub(super) fn candidates(tophashes: u64, tag: u8, search: u8) -> (u64, bool) {
    let matching = zero_bytes(tophashes ^ broadcast(tag));
    if search & STOPS_AT_EMPTY_REST == 0 {
        return (matching, false);
    }
    let rest = zero_bytes(tophashes ^ broadcast(EMPTY_REST));
    let before_rest = (rest & rest.wrapping_neg()).wrapping_sub(1);
    (matching & before_rest, rest != 0)
}

/// The overflow bucket after `bucket`, 0 if there is none: its pointer is the bucket's last word.
// Go 1.18..1.20 runtime/map.go: (*bmap).overflow has "uintptr(t.bucketsize)-goarch.PtrSize"
// Go 1.21..1.25 classic runtime/map.go|map_noswiss.go: (*bmap).overflow has "uintptr(t.BucketSize)-goarch.PtrSize"
pub(super) fn advance<W: World>(world: W, bucket: u64, size: u32) -> Option<u64> {
    world.read(bucket.wrapping_add(u64::from(size)).wrapping_sub(8))
}
