//! What the functions that a map function calls do, as far as following its values goes.

use super::effects::{ARGUMENTS, CONTEXT, Registers, bit};

/// What is known of a call's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// Panics or throws: the path ends there.
    NeverReturns,
    /// Grows the goroutine's stack before the function starts over; touches none of its stack slots.
    Morestack,
    /// Hashes the key in its first argument with the seed in its second.
    Hash,
    /// Hashes what an interface has in it: type, address and a seed are its arguments. The hasher of interfaces, where a
    /// profile-guided build has it in place, computes the hash from the result.
    HashesPart,
    /// The function that evacuates the old bucket first, or where that is inlined the one that it calls.
    GrowWork,
    /// Returns its argument: calls only in builds without inlining.
    Identity,
    /// Writes nothing through its arguments, which are this many: calls only in builds without inlining.
    Reads(usize),
    /// Makes the map larger or clears it up, for an insert that then begins its search anew.
    Grows,
    /// Touches no map.
    Harmless,
    /// Makes room for notes to the garbage collector, at the address that it leaves in R11.
    WriteBarrier,
    /// Anything else, calls through registers and memory included.
    Other,
}

/// Functions that never return to their caller.
///
/// Not listing one is safe: its path then goes on, with all registers and outgoing arguments lost.
// Go 1.24..1.27 swiss internal/runtime/maps/runtime_swiss.go|runtime.go: says "func fatal(s string)"
// Go 1.19..1.27 runtime/panic.go: says "func fatal(s string) {"
// Go 1.18..1.27 runtime/panic.go: says "func gopanic(e any) {"
// Go 1.26..1.27 runtime/panic.go: says "func panicBounds()"
// Go 1.18..1.27 runtime/panic.go: says "func panicdivide() {"
// Go 1.18..1.27 runtime/iface.go: says "func panicdottypeE(have, want, iface *_type) {"
// Go 1.18..1.27 runtime/iface.go: says "func panicdottypeI(have *itab, want, iface *_type) {"
// Go 1.18..1.27 runtime/panic.go: says "func panicmem() {"
// Go 1.18..1.27 runtime/iface.go: says "func panicnildottype(want *_type) {"
// Go 1.18..1.27 runtime/panic.go: says "func panicshift() {"
// Go 1.18..1.27 runtime/error.go: says "func panicwrap() {"
// Go 1.18..1.27 runtime/panic.go: says "func throw(s string) {"
const NEVER_RETURN: &[&str] = &[
    "internal/runtime/maps.fatal",
    "runtime.fatal",
    "runtime.gopanic",
    "runtime.panicBounds",
    "runtime.panicdivide",
    "runtime.panicdottypeE",
    "runtime.panicdottypeI",
    "runtime.panicmem",
    "runtime.panicnil",
    "runtime.panicnildottype",
    "runtime.panicshift",
    "runtime.panicwrap",
    "runtime.throw",
];

/// Families of them: `runtime.panicIndexU`, `runtime.panicSlice3Alen`, ...
// Go 1.18..1.27 runtime/panic.go: says "func goPanicIndex(x int, y int) {"
// Go 1.18..1.25 runtime/panic.go: says "func panicIndex(x int, y int)"
// Go 1.18..1.25 runtime/panic.go: says "func panicSliceAlen(x int, y int)"
const NEVER_RETURN_PREFIXES: &[&str] = &[
    "runtime.goPanicIndex",
    "runtime.goPanicSlice",
    "runtime.panicIndex",
    "runtime.panicSlice",
];

