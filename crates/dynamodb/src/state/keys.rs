//! Partition and sort keys, and the number of their format. Fixed by ADR 0007; changing one orphans what is stored.

/// The format that this version writes as `v`, and the newest that it reads.
pub const FORMAT: u64 = 1;

/// A partition of the state table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition<'a> {
    /// Everything about following one table: one Query reads it all.
    Follow {
        /// The group.
        group: &'a str,
        /// The table's ARN.
        table: &'a str,
    },
    /// The dead letters of a group.
    Letters {
        /// The group.
        group: &'a str,
    },
    /// The rebuild of a table's indices, which concerns two groups.
    Rebuild {
        /// The table's ARN.
        table: &'a str,
    },
    /// The one item that says that the table is a state table, whatever the groups in it.
    Mark,
}

/// A sort key in [`Partition::Follow`]. `label` is a stream's label.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named by ADR 0007")]
pub enum SortKey {
    /// Where a group began on a stream.
    Stream { label: String },
    /// A shard that is read, or may be.
    Shard { label: String, shard: String },
    /// A shard whose children have items. It sorts before all that a new reader loads first.
    Done { label: String, shard: String },
    /// The lease of the table.
    Lease,
    /// A sign of life of an earlier design, where workers shared the shards of a table.
    Worker { worker: String },
    /// A gap.
    Gap { label: String, kind: String, subject: String },
    /// An index that was written to.
    Index { concrete: String },
    /// The brake of an index.
    Brake { concrete: String },
    /// How far the backfill of the table is, segment by segment.
    Backfill,
    /// How far the rebuild of the table's indices is: the one item in [`Partition::Rebuild`].
    Rebuild,
    /// A kind that another version writes; it is none of ours.
    Other,
}

// === impl Partition ===

impl Partition<'_> {
    /// The partition key.
    pub fn key(&self) -> String {
        match self {
            Partition::Follow { group, table } => join(&["follow", group, table]),
            Partition::Letters { group } => join(&["letters", group]),
            Partition::Rebuild { table } => join(&["rebuild", table]),
            Partition::Mark => "mark".to_owned(),
        }
    }
}

// === impl SortKey ===

impl SortKey {
    /// What all keys of [`SortKey::Index`] begin with.
    pub const INDEX_PREFIX: &str = "index|";
    /// What all keys of [`SortKey::Gap`] begin with.
    pub const GAP_PREFIX: &str = "gap|";
    /// What all keys of [`SortKey::Brake`] begin with.
    pub const BRAKE_PREFIX: &str = "brake|";

    /// The sort key.
    pub fn text(&self) -> String {
        match self {
            SortKey::Stream { label } => join(&["stream", label]),
            SortKey::Shard { label, shard } => join(&["shard", label, shard]),
            SortKey::Done { label, shard } => join(&["done", label, shard]),
            SortKey::Lease => "lease".to_owned(),
            SortKey::Worker { worker } => join(&["worker", worker]),
            SortKey::Gap { label, kind, subject } => join(&["gap", label, kind, subject]),
            SortKey::Index { concrete } => join(&["index", concrete]),
            SortKey::Brake { concrete } => join(&["brake", concrete]),
            SortKey::Backfill => "segments".to_owned(),
            SortKey::Rebuild => "readers".to_owned(),
            SortKey::Other => String::new(),
        }
    }

    /// From a sort key.
    pub fn parse(text: &str) -> SortKey {
        let parts = split(text);
        let mut parts = parts.into_iter();
        let kind = parts.next().unwrap_or_default();
        let rest = (parts.next(), parts.next(), parts.next(), parts.next());
        match (kind.as_str(), rest) {
            ("stream", (Some(label), None, None, None)) => SortKey::Stream { label },
            ("shard", (Some(label), Some(shard), None, None)) => SortKey::Shard { label, shard },
            ("done", (Some(label), Some(shard), None, None)) => SortKey::Done { label, shard },
            ("lease", (None, None, None, None)) => SortKey::Lease,
            ("worker", (Some(worker), None, None, None)) => SortKey::Worker { worker },
            ("gap", (Some(label), Some(kind), Some(subject), None)) => SortKey::Gap { label, kind, subject },
            ("index", (Some(concrete), None, None, None)) => SortKey::Index { concrete },
            ("brake", (Some(concrete), None, None, None)) => SortKey::Brake { concrete },
            ("segments", (None, None, None, None)) => SortKey::Backfill,
            ("readers", (None, None, None, None)) => SortKey::Rebuild,
            _ => SortKey::Other,
        }
    }
}

