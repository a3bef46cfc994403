//! What keys and reports do to the state.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::collection::vec;
use proptest::prelude::*;

use super::list::{List, Sort, Subject};
use super::{Effect, Event, MESSAGES, Scope, State, Tab};
use crate::dashboard::sample::{press, report, state};
use crate::report::model::{Counts, Report};
use crate::report::ranked::{self, Ranking};
use crate::report::sample::added;

fn letters(state: &mut State, keys: &str) -> Effect {
    let keys: Vec<_> = keys.chars().map(KeyCode::Char).collect();
    press(state, &keys)
}

fn control(state: &mut State, letter: char) -> Effect {
    let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
    state.update(Event::Key(key))
}

/// The names of the rows of all tables on the page.
fn names(state: &State) -> Vec<String> {
    let counts = &state.report().counts;
    let entries = state
        .tables()
        .iter()
        .flat_map(|table| table.entries(0, counts, state.choice.kind));
    entries.map(|row| row.label).collect()
}

fn marked(state: &State) -> String {
    names(state).swap_remove(state.marked())
}

/// The time that is shown, in milliseconds.
fn seconds(state: &State) -> u128 {
    std::time::Duration::from_secs_f64(state.report().seconds).as_millis()
}

fn next(state: &mut State, interval: Report, run: Report) {
    state.update(Event::Reports(Box::new((interval, run))));
}

#[test]
fn keys_outside_the_state_ask_for_what_they_say() {
    let mut state = state();
    assert_eq!(letters(&mut state, "q"), Effect::Quit);
    assert_eq!(letters(&mut state, "e"), Effect::Export);
    assert_eq!(control(&mut state, 'c'), Effect::Interrupt);
    assert_eq!(control(&mut state, 'z'), Effect::Suspend);
    assert_eq!(letters(&mut state, "?"), Effect::None);
    assert!(state.help);
    assert_eq!(
        letters(&mut state, "q"),
        Effect::None,
        "closes the help first"
    );
    assert!(!state.help);
}

#[test]
fn numbers_and_tab_lead_to_every_page_and_round() {
    let mut state = state();
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        letters(&mut state, &(index + 1).to_string());
        assert_eq!(state.tab(), tab);
    }
    press(&mut state, &[KeyCode::Tab]);
    assert_eq!(state.tab(), Tab::Overview);
    press(&mut state, &[KeyCode::BackTab]);
    assert_eq!(state.tab(), Tab::Target);
}

#[test]
fn a_table_is_sorted_by_each_column_and_round() {
    let mut state = state();
    letters(&mut state, "3");
    assert_eq!(
        names(&state),
        ["map[string]*main.Order", "map[int]bool", "type unknown"]
    );
    letters(&mut state, "S");
    assert_eq!(
        names(&state)[0],
        "type unknown",
        "the fewest excess probes first"
    );
    letters(&mut state, "ss");
    assert_eq!(
        (state.choice.sort, state.choice.reversed),
        (Sort::Number(ranked::Sort::Mean), false)
    );
    assert_eq!(
        names(&state),
        ["type unknown", "map[int]bool", "map[string]*main.Order"]
    );
    letters(&mut state, "sss");
    assert_eq!(state.choice.sort, Sort::Name);
    assert_eq!(
        names(&state),
        ["map[int]bool", "map[string]*main.Order", "type unknown"]
    );
}

#[test]
fn tables_begin_in_the_order_asked_for_with_as_many_rows_as_asked_for() {
    let mut first = report();
    first.ranking = Ranking {
        sort: Some(ranked::Sort::Mean),
        top: Some(2),
    };
    let mut state = State::new(first.clone());
    next(&mut state, first.clone(), first);
    letters(&mut state, "3");
    assert_eq!(names(&state), ["type unknown", "map[int]bool"]);
    assert_eq!((state.tables()[0].len(), state.tables()[0].all), (2, 3));
    letters(&mut state, "jjj");
    assert_eq!(marked(&state), "map[int]bool", "there is no third row");
    letters(&mut state, "sss");
    assert_eq!(state.choice.sort, Sort::Name);
    assert_eq!(names(&state), ["map[int]bool", "map[string]*main.Order"]);
}

#[test]
fn a_filter_narrows_the_table_as_it_is_written_and_escape_takes_it_back() {
    let mut state = state();
    letters(&mut state, "3/ORD");
    assert_eq!(names(&state), ["map[string]*main.Order"]);
    press(&mut state, &[KeyCode::Enter]);
    letters(&mut state, "/x");
    assert!(names(&state).is_empty());
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(state.choice.filter, "ORD", "what it was before");
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(names(&state).len(), 3);
    letters(&mut state, "5/cache.go");
    assert_eq!(names(&state).len(), 1, "files are searched too");
    letters(&mut state, "q?e");
    assert_eq!(state.choice.filter, "cache.goq?e", "keys are letters here");
}

