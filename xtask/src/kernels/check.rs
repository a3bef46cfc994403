//! What is checked in a machine: commands that it runs, and what their output has to be.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::oracle::Truth;
use map_probe_tests::report::Report;

use super::guest::Output;

/// Where the report of a check begins in what it printed; the target's own words come before.
const REPORT: &str = "@@@ report";

/// map-probe's exit status on kernels that lack something.
const NOT_PERMITTED: i32 = 4;

/// One check.
pub(super) struct Check {
    go: Go,
    fixture: PathBuf,
    how: How,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Every operation is counted, and every count is the oracle's.
    Exact,
    /// Operations are counted in windows; there are no more than there were.
    Windows,
    /// The CPUs are sampled.
    Sample,
    /// It is killed within windows, and nothing is left in the target.
    Killed,
}

/// Kills map-probe within windows of a target that checks itself, some of them while it ends; then the target says how many bytes of its
/// code are not as in its file.
const KILLS: &str = "mkfifo /tmp/in; $program < /tmp/in > /tmp/out & pid=$!; exec 3> /tmp/in
until grep -q ready /tmp/out; do sleep 0.1; done
attached=0
for pause in 0.1 0.3 0.5 0.7 0.2 0.4; do
    map-probe --max-overhead 40% --pid $pid > /dev/null 2> /tmp/said & probe=$!
    until grep -q ^attached /tmp/said || ! kill -0 $probe 2> /dev/null; do sleep 0.1; done
    if grep -q ^attached /tmp/said; then attached=$((attached + 1)); fi
    sleep $pause
    case $pause in *[24]) kill -INT $probe; sleep 0.05;; esac
    kill -KILL $probe; wait $probe
done
echo text 60s >&3; echo check >&3; exec 3>&-; wait $pid; status=$?
cat /tmp/out /tmp/said; echo attached $attached; echo leaks $(dmesg | grep -c 'leaking uprobe')
rm -f /tmp/in /tmp/out /tmp/said; exit $status";

/// All checks: each for the newest version of each family of maps.
pub(super) fn all() -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    for how in [How::Exact, How::Windows, How::Sample, How::Killed] {
        for go in [Go::V1_23, Go::V1_27] {
            checks.push(Check {
                go,
                fixture: go::fixture(how.fixture(), go, Variant::Plain)?,
                how,
            });
        }
    }
    Ok(checks)
}

impl How {
    /// The program that is probed.
    fn fixture(self) -> &'static str {
        match self {
            Self::Killed => "selfcheck",
            _ => "oracle",
        }
    }
}

impl Check {
    /// As the table calls it.
    pub(super) fn name(&self) -> String {
        let how = match self.how {
            How::Exact => "exact",
            How::Windows => "windows",
            How::Sample => "sample",
            How::Killed => "killed",
        };
        format!("{how}, Go {}", self.go.version())
    }

    /// The program that it probes, and its name in the machine.
    pub(super) fn program(&self) -> (&Path, String) {
        let name = format!("{}-{}", self.how.fixture(), self.go.version());
        (&self.fixture, name)
    }

    /// What runs in the machine, as a shell script.
    pub(super) fn commands(&self) -> String {
        let (_, program) = self.program();
        let options = match self.how {
            How::Killed => return format!("program={program}\n{KILLS}"),
            How::Exact => "--max-overhead off",
            // Emulation is slow: each window costs much, and in a few seconds there shall be some.
            How::Windows => "--max-overhead 40%",
            How::Sample => "--mode sample --frequency 499",
        };
        // Fewer maps and call sites: the serial line is slow. Of types there are less than that.
        format!(
            "map-probe {options} --top 60 --format json --output /tmp/report -- {program} -n 300; status=$?; echo; \
             echo '{REPORT}'; sed 's/^ *//' /tmp/report | tr -d '\\n'; rm -f /tmp/report; exit $status"
        )
    }

    /// What came of it, in a few words.
    pub(super) fn judge(&self, output: &Output) -> Result<String> {
        let status = output.status.context("it did not end")?;
        if self.how == How::Killed {
            return killed(status, &output.text);
        }
        let (said, report) = output.text.split_once(REPORT).context("it did not end")?;
        if status == NOT_PERMITTED && said.contains("too old") {
            return Ok("refused: too old".to_owned());
        }
        if status != 0 {
            bail!("exit status {status}: {}", said.trim());
        }
        let report = Report::parse(report.trim())?;
        let truth = Truth::find(said)?;
        truth.expect_go(self.go)?;
        match self.how {
            How::Exact => {
                truth.expect_equal(&report)?;
                report.expect_complete()?;
                Ok(format!(
                    "{} operations, all equal",
                    truth.table_operations()
                ))
            }
            How::Windows => {
                let seen = no_more_than_there_were(&truth, &report)?;
                let windows = report.json["cost"]["windows"].as_u64().unwrap_or(0);
                ensure!(
                    seen > 0 && windows > 0,
                    "{seen} operations seen in {windows} windows"
                );
                Ok(format!("{seen} operations in {windows} windows"))
            }
            How::Sample => {
                let samples = &report.json["samples"];
                let total = samples["total"].as_u64().context("no samples")?;
                ensure!(total > 0, "no samples");
                Ok(format!("{total} samples"))
            }
            How::Killed => bail!("it has no report"),
        }
    }
}

/// What a target says after the kills.
fn killed(status: i32, text: &str) -> Result<String> {
    if text.contains("too old") {
        return Ok("refused: too old".to_owned());
    }
    ensure!(
        status == 0,
        "the target ended with {status}: {}",
        text.trim()
    );
    let number = |name: &str| -> Result<u64> {
        // What map-probe says may begin with the same word.
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let number = lines.find_map(|line| line.trim().parse().ok());
        number.with_context(|| format!("no {name}in {text:?}"))
    };
    let (changed, leaks, kills) = (number("text ")?, number("leaks ")?, number("attached ")?);
    ensure!(
        changed == 0 && leaks == 0,
        "{changed} bytes of its code stay changed, {leaks} warnings of the kernel"
    );
    ensure!(kills > 0, "never attached: {text:?}");
    // Nothing is wrong with its maps.
    number("ok ")?;
    Ok(format!("{kills} kills, nothing left"))
}

/// How many operations on tables a report has; an error if it has more than there were.
fn no_more_than_there_were(truth: &Truth, report: &Report) -> Result<u64> {
    let mut all = 0;
    for (kind, histogram) in &report.operations {
        if kind.class != "table" {
            continue;
        }
        let there = truth.types.values().filter_map(|rows| rows.get(kind));
        let there: u64 = there.flat_map(|histogram| histogram.values()).sum();
        let seen: u64 = histogram.values().sum();
        ensure!(
            seen <= there,
            "{seen} of {kind:?}, of which there were {there}"
        );
        all += seen;
    }
    Ok(all)
}

/// Of a longer text.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .replace('|', "/")
        .chars()
        .take(100)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_map_probe_leaves_is_a_failure() {
        let said = |changed: u64, leaks: u64| {
            format!("ready 9\ntext {changed}\nok 1200\nattached 6\nleaks {leaks}\n")
        };
        assert_eq!(
            killed(0, &said(0, 0)).expect("clean"),
            "6 kills, nothing left"
        );
        assert!(killed(0, &said(3, 0)).is_err());
        assert!(killed(0, &said(0, 1)).is_err());
        assert!(killed(3, &said(0, 0)).is_err());
    }
}
