use super::*;
use proptest::prelude::*;
use std::process::{Command, Stdio};

fn refused(pid: u32) -> TargetError {
    Process::open(pid).expect_err("cannot be probed")
}

#[test]
fn our_own_process_has_its_program_and_its_memory() {
    let process = Process::open(std::process::id()).expect("this process");
    let exe = std::env::current_exe().expect("known");
    assert_eq!(process.exe(), exe.to_string_lossy());
    let here = 0x0123_4567_89ab_cdef_u64;
    let mut read = [0; 8];
    assert!(process.read((&raw const here).addr() as u64, &mut read));
    assert_eq!(u64::from_le_bytes(read), here);
    assert!(!process.read(8, &mut read), "nothing is mapped there");
    assert!(!process.read(u64::MAX, &mut read));
    assert!(process.is_running());
}

#[test]
fn a_program_that_is_not_go_is_refused_through_its_process_too() {
    let process = Process::open(std::process::id()).expect("this process");
    let refused = process.binary().expect_err("not a Go program");
    assert!(matches!(refused, TargetError::NotGo { .. }), "{refused}");
}

#[test]
fn a_number_that_no_process_has_is_no_such_process() {
    for pid in [0, 4_194_305, u32::MAX] {
        let refused = refused(pid);
        assert!(
            matches!(refused, TargetError::NoSuchProcess { .. }),
            "{refused}"
        );
        assert_eq!(refused.exit_status(), 5);
    }
}

#[test]
fn a_process_that_ended_and_was_not_reaped_is_a_zombie() {
    let mut child = Command::new("true").spawn().expect("started");
    let pid = child.id();
    // Its output closes as it ends, its state follows shortly after.
    let is_zombie = || matches!(Process::open(pid), Err(TargetError::Zombie { .. }));
    let ended = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        is_zombie()
    });
    assert!(ended);
    child.wait().expect("reaped");
    assert!(matches!(refused(pid), TargetError::NoSuchProcess { .. }));
}

#[test]
fn a_process_that_ended_no_longer_runs() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .spawn()
        .expect("started");
    let process = Process::open(child.id()).expect("runs");
    assert!(process.is_running());
    drop(child.stdin.take());
    child.wait().expect("reaped");
    assert!(!process.is_running());
}

#[test]
fn a_thread_is_refused_with_the_number_of_its_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(nix::unistd::gettid()).expect("heard");
        stopped.recv().ok();
    });
    let tid = u32::try_from(told.recv().expect("told").as_raw()).expect("positive");
    let refused = refused(tid);
    assert!(
        matches!(refused, TargetError::Thread { leader, .. } if leader == std::process::id()),
        "{refused}"
    );
    drop(stop);
    thread.join().expect("ended");
}

#[test]
fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
    let text = b"4711 (a ) b) S 1 2 3 4 5 2097216 7 8 9 10 11 12 13 14 15 16 17 18 424242 20";
    let stat = Stat {
        state: b'S',
        flags: 0x0020_0040,
        start_time: 424_242,
    };
    assert_eq!(Stat::parse(text), Some(stat));
    assert_eq!(Stat::parse(b"4711 (a) S 1 2"), None);
    assert_eq!(Stat::parse(b""), None);
}

#[test]
fn the_entry_is_found_among_the_other_words_of_the_auxiliary_vector() {
    let words = [3, 64, AT_ENTRY, 0x5555_1234, 0, 0];
    let bytes: Vec<u8> = words
        .iter()
        .flat_map(|word: &u64| word.to_le_bytes())
        .collect();
    assert_eq!(auxv_entry(&bytes), Some(0x5555_1234));
    assert_eq!(auxv_entry(&bytes[..24]), None);
}

proptest! {
    #[test]
    fn any_text_is_a_stat_or_none(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(stat) = Stat::parse(&text) {
            prop_assert!(text.contains(&stat.state));
        }
    }
}
