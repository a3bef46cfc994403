//! Classic maps: buckets of eight with overflow chains.
//!
//! Go: `runtime/map.go`, `runtime/map_fast32.go`, `map_fast64.go`, `map_faststr.go` (1.24
//! and 1.25: `map_noswiss.go`, ...), `internal/abi/type.go` (up to 1.20: `runtime/type.go`,
//! `typekind.go`; 1.24 and 1.25: `internal/abi/map_noswiss.go`), `runtime/symtab.go`, all
//! of 1.18 to 1.25. The functions search alike in all of them.

use map_probe_common::layout::{Field, Layout, LayoutKind};
use map_probe_common::op::Op;
use map_probe_common::site::{KeyForm, STOPS_AT_EMPTY_REST};

use super::GoFacts;
use crate::plan::{Arguments, MapFunction};
use crate::target::lines::{FRAMES, FRAMES_TO_1_19};
use crate::target::moduledata::ModuleLayout;
use crate::target::{GoMaps, MapLayout};

/// Go 1.18, by its sources only.
pub(super) const GO_1_18: GoFacts = GoFacts {
    minor: 18,
    // `structfield.offsetAnon` (runtime/type.go): the lowest bit says that the field is embedded.
    field_offset_shift: 1,
    untested: true,
    ..GO_1_19
};

/// Go 1.19.
pub(super) const GO_1_19: GoFacts = GoFacts {
    // Without `covctrs`, which lies before them since 1.20.
    module: ModuleLayout {
        text: 176,
        types: 280,
        etypes: 288,
        gofunc: 304,
    },
    frames: FRAMES_TO_1_19,
    ..since_1_20(19)
};

/// Go 1.20, by its sources only.
pub(super) const GO_1_20: GoFacts = GoFacts {
    untested: true,
    ..since_1_20(20)
};

/// Go 1.21.
pub(super) const GO_1_21: GoFacts = since_1_20(21);
/// Go 1.22.
pub(super) const GO_1_22: GoFacts = since_1_20(22);
/// Go 1.23.
pub(super) const GO_1_23: GoFacts = since_1_20(23);
/// Go 1.24 with `GOEXPERIMENT=noswissmap`.
pub(super) const GO_1_24: GoFacts = by_experiment(24);
/// Go 1.25 with `GOEXPERIMENT=noswissmap`.
pub(super) const GO_1_25: GoFacts = by_experiment(25);

const fn since_1_20(minor: u32) -> GoFacts {
    GoFacts {
        minor,
        maps: MAPS,
        module: ModuleLayout {
            text: 176,
            types: 296,
            etypes: 304,
            gofunc: 320,
        },
        frames: FRAMES,
        // abi.KindDirectIface, abi.KindGCProg (internal/abi/type.go).
        kind_flags: 0x60,
        field_offset_shift: 0,
        untested: false,
    }
}

/// In 1.24 and 1.25 `hmap` has one more field, `clearSeq`, behind those that are read here.
const fn by_experiment(minor: u32) -> GoFacts {
    GoFacts {
        // abi.KindDirectIface: 1.24 has no KindGCProg any more.
        kind_flags: 0x20,
        ..since_1_20(minor)
    }
}

const MAPS: GoMaps = GoMaps {
    name: MapLayout::Classic,
    layout: LAYOUT,
    // abi.MapType.Hasher; hmap.hash0, 32 bits that are zero-extended.
    hasher_offset: 72,
    seed_offset: 12,
    seed_width: 4,
    functions: &FUNCTIONS,
    also_sampled: &[],
};

/// The offsets, the same in all of these versions.
const LAYOUT: Layout = Layout {
    kind: LayoutKind::Classic as u32,
    // abi.MapType.IndirectKey.
    indirect_key: 1,

    // hmap: count, flags, B, buckets, oldbuckets.
    entries: Field::at(0, 8),
    writing: Field::at(8, 1),
    shift: Field::at(9, 1),
    storage: Field::at(16, 8),
    second: Field::at(24, 8),
    groups: Field::constant(0),
    // hashWriting, sameSizeGrow.
    writing_mask: 4,
    same_size_mask: 8,

    // abi.MapType: Key, Flags, BucketSize; the keys follow the eight tophashes
    // (dataOffset), KeySize apart.
    key_type: Field::at(48, 8),
    type_flags: Field::at(84, 4),
    unit_size: Field::at(82, 2),
    keys_offset: Field::constant(8),
    key_stride: Field::at(80, 1),

    // abi.Type: Size_, TFlag, Kind_; KindMask, TFlagRegularMemory, KindDirectIface.
    size: Field::at(0, 8),
    tflag: Field::at(20, 1),
    kind_byte: Field::at(23, 1),
    kind_mask: 0x1f,
    regular_memory: 8,
    direct_interface: Field::at(23, 1),
    direct_interface_mask: 0x20,
    // abi.InterfaceType.Methods (behind Type and PkgPath): its len; abi.ITab.Type.
    interface_methods: Field::at(64, 8),
    itab_type: Field::at(8, 8),
};

