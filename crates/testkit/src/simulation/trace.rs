//! The trace of a run, in order. It is hashed, so that two runs can be compared, and its end is kept for people.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard};

use super::dice::{FNV_START, fnv};
use super::lock::lock;
use super::time::VirtualTime;

/// What happened so far.
#[derive(Debug)]
pub(super) struct Trace {
    time: VirtualTime,
    noted: Mutex<Noted>,
}

#[derive(Debug)]
struct Noted {
    hash: u64,
    events: u64,
    last: VecDeque<String>,
    keep: usize,
    violations: Vec<String>,
}

/// More broken rules than this say nothing new.
const MOST_VIOLATIONS: usize = 20;

impl Trace {
    /// Keeps the last `keep` events.
    pub(super) fn new(time: VirtualTime, keep: usize) -> Trace {
        let noted = Noted { hash: FNV_START, events: 0, last: VecDeque::new(), keep, violations: Vec::new() };
        Trace { time, noted: Mutex::new(noted) }
    }

    pub(super) fn note(&self, event: fmt::Arguments<'_>) {
        let line = format!("{:>11.3}  {event}", self.time.millis() as f64 / 1000.0);
        let mut noted = self.noted();
        noted.hash = fnv(noted.hash, &line);
        noted.events += 1;
        if noted.last.len() == noted.keep {
            noted.last.pop_front();
        }
        noted.last.push_back(line);
    }

    /// A rule was broken.
    pub(super) fn violation(&self, rule: fmt::Arguments<'_>) {
        self.note(format_args!("VIOLATION {rule}"));
        let mut noted = self.noted();
        if noted.violations.len() < MOST_VIOLATIONS {
            let at = self.time.millis() as f64 / 1000.0;
            noted.violations.push(format!("at {at:.3} s: {rule}"));
        }
    }

    pub(super) fn violations(&self) -> Vec<String> {
        self.noted().violations.clone()
    }

    pub(super) fn hash(&self) -> u64 {
        self.noted().hash
    }

    pub(super) fn events(&self) -> u64 {
        self.noted().events
    }

    pub(super) fn last(&self) -> Vec<String> {
        self.noted().last.iter().cloned().collect()
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        lock(&self.noted)
    }
}
