//! What `run` shows of itself, where an address is given: probes, metrics and status over HTTP.

use std::net::SocketAddr;

use streamdex_poller::observe::{Boards, ServeError, Server, watch_opensearch};
use streamdex_sink::Client;
use tokio::task::JoinSet;

use crate::exit::{CliError, Exit};

/// What is shown, until it is dropped.
pub(crate) struct Shown {
    pub(crate) boards: Boards,
    served: bool,
    /// Ended with it.
    tasks: JoinSet<()>,
}

// === impl Shown ===

impl Shown {
    /// Listens at once, so that probes are answered while the first contact is still sought.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(crate) async fn start(listen: Option<SocketAddr>) -> Result<Shown, CliError> {
        let (boards, mut tasks) = (Boards::default(), JoinSet::new());
        if let Some(address) = listen {
            let server = Server::bind(address).await?;
            tracing::info!(address = %server.address(), "serving /livez, /readyz, /metrics and /status");
            tasks.spawn(server.run(boards.clone()));
        }
        Ok(Shown { boards, served: listen.is_some(), tasks })
    }

    /// Asks OpenSearch now and then whether it answers, where somebody can ask for that.
    pub(crate) fn watch(&mut self, opensearch: Client) {
        if !self.served {
            return;
        }
        let boards = self.boards.clone();
        self.tasks.spawn(async move { watch_opensearch(&opensearch, &boards).await });
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
