//! Refused operations whose cause, the document or the index, is not known yet. Pure.
//!
//! They are outside the queue, and their documents count as in flight, so that no later operation on them overtakes.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamdex_mapping::IndexName;
use tokio::time::{Duration, Instant};

use super::decision::Refusal;
use super::op::Op;

/// What would show whether a refusal is the document's fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// An accepted index operation of this concrete index.
    Index(Arc<str>),
    /// An accepted request: this one was refused whole, with one operation in it.
    Request,
}

/// A refused operation without a decision.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) op: Op,
    pub(super) refusal: Refusal,
    pub(super) fault: LoneFault,
}

/// What a refusal of one operation may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoneFault {
    /// The document, or how it is addressed.
    Document,
    /// The size of the request, in bytes.
    Size(usize),
}

#[derive(Debug, Default)]
pub(super) struct HeldBack(BTreeMap<Cause, Group>);

#[derive(Debug)]
struct Group {
    held: Vec<Held>,
    /// Since when nothing else that could show it waits.
    quiet_since: Instant,
}

// === impl HeldBack ===

impl HeldBack {
    pub(super) fn hold(&mut self, cause: Cause, held: Held, now: Instant) {
        let group = self.0.entry(cause).or_insert_with(|| Group { held: Vec::new(), quiet_since: now });
        group.quiet_since = now;
        group.held.push(held);
    }

    /// Puts one back that was taken out too early.
    pub(super) fn put_back(&mut self, cause: &Cause, held: Held, quiet_since: Instant) {
        let group = self.0.entry(cause.clone()).or_insert_with(|| Group { held: Vec::new(), quiet_since });
        group.held.push(held);
    }

    /// Takes all out that one cause would show.
    pub(super) fn release(&mut self, cause: &Cause) -> Vec<Held> {
        self.0.remove(cause).map(|group| group.held).unwrap_or_default()
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.0).into_values().flat_map(|group| group.held).collect()
    }

    /// Takes those out whose callers have left.
    pub(super) fn take_abandoned(&mut self) -> Vec<Op> {
        let mut abandoned = Vec::new();
        for group in self.0.values_mut() {
            let gone = group.held.extract_if(.., |held| held.op.ticket.is_abandoned());
            abandoned.extend(gone.map(|held| held.op));
        }
        self.0.retain(|_, group| !group.held.is_empty());
        abandoned
    }

    /// The causes that nothing else can show, and for how long. `is_busy` says whether operations of these indices
    /// wait or are under way.
    pub(super) fn quiet(
        &mut self,
        now: Instant,
        is_busy: impl Fn(&Cause, &[&IndexName]) -> bool,
    ) -> Vec<(Cause, Duration)> {
        let mut quiet = Vec::new();
        for (cause, group) in &mut self.0 {
            let mut indices: Vec<&IndexName> = group.held.iter().map(|held| &held.op.operation.address.index).collect();
            indices.dedup();
            if is_busy(cause, &indices) {
                group.quiet_since = now;
            } else {
                quiet.push((cause.clone(), now.duration_since(group.quiet_since)));
            }
        }
        quiet
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are held.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(|group| group.held.len()).sum()
    }
}
