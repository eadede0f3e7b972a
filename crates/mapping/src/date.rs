//! Dates as the AWS command line prints them in captured records.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `2026-11-22T14:46:00+01:00` to seconds since 1970, rounded down.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let date = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(date.unix_timestamp()).ok()
}
