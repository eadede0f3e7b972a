//! The findings of a verification.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::suspect::Suspect;
use crate::verdict::{Judged, Kind, Verdict};

/// The findings of a verification.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Items that were compared.
    pub checked: u64,
    /// Documents that items give and that are not there.
    pub missing: u64,
    /// Documents without an item.
    pub extra: u64,
    /// Documents that are not what their items give.
    pub different: u64,
    /// Differences that were repaired and checked again: not counted above.
    pub repaired: u64,
    /// Documents that could not be decided.
    pub inconclusive: u64,
    /// Differences that a dead letter explains: not counted above.
    pub dead_lettered: u64,
    /// Documents of the indices that were listed, archives aside.
    pub documents: u64,
    /// Documents in archives, which are counted and not compared.
    pub archived: u64,
    /// Dead letters of the table, when it began.
    pub dead_letters: u64,
    /// Those that were removed, because their documents are right now.
    pub healed: u64,
    /// Items that no route takes.
    pub filtered: u64,
    /// How often each verdict was given to a difference.
    pub verdicts: BTreeMap<Verdict, u64>,
    /// How long it took.
    pub seconds: f64,
}

/// One difference that counts. Its ids and keys are private.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What is true of it.
    pub verdict: Verdict,
    /// How it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// What may explain it.
    pub reason: &'static str,
    /// The logical index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// The document's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its routing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<String>,
    /// The item's key as DynamoDB JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Takes differences as they are decided.
pub trait DifferenceSink: Send + Sync {
    /// Takes one.
    ///
    /// # Errors
    /// It cannot be written; the verification stops.
    fn take(&self, difference: &Difference) -> io::Result<()>;
}

// === impl Report ===

impl Report {
    /// Whether everything that was compared is equal, and nothing is left open.
    pub fn is_equal(&self) -> bool {
        self.is_whole() && self.dead_lettered == 0
    }

    /// Whether nothing differs but what dead letters explain, and nothing is left open.
    pub fn is_whole(&self) -> bool {
        self.drift() == 0 && self.inconclusive == 0
    }

    /// Differences that nothing on its way explains.
    pub fn drift(&self) -> u64 {
        self.missing + self.extra + self.different
    }

    pub(crate) fn count(&mut self, judged: Judged) {
        *self.verdicts.entry(judged.verdict).or_default() += 1;
        let place = match (judged.verdict, judged.kind) {
            (Verdict::Inconclusive, _) => &mut self.inconclusive,
            (Verdict::DeadLettered, _) => &mut self.dead_lettered,
            (_, Some(Kind::Missing)) => &mut self.missing,
            (_, Some(Kind::Extra)) => &mut self.extra,
            (_, Some(Kind::Different)) => &mut self.different,
            (_, None) => return,
        };
        *place += 1;
    }
}

// === impl Difference ===

impl Difference {
    pub(crate) fn of(suspect: &Suspect, judged: Judged, reason: &'static str) -> Difference {
        let address = suspect.address.as_ref();
        Difference {
            verdict: judged.verdict,
            kind: judged.kind,
            reason,
            index: address.map(|address| address.index.to_string()),
            id: address.map(|address| address.id.as_str().to_owned()),
            routing: address.and_then(|address| address.routing.as_deref().map(str::to_owned)),
            key: suspect.key.as_ref().map(|key| key.canonical().to_owned()),
        }
    }
}

/// Ids and keys are private.
impl std::fmt::Debug for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Difference").field("verdict", &self.verdict).field("index", &self.index).finish_non_exhaustive()
    }
}
