//! Reads `Retry-After`, in any form that a server or proxy may write. Pure.

use std::time::{Duration, SystemTime};

/// What the server asks to wait, at `now`: seconds, whole or with a fraction, of any size, or an HTTP date (RFC 9110,
/// section 10.2.3). A date that has passed asks for nothing; `None` where the text is neither.
///
/// The value comes from the server, so the caller must limit it.
pub(crate) fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    seconds(text).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// More digits than a number has are as long as can be. A fraction is rounded up.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    let rounded_up = u64::from(fraction.bytes().any(|byte| byte != b'0'));
    Some(Duration::from_secs(whole.saturating_add(rounded_up)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_none_panics() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let rows = [
            (" 7 ", seconds(7)),
            ("0", seconds(0)),
            ("1.5", seconds(2)),
            ("2.0", seconds(2)),
            ("86400", seconds(86_400)),
            ("18446744073709551615", seconds(u64::MAX)),
            ("18446744073709551615.5", seconds(u64::MAX)),
            ("99999999999999999999999999", seconds(u64::MAX)),
            ("Wed, 21 Oct 2015 07:29:00 GMT", seconds(60)),
            ("Wednesday, 21-Oct-15 07:28:30 GMT", seconds(30)),
            ("Wed Oct 21 07:28:10 2015", seconds(10)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", seconds(0)),
            ("Wed, 99 Oct 2015 07:29:00 GMT", None),
            ("-1", None),
            ("+1", None),
            ("1e9", None),
            ("soon", None),
            ("", None),
            (".", None),
            ("1.", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text, now), expected, "{text}");
        }
        assert!(parse("Fri, 31 Dec 9999 23:59:59 GMT", now) > seconds(86_400));
    }
}
