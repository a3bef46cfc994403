//! Screens of fixed sizes on a fixed state, and any screen of any state.

use crossterm::event::KeyCode::{self, Char, Enter};
use proptest::collection::vec;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::{Look, draw};
use crate::dashboard::sample;
use crate::dashboard::state::tests::any_key;
use crate::dashboard::state::{Event, State};
use crate::report::model::{Counts, Fate, Mode, Samples};
use crate::report::sample::estimates;
use crate::report::text;

const PLAIN: Look = Look {
    colour: false,
    unicode: true,
};

fn drawn(state: &State, (width, height): (u16, u16), look: Look) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal
        .draw(|frame| draw(frame, state, look))
        .expect("drawn");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width).max(1));
    let line = |row: &[Cell]| row.iter().map(Cell::symbol).collect::<String>();
    let lines: Vec<_> = rows.map(|row| line(row).trim_end().to_owned()).collect();
    lines.join("\n")
}

fn screen_of(state: &State, size: (u16, u16)) -> String {
    text(&drawn(state, size, PLAIN))
}

/// The sample's screen after some keys.
fn screen(keys: &[KeyCode], size: (u16, u16)) -> String {
    let mut state = sample::state();
    sample::press(&mut state, keys);
    screen_of(&state, size)
}

/// Compares with a screen in a file beside this one; `UPDATE_SCREENS=1` writes it anew.
fn expect_screen(name: &str, screen: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/dashboard/view/screens")
        .join(name);
    let screen = format!("{screen}\n");
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::write(&path, &screen).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("a screen to compare with");
    assert!(
        expected == screen,
        "{name} should be\n{expected}\nbut is\n{screen}"
    );
}

#[test]
fn every_page_on_80_by_24() {
    for (name, keys) in [
        ("overview", vec![]),
        ("overview-exact", vec![Char('x'), Char('b'), Char('o')]),
        ("time", vec![Char('2')]),
        ("types", vec![Char('3')]),
        ("maps", vec![Char('4')]),
        ("sites", vec![Char('5')]),
        ("stacks", vec![Char('6')]),
        ("target", vec![Char('7')]),
        ("opened-type", vec![Char('3'), Enter]),
        ("opened-map", vec![Char('4'), Enter]),
        ("opened-site", vec![Char('5'), Enter]),
        ("help", vec![Char('?')]),
    ] {
        expect_screen(&format!("{name}.txt"), &screen(&keys, (80, 24)));
    }
}

#[test]
fn the_overview_of_a_large_screen_has_time_types_and_call_sites_too() {
    expect_screen("overview-200x60.txt", &screen(&[], (200, 60)));
}

#[test]
fn a_screen_too_small_for_pages_still_says_what_counts() {
    let expected =
        "1.23M ops LIVE\nmean 1.06 max 40\np50 1 p99 2\ncounts incomplete\nenlarge me; q quits";
    assert_eq!(screen(&[], (20, 5)), expected);
}

#[test]
fn quality_and_cost_are_on_every_page() {
    for page in '1'..='7' {
        for keys in [
            vec![Char(page)],
            vec![Char(page), Enter],
            vec![Char(page), Char('?')],
        ] {
            let screen = screen(&keys, (80, 24));
            assert!(
                screen.contains("quality 6 in no row: 3 faults, 2 torn, 1 truncated"),
                "{screen}"
            );
            assert!(
                screen.contains("cost    slowdown 0.83% (bound 1%)"),
                "{screen}"
            );
        }
    }
}

#[test]
fn without_colours_there_are_none_and_every_page_says_the_same() {
    let colour = Look {
        colour: true,
        ..PLAIN
    };
    for page in '1'..='7' {
        let mut state = sample::state();
        sample::press(&mut state, &[Char(page)]);
        let (plain, coloured) = (
            drawn(&state, (80, 24), PLAIN),
            drawn(&state, (80, 24), colour),
        );
        let is_plain = |cell: &Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(plain.content.iter().all(is_plain));
        assert!(!coloured.content.iter().all(is_plain));
        assert_eq!(text(&plain), text(&coloured));
    }
}

#[test]
fn the_marked_row_is_seen_without_colours() {
    let mut state = sample::state();
    sample::press(&mut state, &[Char('3'), Char('j')]);
    let buffer = drawn(&state, (80, 24), PLAIN);
    let row = &buffer.content[5 * 80..6 * 80];
    assert!(
        row.iter()
            .all(|cell| cell.modifier.contains(Modifier::REVERSED))
    );
    assert!(text(&buffer).contains("\n▸ map[int]bool"));
}

#[test]
fn ascii_is_enough() {
    let ascii = Look {
        colour: false,
        unicode: false,
    };
    for page in '1'..='7' {
        for keys in [vec![Char(page)], vec![Char(page), Enter], vec![Char('?')]] {
            let mut state = sample::state();
            sample::press(&mut state, &keys);
            let screen = text(&drawn(&state, (200, 60), ascii));
            assert!(screen.is_ascii(), "{screen}");
        }
    }
}

