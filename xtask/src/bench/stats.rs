//! The little statistics that the measurements need.

/// Repeated measurements of one thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    /// Adds a measurement; one that is not a finite number is a bug of the caller's.
    pub(super) fn push(&mut self, value: f64) {
        debug_assert!(value.is_finite(), "{value}");
        self.0.push(value);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle value, or the mean of the two in the middle; none of an empty series.
    pub(super) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(sorted[middle]),
            _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
        }
    }

    /// The smallest and the largest value.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let smallest = self.0.iter().copied().min_by(f64::total_cmp)?;
        let largest = self.0.iter().copied().max_by(f64::total_cmp)?;
        Some((smallest, largest))
    }

    /// A table's cells: median, smallest, largest, with this many decimals.
    pub(super) fn cells(&self, decimals: usize) -> String {
        match (self.median(), self.range()) {
            (Some(median), Some((low, high))) => {
                format!("{median:>10.decimals$} {low:>10.decimals$} {high:>10.decimals$}")
            }
            _ => format!("{:>10} {:>10} {:>10}", "-", "-", "-"),
        }
    }
}

/// How often the cost of `empty` the cost of `full` is, both over `base`; none if `empty` costs nothing measurable.
pub(super) fn ratio(base: f64, empty: f64, full: f64) -> Option<f64> {
    let added = empty - base;
    (added > 0.0).then(|| (full - base) / added)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let mut series = Series::default();
        for value in values {
            series.push(*value);
        }
        series
    }

    #[test]
    fn the_median_of_an_odd_number_of_values_is_the_middle_one() {
        assert_eq!(series(&[9.0, 1.0, 5.0]).median(), Some(5.0));
    }

    #[test]
    fn the_median_of_an_even_number_of_values_is_the_mean_of_the_two_in_the_middle() {
        assert_eq!(series(&[4.0, 1.0, 100.0, 2.0]).median(), Some(3.0));
    }

    #[test]
    fn nothing_has_no_median_and_no_range() {
        assert_eq!(series(&[]).median(), None);
        assert_eq!(series(&[]).range(), None);
    }

    #[test]
    fn the_range_is_from_the_smallest_to_the_largest() {
        assert_eq!(series(&[4.0, 1.0, 3.0]).range(), Some((1.0, 4.0)));
    }

    #[test]
    fn the_ratio_is_of_added_costs_not_of_total_ones() {
        assert_eq!(ratio(10.0, 510.0, 760.0), Some(1.5));
    }

    #[test]
    fn there_is_no_ratio_to_a_program_that_costs_nothing() {
        assert_eq!(ratio(10.0, 10.0, 760.0), None);
        assert_eq!(ratio(10.0, 9.0, 760.0), None);
    }
}