/// Functions that hash `(key, seed, ...)`, called by name: of `internal/runtime/maps` from Go 1.27 on, of the runtime
/// where a profile-guided build inlines the hasher.
// Go 1.27 internal/runtime/maps/memhash_aes.go: says "func MemHash64(k uint64, h uintptr) uintptr {"
// Go 1.27 internal/runtime/maps/memhash_aes_asm.go: says "func memHash64AES(k uint64, h uintptr) uintptr"
// Go 1.27 internal/runtime/maps/runtime_hash64.go: says "func memHash64Fallback(k uint64, seed uintptr) uintptr {"
// Go 1.18..1.26 runtime/alg.go: says "func memhash64(p unsafe.Pointer, h uintptr) uintptr"
// Go 1.18..1.26 runtime/alg.go: says "func strhash(p unsafe.Pointer, h uintptr) uintptr"
// Go 1.18..1.27 runtime/alg.go: says "func interhash(p unsafe.Pointer, h uintptr) uintptr {"
// Go 1.18..1.27 runtime/alg.go: says "func nilinterhash(p unsafe.Pointer, h uintptr) uintptr {"
const HASH_PREFIXES: &[&str] = &[
    "internal/runtime/maps.MemHash",
    "internal/runtime/maps.memHash",
    "runtime.interhash",
    "runtime.memhash",
    "runtime.nilinterhash",
    "runtime.strhash",
];