#[test]
fn a_type_opens_to_its_maps_and_call_sites_and_those_open_too() {
    let mut state = state();
    letters(&mut state, "3");
    press(&mut state, &[KeyCode::Enter]);
    let tables = state.tables();
    let found: Vec<_> = tables
        .iter()
        .map(|table| (table.list, table.len()))
        .collect();
    assert_eq!(
        found,
        [(List::Maps, 1), (List::Sites, 1), (List::Stacks, 1)]
    );
    press(&mut state, &[KeyCode::Down]);
    assert_eq!(marked(&state), "main.(*Cache).Get cache.go:42");
    press(&mut state, &[KeyCode::Enter]);
    assert!(matches!(state.opened(), Some(Subject::Site(..))));
    assert_eq!(
        state.tables()[2].len(),
        1,
        "the stack that ends at this site"
    );
    press(&mut state, &[KeyCode::Esc]);
    assert_eq!(
        marked(&state),
        "main.(*Cache).Get cache.go:42",
        "back where one was"
    );
    press(&mut state, &[KeyCode::Esc, KeyCode::Esc]);
    assert!(state.opened().is_none());
}

#[test]
fn the_marked_row_is_followed_when_rows_move_and_its_place_kept_when_it_goes() {
    let mut state = state();
    letters(&mut state, "3j");
    assert_eq!(marked(&state), "map[int]bool");
    letters(&mut state, "sss");
    assert_eq!(marked(&state), "map[int]bool");
    let place = state.marked();
    let mut without = report();
    Arc::make_mut(&mut without.counts.by_type)
        .retain(|of| of.name.as_deref() != Some("map[int]bool"));
    next(&mut state, without.clone(), without);
    assert_eq!(state.marked(), place.min(1));
    press(&mut state, &[KeyCode::End]);
    next(
        &mut state,
        Report {
            counts: Counts::default(),
            ..report()
        },
        Report {
            counts: Counts::default(),
            ..report()
        },
    );
    assert_eq!(state.marked(), 0);
    press(&mut state, &[KeyCode::Enter, KeyCode::Down, KeyCode::Up]);
    assert!(state.opened().is_none(), "there is nothing to open");
}

#[test]
fn a_paused_display_stands_still_and_catches_up() {
    let mut state = state();
    letters(&mut state, "p");
    let mut run = report();
    run.seconds = 99.0;
    next(&mut state, report(), run);
    assert_eq!((state.is_paused(), seconds(&state)), (true, 10_000));
    letters(&mut state, " ");
    assert_eq!((state.is_paused(), seconds(&state)), (false, 99_000));
    assert_eq!(state.data().history.len(), 5, "nothing was missed");
}

#[test]
fn a_reset_starts_from_zero_and_can_be_taken_back() {
    let mut state = state();
    letters(&mut state, "r");
    assert_eq!(state.report().counts.operations.total(), 0);
    assert_eq!(state.data().history.len(), 0);
    let mut run = report();
    run.counts = added(&run.counts, &report().counts);
    run.seconds = 12.5;
    next(&mut state, report(), run.clone());
    assert_eq!(state.report().counts.operations, report().counts.operations);
    assert_eq!(seconds(&state), 2500);
    letters(&mut state, "R");
    assert_eq!(state.report().counts.operations, run.counts.operations);
}

#[test]
fn the_last_interval_alone_is_shown_on_request() {
    let mut state = state();
    letters(&mut state, "w");
    assert_eq!((state.scope, seconds(&state)), (Scope::Interval, 2500));
}

#[test]
fn the_end_of_the_target_shows_the_final_state_even_if_paused() {
    let mut state = state();
    letters(&mut state, "p");
    let mut run = report();
    run.seconds = 11.0;
    next(&mut state, report(), run);
    state.update(Event::TargetEnded);
    assert!(state.ended);
    assert_eq!(seconds(&state), 11_000);
    letters(&mut state, "pr");
    assert!(!state.is_paused(), "there is nothing to pause");
    assert!(
        state.report().counts.operations.total() > 0,
        "and nothing that would follow a reset"
    );
}

#[test]
fn what_was_said_is_kept_within_bounds_and_shown_until_the_next_key() {
    let mut state = state();
    for line in 0..MESSAGES + 5 {
        state.update(Event::Said(line.to_string()));
    }
    assert_eq!(state.messages.len(), MESSAGES);
    assert_eq!(state.messages.front().map(String::as_str), Some("5"));
    assert!(state.notice.is_some());
    letters(&mut state, "j");
    assert_eq!(state.notice, None);
    state.update(Event::Exported(Ok("map-probe-1-1.json".to_owned())));
    assert!(
        state
            .notice
            .as_deref()
            .is_some_and(|notice| notice.contains("map-probe-1-1.json"))
    );
}

pub(crate) fn any_key() -> impl Strategy<Value = KeyEvent> {
    let known = "qe?hl1234567jkgG/sSoOxbwpr R+-=zc"
        .chars()
        .map(KeyCode::Char);
    let others = [
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Backspace,
    ];
    let keys: Vec<_> = known.chain(others).collect();
    let code =
        prop_oneof![9 => prop::sample::select(keys), 1 => any::<char>().prop_map(KeyCode::Char)];
    let modifiers = prop_oneof![9 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL)];
    (code, modifiers).prop_map(|(code, modifiers)| KeyEvent::new(code, modifiers))
}

proptest! {
    #[test]
    fn any_keys_lead_to_a_state_with_a_row_marked_that_is_there(keys in vec(any_key(), 0..60)) {
        let mut state = state();
        for (number, key) in keys.into_iter().enumerate() {
            state.update(Event::Key(key));
            if number % 7 == 0 {
                next(&mut state, report(), report());
            }
            let rows = names(&state).len();
            prop_assert!(state.marked() < rows.max(1));
            prop_assert!(state.tab < Tab::ALL.len());
        }
    }
}
