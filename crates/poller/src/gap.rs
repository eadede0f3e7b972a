//! Gaps: changes that this group can no longer read. Each is recorded, never jumped over.

use std::fmt;

/// Why changes are missing, or could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GapKind {
    /// Records after the last acknowledged one were trimmed after 24 hours.
    Trimmed,
    /// A shard that this group had seen and not finished is gone.
    ShardVanished,
    /// A shard's parent came and went without this group reading it.
    ParentMissed,
    /// The shard was not read for so long that its oldest records may be trimmed.
    Unread,
    /// An index that was written to is gone or was replaced.
    IndexVanished,
    /// The table's stream was switched off and on again: another stream, and changes in neither.
    StreamReplaced,
    /// The stream is gone, as happens when its table is deleted.
    StreamVanished,
    /// The group's state is gone, while an index says that the group has followed the table.
    StateLost,
}

/// A gap, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Why.
    pub kind: GapKind,
    /// The subject: a shard id, the name of an index, or the ARN of a stream.
    pub subject: String,
    /// The last acknowledged sequence number, where there is one.
    pub position: Option<String>,
    /// More for the operator, without item data.
    pub detail: Option<String>,
}

/// A shard is gone when the service has said so this often in a row, over a quarter of a minute.
pub(crate) const BELIEVE_NOT_FOUND: u32 = 7;

// === impl GapKind ===

impl GapKind {
    pub(crate) const ALL: [GapKind; 8] = [
        GapKind::Trimmed,
        GapKind::ShardVanished,
        GapKind::ParentMissed,
        GapKind::Unread,
        GapKind::IndexVanished,
        GapKind::StreamReplaced,
        GapKind::StreamVanished,
        GapKind::StateLost,
    ];

    /// The name in the state table, in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            GapKind::Trimmed => "trimmed",
            GapKind::ShardVanished => "shard_vanished",
            GapKind::ParentMissed => "parent_missed",
            GapKind::Unread => "unread",
            GapKind::IndexVanished => "index_vanished",
            GapKind::StreamReplaced => "stream_replaced",
            GapKind::StreamVanished => "stream_vanished",
            GapKind::StateLost => "state_lost",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<GapKind> {
        GapKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What to do, in one sentence.
    pub fn hint(self) -> &'static str {
        match self {
            GapKind::IndexVanished => {
                "the stream alone cannot fill an index: raise its generation and set state.group to a new name; if you restored it, run `streamdex gap close`, then compare it with the table"
            }
            GapKind::StreamVanished => {
                "if the table was created again, set a new state.group and a new generation of its indices; if only the stream is new, run `streamdex gap close`, then compare the index with the table"
            }
            GapKind::StreamReplaced => {
                "neither stream has the changes in between: run `streamdex gap close` to continue with the new one, then compare the index with the table"
            }
            GapKind::StateLost => {
                "restore the state table; or run `streamdex gap close` to start with what the stream still holds, then compare the index with the table"
            }
            _ => {
                "the stream no longer has these changes: run `streamdex gap close` to continue with what is left, then compare the index with the table"
            }
        }
    }

    /// Whether nothing of the stream can be read before it is closed.
    pub fn concerns_the_stream(self) -> bool {
        matches!(self, GapKind::StreamReplaced | GapKind::StreamVanished | GapKind::StateLost)
    }

    /// Whether it stops the lineage of one shard.
    pub fn concerns_a_shard(self) -> bool {
        !self.concerns_the_stream() && self != GapKind::IndexVanished
    }

    fn sentence(self) -> &'static str {
        match self {
            GapKind::Trimmed => "records were trimmed before they were read",
            GapKind::ShardVanished => "the shard is gone before it was read to its end",
            GapKind::ParentMissed => "the shard's parent is gone and was never read",
            GapKind::Unread => "the shard was not read for longer than the stream keeps records",
            GapKind::IndexVanished => "the index is gone, or is not the one that was written to",
            GapKind::StreamReplaced => "the table has a new stream",
            GapKind::StreamVanished => "the stream is gone",
            GapKind::StateLost => "the group's reading position is lost",
        }
    }
}

// === impl Gap ===

impl Gap {
    /// A gap about `subject`.
    pub fn new(kind: GapKind, subject: impl Into<String>) -> Gap {
        Gap { kind, subject: subject.into(), position: None, detail: None }
    }

    /// With the last acknowledged sequence number.
    #[must_use]
    pub fn after(mut self, position: Option<String>) -> Gap {
        self.position = position;
        self
    }

    /// With more for the operator.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Gap {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.kind.sentence())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}
