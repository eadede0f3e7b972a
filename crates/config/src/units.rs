//! Byte sizes (`"5MiB"`) and durations (`"60s"`).

use std::time::Duration;

/// Reads a whole number of bytes: `5242880`, `512KiB`, `5MiB`, `1GiB`, or decimal `kB`, `MB`, `GB`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    scaled(number, factor)
}

/// Reads a duration: `500ms`, `60s`, `5m`, `1h`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    scaled(number, milliseconds).map(Duration::from_millis)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number, unit.trim_start()))
}

/// `number * factor`, rounded down.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(parts / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let rows = [
            ("0", 0),
            ("12", 12),
            ("12B", 12),
            ("5MiB", 5 << 20),
            ("9.5MiB", 9_961_472),
            ("1 KiB", 1024),
            ("2kB", 2000),
        ];
        for (text, expected) in rows {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for bad in ["", "MiB", "5mib", "5 M", "-1", "1.MiB", "99999999999999999999", "99999999999GiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations() {
        let rows = [("500ms", 500), ("60s", 60_000), ("1.5s", 1500), ("5m", 300_000), ("1h", 3_600_000)];
        for (text, expected) in rows {
            assert_eq!(duration(text), Some(Duration::from_millis(expected)), "{text}");
        }
        for bad in ["60", "", "s", "1d", "-1s"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