/// The group whose [`Partition::Follow`] of this table has the partition key.
pub fn group_of(partition: &str, table: &str) -> Option<String> {
    let mut parts = split(partition).into_iter();
    let (kind, group, of) = (parts.next()?, parts.next()?, parts.next()?);
    (kind == "follow" && of == table && parts.next().is_none()).then_some(group)
}

/// Sorts behind every [`SortKey::Done`] and before all other kinds: `}` follows `|`.
pub const BEHIND_DONE: &str = "done}";

/// The sort key in [`Partition::Mark`].
pub const MARK_SORT_KEY: &str = "state";

/// The sort key of a dead letter in [`Partition::Letters`].
pub fn letter_sort_key(label: &str, record: &str, ordinal: u32) -> String {
    join(&[label, record, &ordinal.to_string()])
}

/// `\` and `|` are escaped, so that no two lists of parts give one key.
fn join(parts: &[&str]) -> String {
    let escaped: Vec<String> = parts.iter().map(|part| part.replace('\\', "\\\\").replace('|', "\\|")).collect();
    escaped.join("|")
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let (end, plain) = match character {
            '|' => (true, None),
            '\\' => (false, characters.next()),
            other => (false, Some(other)),
        };
        if end {
            parts.push(String::new());
        } else if let (Some(part), Some(plain)) = (parts.last_mut(), plain) {
            part.push(plain);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions";

    #[test]
    fn keys_are_what_the_decision_record_says() {
        let follow = Partition::Follow { group: "default", table: ARN };
        assert_eq!(follow.key(), format!("follow|default|{ARN}"));
        assert_eq!(group_of(&Partition::Follow { group: "a|b", table: ARN }.key(), ARN).as_deref(), Some("a|b"));
        for partition in [follow.key().replace("sessions", "other"), Partition::Letters { group: "x" }.key()] {
            assert_eq!(group_of(&partition, ARN), None);
        }
        assert_eq!(Partition::Letters { group: "a|b" }.key(), "letters|a\\|b");
        let label = || "2026-11-22T15:01:21.123".to_owned();
        let rows = [
            (SortKey::Stream { label: label() }, "stream|2026-11-22T15:01:21.123"),
            (SortKey::Shard { label: label(), shard: "shardId-1".into() }, "shard|2026-11-22T15:01:21.123|shardId-1"),
            (
                SortKey::Gap { label: label(), kind: "trimmed".into(), subject: "shardId-1".into() },
                "gap|2026-11-22T15:01:21.123|trimmed|shardId-1",
            ),
            (SortKey::Index { concrete: "sessions-000001".into() }, "index|sessions-000001"),
            (SortKey::Done { label: label(), shard: "shardId-1".into() }, "done|2026-11-22T15:01:21.123|shardId-1"),
            (SortKey::Worker { worker: "host-1-0a".into() }, "worker|host-1-0a"),
            (SortKey::Backfill, "segments"),
            (SortKey::Rebuild, "readers"),
        ];
        for (key, text) in rows {
            assert_eq!(key.text(), text);
            assert_eq!(SortKey::parse(text), key);
            assert_eq!(text < BEHIND_DONE, matches!(key, SortKey::Done { .. }), "{text}");
        }
        assert!(SortKey::Index { concrete: String::new() }.text().starts_with(SortKey::INDEX_PREFIX));
        assert_eq!(letter_sort_key("-", "77", 1), "-|77|1");
        assert_eq!((Partition::Mark.key().as_str(), MARK_SORT_KEY), ("mark", "state"));
        assert_eq!(Partition::Rebuild { table: ARN }.key(), format!("rebuild|{ARN}"));
    }

    #[test]
    fn kinds_of_later_versions_are_left_alone() {
        for text in ["segment|b1|4", "worker|a|b", "shard|only", "shard|a|b|c", ""] {
            assert_eq!(SortKey::parse(text), SortKey::Other, "{text}");
        }
    }

    proptest! {
        #[test]
        fn joining_is_reversible(parts in proptest::collection::vec("[a|\\\\]{0,4}", 1..5)) {
            let borrowed: Vec<&str> = parts.iter().map(String::as_str).collect();
            prop_assert_eq!(split(&join(&borrowed)), parts);
        }
    }
}
