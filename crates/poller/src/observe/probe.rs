//! Checks whether OpenSearch answers, also while there is nothing to write.

use std::time::Duration;

use async_trait::async_trait;
use streamdex_sink::Client;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Boards;

/// An answer may be three attempts old: see `Snapshot::unready`.
const EVERY: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(3);

/// What can be asked whether it answers.
#[async_trait]
pub trait Reachable: Send + Sync {
    /// Asks once.
    ///
    /// # Errors
    /// Why there is no answer, or none of a server that works, for people to read.
    async fn reach(&self) -> Result<(), String>;
}

#[async_trait]
impl Reachable for Client {
    async fn reach(&self) -> Result<(), String> {
        match Box::pin(self.ping()).await {
            Ok(answer) if answer.status == 429 || (answer.status < 500 && self.is_opensearch(&answer)) => Ok(()),
            Ok(answer) if answer.status < 500 => {
                Err(format!("this is not OpenSearch: {} answers GET / with status {}", self.endpoint(), answer.status))
            }
            Ok(answer) => Err(format!("{} answers with status {}", self.endpoint(), answer.status)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Asks OpenSearch every 5 seconds whether it answers, until it is dropped.
pub async fn watch_opensearch(opensearch: &dyn Reachable, boards: &Boards) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let overdue = |_| Err(format!("no answer within {} s", DEADLINE.as_secs()));
        boards.reached(timeout(DEADLINE, opensearch.reach()).await.unwrap_or_else(overdue));
    }
}
