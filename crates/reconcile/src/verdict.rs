//! The verdict on one document, compared with its item. Pure.

use serde::{Deserialize, Serialize};
use streamdex_mapping::expiry::is_expired;
use streamdex_mapping::{Address, same_json};
use streamdex_sink::read::StoredDocument;

use crate::expected::Expected;

/// What is true of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The document equals the item, or both are absent.
    InSync,
    /// It differs, and a change may be on its way.
    Pending,
    /// No route takes the item, and it has no document.
    Filtered,
    /// It differs, and a dead letter names the item.
    DeadLettered,
    /// There is a document, and no item.
    NotInTable,
    /// It differs, and the item is past its time to live: DynamoDB has not removed it yet.
    Expired,
    /// There is a document where the item's document does not belong: it belongs elsewhere, or nowhere.
    OtherAddress,
    /// It differs, and the index was made with other routes.
    Stale,
    /// There is no document, and the item gives one.
    Missing,
    /// The document is not what the item gives.
    Different,
    /// It could not be decided.
    Inconclusive,
}

/// How a document differs, for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It should be there.
    Missing,
    /// It should not be there.
    Extra,
    /// It should be another one.
    Different,
}

/// A document that was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// What is true of it.
    pub verdict: Verdict,
    /// How it differs, if it does.
    pub kind: Option<Kind>,
}

/// What else decides.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Facts {
    /// The server's time of the read, in seconds since 1970.
    pub(crate) now: u64,
    /// Whether a dead letter names the item.
    pub(crate) has_letter: bool,
    /// Whether the index was made with other routes.
    pub(crate) has_other_routes: bool,
}

/// Compares the document at `address` with what the item gives.
pub(crate) fn judge(
    address: Option<&Address>,
    expected: &Expected,
    stored: Option<&StoredDocument>,
    facts: Facts,
) -> Judged {
    let extra = |verdict| Judged { verdict, kind: Some(Kind::Extra) };
    let nothing = |verdict| Judged { verdict, kind: None };
    match (expected, stored) {
        (Expected::Document { address: here, text, .. }, Some(stored))
            if address == Some(here) && same_json(&stored.source, text) =>
        {
            nothing(Verdict::InSync)
        }
        (Expected::Document { address: here, expires, .. }, stored) if address == Some(here) => {
            let has_expired = expires.is_some_and(|expires| is_expired(expires, facts.now));
            let (kind, plain) = match stored {
                None => (Kind::Missing, Verdict::Missing),
                Some(_) if facts.has_other_routes => (Kind::Different, Verdict::Stale),
                Some(_) => (Kind::Different, Verdict::Different),
            };
            let verdict = match (facts.has_letter, has_expired) {
                (true, _) => Verdict::DeadLettered,
                (false, true) => Verdict::Expired,
                (false, false) => plain,
            };
            Judged { verdict, kind: Some(kind) }
        }
        (Expected::Document { .. } | Expected::Filtered, Some(_)) => extra(Verdict::OtherAddress),
        (Expected::Document { .. } | Expected::NoItem, None) => nothing(Verdict::InSync),
        (Expected::Filtered, None) => nothing(Verdict::Filtered),
        (Expected::NoItem, Some(_)) => extra(Verdict::NotInTable),
        (Expected::Refused { .. }, stored) => {
            let kind = if stored.is_some() { Kind::Different } else { Kind::Missing };
            let plain = if stored.is_some() { Verdict::Different } else { Verdict::Missing };
            Judged { verdict: if facts.has_letter { Verdict::DeadLettered } else { plain }, kind: Some(kind) }
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// The name in JSON and in lists.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::InSync => "in_sync",
            Verdict::Pending => "pending",
            Verdict::Filtered => "filtered",
            Verdict::DeadLettered => "dead_lettered",
            Verdict::NotInTable => "not_in_table",
            Verdict::Expired => "expired",
            Verdict::OtherAddress => "other_address",
            Verdict::Stale => "stale",
            Verdict::Missing => "missing",
            Verdict::Different => "different",
            Verdict::Inconclusive => "inconclusive",
        }
    }

    /// What may explain it, for people.
    pub fn reason(self) -> &'static str {
        match self {
            Verdict::InSync | Verdict::Filtered => "nothing differs",
            Verdict::Pending => "in flight",
            Verdict::DeadLettered => "a dead letter names the item",
            Verdict::Expired => "the item has expired, and DynamoDB has not removed it yet",
            Verdict::Stale => "the index was made with other routes",
            Verdict::NotInTable | Verdict::OtherAddress | Verdict::Missing | Verdict::Different => "unknown",
            Verdict::Inconclusive => "the check could not decide",
        }
    }
}

