//! Handles failed calls for records.

use std::ops::ControlFlow;
use std::time::Duration;

use streamdex_dynamodb::stream::Position;
use streamdex_dynamodb::{AwsError, Fault};
use tokio::time::Instant;

use super::Reader;
use crate::gap::{BELIEVE_NOT_FOUND, GapKind};
use crate::pace::Polled;
use crate::shard::read::Read;
use crate::status::Call;

const NOTHING_READ: &str = "nothing to do: this shard was never read, so reading starts with the records that are left";
const WORTH_SAYING: Duration = Duration::from_secs(3);
/// The oldest record can be trimmed between two calls.
const FRESH_STARTS: u32 = 5;
/// At five calls a second nobody is throttled for so long, unless others read the shard too.
const OTHERS_READ: Duration = Duration::from_secs(30);

impl Reader<'_> {
    /// Decides what follows: another call, or the end of the shard's task.
    pub(super) fn judge(&mut self, error: &AwsError) -> ControlFlow<Read, Polled> {
        let fault = error.fault();
        self.shared.contact.stream_refused(fault);
        self.shared.board.called(match fault {
            Fault::Throttled => Call::Throttled,
            Fault::ExpiredIterator => Call::Expired,
            _ => Call::Failed,
        });
        if error.is_incomplete() {
            self.note_empty_words("no records");
        }
        let others_read =
            fault == Fault::Throttled && self.throttled_since.get_or_insert_with(Instant::now).elapsed() >= OTHERS_READ;
        if fault != Fault::Throttled {
            self.throttled_since = None;
        }
        self.not_found = if fault == Fault::NotFound { self.not_found + 1 } else { 0 };
        match fault {
            // `iterator` is gone already; the next poll asks for a new one.
            Fault::ExpiredIterator => return ControlFlow::Continue(Polled::Failed),
            Fault::Trimmed => {
                // Of what nothing was read, what is left is read: emulators pin the oldest position of an empty shard.
                // Whether something may be missing is judged by the shard's age, before it is read.
                let may_begin_later = self.position() == Position::TrimHorizon;
                if !may_begin_later || self.fresh_starts >= FRESH_STARTS {
                    return ControlFlow::Break(Read::Gap(GapKind::Trimmed));
                }
                self.fresh_starts += 1;
            }
            Fault::NotFound if self.not_found >= BELIEVE_NOT_FOUND => {
                // The group began as it was trimmed: what is left of it is nothing.
                let is_nothing_left = self.job.may_be_gone && self.last_read.is_none();
                let vanished = Read::Gap(GapKind::ShardVanished);
                return ControlFlow::Break(if is_nothing_left { Read::Drained } else { vanished });
            }
            _ => {}
        }
        if self.shared.patience.is_some_and(|patience| self.progress.elapsed() >= patience) {
            return ControlFlow::Break(Read::GaveUp { message: error.to_string(), hint: error.hint().to_owned() });
        }
        // A single refused call is everyday life and no state.
        let hint = if fault == Fault::Trimmed { NOTHING_READ } else { error.hint() };
        self.shared.board.error(&self.job.shard, error.to_string(), hint);
        if others_read {
            let reason = "throttled for long: other readers use the shard; a stream serves two readers, that of a global table serves one";
            self.shared.board.pause(&self.job.shard, Some(reason.to_owned()));
        } else if self.progress.elapsed() >= WORTH_SAYING {
            self.shared.board.pause(&self.job.shard, Some(error.to_string()));
        }
        ControlFlow::Continue(if fault == Fault::Throttled { Polled::Throttled } else { Polled::Failed })
    }
}
