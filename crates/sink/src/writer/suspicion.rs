//! Finds the malformed operation in a request that was refused whole, by sending its parts. Pure.
//!
//! OpenSearch does not say which operation it cannot parse. So the operations are sent again in halves, and a half
//! that is refused is divided further, until one operation is refused alone.

use crate::classify::TooMuch;
use crate::client::BodyEncoding;

/// Whether an operation was part of a request that was refused whole, and with how many others it may be
/// sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspicion {
    pub(super) company: usize,
    pub(super) of: Suspect,
    /// It was refused while its index was braked; refused once more after the brake, it is at fault.
    pub(super) braked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspect {
    /// Nothing.
    Nothing,
    /// The request's compression: sent once more without.
    Encoding,
    /// One of its operations.
    Operation,
}

/// What becomes of the operations of a request that must be divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Division {
    /// There is one operation, and it is at fault.
    Alone,
    /// They are sent again, under this suspicion.
    Parts(Suspicion),
}

/// Divides a request with this many operations, at least one.
pub(super) fn divide(why: TooMuch, encoding: BodyEncoding, operations: usize) -> Division {
    let half = operations.div_ceil(2);
    match why {
        TooMuch::Malformed if encoding == BodyEncoding::Gzip => {
            Division::Parts(Suspicion { company: operations, of: Suspect::Encoding, braked: false })
        }
        _ if operations == 1 => Division::Alone,
        TooMuch::Malformed => Division::Parts(Suspicion { company: half, of: Suspect::Operation, braked: false }),
        TooMuch::Bytes => Division::Parts(Suspicion { company: half, of: Suspect::Nothing, braked: false }),
    }
}

impl Suspicion {
    pub(super) const NONE: Suspicion = Suspicion { company: usize::MAX, of: Suspect::Nothing, braked: false };

    /// Takes over what a later request has shown. Too many bytes do not clear of an earlier suspicion.
    pub(super) fn narrow(&mut self, later: Suspicion) {
        self.company = later.company;
        if later.of != Suspect::Nothing {
            self.of = later.of;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use BodyEncoding::{Gzip, Identity};

    #[test]
    fn requests_are_halved_and_first_sent_without_compression() {
        let parts = |company, of| Division::Parts(Suspicion { company, of, braked: false });
        let rows = [
            (TooMuch::Malformed, Gzip, 9, parts(9, Suspect::Encoding)),
            (TooMuch::Malformed, Gzip, 1, parts(1, Suspect::Encoding)),
            (TooMuch::Malformed, Identity, 9, parts(5, Suspect::Operation)),
            (TooMuch::Malformed, Identity, 2, parts(1, Suspect::Operation)),
            (TooMuch::Malformed, Identity, 1, Division::Alone),
            (TooMuch::Bytes, Gzip, 9, parts(5, Suspect::Nothing)),
            (TooMuch::Bytes, Gzip, 1, Division::Alone),
            (TooMuch::Bytes, Identity, 3, parts(2, Suspect::Nothing)),
        ];
        for (why, encoding, operations, expected) in rows {
            assert_eq!(divide(why, encoding, operations), expected, "{why:?} {encoding:?} {operations}");
        }
    }

    #[test]
    fn too_many_bytes_do_not_clear_of_a_suspicion() {
        let of = |company, of| Suspicion { company, of, braked: false };
        let mut suspicion = Suspicion { braked: true, ..of(8, Suspect::Operation) };
        suspicion.narrow(of(4, Suspect::Nothing));
        assert_eq!(suspicion, Suspicion { braked: true, ..of(4, Suspect::Operation) });
        suspicion.narrow(of(4, Suspect::Encoding));
        assert_eq!(suspicion.of, Suspect::Encoding);
    }
}
