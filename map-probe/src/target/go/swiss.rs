//! Swiss maps: groups of eight along a probe sequence.
//!
//! Go: `internal/runtime/maps/map.go`, `table.go`, `runtime.go`, `runtime_fast32.go`,
//! `runtime_fast64.go`, `runtime_faststr.go` (1.24 and 1.25: `runtime_swiss.go`,
//! `runtime_fast32_swiss.go`, ...), all of 1.24 to 1.27. `cargo xtask go-layout` checks each
//! fact below.

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
    frames: FRAMES,
    // The direct-interface bit moved to TFlag in 1.26.
    // Go 1.26..1.27 internal/abi/type.go: (*Type).IsDirectIface has "t.TFlag&TFlagDirectIface != 0"
    kind_flags: 0,
    field_offset_shift: 0,
    untested: false,
};

/// Go 1.27.
pub(super) const GO_1_27: GoFacts = GoFacts {
    minor: 27,
    maps: MAPS,
    module: ModuleLayout {
        // Go 1.27 runtime/symtab.go: field moduledata.text = 176
        text: 176,
        // Go 1.27 runtime/symtab.go: field moduledata.types = 296
        types: 296,
        // `typedesclen` lies between.
        // Go 1.27 runtime/symtab.go: field moduledata.etypes = 312
        etypes: 312,
        // `itaboffset`, `itabsize` and `rodata` lie between.
        // Go 1.27 runtime/symtab.go: field moduledata.gofunc = 344
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
                // Go 1.24..1.25 internal/abi/type.go: field Type.Kind_ = 23 (1 byte)
                direct_interface: Field::at(23, 1),
                // Go 1.24..1.25 internal/abi/type.go: const KindDirectIface = 0x20
                // Go 1.24..1.25 internal/abi/type.go: (*Type).IfaceIndir has "t.Kind_&KindDirectIface == 0"
                direct_interface_mask: 0x20,
                ..LAYOUT_BY_SLOT
            },
            ..MAPS_BY_SLOT
        },
        module: MODULE_TO_1_26,
        frames: FRAMES,
        // Go 1.24..1.25 internal/abi/type.go: const KindDirectIface = 0x20
        kind_flags: 0x20,
        field_offset_shift: 0,
        untested: false,
    }
}

const MODULE_TO_1_26: ModuleLayout = ModuleLayout {
    // Go 1.24..1.26 runtime/symtab.go: field moduledata.text = 176
    text: 176,
    // Go 1.24..1.26 runtime/symtab.go: field moduledata.types = 296
    types: 296,
    // Go 1.24..1.26 runtime/symtab.go: field moduledata.etypes = 304
    etypes: 304,
    // Go 1.24..1.26 runtime/symtab.go: field moduledata.gofunc = 320
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
    // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.Hasher = 72
    hasher_offset: 72,
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.seed = 8
    seed_offset: 8,
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: width Map.seed = 8
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
    // Go 1.24..1.26 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.Flags = 104 (4 bytes)
    type_flags: Field::at(104, 4),
    // The slots follow the eight control bytes.
    // Go 1.24..1.26 swiss internal/runtime/maps/group.go: const groupSlotsOffset = 8
    keys_offset: Field::constant(8),
    // Go 1.24..1.26 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.SlotSize = 88 (8 bytes)
    // Go 1.24..1.26 swiss internal/runtime/maps/group.go: (*groupReference).key has "groupSlotsOffset + i*typ.SlotSize"
    key_stride: Field::at(88, 8),
    // Go 1.24..1.26 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.ElemOff = 96 (8 bytes)
    // Go 1.24..1.26 swiss internal/runtime/maps/group.go: (*groupReference).elem has "groupSlotsOffset + i*typ.SlotSize + typ.ElemOff"
    elems_offset: Field::at(96, 8),
    elems_base: 8,
    // Go 1.24..1.26 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.SlotSize = 88 (8 bytes)
    elem_stride: Field::at(88, 8),
    ..LAYOUT
};

