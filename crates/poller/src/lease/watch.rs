//! Decides when a standby may take the lease. Pure.

use std::time::Duration;

use super::give_up::{LONGEST, OTHERS_GO_FIRST, THE_WELL_GO_FIRST, wait_of_a_host};
use super::{EXPIRY, LEASE_READ, WorkerId};
use crate::state::StoredLease;

/// The lease as one standby has seen it, on the standby's own monotonic clock. The reader's clock does not count: it
/// may be wrong.
#[derive(Debug)]
pub struct LeaseWatch {
    me: WorkerId,
    seen: Option<Seen>,
    /// The time since which the lease could be taken, apart from the delay for this host's terms without progress.
    free_since: Option<Duration>,
    /// The last term of this worker that it had to give up.
    given_up: Option<GivenUp>,
    /// It takes a free lease at once, whatever its host's terms came to.
    impatient: bool,
}

#[derive(Debug, Clone, Copy)]
struct GivenUp {
    term: u64,
    /// When, on this worker's monotonic clock.
    at: Duration,
}

#[derive(Debug)]
struct Seen {
    owner: Option<WorkerId>,
    term: u64,
    beat: u64,
    /// When the beat was first seen with this number.
    since: Duration,
    /// How often it was seen with it. One look after a long sleep of the observer's own proves nothing.
    reads: u32,
}

/// What a look at the lease means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be taken, as it was seen.
    Free,
    /// Look again after this time.
    Wait(Duration),
}

/// So many looks in a row must show the same beat.
const AGREEING_READS: u32 = 3;

// === impl LeaseWatch ===

impl LeaseWatch {
    /// Nothing was seen yet.
    pub fn new(me: WorkerId) -> LeaseWatch {
        LeaseWatch { me, seen: None, free_since: None, given_up: None, impatient: false }
    }

    /// Like [`LeaseWatch::new`], for a worker that takes a free lease at once, whether or not earlier terms of its host
    /// made progress.
    pub fn impatient(me: WorkerId) -> LeaseWatch {
        LeaseWatch { impatient: true, ..LeaseWatch::new(me) }
    }

    /// This worker gave the lease of this term up, `at` this moment of its monotonic clock: it lets others go first for so
    /// long.
    pub fn gave_up(&mut self, term: u64, at: Duration) -> Duration {
        (self.given_up, self.free_since) = (Some(GivenUp { term, at }), None);
        OTHERS_GO_FIRST
    }

    /// A term of this worker ended otherwise.
    pub fn got_on(&mut self) {
        self.given_up = None;
    }

    /// Processes a read of the lease that began at `began` and was answered at `answered`, on this worker's monotonic
    /// clock; `None` if there is no item.
    ///
    /// A beat that is new may have been written until the answer came, and one that stands still had the time until the
    /// look was asked for: in between the state table looked at some moment that nobody knows.
    pub fn observe(&mut self, lease: Option<&StoredLease>, began: Duration, answered: Duration) -> Verdict {
        let Some(lease) = lease else {
            self.seen = None;
            return Verdict::Free;
        };
        let is_the_same =
            |seen: &&mut Seen| (&seen.owner, seen.term, seen.beat) == (&lease.owner, lease.term, lease.beat);
        let (reads, since) = match self.seen.as_mut().filter(is_the_same) {
            Some(seen) => {
                seen.reads = seen.reads.saturating_add(1);
                (seen.reads, seen.since)
            }
            None => {
                let seen =
                    Seen { owner: lease.owner.clone(), term: lease.term, beat: lease.beat, since: answered, reads: 1 };
                self.seen = Some(seen);
                (1, answered)
            }
        };
        let stood_still = began.saturating_sub(since);
        let expired = reads >= AGREEING_READS && stood_still >= EXPIRY;
        if lease.owner.is_some() && !expired {
            self.free_since = None;
            let left = EXPIRY.saturating_sub(stood_still);
            return Verdict::Wait(if left.is_zero() { LEASE_READ } else { left.min(LEASE_READ) });
        }
        let free_since = *self.free_since.get_or_insert(began);
        let wait = wait_of_a_host(lease, &self.me).max(self.wait_after_giving_up(lease, began));
        let left = wait.saturating_sub(began.saturating_sub(free_since));
        if left.is_zero() || self.impatient { Verdict::Free } else { Verdict::Wait(left.min(LEASE_READ)) }
    }

