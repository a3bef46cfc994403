//! Values as people write them: `500ms`, `1m30s`, `0.5%`, `off`.
//!
//! An error is what is wrong with the value, and after `; write ` what to write instead: the hint.

use std::time::Duration;

/// Longer runs are mistyped.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Reading the counters takes its time, too.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// How much the target may be slowed down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MaxOverhead {
    /// As much as tracing every operation takes.
    Off,
    /// By this share of its time, in percent.
    Percent(f64),
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const EXAMPLES: &str = "write a number and its unit, like 500ms, 10s, 2m or 1m30s";
    let duration =
        humantime::parse_duration(text).map_err(|error| format!("{error}; {EXAMPLES}"))?;
    if duration.is_zero() {
        return Err(format!("no time at all; {EXAMPLES}"));
    }
    if duration > LONGEST {
        return Err("more than a year; write a shorter time".to_owned());
    }
    Ok(duration)
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < SHORTEST_INTERVAL {
        let shortest = SHORTEST_INTERVAL.as_millis();
        return Err(format!("too short; write {shortest}ms or more"));
    }
    Ok(interval)
}

pub(super) fn max_overhead(text: &str) -> Result<MaxOverhead, String> {
    const EXAMPLES: &str = "no such share; write one from 0.1% to 100%, like 1% or 0.5%, or off";
    if text.eq_ignore_ascii_case("off") {
        return Ok(MaxOverhead::Off);
    }
    text.strip_suffix('%')
        .and_then(|number| number.trim_end().parse().ok())
        .filter(|percent| (0.1..=100.0).contains(percent))
        .map(MaxOverhead::Percent)
        .ok_or_else(|| EXAMPLES.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_people_write_them() {
        let cases = [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
        ];
        for (text, milliseconds) in cases {
            assert_eq!(
                duration(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn no_time_no_unit_and_endless_times_are_refused() {
        for text in [
            "",
            "0s",
            "0ms",
            "10",
            "-1s",
            "s",
            "1000y",
            "99999999999999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(interval("9ms").is_err());
        assert_eq!(interval("10ms"), Ok(Duration::from_millis(10)));
    }

    #[test]
    fn overheads_are_shares_or_off() {
        assert_eq!(max_overhead("off"), Ok(MaxOverhead::Off));
        assert_eq!(max_overhead("1%"), Ok(MaxOverhead::Percent(1.0)));
        assert_eq!(max_overhead("0.5%"), Ok(MaxOverhead::Percent(0.5)));
        assert_eq!(max_overhead("100%"), Ok(MaxOverhead::Percent(100.0)));
        for text in [
            "", "%", "1", "0%", "0.09%", "101%", "-1%", "NaN%", "inf%", "on",
        ] {
            assert!(max_overhead(text).is_err(), "{text}");
        }
    }
}
