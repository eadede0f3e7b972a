//! Closes the gaps of a table, for `gap close` and for `run` with `on_gap = "resnapshot"`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamdex_config::{Config, OnGap, Source, StreamArn};
use streamdex_delivery::backfill::{BackfillStore, FilledBy};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::StateTable;
use streamdex_dynamodb::stream::SdkStream;
use streamdex_dynamodb::table::{StreamInfo, TableError, TableInfo};
use streamdex_poller::GapKind;
use streamdex_poller::closing::{CloseError, Closed, GapCloser};
use streamdex_poller::follow::generations;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::StoredGap;
use tokio::time::Instant;

use crate::connect;
use crate::exit::{CliError, Exit};
use crate::followed::{partition, table_can_pass};
use crate::pause::Pause;

/// Closes the gaps of one source's table.
pub(crate) struct Closing {
    clients: SourceClients,
    /// The stream that is followed.
    stream: StreamArn,
    closer: GapCloser,
    by: FilledBy,
}

/// Closes gaps as they come.
pub(crate) struct ClosesItself {
    closing: Closing,
    store: Arc<dyn BackfillStore>,
    pause: Arc<Mutex<Pause>>,
}

/// What became of the gaps of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// None that can be closed.
    Nothing,
    /// Some are, and are closed later.
    Gaps,
    /// Some are that only a person can judge.
    ForAPerson,
}

// === impl Closing ===

impl Closing {
    /// For the gaps of `source`. `command` is who the lease names until it expires.
    pub(crate) fn new(
        config: &Config,
        source: &Source,
        clients: &SourceClients,
        info: &TableInfo,
        (state, command): (&StateTable, WorkerId),
    ) -> Closing {
        let (store, stream) = (Arc::new(partition(state, info)), info.stream.arn.clone());
        let read = Arc::new(SdkStream::new(clients.clone(), stream.clone(), None));
        let closer = GapCloser::new(read, store, stream.clone(), generations(config, source), command);
        let by = match source.on_gap {
            OnGap::Fail => FilledBy::Command,
            OnGap::Resnapshot => FilledBy::Run,
        };
        Closing { clients: clients.clone(), stream, closer, by }
    }

    /// The gaps that are recorded.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(crate) async fn recorded(&self) -> Result<Vec<StoredGap>, CloseError> {
        connect::insist(Some(connect::PATIENCE), CloseError::passes_by_itself, || self.closer.gaps()).await
    }

    /// Closes these.
    ///
    /// # Errors
    /// The stream or the state table cannot be used, or an earlier stream holds what is called lost.
    pub(crate) async fn close(&self, gaps: &[StoredGap]) -> Result<Closed, CliError> {
        // Where all items are compared then, nobody has to read what an earlier stream still holds.
        if self.by == FilledBy::Command {
            self.nothing_is_left_of_earlier_streams(gaps).await?;
        }
        let close = || Box::pin(self.closer.close(gaps, self.by));
        Ok(connect::insist(Some(connect::PATIENCE), CloseError::passes_by_itself, close).await?)
    }

    /// Who compares the index with the table then.
    pub(crate) fn by(&self) -> FilledBy {
        self.by
    }

    /// A shard of an earlier stream that stands still holds changes that nobody has read, for as long as that stream is
    /// there.
    async fn nothing_is_left_of_earlier_streams(&self, gaps: &[StoredGap]) -> Result<(), CliError> {
        let of_earlier = |gap: &&StoredGap| gap.label != self.stream.label() && gap.gap.kind.concerns_a_shard();
        let labels: BTreeSet<&str> = gaps.iter().filter(of_earlier).map(|gap| gap.label.as_str()).collect();
        for label in labels {
            let arn = self.stream.table().stream(label);
            let describe = || Box::pin(StreamInfo::describe(&self.clients, &arn));
            match connect::insist(Some(connect::PATIENCE), table_can_pass, describe).await {
                Err(TableError::NoStream { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    let message = format!("the earlier stream {arn} has gaps, but can still be read");
                    return Err(CliError::new(Exit::Usage, message).with_hint(
                        "in [source], replace table by stream_arn with this ARN; run `streamdex gap close --all` and `streamdex run --until-end`; then set table again",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether changes were lost, of a table and a state that are the right ones. A state that is lost may be another deployment's,
/// and a stream that is gone a table's that was deleted.
fn is_a_loss(gap: &StoredGap) -> bool {
    !matches!(gap.gap.kind, GapKind::StateLost | GapKind::StreamVanished)
}

// === impl ClosesItself ===

impl ClosesItself {
    /// Whoever closes gaps of the same table later has the same `pause`.
    pub(crate) fn new(closing: Closing, store: Arc<dyn BackfillStore>, pause: Arc<Mutex<Pause>>) -> ClosesItself {
        ClosesItself { closing, store, pause }
    }

    /// Closes all gaps that are recorded: whoever reads the table stops, and goes on with what is left within seconds. Those
    /// that come again soon after are left for a while.
    pub(crate) async fn look(&self) -> Left {
        match self.close_all().await {
            Ok(left) => left,
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                tracing::warn!(hint, "a gap could not be closed, trying again later: {error}");
                Left::Gaps
            }
        }
    }

    async fn close_all(&self) -> Result<Left, CliError> {
        if self.store.gaps().await? == 0 {
            return Ok(Left::Nothing);
        }
        if !self.pause().is_over(Instant::now()) {
            return Ok(Left::Gaps);
        }
        self.pause().begin(Instant::now());
        let recorded = self.closing.recorded().await?;
        let (gaps, left): (Vec<StoredGap>, Vec<StoredGap>) = recorded.into_iter().partition(is_a_loss);
        if gaps.is_empty() && !left.is_empty() {
            return Ok(Left::ForAPerson);
        }
        self.closing.close(&gaps).await?;
        for gap in &gaps {
            tracing::warn!(
                gap = gap.gap.kind.name(),
                "on_gap = \"resnapshot\": gap closed, comparing all items with their documents: {}",
                gap.gap
            );
        }
        Ok(Left::Nothing)
    }

    fn pause(&self) -> MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use streamdex_poller::Gap;

    use super::*;

    #[test]
    fn what_may_be_another_table_or_another_state_is_left_to_a_person() {
        let left = |kind| !is_a_loss(&StoredGap { label: "L".into(), gap: Gap::new(kind, "x") });
        for kind in [GapKind::StateLost, GapKind::StreamVanished] {
            assert!(left(kind), "{kind:?}");
        }
        for kind in [GapKind::Trimmed, GapKind::Unread, GapKind::IndexVanished, GapKind::StreamReplaced] {
            assert!(!left(kind), "{kind:?}");
        }
    }
}