    /// A worker that gave up the last term waits for all others. A worker that gave up an earlier term waits for those
    /// that gave up none. So if every replica has given up a term, the one that failed last goes last.
    fn wait_after_giving_up(&self, lease: &StoredLease, now: Duration) -> Duration {
        match self.given_up {
            Some(given_up) if given_up.term == lease.term => OTHERS_GO_FIRST,
            Some(given_up) if now.saturating_sub(given_up.at) < LONGEST => THE_WELL_GO_FIRST,
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn lease(owner: Option<&str>, beat: u64) -> StoredLease {
        StoredLease { owner: owner.map(WorkerId::new), term: 3, beat, ..StoredLease::default() }
    }

    fn watch() -> LeaseWatch {
        LeaseWatch::new(WorkerId::new("me-1-a"))
    }

    /// A look that takes no time.
    fn read(watch: &mut LeaseWatch, lease: &StoredLease, at: f64) -> Verdict {
        watch.observe(Some(lease), seconds(at), seconds(at))
    }

    #[test]
    fn l6_a_lease_that_nobody_has_is_taken_at_once() {
        assert_eq!(watch().observe(None, seconds(0.0), seconds(0.1)), Verdict::Free);
        assert_eq!(read(&mut watch(), &lease(None, 9), 0.0), Verdict::Free);
    }

    #[test]
    fn l6_a_beat_that_stands_still_for_an_expiry_is_the_end_of_a_reader() {
        let mut watch = watch();
        for beat in 0..5_u32 {
            let verdict = read(&mut watch, &lease(Some("w"), u64::from(beat)), 1.5 * f64::from(beat));
            assert_eq!(verdict, Verdict::Wait(LEASE_READ));
        }
        // First seen at 6.0 s; the last look comes when the time is over, and not a look later.
        for at in [6.75, 7.5, 8.25, 9.0, 9.75, 10.5] {
            assert_eq!(read(&mut watch, &lease(Some("w"), 4), at), Verdict::Wait(LEASE_READ), "{at}");
        }
        assert_eq!(read(&mut watch, &lease(Some("w"), 4), 11.5), Verdict::Wait(seconds(0.5)));
        assert_eq!(read(&mut watch, &lease(Some("w"), 4), 12.0), Verdict::Free);
        // It was only slow.
        assert_eq!(read(&mut watch, &lease(Some("w"), 5), 12.1), Verdict::Wait(LEASE_READ));
    }

    #[test]
    fn l6_an_observer_that_slept_has_seen_nothing() {
        let mut watch = watch();
        read(&mut watch, &lease(Some("w"), 9), 0.0);
        assert_eq!(
            read(&mut watch, &lease(Some("w"), 9), 7_200.0),
            Verdict::Wait(LEASE_READ),
            "two reads, two hours apart"
        );
        assert_eq!(read(&mut watch, &lease(Some("w"), 9), 7_200.75), Verdict::Free);
    }

    #[test]
    fn a_slow_look_does_not_make_a_beat_older_than_it_may_be() {
        let mut watch = watch();
        // The beat may have been written a moment before the answer.
        watch.observe(Some(&lease(Some("w"), 9)), seconds(0.0), seconds(4.9));
        for at in [5.0, 6.5, 8.0, 9.5, 10.8] {
            assert!(matches!(read(&mut watch, &lease(Some("w"), 9), at), Verdict::Wait(_)), "{at}");
        }
        assert_eq!(read(&mut watch, &lease(Some("w"), 9), 10.9), Verdict::Free);
    }

    #[test]
    fn another_term_with_the_same_beat_is_another_reader() {
        let mut watch = watch();
        for at in [0.0, 3.0, 5.9] {
            read(&mut watch, &lease(Some("w"), 9), at);
        }
        let other = StoredLease { term: 4, ..lease(Some("w"), 9) };
        assert_eq!(read(&mut watch, &other, 7.0), Verdict::Wait(LEASE_READ));
    }

    #[test]
    fn l6_a_host_whose_terms_were_fruitless_lets_others_go_first() {
        let given_back = |host: &str, fruitless| StoredLease { fruitless, host: host.to_owned(), ..lease(None, 9) };
        assert_eq!(read(&mut watch(), &given_back("other", 2), 0.0), Verdict::Free);
        assert_eq!(read(&mut watch(), &given_back("me", 0), 0.0), Verdict::Free);
        let mut watch = watch();
        for at in [0.0, 5.0, 9.9] {
            assert!(matches!(read(&mut watch, &given_back("me", 5), at), Verdict::Wait(_)), "{at}");
        }
        assert_eq!(read(&mut watch, &given_back("me", 5), 10.0), Verdict::Free, "nobody else was there");
    }

    #[test]
    fn l6_who_gave_the_last_term_up_is_the_last_to_take_it() {
        let given_back = |term| StoredLease { term, host: "other".to_owned(), ..lease(None, 9) };
        let takes_after = |gave_up: Option<(u64, f64)>, term| {
            let mut watch = watch();
            if let Some((given_up, at)) = gave_up {
                watch.gave_up(given_up, seconds(at));
            }
            let mut looks = (0..30).map(|look| f64::from(look) * 0.5);
            looks.find(|at| read(&mut watch, &given_back(term), 400.0 + at) == Verdict::Free).unwrap()
        };
        let rows = [
            ("it never gave up", None, 0.0),
            ("it gave the last term up", Some((7, 399.0)), 10.0),
            ("another one did since", Some((5, 380.0)), 1.5),
            ("that was long ago", Some((5, 90.0)), 0.0),
        ];
        for (row, gave_up, expected) in rows {
            assert_eq!(takes_after(gave_up, 7), expected, "{row}");
        }
        let mut watch = watch();
        watch.gave_up(7, seconds(399.0));
        watch.got_on();
        assert_eq!(read(&mut watch, &given_back(7), 400.0), Verdict::Free);
    }
}