#[test]
fn a_target_that_has_ended_is_said_in_the_first_line() {
    let mut state = sample::state();
    state.update(Event::TargetEnded);
    let screen = screen_of(&state, (80, 24));
    assert!(
        screen
            .lines()
            .next()
            .is_some_and(|line| line.ends_with("TARGET ENDED")),
        "{screen}"
    );
    sample::press(&mut state, &[]);
    assert!(screen_of(&state, (20, 5)).starts_with("1.23M ops ENDED"));
}

#[test]
fn how_a_command_ended_is_said_in_the_first_line_and_on_the_targets_page() {
    for (fate, word, words) in [
        (Fate::Status(3), "ENDED, STATUS 3", "with status 3"),
        (
            Fate::Signal(11),
            "ENDED, SIGNAL 11",
            "by signal 11 (SIGSEGV)",
        ),
        (Fate::Status(0), "TARGET ENDED", "with status 0"),
    ] {
        let mut state = sample::state();
        let mut run = state.report().clone();
        run.target.ended = Some(fate);
        state.update(Event::Reports(Box::new((run.clone(), run))));
        state.update(Event::TargetEnded);
        sample::press(&mut state, &[KeyCode::Char('7')]);
        let screen = screen_of(&state, (80, 24));
        let first = screen.lines().next().unwrap_or_default();
        assert!(first.ends_with(word), "{screen}");
        assert!(
            screen.contains(&format!("ended        {words}")),
            "{screen}"
        );
    }
}

#[test]
fn tables_that_are_empty_say_why() {
    let mut state = sample::state();
    let mut report = sample::report();
    report.counts = Counts {
        operations: report.counts.operations,
        ..Counts::default()
    };
    report.cost = None;
    state.update(Event::Reports(Box::new((report.clone(), report))));
    for (page, words) in [
        ('3', "no operations on tables in this time"),
        ('4', "maps were not told apart in this run"),
        ('5', "call sites were not told apart in this run"),
        ('6', "recorded only when asked for"),
    ] {
        sample::press(&mut state, &[Char(page)]);
        let screen = screen_of(&state, (80, 24));
        assert!(screen.contains(words), "{screen}");
        assert!(
            screen.contains("cost    not measured in this run"),
            "{screen}"
        );
    }
}

#[test]
fn samples_are_shown_as_shares() {
    let mut state = sample::state();
    let mut report = sample::report();
    report.mode = Mode::Sample;
    report.counts.samples = Some(Samples {
        frequency: 999,
        total: 12_000_000,
        ..Samples::default()
    });
    state.update(Event::Reports(Box::new((report.clone(), report))));
    sample::press(&mut state, &[Char('3')]);
    let screen = screen_of(&state, (80, 24));
    assert!(screen.contains("samples of CPU time"), "{screen}");
    assert!(screen.contains(" samples  of CPU "), "{screen}");
    assert!(screen.contains("10.0%"), "{screen}");
    let words = "1,234,643 samples in maps of 12,000,000, 999 Hz";
    assert!(screen.contains(words), "{screen}");
}

#[test]
fn windows_of_time_are_said() {
    let mut state = sample::state();
    let mut report = sample::report();
    report.attached_seconds = 0.25;
    report.counts.quality = crate::report::model::Quality::default();
    report.target.not_covered.clear();
    state.update(Event::Reports(Box::new((report.clone(), report))));
    let screen = screen_of(&state, (120, 30));
    assert!(
        screen.contains("counted exactly in 2.5% of the time"),
        "{screen}"
    );
    assert!(screen.contains("12 windows"), "{screen}");
}

#[test]
fn where_only_windows_were_seen_quantiles_are_shown_with_their_intervals() {
    let mut state = sample::state();
    let mut report = sample::report();
    report.counts.estimates = Some(estimates());
    report.attached_seconds = 0.1;
    report.until_seconds = 12.5;
    state.update(Event::Reports(Box::new((report.clone(), report))));
    expect_screen("overview-windows.txt", &screen_of(&state, (80, 24)));
    expect_screen("overview-windows-200x60.txt", &screen_of(&state, (200, 60)));
    assert!(screen_of(&state, (20, 5)).contains("p50 1 p99 2–3"));
    sample::press(&mut state, &[Char('4')]);
    let screen = screen_of(&state, (80, 24));
    assert!(screen.contains("as seen in windows"), "{screen}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_report_is_drawn_on_any_screen_and_nothing_in_it_steers_the_terminal(
        reports in vec((text::tests::any_report(), text::tests::any_report()), 0..4),
        keys in vec(any_key(), 0..12),
        size in (0..220_u16, 0..70_u16),
        unicode in any::<bool>(),
        sampled in any::<bool>(),
    ) {
        let mut state = sample::state();
        let (first, last) = keys.split_at(keys.len() / 2);
        for key in first {
            state.update(Event::Key(*key));
        }
        for (mut interval, mut run) in reports {
            if sampled {
                (interval.mode, run.mode) = (Mode::Sample, Mode::Sample);
            }
            state.update(Event::Reports(Box::new((interval, run))));
        }
        for key in last {
            state.update(Event::Key(*key));
        }
        let buffer = drawn(&state, size, Look { colour: true, unicode });
        let symbols = || buffer.content.iter().flat_map(|cell| cell.symbol().chars());
        prop_assert!(!symbols().any(char::is_control));
        prop_assert!(unicode || symbols().all(|symbol| symbol.is_ascii()));
    }
}
