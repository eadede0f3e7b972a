//! Where a group begins with a stream.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use streamdex_config::StartPosition;
use streamdex_dynamodb::state::{Item, number, of_number, text};
use streamdex_dynamodb::stream::{ListedShard, ShardId};
use tokio::time::sleep;

use super::StreamStart;
use crate::graph::{missing_parents, roots};

/// A complete listing of a stream's shards.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    pub(crate) shards: Vec<ListedShard>,
    /// The service's time of its first page, in seconds since 1970.
    pub(crate) began: u64,
}

/// An item holds 400 KB: a shard takes some 40 bytes of a list, and less than half of that when all of them are packed.
const MOST_IN_A_LIST: usize = 4_000;
/// A new group begins with so many listings at most, where they miss parents.
const MOST_LISTINGS: u32 = 7;
const BETWEEN_LISTINGS: Duration = Duration::from_secs(2);

impl StreamStart {
    /// At the time of the service's first answer, with the shards of two complete listings that were begun after it, since
    /// one can miss a parent that is made while it is read (rule L9). Where both do, others follow; and a parent that none
    /// of them shows is read all the same, in its child's place, because it is too young to be gone.
    pub(crate) async fn of_listings<E, F>(position: StartPosition, list: impl Fn() -> F) -> Result<StreamStart, E>
    where
        F: Future<Output = Result<Listed, E>>,
    {
        let Listed { mut shards, began } = list().await?;
        for listings in 2..=MOST_LISTINGS {
            let later = list().await?.shards;
            // The later listing knows better which shards are closed.
            let ids: BTreeSet<ShardId> = later.iter().map(|shard| shard.id.clone()).collect();
            shards.retain(|earlier| !ids.contains(&earlier.id));
            shards.extend(later);
            if listings == MOST_LISTINGS || missing_parents(&shards, began).is_empty() {
                break;
            }
            sleep(BETWEEN_LISTINGS).await;
        }
        let missing = missing_parents(&shards, began);
        shards.extend(missing.into_iter().map(|id| ListedShard { id, parent: None, closed: true }));
        Ok(StreamStart { position, at: began, roots: roots(&shards, position), resumes: false })
    }
}

pub(super) fn read_start(item: &Item) -> Option<StreamStart> {
    let position = match text(item, "start")? {
        "trim_horizon" => StartPosition::TrimHorizon,
        "latest" => StartPosition::Latest,
        _ => return None,
    };
    let roots = match item.get("roots")? {
        AttributeValue::L(roots) => {
            roots.iter().map(|root| root.as_s().ok().map(|id| ShardId::new(id.as_str()))).collect::<Option<_>>()?
        }
        AttributeValue::B(packed) => unpack(packed)?,
        _ => return None,
    };
    Some(StreamStart { position, at: number(item, "at")?, roots, resumes: item.contains_key("resume") })
}

pub(super) fn write_start(start: &StreamStart) -> Item {
    let position = match start.position {
        StartPosition::TrimHorizon => "trim_horizon",
        StartPosition::Latest => "latest",
    };
    let of_shard = |root: &ShardId| AttributeValue::S(root.as_str().to_owned());
    let roots = match start.roots.len() {
        ..=MOST_IN_A_LIST => AttributeValue::L(start.roots.iter().map(of_shard).collect()),
        _ => AttributeValue::B(pack(&start.roots)),
    };
    let mut item = HashMap::from([
        ("start".to_owned(), AttributeValue::S(position.to_owned())),
        ("at".to_owned(), of_number(start.at)),
        ("roots".to_owned(), roots),
    ]);
    if start.resumes {
        item.insert("resume".to_owned(), AttributeValue::S("oldest".to_owned()));
    }
    item
}

/// Gzip of the ids, one a line.
fn pack(roots: &[ShardId]) -> Blob {
    let lines: Vec<&str> = roots.iter().map(ShardId::as_str).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to a vector cannot fail.
    let packed = encoder.write_all(lines.join("\n").as_bytes()).and_then(|()| encoder.finish());
    Blob::new(packed.unwrap_or_default())
}

fn unpack(packed: &Blob) -> Option<Vec<ShardId>> {
    let mut lines = String::new();
    GzDecoder::new(packed.as_ref()).read_to_string(&mut lines).ok()?;
    Some(lines.lines().map(ShardId::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_shards_fit_into_an_item_of_400_kb() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut root = |_| {
            ShardId::new(format!("shardId-{:020}-{:08x}", 1_800_000_000_000 + random.u64(..86_400_000), random.u32(..)))
        };
        for count in [3, MOST_IN_A_LIST, MOST_IN_A_LIST + 1, 20_000] {
            let roots: Vec<ShardId> = (0..count).map(&mut root).collect();
            let start = StreamStart { position: StartPosition::TrimHorizon, at: 7, roots, resumes: count > 3 };
            let item = write_start(&start);
            let bytes = match &item["roots"] {
                AttributeValue::B(packed) => packed.as_ref().len(),
                AttributeValue::L(list) => list.len() * 41,
                other => panic!("{other:?}"),
            };
            assert!(bytes < 390_000, "{count} shards take {bytes} bytes");
            assert_eq!(read_start(&item), Some(start));
        }
        let broken = Item::from([
            ("start".to_owned(), AttributeValue::S("latest".to_owned())),
            ("at".to_owned(), of_number(1)),
            ("roots".to_owned(), AttributeValue::B(Blob::new(b"no gzip".as_slice()))),
        ]);
        assert_eq!(read_start(&broken), None, "it is not taken for an empty list");
    }
}
