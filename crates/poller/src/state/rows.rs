//! Converts items of the state table to and from their types. Pure.

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_delivery::backfill::BackfillRecord;
use streamdex_delivery::indices::read_index;
use streamdex_dynamodb::state::{FORMAT, Item, SortKey, StateError, check_format, number, of_number, text};
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::{CreationTime, SequenceNumber};

use crate::gap::{Gap, GapKind};
use crate::graph::ShardProgress;
use crate::lease::WorkerId;
use crate::state::start::read_start;
use crate::state::{Generations, Loaded, StoredGap, StoredLease, StoredShard};

/// Reads the items of one [`streamdex_dynamodb::state::Partition::Follow`].
///
/// # Errors
/// An item in a newer format.
pub fn read_items(items: &[Item], label: &str) -> Result<Loaded, StateError> {
    let mut loaded = Loaded::default();
    for item in items {
        let Some(sort_key) = text(item, "sk") else { continue };
        let key = SortKey::parse(sort_key);
        match key {
            SortKey::Other => continue,
            // Newer ones than those of the earlier design are what stops that.
            SortKey::Worker { worker } => {
                if number(item, "v") == Some(FORMAT) {
                    loaded.earlier_workers.push(worker);
                }
                continue;
            }
            _ => check_format(item, sort_key)?,
        }
        if read(item, key, label, &mut loaded).is_none() {
            loaded.malformed.push(sort_key.to_owned());
            match SortKey::parse(sort_key) {
                SortKey::Shard { label: found, shard } if found == label => {
                    loaded.malformed_shards.insert(ShardId::new(shard));
                }
                // Its key alone says that it is done.
                SortKey::Done { label: found, shard } if found == label => loaded.shards.push(done_shard(&shard, 0)),
                _ => {}
            }
        }
    }
    loaded.stop_at_gaps();
    Ok(loaded)
}

fn read(item: &Item, key: SortKey, label: &str, loaded: &mut Loaded) -> Option<()> {
    number(item, "v").filter(|v| *v > 0)?;
    match key {
        SortKey::Stream { label: found } if found == label => loaded.start = Some(read_start(item)?),
        SortKey::Stream { label: found } => loaded.other_streams.push(found),
        SortKey::Shard { label: found, shard } if found == label => loaded.shards.push(read_shard(item, &shard)?),
        SortKey::Done { label: found, shard } if found == label => loaded.shards.push(read_done(item, &shard)?),
        SortKey::Lease => loaded.lease = Some(read_lease(item)?),
        SortKey::Gap { label: found, kind, subject } => {
            let gap = read_gap(item, &kind, subject)?;
            if matches!(gap.kind, GapKind::StreamReplaced | GapKind::StreamVanished) {
                loaded.ended_streams.push(found.clone());
            }
            match found == label {
                true => loaded.gaps.push(gap),
                false => loaded.earlier_gaps.push(StoredGap { label: found, gap }),
            }
        }
        SortKey::Index { concrete } => loaded.indices.push(read_index(item, concrete)?),
        SortKey::Backfill => loaded.backfill = Some(BackfillRecord::read(item)?),
        SortKey::Shard { .. }
        | SortKey::Done { .. }
        | SortKey::Brake { .. }
        | SortKey::Worker { .. }
        | SortKey::Rebuild
        | SortKey::Other => {}
    }
    Some(())
}

pub(crate) fn read_shard(item: &Item, shard: &str) -> Option<StoredShard> {
    let position = match item.get("position") {
        Some(position) => Some(SequenceNumber::parse(position.as_s().ok()?).ok()?),
        None => None,
    };
    let progress = match text(item, "state")? {
        "open" => ShardProgress::Open(position),
        // As the earlier design called it.
        "drained" | "finished" => ShardProgress::Drained,
        _ => return None,
    };
    let updated = number(item, "updated")?;
    Some(StoredShard {
        id: ShardId::new(shard),
        parent: text(item, "parent").map(ShardId::new),
        progress,
        generations: read_generations(item)?,
        updated,
        born: optional_number(item, "born")?.unwrap_or(updated),
        created: optional_number(item, "created")?
            .and_then(|seconds| u32::try_from(seconds).ok())
            .map(CreationTime::from_seconds),
        term: optional_number(item, "term")?,
        resumes: item.contains_key("resume"),
    })
}

