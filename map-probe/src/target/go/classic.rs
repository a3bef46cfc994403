//! Classic maps: buckets of eight with overflow chains.
//!
//! Go: `runtime/map.go`, `runtime/map_fast32.go`, `map_fast64.go`, `map_faststr.go` (1.24
//! and 1.25: `map_noswiss.go`, ...), all of 1.18 to 1.25. The functions search alike in all of
//! them. `cargo xtask go-layout` checks each fact below.

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
    // The lowest bit says that the field is embedded.
    // Go 1.18 runtime/type.go: (*structfield).offset has "return f.offsetAnon >> 1"
    field_offset_shift: 1,
    untested: true,
    ..GO_1_19
};

/// Go 1.19.
pub(super) const GO_1_19: GoFacts = GoFacts {
    // Without `covctrs`, which lies before them since 1.20.
    module: ModuleLayout {
        // Go 1.18..1.19 runtime/symtab.go: field moduledata.text = 176
        text: 176,
        // Go 1.18..1.19 runtime/symtab.go: field moduledata.types = 280
        types: 280,
        // Go 1.18..1.19 runtime/symtab.go: field moduledata.etypes = 288
        etypes: 288,
        // Go 1.18..1.19 runtime/symtab.go: field moduledata.gofunc = 304
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
            // Go 1.20..1.25 runtime/symtab.go: field moduledata.text = 176
            text: 176,
            // Go 1.20..1.25 runtime/symtab.go: field moduledata.types = 296
            types: 296,
            // Go 1.20..1.25 runtime/symtab.go: field moduledata.etypes = 304
            etypes: 304,
            // Go 1.20..1.25 runtime/symtab.go: field moduledata.gofunc = 320
            gofunc: 320,
        },
        frames: FRAMES,
        // Go 1.18..1.20 runtime/typekind.go: const kindDirectIface = 0x20
        // Go 1.18..1.20 runtime/typekind.go: const kindGCProg = 0x40
        // Go 1.21..1.23 internal/abi/type.go: const KindDirectIface = 0x20
        // Go 1.21..1.23 internal/abi/type.go: const KindGCProg = 0x40
        kind_flags: 0x20 | 0x40,
        field_offset_shift: 0,
        untested: false,
    }
}

/// In 1.24 and 1.25 `hmap` has one more field, `clearSeq`, behind those that are read here.
const fn by_experiment(minor: u32) -> GoFacts {
    GoFacts {
        // Without KindGCProg.
        // Go 1.24..1.25 internal/abi/type.go: const KindDirectIface = 0x20
        kind_flags: 0x20,
        ..since_1_20(minor)
    }
}

const MAPS: GoMaps = GoMaps {
    name: MapLayout::Classic,
    layout: LAYOUT,
    // Go 1.18..1.20 runtime/type.go: field maptype.hasher = 72
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.Hasher = 72
    hasher_offset: 72,
    // 32 bits that are zero-extended.
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: field hmap.hash0 = 12
    seed_offset: 12,
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: width hmap.hash0 = 4
    seed_width: 4,
    functions: &FUNCTIONS,
    also_sampled: &[],
};

