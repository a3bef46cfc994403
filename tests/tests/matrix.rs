//! Every version of Go, built in every way: counted exactly, or refused with the reason. What came out is noted for
//! `docs/matrix.md`. Programs as they are built by default and stripped ones are in `exact_counts.rs`.
//!
//! Cells marked *ignored* take long or need toolchains that only `cargo xtask test --full` brings.

use std::io::Write as _;
use std::process::Command;

use anyhow::{Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::matrix::{Outcome, record};
use map_probe_tests::{exact, kernel, profiler};

const NOT_PROBEABLE: i32 = 3;
/// All kinds of keys and patterns, in a second. The long workload is in `exact_counts.rs`.
const SHORT: &[&str] = &["-n", "300"];

fn exact(go: Go, variant: Variant) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    if let Some(reason) = not_here(go, variant)? {
        writeln!(std::io::stderr(), "ignored: {reason}")?;
        return record(go, variant, &Outcome::NotApplicable(reason));
    }
    let fixture = go::fixture("oracle", go, variant)?;
    let operations = exact::count(go, &fixture, SHORT)?;
    record(go, variant, &Outcome::Exact(operations))
}

/// Why this machine cannot build or run it.
fn not_here(go: Go, variant: Variant) -> Result<Option<String>> {
    match variant {
        Variant::Msan if !compiles_with_clang()? => {
            Ok(Some("no clang with its runtime library here".to_owned()))
        }
        Variant::Amd64V3 | Variant::Amd64V4 => {
            let fixture = go::fixture("oracle", go, variant)?;
            let output = Command::new(&fixture)
                .args(["-workload", "small"])
                .output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            Ok(said
                .contains("microarchitecture support")
                .then(|| "not this processor".to_owned()))
        }
        _ => Ok(None),
    }
}

/// Whether clang makes programs with its memory sanitizer.
fn compiles_with_clang() -> Result<bool> {
    let directory = tempfile::tempdir()?;
    let source = directory.path().join("empty.c");
    std::fs::write(
        &source,
        "#include <sanitizer/msan_interface.h>\nint main(void) { return 0; }",
    )?;
    let mut compiler = Command::new("clang");
    compiler.arg("-fsanitize=memory").arg(&source).arg("-o");
    let output = compiler.arg(directory.path().join("empty")).output();
    Ok(output.is_ok_and(|output| output.status.success()))
}

fn refused(name: &str, go: Go, variant: Variant, reason: &str) -> Result<()> {
    let fixture = go::fixture(name, go, variant)?;
    let ended = profiler::run(&["sites", &fixture.to_string_lossy()])?;
    ensure!(
        ended.stderr.contains(reason),
        "another reason than {reason:?}: {}",
        ended.stderr
    );
    ended.refused(&[NOT_PROBEABLE])?;
    record(go, variant, &Outcome::Refused(reason.to_owned()))
}

