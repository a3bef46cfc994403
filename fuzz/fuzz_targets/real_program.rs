//! Real Go programs, patched where the parsers look: which program (one byte), then over and over which part of it
//! (one byte), where in it (four bytes), how many bytes (one), and those bytes.
#![no_main]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::sync::LazyLock;

use map_probe::target::fuzzing;

struct Program {
    bytes: Vec<u8>,
    /// The same, in memory that is a file.
    file: File,
    parts: Vec<(u64, u64)>,
}

/// Those in the folder that `MAP_PROBE_FUZZ_PROGRAMS` names.
static PROGRAMS: LazyLock<Vec<Program>> = LazyLock::new(|| {
    let dir = std::env::var_os("MAP_PROBE_FUZZ_PROGRAMS").expect("run by `cargo xtask fuzz`");
    let mut paths: Vec<_> = fs::read_dir(dir)
        .expect("a folder of Go programs")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no Go programs");
    paths
        .iter()
        .map(|path| {
            let bytes = fs::read(path).expect("readable");
            let file = fuzzing::file(&bytes);
            assert!(fuzzing::whole(again(&file)), "{}", path.display());
            let parts = fuzzing::parts(again(&file));
            Program { bytes, file, parts }
        })
        .collect()
});

fn again(file: &File) -> File {
    file.try_clone().expect("a second descriptor")
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, mut patches)) = bytes.split_first() else {
        return;
    };
    let program = &PROGRAMS[usize::from(*which) % PROGRAMS.len()];
    let mut patched = Vec::new();
    while let [part, a, b, c, d, len, rest @ ..] = patches {
        let (part, len_of_part) = program.parts[usize::from(*part) % program.parts.len()];
        let offset = part + u64::from(u32::from_le_bytes([*a, *b, *c, *d])) % len_of_part.max(1);
        let (patch, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        let at = usize::try_from(offset).expect("64 bits");
        let left = program.bytes.len() - at;
        let patch = &patch[..patch.len().min(left)];
        program.file.write_all_at(patch, offset).expect("written");
        patched.push(at..at + patch.len());
        patches = rest;
    }
    let _ = fuzzing::whole(again(&program.file));
    for range in patched {
        let (offset, bytes) = (range.start as u64, &program.bytes[range]);
        program.file.write_all_at(bytes, offset).expect("written");
    }
});
