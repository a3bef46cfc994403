//! Swiss maps: groups of eight along a probe sequence.
//!
//! Go: `internal/runtime/maps/map.go`, `table.go`, `runtime.go`, `runtime_fast32.go`,
//! `runtime_fast64.go`, `runtime_faststr.go` (1.24 and 1.25: `runtime_swiss.go`,
//! `runtime_fast32_swiss.go`, ...), `internal/abi/map.go` (1.24 and 1.25: `map_swiss.go`),
//! `type.go`, `iface.go`, `runtime/symtab.go`, all of 1.24 to 1.27.

use map_probe_common::layout::{Field, Layout, LayoutKind};
use map_probe_common::op::Op;
use map_probe_common::site::{KeyForm, PASSES_TOMBSTONE_FIRST};

use super::GoFacts;
use crate::plan::{Arguments, MapFunction};
use crate::target::lines::FRAMES;
use crate::target::moduledata::ModuleLayout;
use crate::target::{GoMaps, MapLayout};

/// Go 1.24.
pub(super) const GO_1_24: GoFacts = with_kind_bit(24);
/// Go 1.25.
pub(super) const GO_1_25: GoFacts = with_kind_bit(25);

/// Go 1.26.
pub(super) const GO_1_26: GoFacts = GoFacts {
    minor: 26,
    maps: MAPS_BY_SLOT,
    module: MODULE_TO_1_26,
    // The direct-interface bit moved to TFlag in 1.26 (internal/abi/type.go).
    frames: FRAMES,
    kind_flags: 0,
    field_offset_shift: 0,
    untested: false,
};

/// Go 1.27.
pub(super) const GO_1_27: GoFacts = GoFacts {
    minor: 27,
    maps: MAPS,
    module: ModuleLayout {
        text: 176,
        types: 296,
        // `typedesclen` lies between.
        etypes: 312,
        // `itaboffset`, `itabsize` and `rodata` lie between.
        gofunc: 344,
    },
    frames: FRAMES,
    kind_flags: 0,
    field_offset_shift: 0,
    untested: false,
};

/// Go 1.24 and 1.25: the direct-interface bit is in the kind byte (abi.KindDirectIface).
const fn with_kind_bit(minor: u32) -> GoFacts {
    GoFacts {
        minor,
        maps: GoMaps {
            layout: Layout {
                direct_interface: Field::at(23, 1),
                direct_interface_mask: 0x20,
                ..LAYOUT_BY_SLOT
            },
            ..MAPS_BY_SLOT
        },
        module: MODULE_TO_1_26,
        frames: FRAMES,
        kind_flags: 0x20,
        field_offset_shift: 0,
        untested: false,
    }
}

const MODULE_TO_1_26: ModuleLayout = ModuleLayout {
    text: 176,
    types: 296,
    etypes: 304,
    gofunc: 320,
};

/// Go 1.27 with `GOEXPERIMENT=mapsplitgroup`: in a group all keys lie before all
/// elements. The map type says where (`KeysOff`, `KeyStride`), so one description
/// serves both, and the functions search alike.
pub(super) const GO_1_27_SPLIT: GoFacts = GoFacts {
    maps: GoMaps {
        name: MapLayout::SwissSplit,
        ..MAPS
    },
    ..GO_1_27
};

const MAPS: GoMaps = GoMaps {
    name: MapLayout::Swiss,
    layout: LAYOUT,
    // abi.MapType.Hasher; maps.Map.seed.
    hasher_offset: 72,
    seed_offset: 8,
    seed_width: 8,
    functions: &FUNCTIONS,
    also_sampled: &PARTS,
};

/// The maps of Go 1.26, and nearly those of 1.24 and 1.25.
const MAPS_BY_SLOT: GoMaps = GoMaps {
    layout: LAYOUT_BY_SLOT,
    functions: &FUNCTIONS_TO_1_26,
    ..MAPS
};

/// The offsets of Go 1.24 to 1.26, whose map type says how large a slot (key and element) is.
const LAYOUT_BY_SLOT: Layout = Layout {
    // abi.MapType: Flags, SlotSize. The slots follow the eight control bytes (`ctrlGroupsSize`).
    type_flags: Field::at(104, 4),
    keys_offset: Field::constant(8),
    key_stride: Field::at(88, 8),
    ..LAYOUT
};

