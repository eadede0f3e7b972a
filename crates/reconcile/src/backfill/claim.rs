//! The claim on a backfill: one process at a time fills a table, as long as it keeps storing its progress.

use std::time::Duration;

use streamdex_delivery::Term;
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, Stored};
use streamdex_dynamodb::time::now;

use super::BEAT;
use crate::fault::Fault;

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This process fills, from there.
    Held(BackfillRecord),
    /// It is complete.
    Complete(BackfillRecord),
    /// Another process fills.
    Taken(BackfillRecord),
}

/// The time after which an unchanged record has no owner: a process that fills stores it every [`BEAT`].
pub const GONE_AFTER: Duration = BEAT.saturating_mul(4);

/// Claims the backfill of a table for `owner`: the existing one, else `fresh`. If another process fills the table, it
/// waits to see whether that process stores progress.
///
/// # Errors
/// The state table refused or did not answer, or the wait was cancelled.
pub async fn claim(
    store: &dyn BackfillStore,
    owner: &str,
    fresh: BackfillRecord,
    term: Term<'_>,
) -> Result<Claim, Fault> {
    loop {
        let Some(found) = store.load().await? else {
            let record = BackfillRecord { owner: Some(owner.to_owned()), ..fresh.clone() };
            match store.store(&record, None).await? {
                Stored::Stored => return Ok(Claim::Held(record)),
                Stored::Refused => continue,
            }
        };
        if found.state == BackfillState::Complete {
            return Ok(Claim::Complete(found));
        }
        if found.owner.is_some() {
            term.sleep(GONE_AFTER).await?;
            if store.load().await?.is_none_or(|later| later.beat != found.beat) {
                return Ok(Claim::Taken(found));
            }
        }
        let record = BackfillRecord {
            owner: Some(owner.to_owned()),
            beat: found.beat + 1,
            at: now(),
            not_before: found.not_before.max(fresh.not_before),
            ..found.clone()
        };
        if store.store(&record, Some(found.beat)).await? == Stored::Stored {
            return Ok(Claim::Held(record));
        }
    }
}
