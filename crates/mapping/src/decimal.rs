//! Decimal numbers compared by value, whatever their spelling.

/// Sign, significant digits and exponent: equal values have equal ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// Whether two JSON numbers have the same value (`1`, `1.0` and `10E-1` have).
pub(crate) fn same_value(left: &str, right: &str) -> bool {
    left == right || normal(left).is_some_and(|normal_left| normal(right) == Some(normal_left))
}

/// The whole seconds of a TTL number; `None` where it is no number of seconds since 1970.
pub(crate) fn whole_seconds(number: &str) -> Option<u64> {
    let Decimal { negative: false, mut digits, exponent } = normal(number)? else {
        return None;
    };
    if digits.is_empty() {
        return Some(0);
    }
    if exponent < 0 {
        let cut = usize::try_from(-exponent).ok()?;
        let kept = digits.len().saturating_sub(cut);
        digits.truncate(kept);
        return if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    }
    let zeros = usize::try_from(exponent).ok().filter(|zeros| *zeros < 20)?;
    digits.push_str(&"0".repeat(zeros));
    digits.parse().ok()
}

impl Decimal {
    /// Of a JSON number. One whose exponent is out of all bounds equals its own text alone.
    pub(crate) fn of(number: &str) -> Decimal {
        normal(number).unwrap_or_else(|| Decimal { negative: false, digits: number.to_owned(), exponent: i64::MIN })
    }
}

fn normal(number: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (number, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return Some(Decimal { negative: false, digits: String::new(), exponent: 0 });
    }
    let trailing = i64::try_from(significant.len() - digits.len()).ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.checked_sub(fraction)?.checked_add(trailing)?;
    Some(Decimal { negative, digits: digits.to_owned(), exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_not_spellings() {
        for (left, right) in [("1", "1.0"), ("10E-1", "1"), ("1E+2", "100"), ("-0", "0"), ("0.10", "1e-1"), ("00", "0")]
        {
            assert!(same_value(left, right), "{left} {right}");
        }
        for (left, right) in [("1", "-1"), ("1", "10"), ("1.0000000000000000000000000000000000001", "1")] {
            assert!(!same_value(left, right), "{left} {right}");
        }
    }

    #[test]
    fn seconds_are_rounded_down() {
        for (number, seconds) in [
            ("1700000000", Some(1_700_000_000)),
            ("1.7E9", Some(1_700_000_000)),
            ("1700000000.9", Some(1_700_000_000)),
            ("0.5", Some(0)),
            ("0", Some(0)),
            ("-1", None),
            ("1E+125", None),
            ("99999999999999999999999999999999999999", None),
        ] {
            assert_eq!(whole_seconds(number), seconds, "{number}");
        }
    }
}
