use super::*;
use crate::target::testing::{self, Types, go_program};
use proptest::prelude::*;

fn open(bytes: &[u8]) -> Result<Image, TargetError> {
    Image::open(testing::file(bytes), "app".into())
}

fn program() -> Vec<u8> {
    go_program("go1.23.9", &Types::new(testing::TYPES))
}

/// What is wrong with the program when its bytes at `offset` are replaced.
fn refused_with(offset: usize, bytes: &[u8]) -> String {
    let mut program = program();
    program[offset..offset + bytes.len()].copy_from_slice(bytes);
    open(&program).expect_err("refused").to_string()
}

#[test]
fn a_program_is_read_by_its_linked_addresses() {
    let exe = File::open("/proc/self/exe").expect("our own program");
    let image = Image::open(exe, "self".into()).expect("an x86-64 ELF");
    let text = image.section(".text").expect("has code");
    let mut by_address = [0; 32];
    assert!(image.read(text.start, &mut by_address));
    let offset = image.file_offset(text.start).expect("in the file");
    let mut by_offset = [0; 32];
    let exe = File::open("/proc/self/exe").expect("our own program");
    exe.read_exact_at(&mut by_offset, offset)
        .expect("in the file");
    assert_eq!(by_address, by_offset);
    assert!(image.segment_of(text.start).expect("loaded").executable);
    assert!(text.contains(&image.entry()));
}

#[test]
fn nothing_is_read_across_the_end_of_a_segment() {
    let image = open(&program()).expect("a program");
    let end = image.segments()[0].addresses.end;
    assert!(image.read(end - 8, &mut [0; 8]));
    assert!(!image.read(end - 8, &mut [0; 9]));
    assert!(image.region(&(end - 8..end + 1), 100).is_none());
    assert!(image.region(&(end - 8..u64::MAX), usize::MAX).is_none());
    assert!(!image.read(0, &mut [0]));
    assert_eq!(image.file_offset(0x1000), None);
}

#[test]
fn programs_for_other_machines_are_refused_by_name() {
    assert!(refused_with(4, &[1]).contains("a 32-bit ELF for x86-64"));
    assert!(refused_with(18, &[183, 0]).contains("a 64-bit ELF for aarch64"));
    assert!(refused_with(5, &[2]).contains("a 64-bit big-endian ELF"));
    assert!(refused_with(18, &[0xff, 0xff]).contains("machine 65535"));
    assert!(refused_with(16, &[1]).contains("an object file"));
    assert!(refused_with(16, &[4]).contains("a core dump"));
}

#[test]
fn what_is_no_elf_file_is_refused_by_what_it_is() {
    let found = |bytes: &[u8]| open(bytes).expect_err("refused").to_string();
    assert!(found(b"").contains("empty"));
    assert!(found(b"#!/bin/sh\n").contains("a script"));
    assert!(found(b"hello, world, how are you?").contains("not an ELF program"));
    let directory = File::open("/").expect("the root directory");
    let refused = Image::open(directory, "/".into()).expect_err("refused");
    assert!(refused.to_string().contains("a directory"));
    assert_eq!(refused.exit_status(), 3);
}

#[test]
fn a_program_cut_anywhere_is_refused_as_truncated() {
    let program = program();
    for len in (4..program.len()).step_by(61) {
        let refused = open(&program[..len]).expect_err("cut");
        assert!(
            matches!(refused, TargetError::Damaged { .. }),
            "{len}: {refused}"
        );
    }
}

#[test]
fn a_file_that_shrinks_after_it_was_opened_is_an_unreadable_address_and_no_signal() {
    let file = testing::file(&program());
    let handle = file.try_clone().expect("another handle");
    let image = Image::open(file, "app".into()).expect("a program");
    handle.set_len(0x100).expect("truncated");
    assert!(!image.read(testing::TEXT, &mut [0; 8]));
}

