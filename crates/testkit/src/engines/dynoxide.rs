//! dynoxide: DynamoDB in this process, up in milliseconds.

use std::fmt;

use dynoxide::Database;

use super::error::EngineError;
use crate::server_thread::ServerThread;

/// A DynamoDB in memory on a loopback port; it ends when dropped.
pub struct Dynoxide {
    database: Database,
    server: ServerThread,
}

impl fmt::Debug for Dynoxide {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dynoxide").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Dynoxide {
    /// Name and version.
    pub const LABEL: &str = "dynoxide 3.2";

    /// Starts an empty one.
    ///
    /// # Errors
    /// When no port or no memory can be had.
    pub fn start() -> Result<Self, EngineError> {
        let failed = |detail: String| EngineError::Start { engine: Self::LABEL.to_owned(), detail };
        let database = Database::memory().map_err(|error| failed(error.to_string()))?;
        let served = database.clone();
        let server = ServerThread::start(|listener| dynoxide::server::serve_on(listener, served))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { database, server })
    }

    /// `http://127.0.0.1:PORT`, for tables and streams.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Deletes the items whose TTL has passed, as the service does within days; returns how many there were.
    #[must_use]
    pub fn sweep_ttl(&self) -> usize {
        self.database.sweep_ttl().expect("the sweep of an in-memory database")
    }
}
