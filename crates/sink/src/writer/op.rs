//! One operation inside the writer.

use std::sync::Arc;

use streamdex_mapping::{Action, Operation, Origin};
use tokio::time::{Duration, Instant};

use super::submission::Ticket;
use super::suspicion::Suspicion;

/// One operation inside the writer.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) operation: Operation,
    pub(super) concrete: Arc<str>,
    /// Encoded size.
    pub(super) bytes: usize,
    /// A hash of index and id. Two documents with one hash only wait for each other.
    pub(super) document: u64,
    /// When the answer came that carried its item; for others, when the caller handed it in.
    pub(super) taken_at: Instant,
    /// How often an answer asked for it again.
    pub(super) attempts: u32,
    pub(super) suspicion: Suspicion,
    /// Shards of its index were not available for it, or its request was not answered: it is not mixed with other
    /// indices.
    pub(super) unavailable: bool,
    /// How many index operations its index had accepted when it was first sent, since it was last held up by a pause.
    pub(super) accepted_then: u64,
    /// How often it was a probe in vain.
    pub(super) probes: u32,
    pub(super) purpose: Purpose,
    /// The epoch of its index's gate when it was sent last.
    pub(super) epoch: u64,
    pub(super) ticket: Ticket,
}

/// What is remembered of an operation from a read while its caller reads the item again: without it, no trouble would
/// ever be a lasting one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    attempts: u32,
    unavailable: bool,
    accepted_then: u64,
}

/// Why an operation is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A caller waits for its decision.
    Decision,
    /// A delete is sent a second time; its decision was given.
    Echo,
}

// === impl Op ===

impl Op {
    /// What a caller handed in, measured.
    pub(super) fn new(operation: Operation, concrete: Arc<str>, bytes: usize, document: u64, ticket: Ticket) -> Op {
        Op {
            operation,
            concrete,
            bytes,
            document,
            taken_at: Instant::now(),
            attempts: 0,
            suspicion: Suspicion::NONE,
            unavailable: false,
            accepted_then: 0,
            probes: 0,
            purpose: Purpose::Decision,
            epoch: 0,
            ticket,
        }
    }

    pub(super) fn is_index(&self) -> bool {
        matches!(self.operation.action, Action::Index(_))
    }

    /// Whether it carries what was read, and its caller can read it again.
    pub(super) fn is_read(&self) -> bool {
        self.purpose == Purpose::Decision && matches!(self.operation.origin, Origin::Read { .. })
    }

    /// Whether it comes from a read that is too old to be sent.
    ///
    /// Its age is counted from the answer that carried the item, on this machine's steady clock: `at` is the
    /// server's time, and the difference of two machines' clocks is no age.
    pub(super) fn is_stale(&self, now: Instant, oldest: Duration) -> bool {
        self.is_read() && now.duration_since(self.taken_at) > oldest
    }
}

// === impl Tried ===

impl Tried {
    /// `None` where there is nothing to remember.
    pub(super) fn of(op: &Op) -> Option<Tried> {
        let tried = Tried { attempts: op.attempts, unavailable: op.unavailable, accepted_then: op.accepted_then };
        (op.attempts > 0 || op.unavailable).then_some(tried)
    }

    pub(super) fn mark(self, op: &mut Op) {
        op.attempts = self.attempts;
        op.unavailable = self.unavailable;
        op.accepted_then = self.accepted_then;
    }
}

/// An operation from an image, for the unit tests of this folder.
#[cfg(test)]
pub(super) fn sample(index: &str, id: &str) -> Op {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    use streamdex_mapping::{Address, CreationTime, DocumentId, ExternalVersion, IndexName, Role};

    let address =
        Address { index: IndexName::parse(index).unwrap(), id: DocumentId::parse(id).unwrap(), routing: None };
    let mut hasher = DefaultHasher::new();
    (&address.index, &address.id).hash(&mut hasher);
    let operation = Operation {
        address,
        version: ExternalVersion::of_change(CreationTime::from_seconds(1), None),
        action: Action::Index("{}".into()),
        origin: Origin::Image,
        role: Role::Live,
    };
    let ticket = super::submission::Submission::new(1, None).0.ticket(0);
    Op::new(operation, format!("{index}-000001").into(), 100, hasher.finish(), ticket)
}
