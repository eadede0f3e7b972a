//! Sets one index up: observes it and carries out what is missing, until nothing is.

use super::admin;
use super::error::SetupError;
use super::finding::Finding;
use super::known::KnownIndex;
use super::observe::Observed;
use super::steps::{Step, findings, located, steps};
use super::wanted::Wanted;
use crate::client::Client;

/// Each round sees what the one before, or another worker, has done.
const ROUNDS: usize = 4;

/// An index whose set-up is complete.
#[derive(Debug)]
pub(super) struct SetUp {
    /// The index's own name.
    pub(super) name: String,
    pub(super) uuid: Option<String>,
    /// What was done, in order.
    pub(super) done: Vec<Step>,
    pub(super) findings: Vec<Finding>,
}

/// Observes the index, carries out what is missing, and observes it again, until nothing is missing. Workers may
/// do so at the same time: an index and its aliases are created in one request.
pub(super) async fn set_up(
    client: &Client,
    wanted: &Wanted,
    expected: Option<&KnownIndex>,
) -> Result<SetUp, SetupError> {
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let observed = admin::observe(client, wanted).await?;
        // First: an index that has vanished must not be created again unnoticed.
        if let Some(vanished) = expected.and_then(|known| known.compare_with(&observed)) {
            return Err(SetupError::Vanished(vanished));
        }
        let missing = steps(wanted, &observed)?;
        if missing.is_empty() {
            return finished(wanted, &observed, done);
        }
        for step in missing {
            admin::perform(client, wanted, &step).await?;
            done.push(step);
        }
    }
    Err(SetupError::Unsettled { concrete: wanted.concrete.clone() })
}

fn finished(wanted: &Wanted, observed: &Observed, done: Vec<Step>) -> Result<SetUp, SetupError> {
    let findings = findings(wanted, observed)?;
    let located = located(wanted, observed)?.ok_or_else(|| SetupError::Missing { index: wanted.index.clone() })?;
    Ok(SetUp { name: located.name.to_owned(), uuid: located.index.uuid.clone(), done, findings })
}
