//! Decides whether a shard has ended. Pure.
//!
//! A missing next iterator alone does not prove the end: emulators and proxies omit it on open shards. It must be
//! missing twice in a row, the second time in the answer to a new iterator after the last record read, and the shard
//! must be closed.

use std::time::Duration;

use tokio::time::Instant;

/// How far the end of a shard is proven.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Answers in a row without a next iterator; with records, the count begins with that answer.
    answers: u32,
    /// When the first of them was asked for.
    since: Option<Instant>,
    /// When to check next whether the shard is closed, after it was found open.
    check_at: Option<Instant>,
    /// How often it was found open.
    found_open: u32,
}

/// What an answer means for the end of the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It has a next iterator: this is not the end.
    Open,
    /// A new iterator is to be asked for at once.
    AskAgain,
    /// The answers agree: check whether the shard is closed.
    CheckClosed,
    /// They agree, and the shard was found open just now.
    Wait,
}

/// What a well-formed answer of GetRecords held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) empty: bool,
    pub(super) has_next: bool,
}

const AGREEING_ANSWERS: u32 = 2;
/// Children show within seconds: so many checks are a second apart, and then more and more.
const FIRST_CHECKS: u32 = 15;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Ending {
    pub(super) fn see(&mut self, answered: Answered, now: Instant) -> Step {
        if answered.has_next {
            *self = Ending::default();
            return Step::Open;
        }
        if answered.empty {
            self.answers = self.answers.saturating_add(1);
            self.since.get_or_insert(now);
        } else {
            // What comes after these records is not known yet.
            (self.answers, self.since) = (1, Some(now));
        }
        match self.check_at {
            _ if self.answers < AGREEING_ANSWERS => Step::AskAgain,
            Some(at) if now < at => Step::Wait,
            _ => Step::CheckClosed,
        }
    }

    /// When the first answer without a next iterator was asked for, after the last record.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Nobody could say whether the shard is closed.
    pub(super) fn is_unknown(&mut self, now: Instant) {
        self.check_at = Some(now + FIRST_WAIT);
    }

    /// The shard is not closed.
    pub(super) fn is_open(&mut self, now: Instant) {
        self.found_open = self.found_open.saturating_add(1);
        let doublings = self.found_open.saturating_sub(FIRST_CHECKS);
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_WAIT);
        self.check_at = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: Answered = Answered { empty: false, has_next: true };
    const EMPTY: Answered = Answered { empty: true, has_next: true };
    const LAST_RECORDS: Answered = Answered { empty: false, has_next: false };
    const NOTHING: Answered = Answered { empty: true, has_next: false };

    fn steps(answers: &[Answered]) -> Vec<Step> {
        let (mut ending, now) = (Ending::default(), Instant::now());
        answers.iter().map(|answered| ending.see(*answered, now)).collect()
    }

    #[test]
    fn l12_two_answers_without_an_iterator_must_agree() {
        assert_eq!(steps(&[NOTHING, NOTHING]), [Step::AskAgain, Step::CheckClosed]);
        assert_eq!(steps(&[NOTHING, EMPTY, NOTHING, NOTHING])[1..], [Step::Open, Step::AskAgain, Step::CheckClosed]);
        assert_eq!(steps(&[NOTHING, RECORDS, NOTHING])[1..], [Step::Open, Step::AskAgain]);
    }

    #[test]
    fn l12_who_could_not_be_asked_is_asked_again_a_second_later() {
        let (mut ending, now) = (Ending::default(), Instant::now());
        ending.see(NOTHING, now);
        assert_eq!(ending.see(NOTHING, now), Step::CheckClosed);
        ending.is_unknown(now);
        assert_eq!(ending.see(NOTHING, now + FIRST_WAIT / 2), Step::Wait);
        assert_eq!(ending.see(NOTHING, now + FIRST_WAIT), Step::CheckClosed);
    }

    #[test]
    fn answers_without_an_iterator_begin_with_the_last_records() {
        let (mut ending, now) = (Ending::default(), Instant::now());
        let mut since = |answered, seconds| {
            ending.see(answered, now + FIRST_WAIT * seconds);
            ending.since().map(|since| since.duration_since(now))
        };
        assert_eq!(since(EMPTY, 0), None);
        assert_eq!([since(NOTHING, 1), since(NOTHING, 2)], [Some(FIRST_WAIT); 2]);
        assert_eq!([since(LAST_RECORDS, 3), since(NOTHING, 4)], [Some(FIRST_WAIT * 3); 2]);
        assert_eq!(since(RECORDS, 5), None);
    }

    #[test]
    fn l12_the_second_answer_comes_after_the_last_record_read() {
        assert_eq!(steps(&[LAST_RECORDS, NOTHING]), [Step::AskAgain, Step::CheckClosed]);
        assert_eq!(steps(&[NOTHING, LAST_RECORDS, NOTHING]), [Step::AskAgain, Step::AskAgain, Step::CheckClosed]);
        assert_eq!(steps(&[LAST_RECORDS, LAST_RECORDS]), [Step::AskAgain; 2]);
    }

    #[test]
    fn a_child_that_shows_within_seconds_is_found_within_a_second() {
        let (mut ending, mut now) = (Ending::default(), Instant::now());
        ending.see(NOTHING, now);
        for _ in 0..10 {
            assert_eq!(ending.see(NOTHING, now), Step::CheckClosed);
            ending.is_open(now);
            now += Duration::from_secs(1);
        }
    }

    #[test]
    fn a_shard_that_is_open_is_looked_at_less_and_less_often() {
        let (mut ending, mut now) = (Ending::default(), Instant::now());
        ending.see(NOTHING, now);
        let mut checks = 0;
        for _ in 0..600 {
            if ending.see(NOTHING, now) == Step::CheckClosed {
                checks += 1;
                ending.is_open(now);
            }
            now += Duration::from_secs(1);
        }
        assert!((34..=40).contains(&checks), "{checks}");
        assert_eq!(ending.see(RECORDS, now), Step::Open);
        assert_eq!([ending.see(NOTHING, now), ending.see(NOTHING, now)], [Step::AskAgain, Step::CheckClosed]);
    }
}
