//! Probes, metrics and status of a running process.
//!
//! [`Boards`] holds what is shown: the board of each source, the counters of the writer, and whether OpenSearch
//! answers. A [`Snapshot`] is all of it at one moment; probes ([`Snapshot::dead`], [`Snapshot::unready`]),
//! metrics ([`list`]) and the JSON of `/status` ([`Report`]) are functions of it. [`Server`] serves them.

mod anonymous;
mod history;
pub mod list;
mod metric;
mod metrics;
mod probe;
mod report;
mod serve;
mod snapshot;
mod table;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use streamdex_sink::BulkWriter;
use tokio::time::{Instant, MissedTickBehavior, interval};

pub use self::anonymous::anonymous;
use self::history::EVERY;
pub use self::history::History;
pub use self::metric::{Kind, Metric, Unit};
pub use self::metrics::{Form, exposition};
pub use self::probe::{Reachable, watch_opensearch};
pub use self::report::{ErrorReport, GapReport, PauseReport, Report, ShardReport, SourceReport, WriterReport};
pub use self::serve::{AwaitAnswer, Awaits, LONGEST_AWAIT, ServeError, Server};
pub use self::snapshot::{Reach, Snapshot, SourceSnapshot, WriterSnapshot};
pub use self::table::{LeaseReport, ShardItemReport, TableReport};
use crate::contact::SearchContact;
use crate::status::StatusBoard;

/// Everything that one process shows. Cheap to clone.
#[derive(Clone)]
pub struct Boards(Arc<Mutex<Shown>>);

struct Shown {
    started: Instant,
    sources: BTreeMap<String, StatusBoard>,
    history: BTreeMap<String, History>,
    writer: Option<Arc<dyn Fn() -> WriterSnapshot + Send + Sync>>,
    answered: Option<Instant>,
    unreachable: Option<String>,
    search: SearchContact,
}

// === impl Boards ===

impl Default for Boards {
    fn default() -> Boards {
        Boards(Arc::new(Mutex::new(Shown {
            started: Instant::now(),
            sources: BTreeMap::new(),
            history: BTreeMap::new(),
            writer: None,
            answered: None,
            unreachable: None,
            search: SearchContact::default(),
        })))
    }
}

impl Boards {
    /// Shows the board of a source, and replaces an earlier board with that name.
    pub fn add(&self, source: &str, board: StatusBoard) {
        self.shown().sources.insert(source.to_owned(), board);
    }

    /// Shows what the writer of all sources counts.
    pub fn set_writer(&self, writer: BulkWriter) {
        self.set_writer_snapshot(move || WriterSnapshot {
            stats: writer.stats(),
            pauses: writer.pauses(),
            is_broken: writer.is_broken(),
        });
    }

    /// OpenSearch has answered, or why it has not. Known by [`watch_opensearch`].
    pub fn reached(&self, answer: Result<(), String>) {
        let mut shown = self.shown();
        match answer {
            Ok(()) => {
                shown.search.answered();
                shown.answered = Some(Instant::now());
                shown.unreachable = None;
            }
            Err(reason) => shown.unreachable = Some(reason),
        }
    }

    /// Whether OpenSearch answers, for followers.
    pub fn search_contact(&self) -> SearchContact {
        self.shown().search.clone()
    }

    /// Keeps the history of each source until it is dropped.
    pub async fn keep_history(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            self.sample();
        }
    }

    /// Adds what is true now to the history of each source.
    fn sample(&self) {
        let mut shown = self.shown();
        let Shown { sources, history, .. } = &mut *shown;
        for (name, board) in sources {
            history.entry(name.clone()).or_default().add(&board.snapshot());
        }
    }

    /// Everything at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let shown = self.shown();
        let sources = shown.sources.iter();
        let sources: Vec<SourceSnapshot> = sources
            .map(|(name, board)| SourceSnapshot {
                name: name.clone(),
                status: board.snapshot(),
                history: shown.history.get(name).cloned().unwrap_or_default(),
            })
            .collect();
        let mut writer = shown.writer.as_ref().map_or_else(WriterSnapshot::default, |writer| writer());
        // Pauses from an earlier lease of this process are not checked any more: the next reader sees for itself.
        if !sources.iter().any(|source| source.status.role.is_reader()) {
            writer.pauses.clear();
        }
        Snapshot {
            uptime: now.duration_since(shown.started),
            sources,
            writer,
            opensearch: Reach {
                answered: shown.answered.map(|answered| now.duration_since(answered)),
                unreachable: shown.unreachable.clone(),
            },
        }
    }

    fn set_writer_snapshot(&self, snapshot: impl Fn() -> WriterSnapshot + Send + Sync + 'static) {
        self.shown().writer = Some(Arc::new(snapshot));
    }

    /// A panic under the lock leaves no inconsistent state that matters here.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Boards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.shown();
        f.debug_struct("Boards").field("sources", &shown.sources.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
