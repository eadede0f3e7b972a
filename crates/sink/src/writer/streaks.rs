//! Streaks of refusals, for each concrete index: decides when they are no longer the documents' fault. Pure.
//!
//! The decision and its reasons: docs/adr/0009-brake.md. A streak counts refused documents without an accepted index
//! operation in between, and trips the brake. The count belongs to the cluster and outlives a writer; the held
//! operations do not (`held`).

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Streaks(HashMap<Arc<str>, Streak>);

#[derive(Debug, Default)]
struct Streak {
    /// The documents refused since an index operation was last accepted, by what their first refusal names.
    refused: HashMap<u64, Names>,
    without_field: usize,
    /// When its first document was refused.
    since: Option<Instant>,
    /// An index operation was accepted before the streak.
    accepted: bool,
    braked: bool,
}

/// What a refusal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// A field of the document.
    Field,
    /// Nothing that is in the document.
    Nothing,
}

/// How many refused documents in a row are a brake; 0: no number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Of those whose refusals name no field.
    pub(super) after: usize,
    /// Of all.
    pub(super) after_field: usize,
}

/// What becomes of a refused operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is a dead letter: no bound counts it.
    Refuse,
    /// It is held undecided.
    Hold,
    /// The index is braked, from now on or already.
    Brake,
}

/// What an accepted index operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Released {
    /// Nothing.
    Nothing,
    /// A streak.
    Streak,
    /// The brake.
    Brake,
}

/// An index under the brake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Braked {
    /// The concrete name.
    pub concrete: Arc<str>,
    /// How many documents it refused in a row; 0 where an earlier process braked it.
    pub refused: usize,
}

// === impl Streaks ===

impl Streaks {
    /// An index operation was accepted.
    pub(super) fn accepted(&mut self, concrete: &Arc<str>) -> Released {
        let streak = self.0.entry(Arc::clone(concrete)).or_default();
        let released = match streak {
            Streak { braked: true, .. } => Released::Brake,
            Streak { refused, .. } if refused.is_empty() => Released::Nothing,
            _ => Released::Streak,
        };
        if released == Released::Nothing && streak.accepted {
            return released;
        }
        *streak = Streak { accepted: true, ..Streak::default() };
        released
    }

    /// An operation on `document` was refused, with no accepted index operation beside it.
    pub(super) fn refused(
        &mut self,
        concrete: &Arc<str>,
        (document, names): (u64, Names),
        bounds: Bounds,
        now: Instant,
    ) -> Ruling {
        let streak = self.0.entry(Arc::clone(concrete)).or_default();
        if streak.braked {
            return Ruling::Brake;
        }
        if !bounds.counts(names) {
            return Ruling::Refuse;
        }
        streak.since.get_or_insert(now);
        if streak.refused.insert(document, names).is_none() && names == Names::Nothing {
            streak.without_field += 1;
        }
        let reached = |bound: usize, count: usize| bound > 0 && count >= bound;
        streak.braked =
            reached(bounds.after, streak.without_field) || reached(bounds.after_field, streak.refused.len());
        if streak.braked { Ruling::Brake } else { Ruling::Hold }
    }

    /// Whether an index operation was accepted before the streak.
    pub(super) fn was_accepted(&self, concrete: &str) -> bool {
        self.0.get(concrete).is_some_and(|streak| streak.accepted)
    }