#[test]
fn a_scan_finds_what_lies_across_the_border_of_its_blocks() {
    let mut program = program();
    // The second segment, made larger than a block.
    let len = 2 * BLOCK as u64;
    program[64 + 56 + 32..64 + 56 + 40].copy_from_slice(&len.to_le_bytes());
    program.resize(0x6000 + 2 * BLOCK, 0);
    let at = 0x6000 + BLOCK - 8;
    program[at..at + 16].copy_from_slice(b"sixteen letters!");
    let image = open(&program).expect("a program");
    let range = image.segments()[1].addresses.clone();
    let mut seen = 0_usize;
    let found = image.scan(&range, 8, 16, |address, bytes| {
        seen += 1;
        match bytes {
            b"sixteen letters!" => ControlFlow::Break(address),
            _ => ControlFlow::Continue(()),
        }
    });
    assert_eq!(found, Some(range.start + BLOCK as u64 - 8));
    assert_eq!(seen, BLOCK / 8, "every place is looked at once");
}

#[test]
fn segments_that_overlap_are_refused() {
    let second = 64 + 56;
    // Its address is now within the first one's.
    let refused = refused_with(second + 16, &0x40_5fff_u64.to_le_bytes());
    assert!(refused.contains("its segments overlap"), "{refused}");
}

#[test]
fn no_section_name_is_kept_that_is_longer_than_those_of_go() {
    let mut program = program();
    let (names, table) = (program.len() as u64, program.len() as u64 + (1 << 20));
    program.resize(table as usize, b'x');
    // As many sections as there can be, all with the name that is a megabyte long, but for one.
    let count = 0xff00_u16;
    for index in 0..count {
        let mut section = [0_u8; 64];
        let name = if index == 7 { (1_u32 << 20) - 5 } else { 0 };
        section[..4].copy_from_slice(&name.to_le_bytes());
        section[4] = 1;
        section[8] = 2;
        let (offset, len) = if index == 0 {
            (names, 1_u64 << 20)
        } else {
            (0, 0)
        };
        section[24..32].copy_from_slice(&offset.to_le_bytes());
        section[32..40].copy_from_slice(&len.to_le_bytes());
        program.extend(section);
    }
    let end = table as usize;
    program[end - 5..end].copy_from_slice(b".text");
    program[40..48].copy_from_slice(&table.to_le_bytes());
    program[60..62].copy_from_slice(&count.to_le_bytes());
    let image = open(&program).expect("a program");
    assert_eq!(image.headers.sections.len(), 1);
    assert_eq!(image.section(".text"), Some(0..0));
}

#[test]
fn a_file_is_not_searched_without_end() {
    let image = open(&program()).expect("a program");
    let range = image.segments()[0].addresses.clone();
    let search = || {
        let mut seen = 0;
        let _: Option<()> = image.scan(&range, 8, 16, |_, _| {
            seen += 1;
            ControlFlow::Continue(())
        });
        seen
    };
    assert!(search() > 0);
    image.searchable.store(100, Relaxed);
    assert_eq!(search(), 0);
    assert!(!image.search(range.start, &mut [0; 101]));
    assert!(image.search(range.start, &mut [0; 100]));
}

proptest! {
    #[test]
    fn any_change_to_the_headers_ends_in_an_image_or_an_error(
        changes in proptest::collection::vec((0_usize..176, any::<u8>()), 1..6),
        address in any::<u64>(),
    ) {
        let mut program = program();
        for (offset, byte) in changes {
            program[offset] = byte;
        }
        if let Ok(image) = open(&program) {
            for segment in image.segments() {
                prop_assert!(segment.offset <= program.len() as u64);
                prop_assert!(segment.addresses.start < segment.addresses.end);
            }
            let _ = image.region(&(address..address.saturating_add(64)), 64);
        }
    }

    #[test]
    fn any_bytes_at_all_are_no_program(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&bytes).is_err());
    }
}