/// The offsets, the same in all of these versions.
const LAYOUT: Layout = Layout {
    kind: LayoutKind::Classic as u32,
    // Go 1.18..1.20 runtime/type.go: (*maptype).indirectkey has "return mt.flags&1 != 0"
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: (*MapType|*OldMapType).IndirectKey has "return mt.Flags&1 != 0"
    indirect_key: 1,
    // Go 1.18..1.20 runtime/type.go: (*maptype).indirectelem has "return mt.flags&2 != 0"
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: (*MapType|*OldMapType).IndirectElem has "return mt.Flags&2 != 0"
    indirect_elem: 2,

    // The map.
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: field hmap.count = 0 (8 bytes)
    entries: Field::at(0, 8),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: field hmap.flags = 8 (1 byte)
    writing: Field::at(8, 1),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: field hmap.B = 9 (1 byte)
    shift: Field::at(9, 1),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: field hmap.buckets = 16 (8 bytes)
    storage: Field::at(16, 8),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: field hmap.oldbuckets = 24 (8 bytes)
    second: Field::at(24, 8),
    groups: Field::constant(0),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const hashWriting = 4
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapaccess1 has "h.flags&hashWriting != 0"
    writing_mask: 4,
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const sameSizeGrow = 8
    same_size_mask: 8,

    // Its type. A bucket is eight tophashes, then eight keys.
    // Go 1.18..1.20 runtime/type.go: field maptype.key = 48 (8 bytes)
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.Key = 48 (8 bytes)
    key_type: Field::at(48, 8),
    // Go 1.18..1.20 runtime/type.go: field maptype.flags = 84 (4 bytes)
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.Flags = 84 (4 bytes)
    type_flags: Field::at(84, 4),
    // Go 1.18..1.20 runtime/type.go: field maptype.bucketsize = 82 (2 bytes)
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.BucketSize = 82 (2 bytes)
    unit_size: Field::at(82, 2),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: const dataOffset = 8
    // Go 1.18..1.20 runtime/map.go: mapaccess1 has "add(unsafe.Pointer(b), dataOffset+i*uintptr(t.keysize))"
    // Go 1.21..1.25 classic runtime/map.go|map_noswiss.go: mapaccess1 has "add(unsafe.Pointer(b), dataOffset+i*uintptr(t.KeySize))"
    keys_offset: Field::constant(8),
    // Go 1.18..1.20 runtime/type.go: field maptype.keysize = 80 (1 byte)
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.KeySize = 80 (1 byte)
    key_stride: Field::at(80, 1),
    // Behind the keys.
    // Go 1.18..1.20 runtime/map.go: mapaccess1 has "add(unsafe.Pointer(b), dataOffset+bucketCnt*uintptr(t.keysize)+i*uintptr(t.elemsize))"
    elems_offset: Field::at(80, 1),
    elems_base: 8,
    elems_times: 8,
    // Go 1.18..1.20 runtime/type.go: field maptype.elemsize = 81 (1 byte)
    // Go 1.21..1.25 classic internal/abi/type.go|map_noswiss.go: field MapType|OldMapType.ValueSize = 81 (1 byte)
    elem_stride: Field::at(81, 1),

    // The goroutine.
    // Go 1.18..1.25 classic runtime/runtime2.go: field g.stack.lo = 0 (8 bytes)
    stack: Field::at(0, 8),

    // Any type. Its size is the first word.
    // Go 1.18..1.20 runtime/type.go: field _type.tflag = 20 (1 byte)
    // Go 1.21..1.25 classic internal/abi/type.go: field Type.TFlag = 20 (1 byte)
    tflag: Field::at(20, 1),
    // Go 1.18..1.20 runtime/type.go: field _type.kind = 23 (1 byte)
    // Go 1.21..1.25 classic internal/abi/type.go: field Type.Kind_ = 23 (1 byte)
    kind_byte: Field::at(23, 1),
    // Go 1.18..1.20 runtime/typekind.go: const kindMask = 0x1f
    // Go 1.21..1.25 classic internal/abi/type.go: const KindMask = 0x1f
    kind_mask: 0x1f,
    // Go 1.18..1.20 runtime/type.go: const tflagRegularMemory = 8
    // Go 1.21..1.25 classic internal/abi/type.go: const TFlagRegularMemory = 8
    regular_memory: 8,
    // Go 1.18..1.20 runtime/type.go: field _type.kind = 23 (1 byte)
    // Go 1.21..1.25 classic internal/abi/type.go: field Type.Kind_ = 23 (1 byte)
    direct_interface: Field::at(23, 1),
    // Go 1.18..1.20 runtime/typekind.go: const kindDirectIface = 0x20
    // Go 1.21..1.25 classic internal/abi/type.go: const KindDirectIface = 0x20
    direct_interface_mask: 0x20,
    // Go 1.18..1.20 runtime/type.go: field interfacetype.mhdr.len = 64 (8 bytes)
    // Go 1.21..1.25 classic internal/abi/type.go: field InterfaceType.Methods.len = 64 (8 bytes)
    interface_methods: Field::at(64, 8),
    // Go 1.18..1.22 runtime/runtime2.go: field itab._type = 8 (8 bytes)
    // Go 1.23..1.25 classic internal/abi/iface.go: field ITab.Type = 8 (8 bytes)
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

/// The search walks the chain to its end, whatever the tophashes say. (`_faststr` looks at `emptyRest` in maps of one
/// bucket only, where the depth is 1.)
const TO_THE_END: u8 = 0;

/// The set that counts every operation once. Left out on purpose:
/// `mapaccess1_fat` and `mapaccess2_fat` (they call `mapaccess1`), `mapaccessK`
/// (an iterator's), `reflect.map…` (they call these), `mapassign_fast32ptr`
/// (32-bit machines only).
const FUNCTIONS: [MapFunction; 17] = [
    MapFunction {
        // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapaccess1_fat has "mapaccess1(t, h, key)"
        // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapaccess2_fat has "mapaccess1(t, h, key)"
        wrappers: &["runtime.mapaccess1_fat", "runtime.mapaccess2_fat"],
        // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: func mapaccess1(typ, map, pointer)
        // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapaccess1 has "if b.tophash[i] == emptyRest { break bucketloop }"
        ..lookup("runtime.mapaccess1", KeyForm::Pointer, STOPS_AT_EMPTY_REST)
    },
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: func mapaccess2(typ, map, pointer)
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapaccess2 has "if b.tophash[i] == emptyRest { break bucketloop }"
    lookup("runtime.mapaccess2", KeyForm::Pointer, STOPS_AT_EMPTY_REST),
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: func mapaccess1_fast32(typ, map, uint32)
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapaccess1_fast32 lacks "emptyRest"
    lookup("runtime.mapaccess1_fast32", KeyForm::Value32, TO_THE_END),
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: func mapaccess2_fast32(typ, map, uint32)
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapaccess2_fast32 lacks "emptyRest"
    lookup("runtime.mapaccess2_fast32", KeyForm::Value32, TO_THE_END),
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: func mapaccess1_fast64(typ, map, uint64)
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapaccess1_fast64 lacks "emptyRest"
    lookup("runtime.mapaccess1_fast64", KeyForm::Value64, TO_THE_END),
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: func mapaccess2_fast64(typ, map, uint64)
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapaccess2_fast64 lacks "emptyRest"
    lookup("runtime.mapaccess2_fast64", KeyForm::Value64, TO_THE_END),
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: func mapaccess1_faststr(typ, map, string)
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapaccess1_faststr has "if k.len != key.len || b.tophash[i] != top { continue }"
    lookup("runtime.mapaccess1_faststr", KeyForm::String, TO_THE_END),
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: func mapaccess2_faststr(typ, map, string)
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapaccess2_faststr has "if k.len != key.len || b.tophash[i] != top { continue }"
    lookup("runtime.mapaccess2_faststr", KeyForm::String, TO_THE_END),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: func mapassign(typ, map, pointer)
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapassign has "== emptyRest { break bucketloop }"
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapassign has "if h.growing() { growWork(t, h, bucket) }"
    insert("runtime.mapassign", KeyForm::Pointer, "runtime.growWork"),
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: func mapassign_fast32(typ, map, uint32)
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapassign_fast32 has "== emptyRest { break bucketloop }"
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapassign_fast32 has "if h.growing() { growWork_fast32(t, h, bucket) }"
    insert(
        "runtime.mapassign_fast32",
        KeyForm::Value32,
        "runtime.growWork_fast32",
    ),
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: func mapassign_fast64(typ, map, uint64)
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapassign_fast64 has "== emptyRest { break bucketloop }"
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapassign_fast64 has "if h.growing() { growWork_fast64(t, h, bucket) }"
    insert(
        "runtime.mapassign_fast64",
        KeyForm::Value64,
        "runtime.growWork_fast64",
    ),
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: func mapassign_fast64ptr(typ, map, pointer)
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapassign_fast64ptr has "== emptyRest { break bucketloop }"
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapassign_fast64ptr has "if h.growing() { growWork_fast64(t, h, bucket) }"
    insert(
        "runtime.mapassign_fast64ptr",
        KeyForm::Value64,
        "runtime.growWork_fast64",
    ),
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: func mapassign_faststr(typ, map, string)
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapassign_faststr has "== emptyRest { break bucketloop }"
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapassign_faststr has "if h.growing() { growWork_faststr(t, h, bucket) }"
    insert(
        "runtime.mapassign_faststr",
        KeyForm::String,
        "runtime.growWork_faststr",
    ),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: func mapdelete(typ, map, pointer)
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapdelete has "if b.tophash[i] == emptyRest { break search }"
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: mapdelete has "if h.growing() { growWork(t, h, bucket) }"
    delete(
        "runtime.mapdelete",
        KeyForm::Pointer,
        STOPS_AT_EMPTY_REST,
        "runtime.growWork",
    ),
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: func mapdelete_fast32(typ, map, uint32)
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapdelete_fast32 has "if key != *(*uint32)(k) || isEmpty(b.tophash[i]) { continue }"
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapdelete_fast32 lacks "== emptyRest { break"
    // Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: mapdelete_fast32 has "if h.growing() { growWork_fast32(t, h, bucket) }"
    delete(
        "runtime.mapdelete_fast32",
        KeyForm::Value32,
        TO_THE_END,
        "runtime.growWork_fast32",
    ),
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: func mapdelete_fast64(typ, map, uint64)
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapdelete_fast64 has "if key != *(*uint64)(k) || isEmpty(b.tophash[i]) { continue }"
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapdelete_fast64 lacks "== emptyRest { break"
    // Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: mapdelete_fast64 has "if h.growing() { growWork_fast64(t, h, bucket) }"
    delete(
        "runtime.mapdelete_fast64",
        KeyForm::Value64,
        TO_THE_END,
        "runtime.growWork_fast64",
    ),
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: func mapdelete_faststr(typ, map, string)
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapdelete_faststr has "if k.len != key.len || b.tophash[i] != top { continue }"
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapdelete_faststr lacks "== emptyRest { break"
    // Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: mapdelete_faststr has "if h.growing() { growWork_faststr(t, h, bucket) }"
    delete(
        "runtime.mapdelete_faststr",
        KeyForm::String,
        TO_THE_END,
        "runtime.growWork_faststr",
    ),
];
