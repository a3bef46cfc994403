//! The last page: the target, the functions that are and are not covered, small maps, and what was said.

use map_probe_common::op::Class;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::footer;
use super::look::Look;
use crate::dashboard::state::State;
use crate::report::counts::total;
use crate::report::text::numbers::{exact, share};
use crate::report::words;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let report = state.report();
    let target = &report.target;
    let fact = |label: &'static str, text: &str| {
        Line::from(vec![
            Span::styled(format!("{label:<13}"), Look::faint()),
            Span::raw(look.safe(text)),
        ])
    };
    let mut text = vec![
        fact("target", &format!("{} (pid {})", target.exe, target.pid)),
        fact(
            "go",
            &format!("{}, {} maps, {}", target.go, target.layout, target.arch),
        ),
    ];
    if let Some(assumed) = &target.assumed {
        text.push(fact("assumed", &words::assumed(&target.go, assumed)));
    }
    if target.untested {
        text.push(fact("untested", words::UNTESTED));
    }
    if let Some(fate) = target.ended {
        text.push(fact("ended", &words::ended(fate)));
    }
    for note in &target.notes {
        text.push(fact("note", note));
    }
    let (_, quality) = footer::quality(&state.data().whole);
    text.push(fact("quality", &quality));
    let small = report
        .counts
        .operations
        .of(Class::Small)
        .map(|((op, outcome, _), depths)| {
            format!(
                "{} {} {}",
                words::op(op),
                words::outcome(op, outcome),
                exact(total(depths))
            )
        });
    let small: Vec<_> = small.collect();
    let all = if report.small_counted {
        ""
    } else {
        " (not all: some end before they reach a probe)"
    };
    let small = if small.is_empty() {
        "none seen".to_owned()
    } else {
        small.join(", ")
    };
    text.push(fact("small maps", &format!("{small}{all}")));
    for row in report
        .counts
        .samples
        .iter()
        .flat_map(|samples| samples.met())
    {
        let total = report
            .counts
            .samples
            .as_ref()
            .map_or(0, |samples| samples.total);
        let (time, known) = (share(row.total(), total), share(row.walked, row.total()));
        let words = format!(
            "{}: {time} of the CPU time, depth of {known} known",
            row.function
        );
        text.push(fact("sampled", &words));
    }
    text.push(fact("covered", &target.covered.join(", ")));
    for (function, reason) in &target.not_covered {
        text.push(fact("not covered", &format!("{function}: {reason}")));
    }
    text.push(Line::default());
    text.push(Line::styled(
        "said since the start, the newest first",
        Look::faint(),
    ));
    if state.messages.is_empty() {
        text.push(Line::styled("  nothing", Look::faint()));
    }
    let said = state.messages.iter().rev();
    text.extend(said.map(|line| Line::raw(look.safe(&format!("  {line}")))));
    scrolled(frame, area, text, state.scroll);
}

/// Draws wrapped text from a line on, but never past its end.
pub(super) fn scrolled(frame: &mut Frame<'_>, area: Rect, text: Vec<Line<'_>>, from: usize) {
    let width = usize::from(area.width).max(1);
    // Words are never broken across more lines than this.
    let tall: usize = text
        .iter()
        .map(|line| line.width().div_ceil(width).max(1))
        .sum();
    let last = tall.saturating_sub(usize::from(area.height));
    let from = u16::try_from(from.min(last)).unwrap_or(u16::MAX);
    frame.render_widget(
        Paragraph::new(text)
            .wrap(Wrap { trim: false })
            .scroll((from, 0)),
        area,
    );
}
