//! Numbers as people read them, never rounded to something that is not true.

/// `1,234,567`.
pub(crate) fn exact(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `exact`, or `compact` where that takes more than `columns`.
pub(crate) fn exact_in(number: u64, columns: usize) -> String {
    let text = exact(number);
    if text.len() > columns {
        compact(number as f64)
    } else {
        text
    }
}

/// Three significant digits: `0.25`, `7.5`, `123`, `1.23k`, `45.6M`.
pub(crate) fn compact(number: f64) -> String {
    let mut scaled = number;
    let mut units = ["", "k", "M", "G", "T", "P", "E"].into_iter();
    let mut unit = units.next().unwrap_or("");
    // What would be rounded up to 1000 is 1.00 of the next unit.
    while scaled >= 999.5 {
        let Some(next) = units.next() else { break };
        scaled /= 1000.0;
        unit = next;
    }
    let decimals = match scaled {
        _ if unit.is_empty() && scaled.fract() == 0.0 => 0,
        _ if scaled < 9.995 => 2,
        _ if scaled < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$}{unit}")
}

/// A mean depth: two decimals while that fits.
pub(crate) fn mean(depth: f64) -> String {
    if depth < 1000.0 {
        format!("{depth:.2}")
    } else {
        compact(depth)
    }
}

/// `12.3%`; `100%` and `0%` only when it is all or nothing.
pub(crate) fn share(part: u64, all: u64) -> String {
    if part == 0 {
        return "0%".to_owned();
    }
    if part >= all {
        return "100%".to_owned();
    }
    let percent = part as f64 * 100.0 / all as f64;
    if percent < 0.1 {
        "<0.1%".to_owned()
    } else if percent >= 99.95 {
        ">99.9%".to_owned()
    } else {
        format!("{percent:.1}%")
    }
}

/// A share of 1 as a percentage, with at most two significant decimals: `0.95%`, `1%`, `12.3%`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = match percent {
        percent if percent < 1.0 => 2,
        percent if percent < 100.0 => 1,
        _ => 0,
    };
    if percent > 0.0 && percent < 0.005 {
        return "<0.01%".to_owned();
    }
    let text = format!("{percent:.decimals$}");
    let text = match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.'),
        None => &text,
    };
    format!("{text}%")
}

/// Seconds, with as many decimals as a window of that length needs: `10.0`, `0.25`, `0.050`.
pub(crate) fn seconds(seconds: f64, window: f64) -> String {
    let decimals = match window {
        window if window < 0.1 => 3,
        window if window < 1.0 => 2,
        _ => 1,
    };
    format!("{seconds:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1000, 1_234_567, u64::MAX].map(exact);
        assert_eq!(
            texts,
            [
                "0",
                "999",
                "1,000",
                "1,234,567",
                "18,446,744,073,709,551,615"
            ]
        );
        assert_eq!(exact_in(u64::MAX, 14), "18.4E");
    }

    #[test]
    fn compact_numbers_have_three_significant_digits_at_most() {
        let texts = [
            0.0,
            0.25,
            7.5,
            42.0,
            999.4,
            999.6,
            1234.0,
            45_600_000.0,
            999_999.0,
        ]
        .map(compact);
        assert_eq!(
            texts,
            [
                "0", "0.25", "7.50", "42", "999", "1.00k", "1.23k", "45.6M", "1.00M"
            ]
        );
    }

    #[test]
    fn percentages_have_the_decimals_they_need() {
        let shares = [0.0, 0.000_01, 0.001, 0.0095, 0.01, 0.123_4, 1.0, 12.5];
        assert_eq!(
            shares.map(percent),
            [
                "0%", "<0.01%", "0.1%", "0.95%", "1%", "12.3%", "100%", "1250%"
            ]
        );
    }

    #[test]
    fn shares_are_all_or_nothing_only_when_they_are() {
        assert_eq!(share(0, 10), "0%");
        assert_eq!(share(10, 10), "100%");
        assert_eq!(share(1, 1_000_000), "<0.1%");
        assert_eq!(share(999_999, 1_000_000), ">99.9%");
        assert_eq!(share(9994, 10_000), "99.9%");
        assert_eq!(share(1, 3), "33.3%");
    }
}
