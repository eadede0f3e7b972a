//! The data that outlives a sandbox, in the state table.
//!
//! The UUIDs of indices that were written to: a new sandbox must not make an index again that has vanished, which would be
//! a gap that nobody hears of. The brakes of indices: a new sandbox must not make dead letters of fifty more documents
//! first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use streamdex_config::StreamArn;
use streamdex_delivery::BrakeRecords;
use streamdex_delivery::indices::KnownIndices;
use streamdex_delivery::rebuild::StoredReaders;
use streamdex_dynamodb::state::StateError;
use streamdex_sink::index::ReaderAliases;
use streamdex_sink::{Indices, Learned};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::lazy::LazyState;

/// What is known of the indices of one source.
pub(crate) struct IndexMemory {
    state: Arc<LazyState>,
    recalled: OnceCell<()>,
    brakes: OnceCell<BrakeRecords>,
    /// Concrete names that are in the state table.
    stored: Mutex<BTreeSet<String>>,
}

// === impl IndexMemory ===

impl IndexMemory {
    pub(crate) fn new(state: Arc<LazyState>) -> IndexMemory {
        IndexMemory { state, recalled: OnceCell::new(), brakes: OnceCell::new(), stored: Mutex::default() }
    }

    /// Tells `indices` what earlier sandboxes knew, once, before anything is written. Where nothing says which table
    /// the records come from, nothing is known yet; where no index is watched, nothing is asked.
    pub(crate) async fn recall(&self, stream_arn: Option<&str>, indices: &Indices) -> Result<(), StateError> {
        if self.recalled.initialized() || !indices.is_watched() {
            return Ok(());
        }
        let Some(stored) = self.of_table(stream_arn).await else { return Ok(()) };
        let load = || async {
            let known = stored.load().await?;
            self.stored().extend(known.iter().map(|known| known.concrete.clone()));
            indices.remember(known);
            Ok(())
        };
        self.recalled.get_or_try_init(load).await.copied()
    }

    /// Puts the brakes on that earlier sandboxes left, once, before anything is written. A state table that does not
    /// answer in that time holds nothing back: where it cannot be asked, no dead letter can be stored in it either.
    pub(crate) async fn recall_brakes(&self, stream_arn: Option<&str>, learned: &Learned, within: Duration) {
        let Some(stream) = stream_arn.and_then(StreamArn::parse) else { return };
        let recall = || async {
            let brakes = BrakeRecords::new(self.state.table().await.clone(), [&stream.table()]);
            match timeout(within, brakes.recall(learned)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(hint = error.hint(), "the stored brakes could not be read: {error}"),
                Err(_) => tracing::warn!("the stored brakes could not be read: the state table did not answer in time"),
            }
            brakes
        };
        self.brakes.get_or_init(recall).await;
    }

    /// Stores the brakes as they are now. What cannot be stored is tried again with the next event.
    pub(crate) async fn keep_brakes(&self, learned: &Learned) {
        let Some(brakes) = self.brakes.get() else { return };
        if let Err(error) = brakes.keep(learned).await {
            tracing::warn!(hint = error.hint(), "the brakes could not be stored: {error}");
        }
    }

    /// Stores what this sandbox has come to know. What cannot be stored is tried again with the next event.
    pub(crate) async fn keep(&self, stream_arn: Option<&str>, indices: &Indices) {
        let mut known = indices.known();
        known.retain(|known| !self.stored().contains(&known.concrete));
        if known.is_empty() {
            return;
        }
        let Some(stored) = self.of_table(stream_arn).await else { return };
        for known in known {
            match stored.note(&known).await {
                Ok(()) => {
                    self.stored().insert(known.concrete);
                }
                Err(error) => {
                    tracing::warn!(
                        index = known.concrete,
                        hint = error.hint(),
                        "the index could not be recorded: {error}"
                    );
                }
            }
        }
    }

    /// Says which group makes the search aliases.
    pub(crate) async fn readers(&self) -> Arc<dyn ReaderAliases> {
        Arc::new(StoredReaders::new(self.state.table().await.clone()))
    }

    /// The records about the table that a stream belongs to.
    async fn of_table(&self, stream_arn: Option<&str>) -> Option<KnownIndices> {
        let stream = StreamArn::parse(stream_arn?)?;
        Some(KnownIndices::new(self.state.table().await.clone(), &stream.table()))
    }

    fn stored(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