    /// For how long the index has refused documents and accepted none.
    pub(super) fn lasts(&self, concrete: &str, now: Instant) -> Duration {
        let since = self.0.get(concrete).and_then(|streak| streak.since);
        since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    /// How many documents the streak has.
    pub(super) fn len(&self, concrete: &str) -> usize {
        self.0.get(concrete).map_or(0, |streak| streak.refused.len())
    }

    pub(super) fn is_braked(&self, concrete: &str) -> bool {
        self.0.get(concrete).is_some_and(|streak| streak.braked)
    }

    /// Brakes an index, as an earlier process left it.
    pub(super) fn brake(&mut self, concrete: Arc<str>) {
        self.0.entry(concrete).or_default().braked = true;
    }

    /// All indices under the brake, by name.
    pub(super) fn braked(&self) -> Vec<Braked> {
        let braked = self.0.iter().filter(|(_, streak)| streak.braked);
        let mut all: Vec<Braked> = braked
            .map(|(concrete, streak)| Braked { concrete: Arc::clone(concrete), refused: streak.refused.len() })
            .collect();
        all.sort_by(|a, b| a.concrete.cmp(&b.concrete));
        all
    }
}

// === impl Bounds ===

impl Bounds {
    /// Whether a refusal that names this can ever lead to a brake.
    fn counts(self, names: Names) -> bool {
        self.after_field > 0 || (self.after > 0 && names == Names::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { after: 5, after_field: 20 };

    fn name() -> Arc<str> {
        "a-000001".into()
    }

    fn refuse(streaks: &mut Streaks, documents: std::ops::Range<u64>, names: Names, bounds: Bounds) -> Vec<Ruling> {
        documents.map(|document| streaks.refused(&name(), (document, names), bounds, Instant::now())).collect()
    }

    #[test]
    fn r1_only_an_accepted_index_operation_ends_a_streak() {
        let mut streaks = Streaks::default();
        assert_eq!(refuse(&mut streaks, 0..4, Names::Nothing, BOUNDS), [Ruling::Hold; 4]);
        assert_eq!(streaks.accepted(&name()), Released::Streak);
        assert_eq!(refuse(&mut streaks, 0..4, Names::Nothing, BOUNDS), [Ruling::Hold; 4]);
        assert_eq!(refuse(&mut streaks, 4..6, Names::Nothing, BOUNDS), [Ruling::Brake; 2]);
        assert_eq!(streaks.braked(), [Braked { concrete: name(), refused: 5 }]);
        assert_eq!(streaks.accepted(&name()), Released::Brake);
        assert_eq!(streaks.accepted(&name()), Released::Nothing);
        assert!(streaks.braked().is_empty() && streaks.was_accepted("a-000001"));
    }

    #[test]
    fn r1_streaks_count_per_concrete_index_whatever_the_error() {
        let mut streaks = Streaks::default();
        let other: Arc<str> = "b-000001".into();
        refuse(&mut streaks, 0..4, Names::Nothing, BOUNDS);
        assert_eq!(streaks.refused(&other, (9, Names::Nothing), BOUNDS, Instant::now()), Ruling::Hold);
        assert_eq!(streaks.accepted(&other), Released::Streak);
        assert_eq!((streaks.len("a-000001"), streaks.len("b-000001")), (4, 0));
        // Fields and others add up to the larger bound.
        assert_eq!(refuse(&mut streaks, 10..25, Names::Field, BOUNDS), [Ruling::Hold; 15]);
        assert_eq!(refuse(&mut streaks, 25..26, Names::Field, BOUNDS), [Ruling::Brake]);
    }

    #[test]
    fn a_document_counts_once() {
        let mut streaks = Streaks::default();
        for _ in 0..100 {
            assert_eq!(refuse(&mut streaks, 7..8, Names::Nothing, BOUNDS), [Ruling::Hold]);
        }
    }

    #[test]
    fn zero_is_off() {
        let rows = [
            (Bounds { after: 0, after_field: 0 }, Names::Nothing, Ruling::Refuse),
            (Bounds { after: 0, after_field: 0 }, Names::Field, Ruling::Refuse),
            (Bounds { after: 5, after_field: 0 }, Names::Field, Ruling::Refuse),
            (Bounds { after: 5, after_field: 0 }, Names::Nothing, Ruling::Brake),
            (Bounds { after: 0, after_field: 20 }, Names::Nothing, Ruling::Brake),
            (Bounds { after: 0, after_field: 20 }, Names::Field, Ruling::Brake),
        ];
        for (bounds, names, expected) in rows {
            let mut streaks = Streaks::default();
            assert_eq!(refuse(&mut streaks, 0..100, names, bounds).pop(), Some(expected), "{bounds:?} {names:?}");
        }
    }

    #[test]
    fn r4_an_index_can_begin_braked() {
        let mut streaks = Streaks::default();
        streaks.brake(name());
        assert_eq!(refuse(&mut streaks, 0..1, Names::Field, BOUNDS), [Ruling::Brake]);
        assert_eq!(streaks.braked(), [Braked { concrete: name(), refused: 0 }]);
        assert_eq!(streaks.accepted(&name()), Released::Brake);
    }
}
