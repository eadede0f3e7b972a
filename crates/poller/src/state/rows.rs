//! Items of the state table, to and from what they mean: pure.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_config::StartPosition;
use streamdex_delivery::indices::read_index;
use streamdex_dynamodb::state::{Item, SortKey, StateError, check_format, number, of_number, text};
use streamdex_dynamodb::stream::ShardId;
use streamdex_mapping::SequenceNumber;

use crate::gap::{Gap, GapKind};
use crate::graph::KnownProgress;
use crate::lease::{Holder, WorkerId};
use crate::state::{Beat, Generations, Loaded, StoredShard, StoredWorker, StreamStart};

/// Reads the items of one [`streamdex_dynamodb::state::Partition::Follow`].
///
/// # Errors
/// An item in a newer format.
pub(crate) fn read_all(items: &[Item], label: &str) -> Result<Loaded, StateError> {
    let mut loaded = Loaded::default();
    for item in items {
        let Some(sort_key) = text(item, "sk") else { continue };
        let key = SortKey::parse(sort_key);
        if key == SortKey::Other {
            continue;
        }
        check_format(item, sort_key)?;
        if read(item, key, label, &mut loaded).is_none() {
            loaded.malformed.push(sort_key.to_owned());
            if let SortKey::Shard { label: found, shard } = SortKey::parse(sort_key)
                && found == label
            {
                loaded.malformed_shards.push(ShardId::new(shard));
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
        SortKey::Worker { worker } => loaded.workers.push(read_worker(item, &worker)?),
        SortKey::Gap { label: found, kind, subject } => {
            let gap = read_gap(item, &kind, subject)?;
            if matches!(gap.kind, GapKind::StreamReplaced | GapKind::StreamVanished) {
                loaded.ended_streams.push(found.clone());
            }
            if found == label {
                loaded.gaps.push(gap);
            }
        }
        SortKey::Index { concrete } => loaded.indices.push(read_index(item, concrete)?),
        SortKey::Shard { .. } | SortKey::Done { .. } | SortKey::Brake { .. } | SortKey::Other => {}
    }
    Some(())
}

fn read_start(item: &Item) -> Option<StreamStart> {
    let position = match text(item, "start")? {
        "trim_horizon" => StartPosition::TrimHorizon,
        "latest" => StartPosition::Latest,
        _ => return None,
    };
    let roots = item.get("roots")?.as_l().ok()?;
    let roots: Option<Vec<ShardId>> =
        roots.iter().map(|root| root.as_s().ok().map(|id| ShardId::new(id.as_str()))).collect();
    Some(StreamStart { position, at: number(item, "at")?, roots: roots? })
}

pub(crate) fn read_shard(item: &Item, shard: &str) -> Option<StoredShard> {
    let position = match item.get("position") {
        Some(position) => Some(SequenceNumber::parse(position.as_s().ok()?).ok()?),
        None => None,
    };
    let progress = match text(item, "state")? {
        "open" => KnownProgress::Begun(position),
        "finished" => KnownProgress::Finished,
        _ => return None,
    };
    Some(StoredShard {
        id: ShardId::new(shard),
        parent: text(item, "parent").map(ShardId::new),
        progress,
        generations: read_generations(item)?,
        updated: number(item, "updated")?,
        holder: read_holder(item)?,
    })
}

/// A fence that cannot be read must not be taken for none.
fn read_holder(item: &Item) -> Option<Holder> {
    let fence = match item.get("fence") {
        Some(_) => number(item, "fence")?,
        None => 0,
    };
    Some(Holder { owner: text(item, "owner").map(WorkerId::new), fence })
}

fn read_done(item: &Item, shard: &str) -> Option<StoredShard> {
    Some(StoredShard {
        id: ShardId::new(shard),
        parent: text(item, "parent").map(ShardId::new),
        progress: KnownProgress::Done,
        generations: Generations::new(),
        updated: number(item, "updated")?,
        holder: Holder::default(),
    })
}

fn read_worker(item: &Item, worker: &str) -> Option<StoredWorker> {
    Some(StoredWorker {
        id: WorkerId::new(worker),
        beat: number(item, "beat")?,
        started: number(item, "started")?,
        at: number(item, "at")?,
        version: text(item, "version").unwrap_or_default().to_owned(),
        summary: text(item, "summary").unwrap_or_default().to_owned(),
    })
}

/// A worker that vanished is forgotten after a day.
pub(crate) fn write_beat(beat: &Beat) -> Item {
    const KEEP_SECONDS: u64 = 24 * 60 * 60;
    Item::from([
        ("beat".to_owned(), of_number(beat.number)),
        ("started".to_owned(), of_number(beat.started)),
        ("at".to_owned(), of_number(beat.at)),
        ("version".to_owned(), AttributeValue::S(env!("CARGO_PKG_VERSION").to_owned())),
        ("summary".to_owned(), AttributeValue::S(beat.summary.clone())),
        ("expires".to_owned(), of_number(beat.at + KEEP_SECONDS)),
    ])
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

pub(crate) fn write_start(start: &StreamStart) -> Item {
    let position = match start.position {
        StartPosition::TrimHorizon => "trim_horizon",
        StartPosition::Latest => "latest",
    };
    let roots = start.roots.iter().map(|root| AttributeValue::S(root.as_str().to_owned())).collect();
    HashMap::from([
        ("start".to_owned(), AttributeValue::S(position.to_owned())),
        ("at".to_owned(), of_number(start.at)),
        ("roots".to_owned(), AttributeValue::L(roots)),
    ])
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
    use streamdex_delivery::indices::write_index;
    use streamdex_sink::index::KnownIndex;

    use super::*;

    fn item(sort_key: &str, attributes: &[(&str, AttributeValue)]) -> Item {
        let mut item =
            HashMap::from([("sk".to_owned(), AttributeValue::S(sort_key.to_owned())), ("v".to_owned(), of_number(1))]);
        item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        item
    }

    fn s(text: &str) -> AttributeValue {
        AttributeValue::S(text.to_owned())
    }

    #[test]
    fn a_partition_is_read() {
        let generations = Generations::from([("sessions".to_owned(), 2)]);
        let start = StreamStart { position: StartPosition::Latest, at: 7, roots: vec![ShardId::new("a")] };
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
                    ("fence", of_number(3)),
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
            item("segment|x|1", &[("v", of_number(99))]),
        ];
        let loaded = read_all(&items, "L1").unwrap();
        assert_eq!(loaded.start, Some(start));
        assert_eq!(loaded.other_streams, ["L0"]);
        let progress: Vec<_> = loaded.shards.iter().map(|shard| (shard.id.as_str(), shard.progress.clone())).collect();
        let position = SequenceNumber::parse("0042").ok();
        assert_eq!(
            progress,
            [
                ("a", KnownProgress::Begun(position)),
                ("b", KnownProgress::Finished),
                ("c", KnownProgress::Gapped),
                ("y", KnownProgress::Done)
            ]
        );
        assert_eq!(loaded.shards[0].holder, Holder { owner: Some(WorkerId::new("w")), fence: 3 });
        assert_eq!(loaded.workers.len(), 1);
        assert_eq!(loaded.shards[0].generations, generations);
        assert_eq!(loaded.gaps.len(), 1);
        assert_eq!(loaded.indices, [index]);
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
            item("worker|w", &[("beat", s("x"))]),
            item("shard|L|e", &[("state", s("open")), ("updated", of_number(1)), ("fence", s("x"))]),
            item("shard|L|d", &[("v", s("one")), ("state", s("open")), ("updated", of_number(1))]),
        ];
        let loaded = read_all(&bad, "L").unwrap();
        assert_eq!(loaded.malformed.len(), bad.len());
        assert_eq!(loaded.malformed_shards.len(), 5, "they are not done for all that");
        assert!(loaded.shards.is_empty());
        let newer = read_all(&[item("shard|L|a", &[("v", of_number(2))])], "L").unwrap_err();
        assert_eq!(
            newer.to_string(),
            "shard shard|L|a in the state table has format 2, and this version knows formats up to 1"
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
