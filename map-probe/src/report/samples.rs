//! Samples of CPU time: how many met the process, and in which map functions.

/// The samples of a window of time. What was walked of them is in the rows of [`super::counts::Counts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// How often each CPU is looked at, a second.
    pub frequency: u32,
    /// All samples of the process: its CPU time.
    pub total: u64,
    /// Those in the kernel.
    pub kernel: u64,
    /// By map function.
    pub functions: Vec<FunctionRow>,
}

/// The samples of one map function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRow {
    /// Its symbol.
    pub function: String,
    /// In its own code.
    pub inside: u64,
    /// In functions that it called: hashing, comparing, growing.
    pub below: u64,
    /// Of both: those whose operation was walked.
    pub walked: u64,
}

impl FunctionRow {
    /// All samples in operations of the function.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.inside.saturating_add(self.below)
    }

    fn of(&self, combine: impl Fn(u64, fn(&Self) -> u64) -> u64) -> Self {
        Self {
            function: self.function.clone(),
            inside: combine(self.inside, |row| row.inside),
            below: combine(self.below, |row| row.below),
            walked: combine(self.walked, |row| row.walked),
        }
    }
}

impl Samples {
    /// Those taken after `earlier`, an older reading of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let functions = self.functions.iter().map(|row| {
            let before = earlier
                .functions
                .iter()
                .find(|before| before.function == row.function);
            row.of(|now, field| now.saturating_sub(before.map_or(0, field)))
        });
        Self {
            total: self.total.saturating_sub(earlier.total),
            kernel: self.kernel.saturating_sub(earlier.kernel),
            functions: functions.collect(),
            ..self.clone()
        }
    }

    /// These and `earlier` ones together.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        self.total = self.total.saturating_add(earlier.total);
        self.kernel = self.kernel.saturating_add(earlier.kernel);
        for before in &earlier.functions {
            let same = |row: &&mut FunctionRow| row.function == before.function;
            match self.functions.iter_mut().find(same) {
                Some(row) => *row = row.of(|now, field| now.saturating_add(field(before))),
                None => self.functions.push(before.clone()),
            }
        }
        self
    }

    /// Samples in the code of map functions.
    #[must_use]
    pub fn in_map_functions(&self) -> u64 {
        self.functions.iter().map(|row| row.inside).sum()
    }

    /// Samples in functions that map functions called.
    #[must_use]
    pub fn in_callees(&self) -> u64 {
        self.functions.iter().map(|row| row.below).sum()
    }

    /// Samples whose operation was walked.
    #[must_use]
    pub fn walked(&self) -> u64 {
        self.functions.iter().map(|row| row.walked).sum()
    }

    /// Samples in operations whose depth is not known.
    #[must_use]
    pub fn depth_unknown(&self) -> u64 {
        (self.in_map_functions() + self.in_callees()).saturating_sub(self.walked())
    }

    /// The functions that were met, most samples first.
    #[must_use]
    pub fn met(&self) -> Vec<&FunctionRow> {
        let mut met: Vec<_> = self
            .functions
            .iter()
            .filter(|row| row.total() > 0)
            .collect();
        met.sort_by_key(|row| std::cmp::Reverse(row.total()));
        met
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(function: &str, inside: u64, below: u64, walked: u64) -> FunctionRow {
        FunctionRow {
            function: function.to_owned(),
            inside,
            below,
            walked,
        }
    }

    #[test]
    fn an_interval_is_the_difference_of_two_readings_function_by_function() {
        let earlier = Samples {
            total: 100,
            kernel: 10,
            functions: vec![row("a", 20, 5, 22), row("b", 1, 0, 0)],
            frequency: 999,
        };
        let later = Samples {
            frequency: 999,
            total: 150,
            kernel: 11,
            functions: vec![row("a", 25, 5, 27), row("b", 9, 3, 4)],
        };
        let interval = later.since(&earlier);
        assert_eq!(
            (interval.total, interval.kernel, interval.frequency),
            (50, 1, 999)
        );
        assert_eq!(interval.functions, [row("a", 5, 0, 5), row("b", 8, 3, 4)]);
        assert_eq!(interval.in_map_functions(), 13);
        assert_eq!(interval.in_callees(), 3);
        assert_eq!(interval.depth_unknown(), 7);
        let met: Vec<_> = interval
            .met()
            .iter()
            .map(|row| row.function.clone())
            .collect();
        assert_eq!(met, ["b", "a"]);
    }
}
