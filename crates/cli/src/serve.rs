//! Serves probes, metrics and status of `run` over HTTP, if an address is given.

mod awaits;

use std::net::SocketAddr;

use streamdex_config::Config;
use streamdex_poller::observe::{Boards, ServeError, Server, watch_opensearch};
use streamdex_sink::Client;

use self::awaits::ItemAwaits;
use crate::exit::{CliError, Exit};
use crate::watched::Watched;

/// What is shown.
pub(crate) struct Shown {
    pub(crate) boards: Boards,
}

// === impl Shown ===

impl Shown {
    /// Listens at once, so that probes are answered while the first contact is still sought.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(crate) async fn start(
        config: &Config,
        listen: Option<SocketAddr>,
        watched: &mut Watched,
    ) -> Result<Shown, CliError> {
        let boards = Boards::default();
        if let Some(address) = listen.or(config.http.listen) {
            let server = Server::bind(address).await?;
            tracing::info!(address = %server.address(), "serving /, /livez, /readyz, /metrics and /status");
            watched.spawn("serves probes, metrics and status", server.run(boards.clone(), ItemAwaits::wanted(config)));
            watched.spawn("keeps an hour of history", boards.clone().keep_history());
        }
        Ok(Shown { boards })
    }

    /// Asks OpenSearch now and then whether it answers: a reader that it does not answer gives its lease up.
    pub(crate) fn watch(&self, opensearch: Client, watched: &mut Watched) {
        let boards = self.boards.clone();
        watched.spawn("checks whether OpenSearch answers", async move {
            watch_opensearch(&opensearch, &boards).await;
        });
    }
}

impl From<ServeError> for CliError {
    fn from(error: ServeError) -> CliError {
        let hint = error.hint();
        let ServeError::Listen { address, source } = error else {
            return CliError::new(Exit::Usage, error.to_string()).with_hint(hint);
        };
        CliError::new(Exit::Usage, format!("cannot listen on {address}")).caused_by(source).with_hint(hint)
    }
}