/// The offsets of Go 1.27.
const LAYOUT: Layout = Layout {
    kind: LayoutKind::Swiss as u32,
    // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: const SwissMapIndirectKey|MapIndirectKey = 4
    indirect_key: 4,
    // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: const SwissMapIndirectElem|MapIndirectElem = 8
    indirect_elem: 8,

    // The map.
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.used = 0 (8 bytes)
    entries: Field::at(0, 8),
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.writing = 34 (1 byte)
    writing: Field::at(34, 1),
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.globalShift = 33 (1 byte)
    shift: Field::at(33, 1),
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.dirPtr = 16 (8 bytes)
    storage: Field::at(16, 8),
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.dirLen = 24 (8 bytes)
    second: Field::at(24, 8),
    // Go 1.24..1.27 swiss internal/runtime/maps/table.go: field table.groups.data = 16 (8 bytes)
    groups: Field::at(16, 8),
    // Go 1.24..1.27 swiss internal/runtime/maps/map.go: (*Map).Delete has "m.writing ^= 1"
    writing_mask: 1,
    same_size_mask: 0,

    // Its type.
    // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.Key = 48 (8 bytes)
    key_type: Field::at(48, 8),
    // Go 1.27 internal/abi/map.go: field MapType.Flags = 128 (4 bytes)
    type_flags: Field::at(128, 4),
    // Go 1.24..1.27 swiss internal/abi/map_swiss.go|map.go: field SwissMapType|MapType.GroupSize = 80 (8 bytes)
    unit_size: Field::at(80, 8),
    // Go 1.27 internal/abi/map.go: field MapType.KeysOff = 88 (8 bytes)
    // Go 1.27 internal/runtime/maps/group.go: (*groupReference).key has "typ.KeysOff + i*typ.KeyStride"
    keys_offset: Field::at(88, 8),
    // Go 1.27 internal/abi/map.go: field MapType.KeyStride = 96 (8 bytes)
    key_stride: Field::at(96, 8),
    // Go 1.27 internal/abi/map.go: field MapType.ElemsOff = 104 (8 bytes)
    // Go 1.27 internal/runtime/maps/group.go: (*groupReference).elem has "typ.ElemsOff + i*typ.ElemStride"
    elems_offset: Field::at(104, 8),
    elems_base: 0,
    elems_times: 1,
    // Go 1.27 internal/abi/map.go: field MapType.ElemStride = 112 (8 bytes)
    elem_stride: Field::at(112, 8),

    // The goroutine.
    // Go 1.24..1.27 swiss runtime/runtime2.go: field g.stack.lo = 0 (8 bytes)
    stack: Field::at(0, 8),

    // Any type. Its size is the first word. The kind byte has no other bits than the kind since 1.26.
    // Go 1.24..1.27 swiss internal/abi/type.go: field Type.TFlag = 20 (1 byte)
    tflag: Field::at(20, 1),
    // Go 1.24..1.27 swiss internal/abi/type.go: field Type.Kind_ = 23 (1 byte)
    kind_byte: Field::at(23, 1),
    // Go 1.24..1.25 swiss internal/abi/type.go: const KindMask = 0x1f
    kind_mask: 0x1f,
    // Go 1.24..1.27 swiss internal/abi/type.go: const TFlagRegularMemory = 8
    regular_memory: 8,
    // Go 1.26..1.27 internal/abi/type.go: field Type.TFlag = 20 (1 byte)
    direct_interface: Field::at(20, 1),
    // Go 1.26..1.27 internal/abi/type.go: const TFlagDirectIface = 0x20
    direct_interface_mask: 0x20,
    // Go 1.24..1.27 swiss internal/abi/type.go: field InterfaceType.Methods.len = 64 (8 bytes)
    interface_methods: Field::at(64, 8),
    // Go 1.24..1.27 swiss internal/abi/iface.go: field ITab.Type = 8 (8 bytes)
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

// The functions, alike in 1.24 to 1.27. Their sources are those of `internal/runtime/maps`, linked by these names.

// Go 1.24..1.26 swiss runtime/map_swiss.go|map.go: func mapaccess1(typ, map, pointer)
// Go 1.24..1.26 swiss internal/runtime/maps/runtime_swiss.go|runtime.go: runtime_mapaccess1 has "match = g.ctrls().matchEmpty()"
const ACCESS1: MapFunction = lookup("runtime.mapaccess1", KeyForm::Pointer);
// Go 1.24..1.26 swiss runtime/map_fast32_swiss.go|map_fast32.go: func mapaccess1_fast32(typ, map, uint32)
// Go 1.24..1.26 swiss internal/runtime/maps/runtime_fast32_swiss.go|runtime_fast32.go: runtime_mapaccess1_fast32 has "match = g.ctrls().matchEmpty()"
const ACCESS1_FAST32: MapFunction = lookup("runtime.mapaccess1_fast32", KeyForm::Value32);
// Go 1.24..1.26 swiss runtime/map_fast64_swiss.go|map_fast64.go: func mapaccess1_fast64(typ, map, uint64)
// Go 1.24..1.26 swiss internal/runtime/maps/runtime_fast64_swiss.go|runtime_fast64.go: runtime_mapaccess1_fast64 has "match = g.ctrls().matchEmpty()"
const ACCESS1_FAST64: MapFunction = lookup("runtime.mapaccess1_fast64", KeyForm::Value64);
// Go 1.24..1.26 swiss runtime/map_faststr_swiss.go|map_faststr.go: func mapaccess1_faststr(typ, map, string)
// Go 1.24..1.26 swiss internal/runtime/maps/runtime_faststr_swiss.go|runtime_faststr.go: runtime_mapaccess1_faststr has "match = g.ctrls().matchEmpty()"
const ACCESS1_FASTSTR: MapFunction = lookup("runtime.mapaccess1_faststr", KeyForm::String);
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: func mapaccess2(typ, map, pointer)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_swiss.go|runtime.go: runtime_mapaccess2 has "match = g.ctrls().matchEmpty()"
const ACCESS2: MapFunction = lookup("runtime.mapaccess2", KeyForm::Pointer);
// Go 1.24..1.27 swiss runtime/map_fast32_swiss.go|map_fast32.go: func mapaccess2_fast32(typ, map, uint32)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast32_swiss.go|runtime_fast32.go: runtime_mapaccess2_fast32 has "match = g.ctrls().matchEmpty()"
const ACCESS2_FAST32: MapFunction = lookup("runtime.mapaccess2_fast32", KeyForm::Value32);
// Go 1.24..1.27 swiss runtime/map_fast64_swiss.go|map_fast64.go: func mapaccess2_fast64(typ, map, uint64)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast64_swiss.go|runtime_fast64.go: runtime_mapaccess2_fast64 has "match = g.ctrls().matchEmpty()"
const ACCESS2_FAST64: MapFunction = lookup("runtime.mapaccess2_fast64", KeyForm::Value64);
// Go 1.24..1.27 swiss runtime/map_faststr_swiss.go|map_faststr.go: func mapaccess2_faststr(typ, map, string)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_faststr_swiss.go|runtime_faststr.go: runtime_mapaccess2_faststr has "match = g.ctrls().matchEmpty()"
const ACCESS2_FASTSTR: MapFunction = lookup("runtime.mapaccess2_faststr", KeyForm::String);
/// `matchEmpty` first, tombstones only in groups that have no empty slot.
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: func mapassign(typ, map, pointer)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_swiss.go|runtime.go: runtime_mapassign has "match = g.ctrls().matchEmpty()"
const ASSIGN: MapFunction = function(
    "runtime.mapassign",
    Op::Insert,
    KeyForm::Pointer,
    TO_AN_EMPTY_SLOT,
);
// Go 1.24..1.27 swiss runtime/map_fast32_swiss.go|map_fast32.go: func mapassign_fast32(typ, map, uint32)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast32_swiss.go|runtime_fast32.go: runtime_mapassign_fast32 has "match = g.ctrls().matchEmptyOrDeleted()"
const ASSIGN_FAST32: MapFunction = fast_insert("runtime.mapassign_fast32", KeyForm::Value32);
// Go 1.24..1.27 swiss runtime/map_fast64_swiss.go|map_fast64.go: func mapassign_fast64(typ, map, uint64)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast64_swiss.go|runtime_fast64.go: runtime_mapassign_fast64 has "match = g.ctrls().matchEmptyOrDeleted()"
const ASSIGN_FAST64: MapFunction = fast_insert("runtime.mapassign_fast64", KeyForm::Value64);
// Go 1.24..1.27 swiss runtime/map_fast64_swiss.go|map_fast64.go: func mapassign_fast64ptr(typ, map, pointer)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast64_swiss.go|runtime_fast64.go: runtime_mapassign_fast64ptr has "match = g.ctrls().matchEmptyOrDeleted()"
const ASSIGN_FAST64PTR: MapFunction = fast_insert("runtime.mapassign_fast64ptr", KeyForm::Value64);
// Go 1.24..1.27 swiss runtime/map_faststr_swiss.go|map_faststr.go: func mapassign_faststr(typ, map, string)
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_faststr_swiss.go|runtime_faststr.go: runtime_mapassign_faststr has "match = g.ctrls().matchEmptyOrDeleted()"
const ASSIGN_FASTSTR: MapFunction = fast_insert("runtime.mapassign_faststr", KeyForm::String);
/// A method: the receiver comes first.
const DELETE: MapFunction = MapFunction {
    arguments: Arguments {
        map: 0,
        typ: 1,
        key: 2,
    },
    wrappers: &[
        // Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: mapdelete has "m.Delete(t, key)"
        "runtime.mapdelete",
        // Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast32_swiss.go|runtime_fast32.go: runtime_mapdelete_fast32 has "m.Delete(typ, abi.NoEscape(unsafe.Pointer(&key)))"
        "runtime.mapdelete_fast32",
        // Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast64_swiss.go|runtime_fast64.go: runtime_mapdelete_fast64 has "m.Delete(typ, abi.NoEscape(unsafe.Pointer(&key)))"
        "runtime.mapdelete_fast64",
        // Go 1.24..1.27 swiss internal/runtime/maps/runtime_faststr_swiss.go|runtime_faststr.go: runtime_mapdelete_faststr has "m.Delete(typ, abi.NoEscape(unsafe.Pointer(&key)))"
        "runtime.mapdelete_faststr",
    ],
    ..function(
        // Go 1.24..1.27 swiss internal/runtime/maps/map.go: func (*Map).Delete(map, typ, pointer)
        "internal/runtime/maps.(*Map).Delete",
        Op::Delete,
        KeyForm::Pointer,
        // Go 1.24..1.27 swiss internal/runtime/maps/table.go: (*table).Delete has "match = g.ctrls().matchEmpty()"
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
        // Go 1.24..1.27 swiss internal/runtime/maps/map.go: (*Map).Delete has "m.directoryAt(idx).Delete(typ, m, hash, key)"
        "internal/runtime/maps.(*table).Delete",
        Arguments {
            typ: 1,
            map: 2,
            key: 4,
        },
    ),
    part_of_delete(
        // Go 1.24..1.27 swiss internal/runtime/maps/map.go: (*Map).Delete has "m.deleteSmall(typ, hash, key)"
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
            // Go 1.24..1.27 swiss internal/runtime/maps/map.go: func (*Map).Delete(map, typ, pointer)
            "internal/runtime/maps.(*Map).Delete",
            // Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: mapdelete has "m.Delete(t, key)"
            "runtime.mapdelete",
            // Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast32_swiss.go|runtime_fast32.go: runtime_mapdelete_fast32 has "m.Delete(typ, abi.NoEscape(unsafe.Pointer(&key)))"
            "runtime.mapdelete_fast32",
            // Go 1.24..1.27 swiss internal/runtime/maps/runtime_fast64_swiss.go|runtime_fast64.go: runtime_mapdelete_fast64 has "m.Delete(typ, abi.NoEscape(unsafe.Pointer(&key)))"
            "runtime.mapdelete_fast64",
            // Go 1.24..1.27 swiss internal/runtime/maps/runtime_faststr_swiss.go|runtime_faststr.go: runtime_mapdelete_faststr has "m.Delete(typ, abi.NoEscape(unsafe.Pointer(&key)))"
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
            // Go 1.27 internal/runtime/maps/runtime.go: runtime_mapaccess1 has "runtime_mapaccess2(typ, m, key)"
            "runtime.mapaccess1",
            // Go 1.27 runtime/map.go: mapaccess1_fat has "mapaccess2(t, m, key)"
            "runtime.mapaccess1_fat",
            // Go 1.27 runtime/map.go: mapaccess2_fat has "mapaccess2(t, m, key)"
            "runtime.mapaccess2_fat",
        ],
    ),
    // Go 1.27 internal/runtime/maps/runtime_fast32.go: runtime_mapaccess1_fast32 has "runtime_mapaccess2_fast32(typ, m, key)"
    with_wrappers(ACCESS2_FAST32, &["runtime.mapaccess1_fast32"]),
    // Go 1.27 internal/runtime/maps/runtime_fast64.go: runtime_mapaccess1_fast64 has "runtime_mapaccess2_fast64(typ, m, key)"
    with_wrappers(ACCESS2_FAST64, &["runtime.mapaccess1_fast64"]),
    // Go 1.27 internal/runtime/maps/runtime_faststr.go: runtime_mapaccess1_faststr has "runtime_mapaccess2_faststr(typ, m, key)"
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
        // Go 1.24..1.26 swiss runtime/map_swiss.go|map.go: mapaccess1_fat has "mapaccess1(t, m, key)"
        // Go 1.24..1.26 swiss runtime/map_swiss.go|map.go: mapaccess2_fat has "mapaccess1(t, m, key)"
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
