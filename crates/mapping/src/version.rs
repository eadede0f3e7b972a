//! External versions: the same number for the same change, whoever computes it (ADR 0001).

use std::fmt;

use crate::date;

/// The external version of one write: `seconds since 1970 (32 bits) << 31 | position mod 2^31`.
///
/// Never negative as an `i64`, and good until 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalVersion(u64);

/// A change's `ApproximateCreationDateTime`, in whole seconds since 1970, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CreationTime(u32);

/// A DynamoDB sequence number: a decimal integer of any length, compared as an integer.
#[derive(Debug, Clone)]
pub struct SequenceNumber(Box<str>);

/// Why a text is no sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sequence number is a text of decimal digits")]
pub struct SequenceNumberError;

const POSITION_BITS: u32 = 31;
const POSITION_MASK: u128 = (1 << POSITION_BITS) - 1;
/// A read is dated this much earlier, because creation times are rounded down, by some engines to the
/// minute, and a change after the read must never look older than it.
pub const READ_MARGIN_SECONDS: u64 = 90;
/// The low part of a sequence number has exactly 20 digits.
const LOW_PART: u128 = 100_000_000_000_000_000_000;
/// Longer numbers are an emulator's own format, and have no position.
const LONGEST_SEQUENCE: usize = 40;

// === impl ExternalVersion ===

impl ExternalVersion {
    /// The version of a change: its creation time, then its position in the partition.
    pub fn of_change(created: CreationTime, sequence: Option<&SequenceNumber>) -> ExternalVersion {
        let position = sequence.map_or(0, SequenceNumber::position);
        ExternalVersion::pack(created.0, position)
    }

    /// The version of an item read at `date`, the server's `Date` header in seconds since 1970.
    pub fn of_read(date: u64) -> ExternalVersion {
        let seconds = u32::try_from(date.saturating_sub(READ_MARGIN_SECONDS)).unwrap_or(u32::MAX);
        ExternalVersion::pack(seconds, 0)
    }

    /// A version that was sent before, as one in a stored dead letter; `None` where it is above 2^63 - 1.
    pub fn of_stored(version: u64) -> Option<ExternalVersion> {
        i64::try_from(version).is_ok().then_some(ExternalVersion(version))
    }

    /// The second of a stored version, since 1970. A document that something else wrote can have any version.
    pub fn second_of(version: u64) -> u64 {
        version >> POSITION_BITS
    }

    fn pack(seconds: u32, position: u128) -> ExternalVersion {
        let low = u64::try_from(position & POSITION_MASK).unwrap_or(0);
        ExternalVersion((u64::from(seconds) << POSITION_BITS) | low)
    }

    /// The number that is sent: 0 to 2^63 - 1.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ExternalVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl CreationTime ===

impl CreationTime {
    /// From whole seconds since 1970.
    pub fn from_seconds(seconds: u32) -> CreationTime {
        CreationTime(seconds)
    }

    /// Reads a count since 1970 whose size shows its unit: seconds, milliseconds or microseconds.
    ///
    /// `None` where no unit gives a time between 1970 and 2106.
    pub fn from_count(count: u64) -> Option<CreationTime> {
        let seconds = match count {
            SECONDS_FROM..=SECONDS_TO => count,
            MILLISECONDS_FROM..MICROSECONDS_FROM => count / 1_000,
            MICROSECONDS_FROM..=MICROSECONDS_TO => count / 1_000_000,
            _ => return None,
        };
        u32::try_from(seconds).ok().map(CreationTime)
    }

    /// From the text of a number (`1700000000`, `1.7E9`, `1700000000.25`, `1700000000000`) or of a
    /// date (`2026-11-22T14:46:00Z`, as the AWS command line prints it), rounded down.
    pub fn parse(text: &str) -> Option<CreationTime> {
        let text = text.trim();
        if let Ok(count) = text.parse() {
            return CreationTime::from_count(count);
        }
        let fraction = text.split_once('.').filter(|(_, digits)| digits.bytes().all(|b| b.is_ascii_digit()));
        if let Some((whole, _)) = fraction {
            return CreationTime::from_count(whole.parse().ok()?);
        }
        if text.contains(':') {
            return date::parse(text).and_then(CreationTime::from_count);
        }
        let exponent: f64 = text.parse().ok()?;
        // Formatting a floored float is exact, and needs no lossy cast.
        format!("{:.0}", exponent.floor()).parse().ok().and_then(CreationTime::from_count)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

const SECONDS_FROM: u64 = 1;
const SECONDS_TO: u64 = 0xffff_ffff;
/// 10^11 ms is March 1973, long before DynamoDB; as seconds it would be the year 5138.
const MILLISECONDS_FROM: u64 = 100_000_000_000;
const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
const MICROSECONDS_TO: u64 = 99_999_999_999_999_999;

// === impl SequenceNumber ===

impl SequenceNumber {
    /// Checks that `text` is a run of decimal digits.
    ///
    /// # Errors
    /// It is empty or holds anything else.
    pub fn parse(text: &str) -> Result<SequenceNumber, SequenceNumberError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SequenceNumberError);
        }
        Ok(SequenceNumber(text.into()))
    }

