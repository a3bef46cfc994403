//! What came of it all, by kind of event.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::event::Event;

/// Figures of one kind of event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How often it was brought about.
    pub injected: u64,
    /// Targets that died or found something wrong with themselves, and children of theirs.
    pub targets: u64,
    /// Bytes of targets' code that stayed different from the file.
    pub text: u64,
    /// Warnings `leaking uprobe` in the kernel's log, where nobody killed the guard.
    pub warnings: u64,
    /// The same where somebody did: a call of the guard's was interrupted, and the kernel says so, whatever is done about it then. No
    /// failure, as long as no byte of the text stays changed.
    pub interrupted: u64,
    /// Links that were left in the kernel.
    pub links: u64,
    /// Programs and tables that were left in the kernel, and definitions in tracefs.
    pub objects: u64,
    /// Processes of map-probe's that were left, or did not end in time.
    pub processes: u64,
    /// Reports that were due, and did not come; or statuses that say otherwise.
    pub lost: u64,
    /// Reports that contradict themselves.
    pub inconsistent: u64,
}

impl Figures {
    /// The columns of the table, but the first two.
    const HEAD: [&'static str; 8] = [
        "target failures",
        "bytes of text",
        "leaking uprobe",
        "links",
        "programs, maps",
        "processes",
        "reports lost",
        "inconsistent",
    ];

    fn failures(self) -> [u64; 8] {
        [
            self.targets,
            self.text,
            self.warnings,
            self.links,
            self.objects,
            self.processes,
            self.lost,
            self.inconsistent,
        ]
    }

    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self.failures() == [0; 8]
    }

    fn add(&mut self, other: Self) {
        self.injected += other.injected;
        self.targets += other.targets;
        self.text += other.text;
        self.warnings += other.warnings;
        self.interrupted += other.interrupted;
        self.links += other.links;
        self.objects += other.objects;
        self.processes += other.processes;
        self.lost += other.lost;
        self.inconsistent += other.inconsistent;
    }
}

/// All figures, and what there is to say about them.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<Event, Figures>,
    /// A line for each thing that went wrong.
    pub failures: Vec<String>,
    /// A line for each thing that could not be tried.
    pub not_tried: Vec<String>,
}

impl Table {
    /// Takes in what came of an event.
    pub fn add(&mut self, event: Event, figures: Figures) {
        self.rows.entry(event).or_default().add(figures);
    }

    /// The sum of all rows.
    #[must_use]
    pub fn total(&self) -> Figures {
        let mut total = Figures::default();
        for figures in self.rows.values() {
            total.add(*figures);
        }
        total
    }

    /// As text, in Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let head = Figures::HEAD.join(" | ");
        let mut text = format!("| event | injected | {head} | (leaking uprobe, guard killed) |\n");
        text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        let rows = self.rows.iter().map(|(event, row)| (event.name(), *row));
        for (name, figures) in rows.chain([("all", self.total())]) {
            let cells = figures.failures().map(|number| number.to_string());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} |",
                figures.injected,
                cells.join(" | "),
                figures.interrupted
            );
        }
        for line in &self.not_tried {
            let _ = writeln!(text, "not tried: {line}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_an_event_are_added_up_and_shown() {
        let mut table = Table::default();
        let one = Figures {
            injected: 1,
            text: 3,
            ..Figures::default()
        };
        table.add(Event::Kill, one);
        table.add(Event::Kill, one);
        table.add(
            Event::Fork,
            Figures {
                injected: 1,
                ..Figures::default()
            },
        );
        assert!(!table.total().is_clean());
        let text = table.text();
        assert!(text.contains("| kill | 2 | 0 | 6 |"), "{text}");
        assert!(text.contains("| all | 3 | 0 | 6 |"), "{text}");
    }
}