/// Small functions that only read, called without inlining, and how many arguments they take.
///
/// Not listing one is safe: whatever address of the stack is left in a register may then be its argument.
const READ_ONLY: &[(&str, usize)] = &[
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func (b *bmap) keys() unsafe.Pointer {"
    ("runtime.(*bmap).keys", 1),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func (b *bmap) overflow(t *maptype) *bmap {"
    ("runtime.(*bmap).overflow", 2),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func (h *hmap) sameSizeGrow() bool {"
    ("runtime.(*hmap).sameSizeGrow", 1),
    // Go 1.18..1.25 classic runtime/stubs.go: says "func add(p unsafe.Pointer, x uintptr) unsafe.Pointer {"
    ("runtime.add", 2),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func bucketMask(b uint8) uintptr {"
    ("runtime.bucketMask", 1),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func evacuated(b *bmap) bool {"
    ("runtime.evacuated", 1),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func isEmpty(x uint8) bool {"
    ("runtime.isEmpty", 1),
    // Go 1.18..1.25 classic runtime/stubs.go: says "func memequal(a, b unsafe.Pointer, size uintptr) bool"
    ("runtime.memequal", 3),
    // Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: says "func tophash(hash uintptr) uint8 {"
    ("runtime.tophash", 1),
];

/// Functions that inserts call before they search once more (`runtime/map.go`, `internal/runtime/maps`).
const GROWS: &[&str] = &[
    "internal/runtime/maps.(*Map).growToSmall",
    "internal/runtime/maps.(*Map).growToTable",
    "internal/runtime/maps.(*table).pruneTombstones",
    "internal/runtime/maps.(*table).rehash",
    "runtime.hashGrow",
];

/// Functions that allocate.
const HARMLESS: &[&str] = &["runtime.mallocgc", "runtime.newobject"];

/// Whether a function is the one that `grow_work` calls: `evacuate_fast64` of `growWork_fast64`. The first call is
/// for the bucket that the operation needs, the second for another one.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: growWork has "evacuate(t, h, bucket&h.oldbucketmask())"
// Go 1.18..1.25 classic runtime/map_fast32.go|map_fast32_noswiss.go: growWork_fast32 has "evacuate_fast32(t, h, bucket&h.oldbucketmask())"
// Go 1.18..1.25 classic runtime/map_fast64.go|map_fast64_noswiss.go: growWork_fast64 has "evacuate_fast64(t, h, bucket&h.oldbucketmask())"
// Go 1.18..1.25 classic runtime/map_faststr.go|map_faststr_noswiss.go: growWork_faststr has "evacuate_faststr(t, h, bucket&h.oldbucketmask())"
fn is_called_by(grow_work: &str, name: &str) -> bool {
    let kind = |name: &'_ str, prefix| name.strip_prefix(prefix).map(str::to_owned);
    let kinds = (
        kind(grow_work, "runtime.growWork"),
        kind(name, "runtime.evacuate"),
    );
    matches!(kinds, (Some(of), Some(kind)) if of == kind)
}

impl Callee {
    /// Classifies a function by its name in the binary's own tables.
    pub(super) fn of(name: Option<&str>, grow_work: Option<&str>) -> Self {
        let Some(name) = name else {
            return Self::Other;
        };
        if grow_work.is_some_and(|grow_work| name == grow_work || is_called_by(grow_work, name)) {
            return Self::GrowWork;
        }
        // Functions in assembly that take their arguments on the stack; the symbol table says so, pclntab does not.
        let plain = name.strip_suffix(".abi0").unwrap_or(name);
        let starts_with_any = |prefixes: &[&str]| prefixes.iter().any(|p| plain.starts_with(p));
        // Go 1.18..1.27 runtime/asm_amd64.s: says "TEXT runtime·morestack_noctxt(SB)"
        // Go 1.18..1.25 runtime/stubs.go: says "func noescape(p unsafe.Pointer) unsafe.Pointer {"
        // Go 1.23..1.27 internal/abi/escape.go: says "func NoEscape(p unsafe.Pointer) unsafe.Pointer {"
        // Go 1.18..1.27 runtime/string.go: says "func stringStructOf(sp *string) *stringStruct {"
        if NEVER_RETURN.contains(&plain) || starts_with_any(NEVER_RETURN_PREFIXES) {
            Self::NeverReturns
        } else if matches!(plain, "runtime.morestack" | "runtime.morestack_noctxt") {
            Self::Morestack
        } else if plain == name && starts_with_any(HASH_PREFIXES) {
            Self::Hash
        } else if matches!(
            plain,
            "runtime.noescape" | "internal/abi.NoEscape" | "runtime.stringStructOf"
        ) {
            Self::Identity
        } else if name == "runtime.typehash" {
            // Go 1.18..1.27 runtime/alg.go: says "func typehash(t *_type, p unsafe.Pointer, h uintptr) uintptr {"
            // Go 1.18..1.27 runtime/alg.go: nilinterhash has "typehash(t, a.data, h^c0)"
            Self::HashesPart
        } else if let Some((_, arguments)) = READ_ONLY.iter().find(|(listed, _)| *listed == name) {
            Self::Reads(*arguments)
        } else if GROWS.contains(&name) {
            Self::Grows
        } else if HARMLESS.contains(&name) {
            Self::Harmless
        } else if plain.starts_with("runtime.gcWriteBarrier") {
            Self::WriteBarrier
        } else {
            Self::Other
        }
    }

    /// The registers that it may be passed something in.
    pub(super) fn passed(self) -> Registers {
        let (arguments, closure) = match self {
            Self::Reads(count) => (ARGUMENTS.get(..count).unwrap_or(&ARGUMENTS), 0),
            Self::HashesPart => (&ARGUMENTS[..3], 0),
            _ => (ARGUMENTS.as_slice(), CONTEXT),
        };
        arguments.iter().fold(closure, |set, &r| set | bit(r))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_known_by_their_full_name() {
        let of = |name| Callee::of(Some(name), Some("runtime.growWork_fast64"));
        assert_eq!(of("runtime.panicIndexU"), Callee::NeverReturns);
        assert_eq!(of("internal/runtime/maps.fatal"), Callee::NeverReturns);
        assert_eq!(of("runtime.panicCheck1"), Callee::Other);
        assert_eq!(of("runtime.morestack_noctxt.abi0"), Callee::Morestack);
        assert_eq!(of("runtime.growWork_fast64"), Callee::GrowWork);
        assert_eq!(of("runtime.growWork"), Callee::Other);
        assert_eq!(of("runtime.evacuate_fast64"), Callee::GrowWork);
        assert_eq!(of("runtime.evacuate"), Callee::Other);
        assert_eq!(of("runtime.evacuated"), Callee::Reads(1));
        assert_eq!(of("runtime.typehash"), Callee::HashesPart);
        assert_eq!(of("runtime.(*bmap).overflow"), Callee::Reads(2));
        assert_eq!(of("runtime.(*bmap).setoverflow"), Callee::Other);
        assert_eq!(Callee::of(None, None), Callee::Other);
    }

    #[test]
    fn a_hash_function_of_the_assembler_convention_is_not_taken_for_one_of_gos() {
        let of = |name| Callee::of(Some(name), None);
        assert_eq!(of("internal/runtime/maps.memHash64AES"), Callee::Hash);
        assert_eq!(of("internal/runtime/maps.memHash64AES.abi0"), Callee::Other);
    }
}
