//! Decides when a one-shot command gives up: after too long without a decision. Pure.

use tokio::time::{Duration, Instant};

use super::settings::Patience;

#[derive(Debug)]
pub(super) struct Progress {
    patience: Patience,
    /// When an operation was last decided, or the writer last began to have work.
    at: Instant,
    ever_decided: bool,
    /// Something went wrong since then.
    troubled: bool,
}

impl Progress {
    pub(super) fn new(patience: Patience, now: Instant) -> Progress {
        Progress { patience, at: now, ever_decided: false, troubled: false }
    }

    /// The writer has work after it had none.
    pub(super) fn begin(&mut self, now: Instant) {
        self.at = now;
        self.troubled = false;
    }

    /// OpenSearch answers, and what is sent next is smaller: that is no reason to give up.
    pub(super) fn divided(&mut self, now: Instant) {
        self.at = now;
    }

    /// An operation got a final decision.
    pub(super) fn decided(&mut self, now: Instant) {
        self.at = now;
        self.ever_decided = true;
        self.troubled = false;
    }

    /// Operations must be sent or read again.
    pub(super) fn trouble(&mut self) {
        self.troubled = true;
    }

    /// The waiting operations were stopped; what comes in later is tried again.
    pub(super) fn gave_up(&mut self) {
        self.troubled = false;
    }

    /// When to give up, with this many operations waiting, unless one is decided before; `None`: never.
    pub(super) fn give_up_at(&self, waiting: usize) -> Option<Instant> {
        let Patience::OneShot { at_start, later } = self.patience else { return None };
        let allowed = if self.ever_decided { later } else { at_start };
        (self.troubled && waiting > 0).then(|| self.at + allowed)
    }

    /// How long nothing has been decided.
    pub(super) fn stalled(&self, now: Instant) -> Duration {
        now.duration_since(self.at)
    }

    /// Whether a state that only an operator can end is waited for.
    pub(super) fn is_endless(&self) -> bool {
        self.patience == Patience::Endless
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn only_a_troubled_one_shot_command_with_waiting_operations_gives_up() {
        let now = Instant::now();
        let mut progress = Progress::new(Patience::one_shot(), now);
        assert_eq!(progress.give_up_at(1), None);
        progress.trouble();
        assert_eq!(progress.give_up_at(0), None);
        assert_eq!(progress.give_up_at(1), Some(now + SECOND * 10));
        progress.gave_up();
        assert_eq!(progress.give_up_at(1), None);

        let mut endless = Progress::new(Patience::Endless, now);
        endless.trouble();
        assert_eq!(endless.give_up_at(1), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_allows_more_time_and_a_division_starts_it_again() {
        let now = Instant::now();
        let mut progress = Progress::new(Patience::one_shot(), now);
        progress.trouble();
        progress.divided(now + SECOND * 3);
        assert_eq!(progress.give_up_at(1), Some(now + SECOND * 13));
        progress.decided(now + SECOND * 5);
        progress.trouble();
        assert_eq!(progress.give_up_at(1), Some(now + SECOND * 65));
        progress.begin(now + SECOND * 20);
        progress.trouble();
        assert_eq!(progress.give_up_at(1), Some(now + SECOND * 80));
        assert_eq!(progress.stalled(now + SECOND * 21), SECOND);
    }
}
