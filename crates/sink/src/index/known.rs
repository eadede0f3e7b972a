//! The known state of an index after its set-up.

use serde::{Deserialize, Serialize};

use super::error::VanishedIndex;
use super::observe::Observed;
use super::wanted::Wanted;

/// Where the documents of a logical index go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The index's own name: `NAME-000001`, or the index of the user's, under `manage = "check"` the one behind an alias
    /// too. `NAME` under `manage = "never"`, where nothing is asked.
    pub concrete: String,
    /// The UUID of the index at set-up; `None` under `manage = "never"`, and where the engine gives none.
    pub uuid: Option<String>,
    /// The generation.
    pub generation: u32,
}

/// An index whose UUID is known; kept in the state table, so that an index that was created again while no
/// process ran is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownIndex {
    /// The logical name.
    pub index: String,
    /// The index's own name; under `manage = "check"` the one behind the user's alias.
    pub concrete: String,
    /// Its UUID.
    pub uuid: String,
    /// The generation.
    pub generation: u32,
}

// === impl Target ===

impl Target {
    pub(super) fn new(wanted: &Wanted, concrete: String, uuid: Option<String>) -> Target {
        Target { concrete, uuid, generation: wanted.owner.generation }
    }
}

// === impl KnownIndex ===

impl KnownIndex {
    /// Finds whether the index has vanished, or another one has its name.
    pub(super) fn compare(&self, found: Option<&str>) -> Option<VanishedIndex> {
        (found != Some(self.uuid.as_str())).then(|| VanishedIndex {
            index: self.index.clone(),
            concrete: self.concrete.clone(),
            expected_uuid: self.uuid.clone(),
            found_uuid: found.map(str::to_owned),
        })
    }

    /// As `compare`, with the answer to a question for several names.
    pub(super) fn compare_with(&self, observed: &Observed) -> Option<VanishedIndex> {
        self.compare(observed.uuid(&self.concrete))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(index: &str, concrete: &str, generation: u32) -> KnownIndex {
        KnownIndex { index: index.into(), concrete: concrete.into(), uuid: "A".into(), generation }
    }

    #[test]
    fn another_uuid_or_none_is_a_gap() {
        let known = known("sessions", "sessions-000001", 1);
        assert_eq!(known.compare(Some("A")), None);
        assert_eq!(known.compare(Some("B")).unwrap().found_uuid.as_deref(), Some("B"));
        assert_eq!(known.compare(None).unwrap().found_uuid, None);
    }
}