macro_rules! cells {
    ($($toolchain:ident ($go:expr) { $($(#[$attribute:meta])* $build:ident: $variant:ident;)* })*) => {$(
        mod $toolchain {
            use super::*;
            $(#[test]
            $(#[$attribute])*
            fn $build() -> Result<()> {
                exact($go, Variant::$variant)
            })*
        }
    )*};
}

cells! {
    go_1_19 (Go::V1_19) {
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_21 (Go::V1_21) {
        #[ignore = "of `cargo xtask test --full`"]
        by_the_compilers_profile: CompilersProfile;
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_22 (Go::V1_22) {
        #[ignore = "of `cargo xtask test --full`"]
        by_the_compilers_profile: CompilersProfile;
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_23 (Go::V1_23) {
        by_the_compilers_profile: CompilersProfile;
        pie: Pie;
        pie_stripped: PieStripped;
        cgo: Cgo;
        cgo_pie_stripped: CgoPieStripped;
        static_pie: StaticPie;
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
        #[ignore = "of `cargo xtask test --full`"]
        untrimmed: Untrimmed;
        #[ignore = "of `cargo xtask test --full`"]
        not_inlined: NotInlined;
        #[ignore = "of `cargo xtask test --full`"]
        amd64_v2: Amd64V2;
        #[ignore = "of `cargo xtask test --full`"]
        amd64_v3: Amd64V3;
        #[ignore = "of `cargo xtask test --full`"]
        amd64_v4: Amd64V4;
        #[ignore = "of `cargo xtask test --full`"]
        profile_guided: ProfileGuided;
        #[ignore = "of `cargo xtask test --full`"]
        asan: Asan;
        #[ignore = "of `cargo xtask test --full`"]
        msan: Msan;
    }
    go_1_24 (Go::V1_24) {
        #[ignore = "of `cargo xtask test --full`"]
        by_the_compilers_profile: CompilersProfile;
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_25 (Go::V1_25) {
        #[ignore = "of `cargo xtask test --full`"]
        by_the_compilers_profile: CompilersProfile;
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_26 (Go::V1_26) {
        #[ignore = "of `cargo xtask test --full`"]
        by_the_compilers_profile: CompilersProfile;
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        cgo: Cgo;
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_27 (Go::V1_27) {
        #[ignore = "of `cargo xtask test --full`"]
        by_the_compilers_profile: CompilersProfile;
        pie: Pie;
        pie_stripped: PieStripped;
        cgo: Cgo;
        cgo_pie_stripped: CgoPieStripped;
        static_pie: StaticPie;
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
        #[ignore = "of `cargo xtask test --full`"]
        untrimmed: Untrimmed;
        #[ignore = "of `cargo xtask test --full`"]
        not_inlined: NotInlined;
        #[ignore = "of `cargo xtask test --full`"]
        amd64_v2: Amd64V2;
        #[ignore = "of `cargo xtask test --full`"]
        amd64_v3: Amd64V3;
        #[ignore = "of `cargo xtask test --full`"]
        amd64_v4: Amd64V4;
        #[ignore = "of `cargo xtask test --full`"]
        profile_guided: ProfileGuided;
        #[ignore = "of `cargo xtask test --full`"]
        asan: Asan;
        #[ignore = "of `cargo xtask test --full`"]
        msan: Msan;
    }
    go_1_24_noswissmap (Go::V1_24_CLASSIC) {
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_25_noswissmap (Go::V1_25_CLASSIC) {
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        #[ignore = "of `cargo xtask test --full`"]
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_27_mapsplitgroup (Go::V1_27_SPLIT) {
        #[ignore = "of `cargo xtask test --full`"]
        pie: Pie;
        #[ignore = "of `cargo xtask test --full`"]
        cgo: Cgo;
        for_a_debugger: Unoptimized;
        #[ignore = "of `cargo xtask test --full`"]
        race: Race;
    }
    go_1_23_1 (Go::V1_23_1) {
        #[ignore = "of `cargo xtask test --full`"]
        plain: Plain;
        #[ignore = "of `cargo xtask test --full`"]
        stripped: Stripped;
    }
    go_1_24_3 (Go::V1_24_3) {
        #[ignore = "of `cargo xtask test --full`"]
        plain: Plain;
        #[ignore = "of `cargo xtask test --full`"]
        stripped: Stripped;
    }
    go_1_25_0 (Go::V1_25_0) {
        #[ignore = "of `cargo xtask test --full`"]
        plain: Plain;
        #[ignore = "of `cargo xtask test --full`"]
        stripped: Stripped;
    }
    go_1_26_0 (Go::V1_26_0) {
        #[ignore = "of `cargo xtask test --full`"]
        plain: Plain;
        #[ignore = "of `cargo xtask test --full`"]
        stripped: Stripped;
    }
    go_1_27_0 (Go::V1_27_0) {
        #[ignore = "of `cargo xtask test --full`"]
        plain: Plain;
        #[ignore = "of `cargo xtask test --full`"]
        stripped: Stripped;
    }
}

/// `GOEXPERIMENT=simd` hashes keys of four and eight bytes in place, with vector instructions, where no call shows the
/// hash. The functions for such keys are named as not covered, and all others are counted exactly.
#[test]
#[ignore = "of `cargo xtask test --full`"]
fn a_program_that_hashes_in_place_is_counted_exactly_but_for_the_functions_named() -> Result<()> {
    const NOT_COVERED: [&str; 5] = [
        "runtime.mapaccess2_fast32",
        "runtime.mapaccess2_fast64",
        "runtime.mapassign_fast32",
        "runtime.mapassign_fast64",
        "runtime.mapassign_fast64ptr",
    ];
    if !kernel::wanted()? {
        return Ok(());
    }
    for variant in [Variant::Plain, Variant::Stripped] {
        let fixture = go::fixture("oracle", Go::V1_27_SIMD, variant)?;
        let operations = exact::count_covered(Go::V1_27_SIMD, &fixture, SHORT, &NOT_COVERED)?;
        let not_covered = NOT_COVERED.join(", ");
        record(
            Go::V1_27_SIMD,
            variant,
            &Outcome::Partly(operations, not_covered),
        )?;
    }
    Ok(())
}

#[test]
#[ignore = "of `cargo xtask test --full`"]
fn a_program_for_32_bit_processors_is_refused() -> Result<()> {
    refused(
        "tiny",
        Go::V1_27,
        Variant::Bits32,
        "only 64-bit x86-64 programs",
    )
}
