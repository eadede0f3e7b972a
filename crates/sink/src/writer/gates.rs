//! The gates of the cluster and the credentials, and the pauses. Pure.
//!
//! A failure closes its gate for a while. Enough failures in a row are a pause, which is reported. The gates of single
//! indices are in the queue's lanes; their pauses are here.

use std::sync::Arc;

use streamdex_mapping::IndexName;
use tokio::time::{Duration, Instant};

use super::gate::Gate;
use crate::classify::PauseReason;
use crate::pause::{Change, Ended, Pause, Pauses, Scope};
use crate::retry::Delays;

/// The longest between two probes of a braked index. Each tries another document, so it is shorter than for other pauses.
const BRAKE_PROBE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Gates {
    cluster: Gate,
    credentials: Gate,
    pauses: Pauses,
}

/// Whether the gates of cluster and credentials let requests through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nothing is sent.
    Hold,
    /// One small request is sent.
    Probe,
    /// Requests are sent as the limits allow.
    Flow,
}

/// To be kept with each request: an answer speaks only of the time since the last failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    cluster: u64,
    credentials: u64,
}

/// Why a request failed whole, so that its gate closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) gate: FailedGate,
    pub(super) reason: PauseReason,
    pub(super) detail: String,
    /// How often in a row it must happen before it is reported as a pause.
    pub(super) pause_after: u32,
    /// How long the server asked to wait.
    pub(super) retry_after: Option<Duration>,
}

/// The gate that a failure closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedGate {
    Cluster,
    Credentials,
}

/// What the items of one request say of one index.
#[derive(Debug)]
pub(super) struct IndexAnswer {
    pub(super) index: IndexName,
    pub(super) concrete: Arc<str>,
    /// Of the index's gate, when the request was sent.
    pub(super) epoch: u64,
    /// Some operation was carried out, or refused for its document's sake.
    pub(super) accepted: bool,
    /// Some operation was carried out.
    pub(super) carried_out: bool,
    /// Some operation met something else than a missing index.
    pub(super) found: bool,
    /// Some operation met shards that are not available.
    pub(super) unavailable: bool,
    /// Why operations are held back, and what was answered. It weighs more than what was accepted beside it.
    pub(super) pause: Option<(PauseReason, Option<String>)>,
}

/// What a failure came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// Another request of the same time was counted already, or it has not happened often enough to be a pause.
    Quietly,
    /// It is a pause.
    Paused(Change),
}

impl Gates {
    pub(super) fn pace(&self, now: Instant) -> Pace {
        let gates = [&self.cluster, &self.credentials];
        if gates.iter().all(|gate| gate.is_open()) {
            Pace::Flow
        } else if gates.iter().all(|gate| gate.is_open() || gate.may_probe(now)) {
            Pace::Probe
        } else {
            Pace::Hold
        }
    }

    /// To be kept with a request that is sent now.
    pub(super) fn epochs(&self) -> Epochs {
        Epochs { cluster: self.cluster.epoch(), credentials: self.credentials.epoch() }
    }

    /// Whether the last credentials were refused.
    pub(super) fn needs_credentials(&self) -> bool {
        !self.credentials.is_open()
    }