fn read_done(item: &Item, shard: &str) -> Option<StoredShard> {
    let done = done_shard(shard, number(item, "updated")?);
    Some(StoredShard { parent: text(item, "parent").map(ShardId::new), ..done })
}

fn done_shard(shard: &str, updated: u64) -> StoredShard {
    StoredShard {
        id: ShardId::new(shard),
        parent: None,
        progress: ShardProgress::Done,
        generations: Generations::new(),
        updated,
        born: updated,
        created: None,
        term: None,
        resumes: false,
    }
}

/// The lease; `None` where the item cannot be read.
pub fn read_lease(item: &Item) -> Option<StoredLease> {
    let fruitless = optional_number(item, "fruitless")?.unwrap_or(0);
    Some(StoredLease {
        owner: text(item, "owner").map(WorkerId::new),
        host: text(item, "host").unwrap_or_default().to_owned(),
        term: number(item, "term")?,
        beat: number(item, "beat")?,
        fruitless: u32::try_from(fruitless).unwrap_or(u32::MAX),
        swept: optional_number(item, "swept")?,
        cluster: text(item, "cluster").map(str::to_owned),
        routes: text(item, "routes").map(str::to_owned),
        unclean: item.contains_key("unclean"),
        at: optional_number(item, "at")?.unwrap_or(0),
        since: optional_number(item, "since")?.unwrap_or(0),
        version: text(item, "version").unwrap_or_default().to_owned(),
        summary: text(item, "summary").unwrap_or_default().to_owned(),
    })
}

/// What is there and cannot be read must not be taken for absent.
fn optional_number(item: &Item, name: &str) -> Option<Option<u64>> {
    match item.get(name) {
        Some(_) => number(item, name).map(Some),
        None => Some(None),
    }
}

fn read_generations(item: &Item) -> Option<Generations> {
    let Some(map) = item.get("generations") else { return Some(Generations::new()) };
    let entry = |(name, value): (&String, &AttributeValue)| Some((name.clone(), value.as_n().ok()?.parse().ok()?));
    map.as_m().ok()?.iter().map(entry).collect()
}

fn read_gap(item: &Item, kind: &str, subject: String) -> Option<Gap> {
    let owned = |name| text(item, name).map(str::to_owned);
    Some(Gap { kind: GapKind::parse(kind)?, subject, position: owned("position"), detail: owned("detail") })
}

pub(crate) fn write_generations(generations: &Generations) -> AttributeValue {
    let entry = |(name, generation): (&String, &u32)| (name.clone(), of_number(u64::from(*generation)));
    AttributeValue::M(generations.iter().map(entry).collect())
}

