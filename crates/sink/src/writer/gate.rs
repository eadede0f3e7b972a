//! A gate for requests of one kind: it closes on failure, and a probe opens it. Pure.

use tokio::time::Instant;

/// For the whole cluster, for the credentials, or for one index.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    state: State,
    failures: u32,
    epoch: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Nothing is sent before this time; then one small request.
    Closed(Instant),
    /// The small request is under way.
    Probing,
}

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether a small request is under way.
    pub(super) fn is_probing(&self) -> bool {
        self.state == State::Probing
    }

    /// Whether the time of the next probe has come.
    pub(super) fn may_probe(&self, now: Instant) -> bool {
        matches!(self.state, State::Closed(until) if until <= now)
    }

    /// When the next probe may be sent.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Closed(until) => Some(until),
            State::Open | State::Probing => None,
        }
    }

    /// A probe is being sent.
    pub(super) fn probe(&mut self) {
        if !self.is_open() {
            self.state = State::Probing;
        }
    }

    /// How often in a row it failed.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// To be kept with each request: an answer speaks only of the time since the last failure.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A request that was sent in `epoch` failed. False if that failure was counted already, with another
    /// request of the same time.
    pub(super) fn fail(&mut self, epoch: u64) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.epoch += 1;
        self.failures = self.failures.saturating_add(1);
        true
    }

    /// Closes until the next probe.
    pub(super) fn close(&mut self, until: Instant) {
        self.state = State::Closed(until);
    }

    /// A request that was sent in `epoch` was accepted. True if that opened the gate.
    pub(super) fn succeed(&mut self, epoch: u64) -> bool {
        if epoch != self.epoch {
            return false;
        }
        let opened = !self.is_open();
        self.failures = 0;
        self.state = State::Open;
        opened
    }

    /// A probe ended without saying anything of this gate: the next one may be sent at once.
    pub(super) fn end_probe(&mut self, now: Instant) {
        if self.state == State::Probing {
            self.state = State::Closed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn requests_of_one_time_count_as_one_failure() {
        let mut gate = Gate::default();
        let now = Instant::now();
        let epoch = gate.epoch();
        assert!(gate.fail(epoch));
        gate.close(now + Duration::from_secs(1));
        assert!((0..7).all(|_| !gate.fail(epoch)));
        assert_eq!(gate.failures(), 1);
        // An answer to a request from before the failure does not open it.
        assert!(!gate.succeed(epoch));
        assert!(!gate.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_opens_it_or_closes_it_again() {
        let mut gate = Gate::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert!(gate.fail(gate.epoch()));
        gate.close(later);
        assert!(!gate.may_probe(now) && gate.may_probe(later));
        gate.probe();
        assert!(!gate.may_probe(later) && !gate.is_open());
        gate.end_probe(later);
        assert!(gate.may_probe(later));
        gate.probe();
        assert!(gate.succeed(gate.epoch()));
        assert!(gate.is_open());
        assert_eq!(gate.failures(), 0);
    }
}