    /// When the next probe may be sent; `None` while one is under way, or where both gates are open.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        if self.cluster.is_probing() || self.credentials.is_probing() {
            return None;
        }
        self.cluster.probe_at().max(self.credentials.probe_at())
    }

    /// A probe of cluster and credentials is being sent.
    pub(super) fn probe(&mut self) {
        self.cluster.probe();
        self.credentials.probe();
    }

    /// A probe ended. A gate of which it said nothing may be probed again at once.
    pub(super) fn end_probe(&mut self, now: Instant) {
        self.cluster.end_probe(now);
        self.credentials.end_probe(now);
    }

    /// A request that was sent at `epochs` was accepted. Gives the pauses that this ended.
    pub(super) fn succeed(&mut self, epochs: Epochs) -> Vec<Ended> {
        let opened = [
            self.cluster.succeed(epochs.cluster).then_some(Scope::Cluster),
            self.credentials.succeed(epochs.credentials).then_some(Scope::Credentials),
        ];
        opened.iter().flatten().filter_map(|scope| self.pauses.leave(scope)).collect()
    }

    /// A request that was sent at `epochs` failed. The first refusal of credentials is met by fresh ones alone.
    pub(super) fn fail(&mut self, failure: Failure, epochs: Epochs, delays: &mut Delays, now: Instant) -> Failed {
        let Failure { reason, detail, pause_after, retry_after, .. } = failure;
        let (gate, epoch) = match failure.gate {
            FailedGate::Cluster => (&mut self.cluster, epochs.cluster),
            FailedGate::Credentials => (&mut self.credentials, epochs.credentials),
        };
        if !gate.fail(epoch) {
            return Failed::Quietly;
        }
        let failures = gate.failures();
        gate.close(now + delays.next(failures - 1, retry_after));
        if failures < pause_after {
            return Failed::Quietly;
        }
        Failed::Paused(self.pauses.enter(failure.gate.scope(), reason, Some(detail), now))
    }

    /// The gate of an index fails: its items are held back until a probe is accepted.
    pub(super) fn fail_index(
        &mut self,
        gate: &mut Gate,
        answer: IndexAnswer,
        delays: &mut Delays,
        now: Instant,
    ) -> Failed {
        let Some((reason, detail)) = answer.pause else { return Failed::Quietly };
        if !gate.fail(answer.epoch) {
            return Failed::Quietly;
        }
        gate.close(now + delays.next(gate.failures() - 1, None));
        Failed::Paused(self.pauses.enter(Scope::Index(answer.index), reason, detail, now))
    }

    /// Items of an index were accepted. Gives the pause that this ended.
    pub(super) fn succeed_index(&mut self, gate: &mut Gate, answer: IndexAnswer) -> Option<Ended> {
        let opened = gate.succeed(answer.epoch);
        if opened { self.pauses.leave(&Scope::Index(answer.index)) } else { None }
    }

    /// An index is missing. Its operations are stopped, and not held back.
    pub(super) fn miss_index(&mut self, scope: Scope, now: Instant) -> Change {
        self.pauses.enter(scope, PauseReason::IndexMissing, None, now)
    }

    /// All pauses.
    pub(super) fn pauses(&self) -> &Pauses {
        &self.pauses
    }

    /// Ends pauses of missing indices that nothing met for long: they hold nothing back.
    pub(super) fn forget_missing(&mut self, now: Instant) -> Vec<Pause> {
        self.pauses.forget_missing(now)
    }

    /// The index answers, whatever it says: it is not missing.
    pub(super) fn found_index(&mut self, index: &IndexName) -> Option<Ended> {
        let scope = Scope::Index(index.clone());
        let missing = self.pauses.get(&scope).is_some_and(|pause| pause.reason == PauseReason::IndexMissing);
        if missing { self.pauses.leave(&scope) } else { None }
    }

    /// Whether an index is paused by the brake.
    pub(super) fn is_braked(&self, index: &IndexName) -> bool {
        let pause = self.pauses.get(&Scope::Index(index.clone()));
        pause.is_some_and(|pause| pause.reason == PauseReason::DocumentsRefused)
    }

    /// The brake is on an index: its gate closes, and a probe is sent soon: many documents may have to be tried.
    pub(super) fn brake_index(
        &mut self,
        gate: &mut Gate,
        index: IndexName,
        detail: Option<String>,
        now: Instant,
    ) -> Change {
        let epoch = gate.epoch();
        gate.fail(epoch);
        let wait = BRAKE_PROBE.min(Duration::from_millis(100).saturating_mul(gate.failures()));
        gate.close(now + wait);
        self.pauses.enter(Scope::Index(index), PauseReason::DocumentsRefused, detail, now)
    }

    /// The pauses that are due to be reported again; they count as reported.
    pub(super) fn reminders(&mut self, now: Instant) -> Vec<Pause> {
        self.pauses.due(now)
    }
}

