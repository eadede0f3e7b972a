//! The faults between workers and services, and their ends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::dice::Dice;
use super::lock::lock;

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endpoint {
    Stream,
    State,
    Search,
    Items,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// Carried out; the answer takes this long.
    Slow(Duration),
    /// Never carried out, and no answer.
    LostRequest,
    /// Carried out, and no answer.
    LostAnswer,
    /// Carried out so much later, and no answer.
    Late(Duration),
    /// Not carried out: this is the answer.
    Refused(Refusal),
}

/// How a service refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Throttled,
    Failed,
    /// OpenSearch: a write block on every index.
    Blocked,
    /// OpenSearch: some items of the request are refused with 429, the others are carried out.
    SomeItems,
}

/// Something that goes wrong for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) endpoint: Endpoint,
    pub(super) until: u64,
    pub(super) thousandths: u32,
    pub(super) fate: Fate,
}

/// Everything that goes wrong now.
#[derive(Debug, Default)]
pub(super) struct Weather {
    rules: Mutex<Vec<Rule>>,
    /// From when on nothing goes wrong, as far as is known.
    quiet_from: AtomicU64,
}

impl Weather {
    pub(super) fn add(&self, rule: Rule) {
        self.quiet_from.fetch_max(rule.until, Ordering::Relaxed);
        lock(&self.rules).push(rule);
    }

    /// Nothing goes wrong any more.
    pub(super) fn clear(&self, now: u64) {
        self.quiet_from.fetch_min(now, Ordering::Relaxed);
        lock(&self.rules).clear();
    }

    /// Since when nothing has gone wrong; a moment to come where something does now.
    pub(super) fn quiet_from(&self) -> u64 {
        self.quiet_from.load(Ordering::Relaxed)
    }

    /// Whether nothing has gone wrong for so long.
    pub(super) fn is_quiet(&self, now: u64, for_long: u64) -> bool {
        self.quiet_from().saturating_add(for_long) <= now
    }

    /// What becomes of a call that begins now.
    pub(super) fn draw(&self, endpoint: Endpoint, now: u64, dice: &mut Dice) -> Fate {
        let mut rules = lock(&self.rules);
        rules.retain(|rule| rule.until > now);
        for rule in rules.iter().filter(|rule| rule.endpoint == endpoint) {
            if dice.rarely(rule.thousandths) {
                return rule.fate;
            }
        }
        Fate::Fine
    }
}