impl Judged {
    /// Nothing is to be done about it.
    pub fn is_fine(self) -> bool {
        self.kind.is_none()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use streamdex_mapping::{DocumentId, IndexName};

    use super::*;

    fn address(id: &str) -> Address {
        Address { index: IndexName::parse("i").unwrap(), id: DocumentId::parse(id).unwrap(), routing: None }
    }

    fn document(id: &str, expires: Option<u64>) -> Expected {
        Expected::Document { address: address(id), text: Bytes::from_static(b"{\"a\":1.0,\"b\":2}"), expires }
    }

    fn stored(source: &'static str) -> Option<StoredDocument> {
        Some(StoredDocument { version: 1, source: Bytes::from_static(source.as_bytes()) })
    }

    /// One row per verdict of a comparison.
    #[test]
    fn every_comparison_has_its_verdict() {
        let now = 1_700_000_000;
        let (plain, letter) = (Facts { now, ..Facts::default() }, Facts { now, has_letter: true, ..Facts::default() });
        let older = Facts { now, has_other_routes: true, ..Facts::default() };
        let same = r#"{"b":2, "a":1.0}"#;
        let other = r#"{"b":2,"a":1}"#;
        let refused = Expected::Refused { reason: "x" };
        let rows = [
            (document("a", None), stored(same), plain, Verdict::InSync, None),
            (document("a", None), stored(same), letter, Verdict::InSync, None),
            (document("a", None), stored(other), plain, Verdict::Different, Some(Kind::Different)),
            (document("a", None), stored(other), older, Verdict::Stale, Some(Kind::Different)),
            (document("a", None), stored(other), letter, Verdict::DeadLettered, Some(Kind::Different)),
            (document("a", None), None, plain, Verdict::Missing, Some(Kind::Missing)),
            (document("a", None), None, older, Verdict::Missing, Some(Kind::Missing)),
            (document("a", Some(now - 1)), None, plain, Verdict::Expired, Some(Kind::Missing)),
            (document("a", Some(now + 1)), None, plain, Verdict::Missing, Some(Kind::Missing)),
            (document("a", Some(now - 1)), None, letter, Verdict::DeadLettered, Some(Kind::Missing)),
            (document("b", None), stored(same), plain, Verdict::OtherAddress, Some(Kind::Extra)),
            (document("b", None), None, plain, Verdict::InSync, None),
            (Expected::Filtered, stored(same), plain, Verdict::OtherAddress, Some(Kind::Extra)),
            (Expected::Filtered, None, plain, Verdict::Filtered, None),
            (Expected::NoItem, stored(same), letter, Verdict::NotInTable, Some(Kind::Extra)),
            (Expected::NoItem, None, plain, Verdict::InSync, None),
            (refused.clone(), stored(same), plain, Verdict::Different, Some(Kind::Different)),
            (refused.clone(), None, plain, Verdict::Missing, Some(Kind::Missing)),
            (refused, None, letter, Verdict::DeadLettered, Some(Kind::Missing)),
        ];
        for (expected, found, facts, verdict, kind) in rows {
            let judged = judge(Some(&address("a")), &expected, found.as_ref(), facts);
            assert_eq!(judged, Judged { verdict, kind }, "{expected:?} {found:?}");
        }
    }
}