/// The offsets of Go 1.27.
const LAYOUT: Layout = Layout {
    kind: LayoutKind::Swiss as u32,
    // abi.MapIndirectKey.
    indirect_key: 4,

    // maps.Map: used, writing, globalShift, dirPtr, dirLen.
    entries: Field::at(0, 8),
    writing: Field::at(34, 1),
    shift: Field::at(33, 1),
    storage: Field::at(16, 8),
    second: Field::at(24, 8),
    // maps.table.groups: data, then lengthMask.
    groups: Field::at(16, 8),
    // `m.writing ^= 1`.
    writing_mask: 1,
    same_size_mask: 0,

    // abi.MapType: Key, Flags, GroupSize, KeysOff, KeyStride.
    key_type: Field::at(48, 8),
    type_flags: Field::at(128, 4),
    unit_size: Field::at(80, 8),
    keys_offset: Field::at(88, 8),
    key_stride: Field::at(96, 8),

    // abi.Type: Size_, TFlag, Kind_; TFlagRegularMemory, TFlagDirectIface. The kind
    // byte has no other bits since 1.26, and abi.UnsafePointer is 26.
    size: Field::at(0, 8),
    tflag: Field::at(20, 1),
    kind_byte: Field::at(23, 1),
    kind_mask: 0x1f,
    regular_memory: 8,
    direct_interface: Field::at(20, 1),
    direct_interface_mask: 0x20,
    // abi.InterfaceType.Methods (behind Type and PkgPath): its len; abi.ITab.Type.
    interface_methods: Field::at(64, 8),
    itab_type: Field::at(8, 8),
};

const fn function(symbol: &'static str, op: Op, key_form: KeyForm, search: u8) -> MapFunction {
    MapFunction {
        symbol,
        op,
        key_form,
        // Map type, map, key.
        arguments: Arguments {
            typ: 0,
            map: 1,
            key: 2,
        },
        search,
        grow_work: None,
        wrappers: &[],
    }
}

/// The search ends at the first group that has an empty slot (`matchEmpty`).
const TO_AN_EMPTY_SLOT: u8 = 0;

const fn lookup(symbol: &'static str, key_form: KeyForm) -> MapFunction {
    function(symbol, Op::Lookup, key_form, TO_AN_EMPTY_SLOT)
}

/// A `mapassign_fast…`: it takes the first of `matchEmptyOrDeleted`, and `continue`s if that is `ctrlDeleted`.
const fn fast_insert(symbol: &'static str, key_form: KeyForm) -> MapFunction {
    function(symbol, Op::Insert, key_form, PASSES_TOMBSTONE_FIRST)
}

// The functions, alike in 1.24 to 1.27.
const ACCESS1: MapFunction = lookup("runtime.mapaccess1", KeyForm::Pointer);
const ACCESS1_FAST32: MapFunction = lookup("runtime.mapaccess1_fast32", KeyForm::Value32);
const ACCESS1_FAST64: MapFunction = lookup("runtime.mapaccess1_fast64", KeyForm::Value64);
const ACCESS1_FASTSTR: MapFunction = lookup("runtime.mapaccess1_faststr", KeyForm::String);
const ACCESS2: MapFunction = lookup("runtime.mapaccess2", KeyForm::Pointer);
const ACCESS2_FAST32: MapFunction = lookup("runtime.mapaccess2_fast32", KeyForm::Value32);
const ACCESS2_FAST64: MapFunction = lookup("runtime.mapaccess2_fast64", KeyForm::Value64);
const ACCESS2_FASTSTR: MapFunction = lookup("runtime.mapaccess2_faststr", KeyForm::String);
/// runtime.go: `matchEmpty` first, tombstones only in groups that have no empty slot.
const ASSIGN: MapFunction = function(
    "runtime.mapassign",
    Op::Insert,
    KeyForm::Pointer,
    TO_AN_EMPTY_SLOT,
);
const ASSIGN_FAST32: MapFunction = fast_insert("runtime.mapassign_fast32", KeyForm::Value32);
const ASSIGN_FAST64: MapFunction = fast_insert("runtime.mapassign_fast64", KeyForm::Value64);
const ASSIGN_FAST64PTR: MapFunction = fast_insert("runtime.mapassign_fast64ptr", KeyForm::Value64);
const ASSIGN_FASTSTR: MapFunction = fast_insert("runtime.mapassign_faststr", KeyForm::String);
/// table.go: `(*table).Delete` ends at `matchEmpty`. A method: the receiver comes first.
const DELETE: MapFunction = MapFunction {
    arguments: Arguments {
        map: 0,
        typ: 1,
        key: 2,
    },
    wrappers: &[
        "runtime.mapdelete",
        "runtime.mapdelete_fast32",
        "runtime.mapdelete_fast64",
        "runtime.mapdelete_faststr",
    ],
    ..function(
        "internal/runtime/maps.(*Map).Delete",
        Op::Delete,
        KeyForm::Pointer,
        TO_AN_EMPTY_SLOT,
    )
};

