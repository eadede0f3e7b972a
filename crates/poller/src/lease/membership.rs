//! Who is alive, as far as one worker can tell.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{EXPIRY, WorkerId};
use crate::state::StoredWorker;

/// A worker that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: WorkerId,
    /// When it started, in seconds since 1970 by its own clock: good for an order, not for an age.
    pub started: u64,
}

/// What one worker has seen of the others' beats, on its own monotonic clock. The others' clocks do not count:
/// they may be wrong.
#[derive(Debug, Default)]
pub struct Membership {
    seen: BTreeMap<WorkerId, Seen>,
    members: Vec<Member>,
    changed: Option<Duration>,
}

#[derive(Debug)]
struct Seen {
    beat: u64,
    started: u64,
    /// When the beat was first seen with this number.
    since: Duration,
    /// How often it was seen with it. One look after a long sleep of the observer's own proves nothing.
    looks: u32,
}

/// So many looks in a row must show the same beat.
const LOOKS: u32 = 3;

// === impl Membership ===

impl Membership {
    /// Takes in what a refresh shows that was asked for at `began` and answered at `answered`, on this worker's
    /// monotonic clock.
    ///
    /// A beat that is new may have been written until the answer came, and one that stands still had the time
    /// until the refresh was asked for: in between the state table looked at some moment that nobody knows.
    pub fn observe(&mut self, workers: &[StoredWorker], began: Duration, answered: Duration) {
        self.seen.retain(|id, _| workers.iter().any(|worker| worker.id == *id));
        for worker in workers {
            let fresh = Seen { beat: worker.beat, started: worker.started, since: answered, looks: 0 };
            let seen = self.seen.entry(worker.id.clone()).or_insert(fresh);
            if seen.beat != worker.beat {
                *seen = Seen { beat: worker.beat, started: worker.started, since: answered, looks: 0 };
            }
            seen.looks = seen.looks.saturating_add(1);
        }
        let alive = self.seen.iter().filter(|(_, seen)| !seen.is_expired(began));
        let members: Vec<Member> = alive.map(|(id, seen)| Member { id: id.clone(), started: seen.started }).collect();
        if members != self.members {
            self.members = members;
            self.changed = Some(began);
        }
    }

    /// The workers that are alive, in the order of their ids. A worker without an item has left.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// How long the same workers have been alive.
    pub fn stable_for(&self, now: Duration) -> Duration {
        self.changed.map_or(Duration::ZERO, |changed| now.saturating_sub(changed))
    }
}

// === impl Seen ===

impl Seen {
    fn is_expired(&self, now: Duration) -> bool {
        self.looks >= LOOKS && now.saturating_sub(self.since) >= EXPIRY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(id: &str, beat: u64) -> StoredWorker {
        let (version, summary) = (String::new(), String::new());
        StoredWorker { id: WorkerId::new(id), beat, started: 7, at: 7, version, summary }
    }

    fn alive(membership: &Membership) -> Vec<&str> {
        membership.members().iter().map(|member| member.id.as_str()).collect()
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// A refresh that takes no time.
    fn observe(membership: &mut Membership, workers: &[StoredWorker], at: f64) {
        membership.observe(workers, seconds(at), seconds(at));
    }

    #[test]
    fn a_slow_refresh_does_not_make_a_beat_older_than_it_may_be() {
        let mut membership = Membership::default();
        // The beat may have been written a moment before the answer, and its writer's tenure lasts until 9.4 s.
        membership.observe(&[worker("b", 9)], seconds(0.0), seconds(4.9));
        for at in [5.0, 6.5, 8.0, 9.5, 10.8] {
            observe(&mut membership, &[worker("b", 9)], at);
            assert_eq!(alive(&membership), ["b"], "{at}");
        }
        observe(&mut membership, &[worker("b", 9)], 10.9);
        assert_eq!(alive(&membership), Vec::<&str>::new());
    }

    #[test]
    fn a_beat_that_stands_still_is_the_end_of_a_worker() {
        let mut membership = Membership::default();
        for look in 0..4_u32 {
            observe(&mut membership, &[worker("a", u64::from(look)), worker("b", 9)], 1.5 * f64::from(look));
            assert_eq!(alive(&membership), ["a", "b"], "{look}");
        }
        observe(&mut membership, &[worker("a", 4), worker("b", 9)], 6.0);
        assert_eq!(alive(&membership), ["a"]);
        assert_eq!(membership.stable_for(seconds(10.0)), seconds(4.0));
        // It was only slow.
        observe(&mut membership, &[worker("a", 5), worker("b", 10)], 7.5);
        assert_eq!(alive(&membership), ["a", "b"]);
    }

    #[test]
    fn an_observer_that_slept_has_seen_nothing() {
        let mut membership = Membership::default();
        observe(&mut membership, &[worker("b", 9)], 0.0);
        observe(&mut membership, &[worker("b", 9)], 7_200.0);
        assert_eq!(alive(&membership), ["b"], "two looks, two hours apart");
        observe(&mut membership, &[worker("b", 9)], 7_201.5);
        assert_eq!(alive(&membership), Vec::<&str>::new());
    }

    #[test]
    fn a_worker_that_left_is_gone_at_once() {
        let mut membership = Membership::default();
        observe(&mut membership, &[worker("a", 1), worker("b", 1)], 0.0);
        observe(&mut membership, &[worker("a", 2)], 1.5);
        assert_eq!(alive(&membership), ["a"]);
    }
}