    /// The digits as they were delivered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `self div 10^20`, or the number itself where that is 0; 0 past 40 digits.
    ///
    /// The high part grows by one per change of a partition; the low part has exactly 20 digits.
    fn position(&self) -> u128 {
        let digits = self.significant();
        if digits.len() > LONGEST_SEQUENCE {
            return 0;
        }
        // 40 digits do not fit into 128 bits, so the low part is cut off as text.
        match digits.len().checked_sub(20).filter(|high| *high > 0) {
            Some(high) => digits.get(..high).and_then(|text| text.parse().ok()).unwrap_or(0),
            None => digits.parse().unwrap_or(0) % LOW_PART,
        }
    }

    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &SequenceNumber) -> std::cmp::Ordering {
        let (left, right) = (self.significant(), other.significant());
        left.len().cmp(&right.len()).then_with(|| left.cmp(right))
    }
}

impl PartialEq for SequenceNumber {
    fn eq(&self, other: &SequenceNumber) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for SequenceNumber {}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &SequenceNumber) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sequence(text: &str) -> SequenceNumber {
        SequenceNumber::parse(text).unwrap()
    }

    #[test]
    fn positions_of_real_and_emulated_sequence_numbers() {
        let table = [
            ("000000000000000000499", 499),                       // a counter with leading zeros
            ("123456712345678901234567890", 1_234_567),           // 7 + 20 digits
            ("112345678901234567890", 1),                         // 1 + 20 digits
            ("99999999999999999999", 99_999_999_999_999_999_999), // 20 digits: no high part
            (&"9".repeat(40), 99_999_999_999_999_999_999),
            (&"9".repeat(41), 0),
        ];
        for (text, position) in table {
            assert_eq!(sequence(text).position(), position, "{text}");
        }
    }

    #[test]
    fn sequence_numbers_compare_as_integers() {
        assert!(sequence("9") < sequence("10"));
        assert!(sequence("0009") < sequence("10"));
        assert_eq!(sequence("0010"), sequence("10"));
        assert!(SequenceNumber::parse("").is_err() && SequenceNumber::parse("1a").is_err());
    }

    #[test]
    fn creation_times_in_every_form_seen_in_the_wild() {
        let same = [
            "1700000000",
            "1700000000.999",
            "1.7E9",
            "1.7e+9",
            "1700000000123",
            "1700000000123456",
            "2023-11-14T22:13:20Z",
            "2023-11-14T23:13:20.5+01:00",
        ];
        for text in same {
            assert_eq!(CreationTime::parse(text), Some(CreationTime(1_700_000_000)), "{text}");
        }
        for unusable in
            ["", "x", "0", "-5", "NaN", "1e400", "99999999999", "170000000000000000000", "2023-13-14T22:13:20Z"]
        {
            assert_eq!(CreationTime::parse(unusable), None, "{unusable}");
        }
    }

    #[test]
    fn a_read_stands_90_seconds_early() {
        assert_eq!(ExternalVersion::of_read(1_000).get(), 910 << 31);
        assert_eq!(ExternalVersion::of_read(5).get(), 0);
    }

    proptest! {
        /// Time leads; inside a second the high part of the sequence number does, as long as no
        /// multiple of 2^31 lies between the two.
        #[test]
        fn versions_grow_with_time_and_position(
            seconds in 1u32.., later in 0u32..1000, base in 0u64..1_000_000_000, steps in 0u64..(1 << 31),
        ) {
            let low = "12345678901234567890";
            let block = base << 31;
            let first = sequence(&format!("{}{low}", block + 1));
            let next = sequence(&format!("{}{low}", block + steps.max(1)));
            let time = CreationTime(seconds);
            let after = CreationTime(seconds.saturating_add(later));
            let version = ExternalVersion::of_change(time, Some(&first));
            prop_assert!(ExternalVersion::of_change(time, Some(&next)) >= version);
            prop_assert!(ExternalVersion::of_change(after, Some(&next)) >= version);
            prop_assert!(i64::try_from(version.get()).is_ok());
            if after > time {
                prop_assert!(ExternalVersion::of_change(after, None) > version);
            }
        }
    }
}