impl FailedGate {
    pub(super) fn scope(self) -> Scope {
        match self {
            FailedGate::Cluster => Scope::Cluster,
            FailedGate::Credentials => Scope::Credentials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::{Jitter, RetrySchedule};

    const LONGEST: Duration = Duration::from_secs(30);

    fn delays() -> Delays {
        Delays::new(RetrySchedule::new(Duration::from_millis(100), LONGEST), Jitter::with_seed(1))
    }

    fn failure(gate: FailedGate, pause_after: u32) -> Failure {
        Failure { gate, reason: PauseReason::Unreachable, detail: "x".into(), pause_after, retry_after: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_a_pause_once_it_happens_often_enough() {
        let (mut gates, mut delays, now) = (Gates::default(), delays(), Instant::now());
        let sent = gates.epochs();
        assert_eq!(gates.fail(failure(FailedGate::Cluster, 2), sent, &mut delays, now), Failed::Quietly);
        assert_eq!(gates.pace(now + LONGEST), Pace::Probe);
        // Another request of the same time does not count.
        assert_eq!(gates.fail(failure(FailedGate::Cluster, 2), sent, &mut delays, now), Failed::Quietly);
        let sent = gates.epochs();
        let failed = gates.fail(failure(FailedGate::Cluster, 2), sent, &mut delays, now);
        assert_eq!(failed, Failed::Paused(Change::New));
        assert!(gates.pauses().get(&Scope::Cluster).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_accepted_probe_opens_both_gates_and_ends_their_pauses() {
        let (mut gates, mut delays, now) = (Gates::default(), delays(), Instant::now());
        for gate in [FailedGate::Cluster, FailedGate::Credentials] {
            gates.fail(failure(gate, 1), gates.epochs(), &mut delays, now);
        }
        assert!(gates.needs_credentials());
        let at = gates.probe_at().unwrap();
        assert_eq!((gates.pace(at), gates.pauses().snapshot().len()), (Pace::Probe, 2));
        gates.probe();
        assert_eq!((gates.pace(at), gates.probe_at()), (Pace::Hold, None));
        // A probe that says nothing.
        gates.end_probe(at);
        assert_eq!(gates.pace(at), Pace::Probe);
        gates.probe();
        let ended: Vec<Scope> = gates.succeed(gates.epochs()).into_iter().map(|ended| ended.pause().scope).collect();
        assert_eq!(ended, [Scope::Cluster, Scope::Credentials]);
        assert_eq!(gates.pace(at), Pace::Flow);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_given_the_time_that_it_asks_for() {
        let (mut gates, mut delays, now) = (Gates::default(), delays(), Instant::now());
        let asked = Duration::from_secs(7);
        let failure = Failure { retry_after: Some(asked), ..failure(FailedGate::Cluster, 3) };
        gates.fail(failure, gates.epochs(), &mut delays, now);
        assert!(gates.probe_at().unwrap() >= now + asked);
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_is_paused_and_resumes_alone() {
        let (mut gates, mut delays, mut gate, now) = (Gates::default(), delays(), Gate::default(), Instant::now());
        let index = IndexName::parse("a").unwrap();
        let answer = |gate: &Gate, pause: Option<PauseReason>| IndexAnswer {
            index: index.clone(),
            concrete: "a-000001".into(),
            epoch: gate.epoch(),
            accepted: pause.is_none(),
            carried_out: pause.is_none(),
            found: true,
            unavailable: false,
            pause: pause.map(|reason| (reason, None)),
        };
        let refused = answer(&gate, Some(PauseReason::ReadOnly));
        assert_eq!(gates.fail_index(&mut gate, refused, &mut delays, now), Failed::Paused(Change::New));
        assert!(!gate.is_open());
        assert_eq!(gates.pace(now), Pace::Flow);
        let accepted = answer(&gate, None);
        assert_eq!(gates.succeed_index(&mut gate, accepted).unwrap().pause().reason, PauseReason::ReadOnly);
        // A missing index has no closed gate.
        assert_eq!(gates.miss_index(Scope::Index(index.clone()), now), Change::New);
        assert!(gate.is_open());
        assert_eq!(gates.found_index(&index).unwrap().pause().reason, PauseReason::IndexMissing);
        assert_eq!(gates.found_index(&index), None);
        let accepted = answer(&gate, None);
        assert_eq!(gates.succeed_index(&mut gate, accepted), None);
    }
}
