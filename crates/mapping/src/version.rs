//! External versions: the same number for the same change, whoever computes it (ADR 0001).

use std::fmt;

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
const READ_MARGIN_SECONDS: u64 = 90;
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

    /// Seconds since 1970.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

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
