//! Seconds since 1970: by the service's clock, which decides about versions and starts, and by this machine's.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_smithy_types::date_time::{DateTime, Format};

/// Seconds since 1970 at `time`; 0 for any time before.
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seconds since 1970 by this machine's clock.
pub fn now() -> u64 {
    unix_seconds(SystemTime::now())
}

/// A `Date` header, in seconds since 1970.
pub(crate) fn parse_date(text: &str) -> Option<u64> {
    let date = DateTime::from_str(text, Format::HttpDate).ok()?;
    u64::try_from(date.secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_read() {
        assert_eq!(parse_date("Sun, 22 Nov 2026 15:01:21 GMT"), Some(1_795_359_681));
        assert_eq!(parse_date("yesterday"), None);
    }
}
