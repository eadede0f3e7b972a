//! Decimal numbers compared by value, whatever their spelling.

use crate::json::is_number;

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
    let decimal = normal(number)?;
    if decimal.negative { None } else { decimal.shifted(0) }
}

/// A time in seconds or milliseconds since 1970, in whole milliseconds. What is below 100,000,000,000, which is the year
/// 5138 in seconds and March 1973 in milliseconds, counts as seconds; `None` where it is no number, or past all times.
pub(crate) fn milliseconds(number: &str) -> Option<String> {
    const SECONDS_DIGITS: usize = 11;
    const SECONDS_END: i64 = 100_000_000_000;
    const PLACES: i64 = 3;
    // Nearly all are whole and positive.
    match number.as_bytes() {
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit) => {
            return Some(if number.len() <= SECONDS_DIGITS { format!("{number}000") } else { number.to_owned() });
        }
        _ if !is_number(number) => return None,
        _ => {}
    }
    let decimal = normal(number)?;
    let whole = |places| i64::try_from(decimal.shifted(places)?).ok();
    let plain = whole(0)?;
    let time = if plain < SECONDS_END { whole(PLACES)? } else { plain };
    Some((if decimal.negative { -time } else { time }).to_string())
}

/// A number as DynamoDB writes it, in digits alone; `None` where it is none, or would have more than 38 of them.
pub(crate) fn plain(number: &str) -> Option<String> {
    const MOST_DIGITS: i64 = 38;
    let Decimal { negative, digits, exponent } = Some(number).filter(|number| is_number(number)).and_then(normal)?;
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    let length = i64::try_from(digits.len()).ok()?;
    if exponent.unsigned_abs() > MOST_DIGITS.unsigned_abs() || length + exponent.max(0) > MOST_DIGITS {
        return None;
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    let text = match length + exponent {
        _ if exponent >= 0 => digits + &zeros(exponent),
        whole @ 1.. => {
            let (whole, fraction) = digits.split_at(usize::try_from(whole).ok()?);
            format!("{whole}.{fraction}")
        }
        missing => format!("0.{}{digits}", zeros(-missing)),
    };
    Some(if negative { format!("-{text}") } else { text })
}

impl Decimal {
    /// Its amount times ten to the power of `places`, rounded down; `None` where it has more than 20 digits.
    fn shifted(&self, places: i64) -> Option<u64> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let exponent = self.exponent.checked_add(places)?;
        let mut digits = self.digits.clone();
        match usize::try_from(exponent) {
            Ok(zeros) if zeros < 20 => digits.push_str(&"0".repeat(zeros)),
            Ok(_) => return None,
            Err(_) => digits.truncate(digits.len().saturating_sub(usize::try_from(exponent.unsigned_abs()).ok()?)),
        }
        if digits.is_empty() { Some(0) } else { digits.parse().ok() }
    }

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
    fn times_are_told_by_their_size() {
        for (number, expected) in [
            ("1700000000", Some(1_700_000_000_000)),
            ("1700000000000", Some(1_700_000_000_000)),
            ("1700000000.1234", Some(1_700_000_000_123)),
            ("1700000000123.9", Some(1_700_000_000_123)),
            ("1.7E9", Some(1_700_000_000_000)),
            ("99999999999", Some(99_999_999_999_000)),
            ("100000000000", Some(100_000_000_000)),
            ("-86400.5", Some(-86_400_500)),
            ("0", Some(0)),
            ("0.0001", Some(0)),
            ("1E+30", None),
            ("2026-11-28", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(number), expected.map(|time: i64| time.to_string()), "{number}");
        }
    }

    #[test]
    fn numbers_are_written_as_dynamodb_writes_them() {
        for (number, expected) in [
            ("7.0", "7"),
            ("7e0", "7"),
            ("-70E-1", "-7"),
            ("1e3", "1000"),
            ("0.50", "0.5"),
            ("12.340", "12.34"),
            ("5e-3", "0.005"),
            ("-0", "0"),
        ] {
            assert_eq!(plain(number).as_deref(), Some(expected), "{number}");
        }
        assert_eq!((plain("1e100"), plain("x"), plain("1e-9223372036854775808")), (None, None, None));
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
