//! Detects vanished indices by their UUIDs.
//!
//! A vanished index is a gap: it is recorded, and an operator has to fill a new index. So OpenSearch itself must report
//! it, twice, some time apart. A proxy that answers instead, or a node that has just started and does not know all
//! indices yet, must not cause a gap.

use std::time::Duration;

use tokio::time::sleep;

use super::admin;
use super::error::{SetupError, VanishedIndex};
use super::known::KnownIndex;
use crate::client::Client;

/// The time between the two looks.
const APART: Duration = Duration::from_secs(1);

/// Those of the known indices that are gone, or whose name another index has: with one small request where none is,
/// unless there are so many that their names do not fit into one.
///
/// # Errors
/// OpenSearch did not answer, or not as itself: nothing is known then.
pub(super) async fn vanished(client: &Client, known: &[KnownIndex]) -> Result<Vec<VanishedIndex>, SetupError> {
    let suspects = look(client, known).await?;
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    sleep(APART).await;
    let suspects: Vec<KnownIndex> = suspects.into_iter().map(|(known, _)| known.clone()).collect();
    Ok(look(client, &suspects).await?.into_iter().map(|(_, vanished)| vanished).collect())
}

async fn look<'a>(
    client: &Client,
    known: &'a [KnownIndex],
) -> Result<Vec<(&'a KnownIndex, VanishedIndex)>, SetupError> {
    let names: Vec<String> = known.iter().map(|known| known.concrete.clone()).collect();
    let observed = admin::uuids(client, &names).await?;
    Ok(known.iter().filter_map(|known| Some((known, known.compare_with(&observed)?))).collect())
}