const fn with_wrappers(function: MapFunction, wrappers: &'static [&'static str]) -> MapFunction {
    MapFunction {
        wrappers,
        ..function
    }
}

/// What `(*Map).Delete` calls with the hash, in which nearly all of a delete's time passes (table.go, map.go, 1.24 to
/// 1.27): `(*table).Delete(typ, m, hash, key)` and `(*Map).deleteSmall(typ, hash, key)`.
const PARTS: [MapFunction; 2] = [
    part_of_delete(
        "internal/runtime/maps.(*table).Delete",
        Arguments {
            typ: 1,
            map: 2,
            key: 4,
        },
    ),
    part_of_delete(
        "internal/runtime/maps.(*Map).deleteSmall",
        Arguments {
            map: 0,
            typ: 1,
            key: 3,
        },
    ),
];

const fn part_of_delete(symbol: &'static str, arguments: Arguments) -> MapFunction {
    MapFunction {
        symbol,
        arguments,
        wrappers: &[
            "internal/runtime/maps.(*Map).Delete",
            "runtime.mapdelete",
            "runtime.mapdelete_fast32",
            "runtime.mapdelete_fast64",
            "runtime.mapdelete_faststr",
        ],
        ..DELETE
    }
}

/// The set that counts every operation once, 1.27. Left out on purpose:
/// `mapaccess1…` and `mapaccess…_fat` (they call `mapaccess2…`), the
/// `runtime.mapdelete…` (they call `Delete`), `(*Map).getWithKey` (an iterator's),
/// `reflect.map…` (they call these), `mapassign_fast32ptr` (32-bit machines only).
const FUNCTIONS: [MapFunction; 10] = [
    with_wrappers(
        ACCESS2,
        &[
            "runtime.mapaccess1",
            "runtime.mapaccess1_fat",
            "runtime.mapaccess2_fat",
        ],
    ),
    with_wrappers(ACCESS2_FAST32, &["runtime.mapaccess1_fast32"]),
    with_wrappers(ACCESS2_FAST64, &["runtime.mapaccess1_fast64"]),
    with_wrappers(ACCESS2_FASTSTR, &["runtime.mapaccess1_faststr"]),
    ASSIGN,
    ASSIGN_FAST32,
    ASSIGN_FAST64,
    ASSIGN_FAST64PTR,
    ASSIGN_FASTSTR,
    DELETE,
];

/// The set up to 1.26: `mapaccess1…` do their own search. Left out on purpose:
/// the same others (`mapaccess…_fat` call `mapaccess1`), and in 1.24 `(*Map).PutSlot`,
/// with which `maps.Clone` fills the copy: like growing, that is no insert of the program's.
const FUNCTIONS_TO_1_26: [MapFunction; 14] = [
    with_wrappers(
        ACCESS1,
        &["runtime.mapaccess1_fat", "runtime.mapaccess2_fat"],
    ),
    ACCESS1_FAST32,
    ACCESS1_FAST64,
    ACCESS1_FASTSTR,
    ACCESS2,
    ACCESS2_FAST32,
    ACCESS2_FAST64,
    ACCESS2_FASTSTR,
    ASSIGN,
    ASSIGN_FAST32,
    ASSIGN_FAST64,
    ASSIGN_FAST64PTR,
    ASSIGN_FASTSTR,
    DELETE,
];
