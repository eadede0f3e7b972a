//! The check of the indices before a checkpoint, shared by all shards.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamdex_delivery::indices::IndexWatch;
use streamdex_sink::index::VanishedIndex;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use crate::lease::Fenced;
use crate::state::Progress;

/// Watches indices for all shards: requests during a check share the next one.
pub(crate) struct IndexCheck {
    watch: Arc<dyn IndexWatch>,
    progress: Progress,
    /// One check at a time. A caller that waits here often finds that another check has answered it.
    turn: Semaphore,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When the last look that got an answer began.
    began: Option<Instant>,
    vanished: Vec<VanishedIndex>,
    /// The last look that failed: when it began, and why.
    failed: Option<(Instant, String)>,
    /// Concrete names that are in the state table.
    stored: BTreeSet<String>,
}

/// Why a checkpoint must wait, or never comes.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// Indices that the shard has written to are gone.
    Vanished(Vec<VanishedIndex>),
    /// It is not known; ask again.
    Later(String),
}

/// Looks this close together are one.
const BETWEEN_CHECKS: Duration = Duration::from_millis(200);
const DEADLINE: Duration = Duration::from_secs(10);

impl IndexCheck {
    pub(crate) fn new(watch: Arc<dyn IndexWatch>, progress: Progress) -> IndexCheck {
        IndexCheck { watch, progress, turn: Semaphore::new(1), seen: Mutex::default() }
    }

    /// Says that the indices `touched` (logical names) were seen unchanged after `since`.
    pub(crate) async fn unchanged(&self, touched: &BTreeSet<String>, since: Instant) -> Result<(), Unconfirmed> {
        if touched.is_empty() {
            return Ok(());
        }
        let asked = Instant::now();
        let turn = self.turn.acquire().await;
        // Another look was made while this one waited, and failed: not each of many shards makes its own.
        if let Some((_, reason)) = self.seen().failed.clone().filter(|(began, _)| *began >= asked) {
            return Err(Unconfirmed::Later(reason));
        }
        let began = self.seen().began;
        if began.is_none_or(|began| began < since) {
            if let Some(began) = began {
                sleep_until(began + BETWEEN_CHECKS).await;
            }
            let began = Instant::now();
            if let Err(reason) = self.check().await {
                self.seen().failed = Some((began, reason.clone()));
                return Err(Unconfirmed::Later(reason));
            }
        }
        if let Err(reason) = self.note(touched).await {
            return Err(Unconfirmed::Later(reason));
        }
        drop(turn);
        let seen = self.seen();
        let lost: Vec<_> = seen.vanished.iter().filter(|vanished| touched.contains(&vanished.index)).cloned().collect();
        if lost.is_empty() { Ok(()) } else { Err(Unconfirmed::Vanished(lost)) }
    }

    async fn check(&self) -> Result<(), String> {
        let began = Instant::now();
        let answer = timeout(DEADLINE, self.watch.watch()).await;
        let answer = answer.map_err(|_| "the indices could not be checked within 10 s".to_owned())?;
        let vanished =
            answer.map_err(|error| format!("the indices could not be checked: {error}; {}", error.hint()))?;
        let mut seen = self.seen();
        seen.began = Some(began);
        seen.vanished = vanished;
        Ok(())
    }

    /// Stores the UUIDs of the indices `touched`. Those of other sources are none of this one's business.
    async fn note(&self, touched: &BTreeSet<String>) -> Result<(), String> {
        for known in self.watch.known() {
            let is_wanted = touched.contains(&known.index) && !self.seen().stored.contains(&known.concrete);
            let is_lost = self.seen().vanished.iter().any(|vanished| vanished.concrete == known.concrete);
            if !is_wanted || is_lost {
                continue;
            }
            let stored = timeout(DEADLINE, self.progress.index(&known)).await;
            let stored = stored
                .map_err(|_| "the state table did not answer within 10 s".to_owned())?
                .map_err(|error| error.to_string())?;
            if stored == Fenced::Lost {
                return Err("another worker has the lease".to_owned());
            }
            // It helps after a loss of the state table, but is no reason to delay a checkpoint.
            match timeout(DEADLINE, self.watch.name_group(&known)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(index = known.concrete, %error, "the group could not be recorded in the index")
                }
                Err(_) => {
                    tracing::warn!(index = known.concrete, "the group could not be recorded in the index within 10 s")
                }
            }
            self.seen().stored.insert(known.concrete);
        }
        Ok(())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
