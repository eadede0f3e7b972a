//! Follows one source of `run` until the end, also past gaps if they are closed automatically.

use std::sync::{Arc, Mutex};

use streamdex_config::Source;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::table::TableInfo;
use streamdex_poller::follow::{FollowEnd, Followed, Follower, StatusBoard};
use streamdex_reconcile::backfill::LOOK_EVERY;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::closing::{ClosesItself, Left};
use crate::connect;
use crate::exit::{CliError, Exit};
use crate::followed::followed;
use crate::pause::Pause;
use crate::shared::Shared;

/// One source, which nobody follows yet.
pub(crate) struct Following {
    shared: Arc<Shared>,
    source: Source,
    clients: SourceClients,
    info: TableInfo,
    board: StatusBoard,
    /// Between the gaps that are closed.
    pause: Arc<Mutex<Pause>>,
}

// === impl Following ===

impl Following {
    pub(crate) fn new(shared: Arc<Shared>, source: Source, clients: SourceClients, info: TableInfo) -> Following {
        let pause = Arc::new(Mutex::new(Pause::none()));
        Following { shared, source, clients, info, board: StatusBoard::default(), pause }
    }

    /// Where to look at what is done.
    pub(crate) fn board(&self) -> StatusBoard {
        self.board.clone()
    }

    /// Follows the stream, and where only gaps are left of it and they are to be closed, what is left then.
    ///
    /// # Errors
    /// As [`Follower::run`]; the table is gone.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<Followed, CliError> {
        loop {
            let closes = self.closes_itself(&self.info).map(Arc::new);
            let goes_on = closes.is_some();
            let (parts, settings) = self.shared.follows(&self.source, &self.info, &self.clients, closes);
            let follower = Follower::on(self.board.clone(), parts, settings);
            let followed = Box::pin(follower.run(stop.clone())).await?;
            let by_gaps = followed.end == FollowEnd::OnlyGaps && !followed.status.gaps.is_empty();
            if !by_gaps || !goes_on {
                return Ok(followed);
            }
            let info = tokio::select! {
                () = stop.cancelled() => return Ok(Followed { end: FollowEnd::Stopped, ..followed }),
                info = self.get_past_the_gaps() => info,
            };
            // The other sources go on.
            let Some(info) = info else { return Ok(followed) };
            self.info = info;
        }
    }

    /// Closes the gaps, and returns what is followed then, which may be another stream; `None` where a person has to look.
    async fn get_past_the_gaps(&self) -> Option<TableInfo> {
        loop {
            sleep(LOOK_EVERY).await;
            let info = match self.followed_now().await {
                Ok(info) => info,
                Err(error) => {
                    let hint = error.hint().unwrap_or_default();
                    tracing::error!(source = self.source.name, hint, "the gap could not be closed: {error}");
                    return None;
                }
            };
            match self.closes_itself(&info)?.look().await {
                Left::Nothing => return Some(info),
                Left::Gaps => {}
                Left::ForAPerson => return None,
            }
        }
    }

    /// The stream to follow after a gap. It must belong to the same table, and serve the routes like the earlier
    /// stream.
    async fn followed_now(&self) -> Result<TableInfo, CliError> {
        let info = followed(&self.source, &self.clients, &self.shared.state, None).await?;
        connect::fits(&self.source, &info)?;
        if info.id != self.info.id {
            let message = format!("the table {} was deleted and created again", info.table);
            return Err(CliError::new(Exit::Gapped, message)
                .with_hint("set a new state.group and raise the generation of its indices: see docs/recover.md"));
        }
        Ok(info)
    }

    /// The closer of gaps while this is followed, if the configuration wants one.
    fn closes_itself(&self, info: &TableInfo) -> Option<ClosesItself> {
        self.shared.closes_itself(&self.source, &self.clients, info, Arc::clone(&self.pause))
    }
}