/// In all of them: map type, map, key.
const ARGUMENTS: Arguments = Arguments {
    typ: 0,
    map: 1,
    key: 2,
};

const fn lookup(symbol: &'static str, key_form: KeyForm, search: u8) -> MapFunction {
    MapFunction {
        symbol,
        op: Op::Lookup,
        key_form,
        arguments: ARGUMENTS,
        search,
        grow_work: None,
        wrappers: &[],
    }
}

const fn insert(symbol: &'static str, key_form: KeyForm, grow_work: &'static str) -> MapFunction {
    MapFunction {
        symbol,
        op: Op::Insert,
        key_form,
        arguments: ARGUMENTS,
        // Each of the five breaks its bucketloop at emptyRest.
        search: STOPS_AT_EMPTY_REST,
        grow_work: Some(grow_work),
        wrappers: &[],
    }
}

const fn delete(
    symbol: &'static str,
    key_form: KeyForm,
    search: u8,
    grow_work: &'static str,
) -> MapFunction {
    MapFunction {
        symbol,
        op: Op::Delete,
        key_form,
        arguments: ARGUMENTS,
        search,
        grow_work: Some(grow_work),
        wrappers: &[],
    }
}

/// The search walks the chain to its end, whatever the tophashes say.
const TO_THE_END: u8 = 0;

/// The set that counts every operation once. Left out on purpose:
/// `mapaccess1_fat` and `mapaccess2_fat` (they call `mapaccess1`), `mapaccessK`
/// (an iterator's), `reflect.map…` (they call these), `mapassign_fast32ptr`
/// (32-bit machines only).
const FUNCTIONS: [MapFunction; 17] = [
    // map.go: `break bucketloop` at emptyRest.
    MapFunction {
        wrappers: &["runtime.mapaccess1_fat", "runtime.mapaccess2_fat"],
        ..lookup("runtime.mapaccess1", KeyForm::Pointer, STOPS_AT_EMPTY_REST)
    },
    lookup("runtime.mapaccess2", KeyForm::Pointer, STOPS_AT_EMPTY_REST),
    // map_fast32.go, map_fast64.go, map_faststr.go: the loops over a chain know no
    // emptyRest. (`_faststr` looks at it in single buckets only, where the depth is 1.)
    lookup("runtime.mapaccess1_fast32", KeyForm::Value32, TO_THE_END),
    lookup("runtime.mapaccess2_fast32", KeyForm::Value32, TO_THE_END),
    lookup("runtime.mapaccess1_fast64", KeyForm::Value64, TO_THE_END),
    lookup("runtime.mapaccess2_fast64", KeyForm::Value64, TO_THE_END),
    lookup("runtime.mapaccess1_faststr", KeyForm::String, TO_THE_END),
    lookup("runtime.mapaccess2_faststr", KeyForm::String, TO_THE_END),
    insert("runtime.mapassign", KeyForm::Pointer, "runtime.growWork"),
    insert(
        "runtime.mapassign_fast32",
        KeyForm::Value32,
        "runtime.growWork_fast32",
    ),
    insert(
        "runtime.mapassign_fast64",
        KeyForm::Value64,
        "runtime.growWork_fast64",
    ),
    insert(
        "runtime.mapassign_fast64ptr",
        KeyForm::Value64,
        "runtime.growWork_fast64",
    ),
    insert(
        "runtime.mapassign_faststr",
        KeyForm::String,
        "runtime.growWork_faststr",
    ),
    // map.go: `break search` at emptyRest; the fast ones have no such line.
    delete(
        "runtime.mapdelete",
        KeyForm::Pointer,
        STOPS_AT_EMPTY_REST,
        "runtime.growWork",
    ),
    delete(
        "runtime.mapdelete_fast32",
        KeyForm::Value32,
        TO_THE_END,
        "runtime.growWork_fast32",
    ),
    delete(
        "runtime.mapdelete_fast64",
        KeyForm::Value64,
        TO_THE_END,
        "runtime.growWork_fast64",
    ),
    delete(
        "runtime.mapdelete_faststr",
        KeyForm::String,
        TO_THE_END,
        "runtime.growWork_faststr",
    ),
];