/// A text that sorts as the number does: DynamoDB's numbers hold 38 digits, sequence numbers have up
/// to 40, and conditions can compare texts.
pub(crate) fn sortable(sequence: &SequenceNumber) -> String {
    let digits = sequence.as_str().trim_start_matches('0');
    format!("{:04}{digits}", digits.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use streamdex_config::StartPosition;
    use streamdex_delivery::indices::write_index;
    use streamdex_dynamodb::state::Action;
    use streamdex_sink::index::KnownIndex;

    use super::*;
    use crate::state::StreamStart;
    use crate::state::start::write_start;

    fn item(sort_key: &str, attributes: &[(&str, AttributeValue)]) -> Item {
        let mut item =
            Item::from([("sk".to_owned(), AttributeValue::S(sort_key.to_owned())), ("v".to_owned(), of_number(1))]);
        item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        item
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn a_partition_is_read() {
        let generations = Generations::from([("sessions".to_owned(), 2)]);
        let start =
            StreamStart { position: StartPosition::Latest, at: 7, roots: vec![ShardId::new("a")], resumes: false };
        let mut stream = item("stream|L1", &[]);
        stream.extend(write_start(&start));
        let index = KnownIndex {
            index: "sessions".into(),
            concrete: "sessions-000001".into(),
            uuid: "u1".into(),
            generation: 1,
        };
        let mut index_item = item("index|sessions-000001", &[]);
        index_item.extend(write_index(&index));
        let record = BackfillRecord::of_stream(7);
        let Action::Put(attributes) = record.put(None).action else { panic!("it is put") };
        let mut backfill = item("segments", &[]);
        backfill.extend(attributes);
        let items = [
            stream,
            item("stream|L0", &[]),
            item(
                "shard|L1|a",
                &[
                    ("state", s("open")),
                    ("position", s("0042")),
                    ("updated", of_number(9)),
                    ("owner", s("w")),
                    ("term", of_number(3)),
                    ("created", of_number(8)),
                    ("generations", write_generations(&generations)),
                ],
            ),
            item("shard|L1|b", &[("state", s("finished")), ("parent", s("a")), ("updated", of_number(9))]),
            item("shard|L1|c", &[("state", s("open")), ("updated", of_number(9))]),
            item("shard|L0|z", &[("state", s("open")), ("updated", of_number(9))]),
            item("gap|L1|trimmed|c", &[("detail", s("why"))]),
            index_item,
            item("done|L1|y", &[("updated", of_number(8))]),
            item("worker|w", &[("beat", of_number(4)), ("started", of_number(3)), ("at", of_number(5))]),
            item("worker|one-reader", &[("v", of_number(2))]),
            item("lease", &[("term", of_number(3)), ("beat", of_number(7)), ("owner", s("w"))]),
            item("segment|x|1", &[("v", of_number(99))]),
            backfill,
        ];
        let loaded = read_items(&items, "L1").unwrap();
        assert_eq!(loaded.start, Some(start));
        assert_eq!(loaded.other_streams, ["L0"]);
        let progress: Vec<_> = loaded.shards.iter().map(|shard| (shard.id.as_str(), shard.progress.clone())).collect();
        let position = SequenceNumber::parse("0042").ok();
        assert_eq!(
            progress,
            [
                ("a", ShardProgress::Open(position)),
                ("b", ShardProgress::Drained),
                ("c", ShardProgress::Gapped),
                ("y", ShardProgress::Done)
            ]
        );
        let first = &loaded.shards[0];
        assert_eq!((first.term, first.born, first.created), (Some(3), 9, Some(CreationTime::from_seconds(8))));
        assert_eq!(loaded.earlier_workers, ["w"]);
        let lease = loaded.lease.as_ref().unwrap();
        assert_eq!((lease.term, lease.beat, lease.owner.as_ref().unwrap().as_str()), (3, 7, "w"));
        assert_eq!(loaded.shards[0].generations, generations);
        assert_eq!(loaded.gaps.len(), 1);
        assert_eq!(loaded.indices, [index]);
        assert_eq!(loaded.backfill, Some(record));
        assert!(loaded.malformed.is_empty());
    }

    #[test]
    fn malformed_items_are_named_and_newer_ones_refused() {
        let bad = [
            item("shard|L|a", &[]),
            item("shard|L|b", &[("state", s("open")), ("updated", of_number(1)), ("position", s("x"))]),
            item("shard|L|c", &[("state", s("half")), ("updated", of_number(1))]),
            item("stream|L", &[("start", s("latest"))]),
            item("index|i", &[]),
            item("gap|L|odd|s", &[]),
            item("lease", &[("beat", s("x"))]),
            item("shard|L|e", &[("state", s("open")), ("updated", of_number(1)), ("term", s("x"))]),
            item("shard|L|d", &[("v", s("one")), ("state", s("open")), ("updated", of_number(1))]),
        ];
        let loaded = read_items(&bad, "L").unwrap();
        assert_eq!(loaded.malformed.len(), bad.len());
        let done = read_items(&[item("done|L|z", &[])], "L").unwrap();
        assert_eq!((done.malformed.len(), &done.shards[0].progress), (1, &ShardProgress::Done));
        assert_eq!(loaded.malformed_shards.len(), 5, "they are not done for all that");
        assert!(loaded.shards.is_empty());
        let newer = read_items(&[item("shard|L|a", &[("v", of_number(2))])], "L").unwrap_err();
        assert_eq!(
            newer.to_string(),
            "shard shard|L|a in the state table has format 2, but this version knows only formats up to 1"
        );
    }

    proptest! {
        #[test]
        fn sortable_texts_sort_as_the_numbers_do(left in "[0-9]{1,45}", right in "[0-9]{1,45}") {
            let (left, right) = (SequenceNumber::parse(&left).unwrap(), SequenceNumber::parse(&right).unwrap());
            prop_assert_eq!(sortable(&left).cmp(&sortable(&right)), left.cmp(&right));
        }
    }
}
