//! The one table that all measurements go into.

use super::stats::Series;
use crate::process::print;

/// What a row's figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// One cost over another.
    Ratio,
    /// Milliseconds.
    Milliseconds,
    /// Percent.
    Percent,
    /// Megabytes (1e6 bytes).
    Megabytes,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    name: String,
    unit: Unit,
    values: Series,
    limit: Option<f64>,
    aim: Option<f64>,
    detail: Option<String>,
    absent: Option<String>,
}

impl Row {
    /// A row of these measurements.
    pub(super) fn new(name: impl Into<String>, unit: Unit, values: Series) -> Self {
        Self {
            name: name.into(),
            unit,
            values,
            limit: None,
            aim: None,
            detail: None,
            absent: None,
        }
    }

    /// A row that cannot be measured here, and why.
    pub(super) fn absent(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            absent: Some(why.into()),
            ..Self::new(name, Unit::Ratio, Series::default())
        }
    }

    /// The median may be at most this.
    pub(super) fn limit(mut self, limit: f64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What it should become.
    pub(super) fn aim(mut self, aim: f64) -> Self {
        self.aim = Some(aim);
        self
    }

    /// What the figures come from: a line below.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Whether the median is over its limit.
    pub(super) fn is_over(&self) -> bool {
        match (self.values.median(), self.limit) {
            (Some(median), Some(limit)) => median > limit,
            _ => false,
        }
    }

    /// Whether there is a limit and nothing to hold against it.
    pub(super) fn is_missing(&self) -> bool {
        self.absent.is_none() && self.values.median().is_none()
    }

    fn verdict(&self) -> &'static str {
        match (self.limit, self.aim, self.values.median()) {
            _ if self.is_missing() => "NONE",
            (Some(_), ..) if self.is_over() => "OVER",
            (Some(_), Some(aim), Some(median)) if median > aim => "ok, above aim",
            (None, Some(aim), Some(median)) if median > aim => "above aim",
            (Some(_), ..) | (None, Some(_), _) => "ok",
            (None, None, _) => "",
        }
    }

    /// The line, and the details below it.
    fn text(&self) -> String {
        let Self { name, .. } = self;
        if let Some(why) = &self.absent {
            return format!("{name:<WIDE$} not measured: {why}");
        }
        let unit = match self.unit {
            Unit::Ratio => "×",
            Unit::Milliseconds => "ms",
            Unit::Percent => "%",
            Unit::Megabytes => "MB",
        };
        let cells = self.values.cells(2);
        let limit = match (self.limit, self.aim) {
            (Some(limit), Some(aim)) => format!("{limit} (aim {aim})"),
            (Some(limit), None) => limit.to_string(),
            (None, Some(aim)) => format!("(aim {aim})"),
            (None, None) => "printed".to_owned(),
        };
        let line = format!(
            "{name:<WIDE$} {cells} {unit:<2} {limit:>14}  {}",
            self.verdict()
        );
        let mut text = line.trim_end().to_owned();
        if let Some(detail) = &self.detail {
            text += "\n    ";
            text += detail;
        }
        text
    }

    /// Prints it.
    pub(super) fn print(&self) {
        print(&self.text());
    }
}

/// Columns of the names.
const WIDE: usize = 68;

/// Prints what stands above the columns.
pub(super) fn print_head() {
    let cells = format!("{:>10} {:>10} {:>10}", "median", "smallest", "largest");
    print(&format!("\n{:<WIDE$} {cells}    {:>14}", "row", "limit"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> Row {
        let mut series = Series::default();
        for value in values {
            series.push(*value);
        }
        Row::new("a row", Unit::Ratio, series)
    }

    #[test]
    fn the_median_decides_whether_a_row_is_over_its_limit() {
        assert!(row(&[1.0, 1.6, 9.0]).limit(1.5).is_over());
        assert!(!row(&[1.0, 1.5, 9.0]).limit(1.5).is_over());
        assert!(!row(&[9.0]).is_over());
        assert_eq!(row(&[1.4]).limit(1.5).aim(1.3).verdict(), "ok, above aim");
        assert_eq!(row(&[1.2]).limit(1.5).aim(1.3).verdict(), "ok");
    }

    #[test]
    fn a_row_without_measurements_is_no_pass() {
        assert!(row(&[]).limit(1.0).is_missing());
        assert_eq!(row(&[]).limit(1.0).verdict(), "NONE");
        let absent = Row::absent("a row", "no such program");
        assert!(!absent.is_missing());
        assert!(absent.text().ends_with("not measured: no such program"));
    }

    #[test]
    fn a_line_has_the_median_the_spread_the_limit_and_the_verdict() {
        let text = row(&[1.0, 2.0, 4.0])
            .limit(1.5)
            .detail("of 3 rounds")
            .text();
        let words: Vec<_> = text.split_whitespace().collect();
        let expected = [
            "a", "row", "2.00", "1.00", "4.00", "×", "1.5", "OVER", "of", "3", "rounds",
        ];
        assert_eq!(words, expected);
    }
}
