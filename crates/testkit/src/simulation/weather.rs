//! What goes wrong between workers and services, and until when.

use std::sync::Mutex;
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
pub(super) struct Weather(Mutex<Vec<Rule>>);

impl Weather {
    pub(super) fn add(&self, rule: Rule) {
        lock(&self.0).push(rule);
    }

    /// Nothing goes wrong any more.
    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// What becomes of a call that begins now.
    pub(super) fn draw(&self, endpoint: Endpoint, now: u64, dice: &mut Dice) -> Fate {
        let mut rules = lock(&self.0);
        rules.retain(|rule| rule.until > now);
        for rule in rules.iter().filter(|rule| rule.endpoint == endpoint) {
            if dice.rarely(rule.thousandths) {
                return rule.fate;
            }
        }
        Fate::Fine
    }
}
