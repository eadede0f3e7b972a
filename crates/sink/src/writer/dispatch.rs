//! The dispatcher: takes operations in, sends the requests that the scheduler picks, and waits for the answers.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::decision::Fault;
use super::op::Op;
use super::probe::probe_bulk;
use super::request::{BulkTransport, Finished, exchange};
use super::scheduler::Scheduler;
use crate::pause::Pause;

pub(super) struct Dispatcher {
    transport: Arc<dyn BulkTransport>,
    inbox: mpsc::Receiver<Vec<Op>>,
    publish: watch::Sender<Vec<Pause>>,
    requests: JoinSet<Finished>,
    /// The probe of `_bulk`, at most one.
    probes: JoinSet<Option<usize>>,
    scheduler: Scheduler,
}

/// How a dispatcher ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was cancelled, or its work is done.
    Complete,
    /// A request's task has panicked.
    Broken,
}

impl Dispatcher {
    pub(super) fn new(
        transport: Arc<dyn BulkTransport>,
        inbox: mpsc::Receiver<Vec<Op>>,
        publish: watch::Sender<Vec<Pause>>,
        scheduler: Scheduler,
    ) -> Dispatcher {
        Dispatcher { transport, inbox, publish, requests: JoinSet::new(), probes: JoinSet::new(), scheduler }
    }

    /// Runs until it is cancelled, or until all handles are gone and all is decided.
    pub(super) async fn run(mut self, cancel: CancellationToken) -> End {
        let mut open = true;
        let mut abort_at = None;
        loop {
            let now = Instant::now();
            self.send_ready(now);
            self.remind(now);
            self.show();
            let stopped = self.scheduler.is_stopped();
            if self.requests.is_empty() && (!open && self.scheduler.is_idle() || stopped) {
                return if self.scheduler.is_broken() { End::Broken } else { End::Complete };
            }
            let wake = if stopped { abort_at } else { self.scheduler.next_wake(self.requests.len(), now) };
            tokio::select! {
                biased;
                Some(joined) = self.requests.join_next(), if !self.requests.is_empty() => self.joined(joined),
                Some(probed) = self.probes.join_next(), if !self.probes.is_empty() => {
                    self.scheduler.probed_bulk(probed.ok().flatten(), Instant::now());
                }
                () = cancel.cancelled(), if !stopped => {
                    self.scheduler.stop(Fault::Cancelled);
                    abort_at = Some(Instant::now() + self.scheduler.stop_grace());
                }
                arrived = self.inbox.recv(), if open => match arrived {
                    Some(ops) => self.scheduler.accept(ops, self.requests.len(), Instant::now()),
                    None => open = false,
                },
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {
                    if stopped {
                        // Dropping their operations decides them.
                        self.requests.abort_all();
                        abort_at = None;
                    }
                }
            }
        }
    }

    fn send_ready(&mut self, now: Instant) {
        self.scheduler.advance(now);
        while let Some(sent) = self.scheduler.next_request(self.requests.len(), now) {
            if sent.refreshes_credentials {
                self.transport.refresh_credentials();
            }
            self.requests.spawn(exchange(Arc::clone(&self.transport), sent));
        }
        if let Some(concrete) = self.scheduler.next_probe_of_bulk() {
            self.probes.spawn(probe_bulk(Arc::clone(&self.transport), concrete));
        }
    }

    fn joined(&mut self, joined: Result<Finished, JoinError>) {
        self.scheduler.free_slot();
        match joined {
            Ok(finished) => self.scheduler.settle(finished, Instant::now()),
            // Aborted after cancellation; dropping the operations decided them.
            Err(error) if error.is_cancelled() => {}
            Err(_) => {
                tracing::error!("a request of the bulk writer panicked; the writer stops");
                self.scheduler.stop(Fault::Broken);
            }
        }
    }

    fn remind(&mut self, now: Instant) {
        for pause in self.scheduler.reminders(now) {
            let minutes = now.duration_since(pause.since).as_secs() / 60;
            tracing::warn!(scope = %pause.scope, reason = pause.reason.name(), detail = pause.detail, minutes, hint = pause.hint(), "still paused");
        }
    }

    /// Publishes counters and pauses.
    fn show(&self) {
        self.scheduler.show(self.requests.len());
        let pauses = self.scheduler.pauses();
        self.publish.send_if_modified(|shown| {
            if pauses.is_shown(shown) {
                return false;
            }
            *shown = pauses.snapshot();
            true
        });
    }
}
