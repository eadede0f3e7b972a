//! One source of `run`, followed until the end: through gaps, where they are closed by themselves.

use std::sync::{Arc, Mutex};

use streamdex_config::Source;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::table::TableInfo;
use streamdex_poller::follow::{FollowEnd, Followed, Follower, StatusBoard};
use streamdex_reconcile::backfill::LOOK_EVERY;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::closing::{ClosesItself, Left};
use crate::exit::CliError;
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
            if followed.end != FollowEnd::OnlyGaps || !goes_on {
                return Ok(followed);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Followed { end: FollowEnd::Stopped, ..followed }),
                info = self.get_past_the_gaps() => self.info = info?,
            }
        }
    }

    /// Closes the gaps, and returns what is followed then: it may be another stream.
    async fn get_past_the_gaps(&self) -> Result<TableInfo, CliError> {
        loop {
            let info = followed(&self.source, &self.clients, &self.shared.state, None).await?;
            let Some(closes) = self.closes_itself(&info) else { return Ok(info) };
            if closes.look().await == Left::Nothing {
                return Ok(info);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// What closes the gaps while this is followed, where the configuration wants that.
    fn closes_itself(&self, info: &TableInfo) -> Option<ClosesItself> {
        self.shared.closes_itself(&self.source, &self.clients, info, Arc::clone(&self.pause))
    }
}
