//! The waiting operations of one index, in order. Pure.

use std::collections::VecDeque;

use streamdex_mapping::IndexName;
use tokio::time::{Duration, Instant};

use super::gate::Gate;
use super::op::Op;
use super::suspicion::Suspect;

/// Every so many probes of an index are deletes, where any waits.
const DELETE_TURN: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) ops: VecDeque<Op>,
    pub(super) bytes: usize,
    pub(super) gate: Gate,
    /// How often it was probed.
    probed: u32,
    /// The last delete that was a probe was carried out.
    pub(super) deletes_pass: bool,
    /// Index operations that were accepted.
    pub(super) accepted: u64,
    /// It is not mixed with other indices, because its shards were not available when it was last asked.
    pub(super) apart: bool,
    /// Operations in requests that are under way.
    flying: usize,
    /// Those among them that met unavailable shards before.
    flying_unavailable: usize,
}

/// How much a request may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) operations: usize,
    pub(super) bytes: usize,
    /// Operations from reads older than this are not sent.
    pub(super) oldest_read: Duration,
}

/// What was taken out of the queue.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The index whose gate the request probes.
    pub(super) probes: Option<IndexName>,
    /// The only index of the request, where it must not be mixed with others.
    pub(super) apart: Option<IndexName>,
    /// For one request.
    pub(super) send: Vec<Op>,
    pub(super) bytes: usize,
    /// From reads that are too old.
    pub(super) stale: Vec<Op>,
    /// Whose callers have left.
    pub(super) abandoned: Vec<Op>,
}

// === impl Lane, Taken ===

impl Lane {
    pub(super) fn push_back(&mut self, op: Op) {
        self.bytes += op.bytes;
        self.ops.push_back(op);
    }

    pub(super) fn push_front(&mut self, op: Op) {
        self.bytes += op.bytes;
        self.ops.push_front(op);
    }

    /// Moves operations into `taken` while they fit. `company` is how many the most suspicious of them allows.
    pub(super) fn fill(&mut self, taken: &mut Taken, company: &mut usize, room: Room, now: Instant) {
        while let Some(op) = self.ops.pop_front() {
            self.bytes -= op.bytes;
            if op.ticket.is_abandoned() {
                taken.abandoned.push(op);
                continue;
            }
            if op.is_stale(now, room.oldest_read) {
                taken.stale.push(op);
                continue;
            }
            let allowed = (*company).min(op.suspicion.company);
            let too_many = taken.send.len() >= allowed;
            // What met unavailable shards takes long, so what did not is not sent along.
            let other_kind = taken.send.last().is_some_and(|last| last.unavailable != op.unavailable);
            let too_large = !taken.send.is_empty() && taken.bytes + op.bytes > room.bytes;
            if too_many || too_large || other_kind {
                self.push_front(op);
                return;
            }
            *company = allowed;
            taken.bytes += op.bytes;
            let mut op = op;
            op.epoch = self.gate.epoch();
            if op.attempts == 0 {
                op.accepted_then = self.accepted;
            }
            self.flying += 1;
            self.flying_unavailable += usize::from(op.unavailable);
            taken.send.push(op);
        }
    }

    /// Whether its operations may be sent with those of other indices.
    pub(super) fn is_mixed(&self) -> bool {
        self.gate.is_open() && !self.apart && !self.ops.front().is_some_and(|op| op.unavailable)
    }

    /// Whether a request of its operations alone may be sent: one at a time of each kind.
    pub(super) fn may_go_apart(&self) -> bool {
        let Some(front) = self.ops.front() else { return false };
        let of_its_kind =
            if front.unavailable { self.flying_unavailable } else { self.flying - self.flying_unavailable };
        self.gate.is_open() && (self.apart || front.unavailable) && of_its_kind == 0
    }

    /// Which lane comes first: the one whose next operation was probed least often, and has waited longest.
    pub(super) fn turn(&self) -> Option<(u32, Instant)> {
        self.ops.front().map(|op| (op.probes, op.taken_at))
    }

    /// Puts the best probe in front: what has not been one in vain, was not refused under the brake, and writes a
    /// document, since only that ends a brake. Among these it takes the oldest and the newest by turns: behind thousands
    /// of bad ones, what has just come in is more likely to be good. Now and then it takes a delete, and one after the
    /// other as long as they pass. Documents are in no order between each other.
    pub(super) fn bring_probe_forward(&mut self) {
        self.probed = self.probed.wrapping_add(1);
        let deletes = self.deletes_pass || self.probed.is_multiple_of(DELETE_TURN);
        let rank = |op: &Op| (op.suspicion.braked, op.probes, op.is_index() == deletes);
        let ops = self.ops.iter().enumerate();
        let best = if self.probed % 2 == 1 {
            ops.min_by_key(|(_, op)| rank(op))
        } else {
            ops.rev().min_by_key(|(_, op)| rank(op))
        };
        let Some(position) = best.map(|(position, _)| position) else { return };
        if let Some(op) = self.ops.remove(position) {
            self.deletes_pass &= !op.is_index();
            self.ops.push_front(op);
        }
    }

    /// An operation that was sent came back.
    pub(super) fn landed(&mut self, op: &Op) {
        self.flying = self.flying.saturating_sub(1);
        self.flying_unavailable = self.flying_unavailable.saturating_sub(usize::from(op.unavailable));
    }

    pub(super) fn is_flying(&self) -> bool {
        self.flying > 0
    }
}

impl Taken {
    pub(super) fn len(&self) -> usize {
        self.send.len() + self.stale.len() + self.abandoned.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the request must not be compressed.
    pub(super) fn is_suspicious(&self) -> bool {
        self.send.iter().any(|op| op.suspicion.of != Suspect::Nothing)
    }
}
