//! The listings of DescribeStream: late, page by page, and in some seeds wrong.

use streamdex_dynamodb::stream::{ListedShard, ShardId, ShardPage, StreamStatus};
use streamdex_dynamodb::{AwsError, Fault};

use super::shard::Shard;
use super::{Stream, Table};
use crate::simulation::dice::hash;
use crate::simulation::time::SECOND;
use crate::simulation::world::World;

const OPERATION: &str = "DescribeStream";
/// A shard in the middle of a lineage is left out for so long at most: five listings agree over 15 s at least.
const LEFT_OUT: u64 = 9 * SECOND;

/// One page of a listing.
pub(super) fn page(world: &World, arn: &str, after: Option<&str>) -> Result<ShardPage, AwsError> {
    let lies = world.lies();
    if after.is_some() && world.stream_dice().rarely(lies.page_errors) {
        world.reached.note("listing: an error in the middle");
        let fault = *world.stream_dice().pick(&[Fault::Transient, Fault::Throttled]);
        return Err(AwsError::new(fault, OPERATION));
    }
    let now = world.time.millis();
    let mut table = world.table();
    let left_out = left_out_at_start(world, &mut table);
    let stream = described(&table, arn)?;
    // Where a group begins, and what lies before, is decided by what is listed then.
    let forgets = if table.is_followed() { world.plan.stream.forgets } else { 0 };
    let view = View { world, stream, is_followed: table.is_followed(), now };
    let mut shown = stream.shards.values().filter(|shard| {
        view.shows(shard)
            && after.is_none_or(|after| *shard.id > *after)
            && left_out.as_ref() != Some(&shard.id)
            && !world.stream_dice().rarely(forgets)
    });
    let most = world.plan.stream.shards_a_page;
    let shards: Vec<ListedShard> = shown.by_ref().take(most).map(|shard| listed(shard, now)).collect();
    let mut next = shown.next().and(shards.last()).map(|shard| shard.id.clone());
    if let (Some(_), Some(after)) = (&next, after)
        && world.stream_dice().rarely(lies.cursors)
    {
        world.reached.note("listing: a cursor again");
        next = Some(ShardId::new(after));
    }
    let status = if stream.enabled { StreamStatus::Enabled } else { StreamStatus::Disabled };
    Ok(ShardPage { shards, next, status, date: Some(world.time.seconds()) })
}

/// The children of a shard, or all shards where the service does not know the filter.
pub(super) fn children(world: &World, arn: &str, parent: &str) -> Result<Vec<ListedShard>, AwsError> {
    let now = world.time.millis();
    let table = world.table();
    let stream = described(&table, arn)?;
    let all = world.plan.stream.ignores_filter;
    let view = View { world, stream, is_followed: table.is_followed(), now };
    let shown =
        stream.shards.values().filter(|shard| view.shows(shard) && (all || shard.parent.as_deref() == Some(parent)));
    Ok(shown.map(|shard| listed(shard, now)).collect())
}

fn described<'t>(table: &'t Table, arn: &str) -> Result<&'t Stream, AwsError> {
    let stream = table.streams.iter().find(|stream| stream.arn == arn);
    stream.ok_or_else(|| AwsError::new(Fault::NotFound, OPERATION))
}

/// What answers show at a moment.
struct View<'a> {
    world: &'a World,
    stream: &'a Stream,
    is_followed: bool,
    now: u64,
}

impl View<'_> {
    fn shows(&self, shard: &Shard) -> bool {
        shard.listed_from <= self.now && !shard.removed && !self.leaves_out(shard)
    }

    /// Whether all answers leave the shard out for a while: it has a parent and a child. When that is, depends on the seed
    /// alone.
    fn leaves_out(&self, shard: &Shard) -> bool {
        let often = self.world.lies().middle;
        if often == 0 || shard.parent.is_none() || !self.is_followed {
            return false;
        }
        // Once in a while, so that five listings do not happen to agree.
        let window = self.now / LEFT_OUT;
        let drawn = hash(self.world.plan.seed, &format!("{} {}", shard.id, window / 8));
        let is_time = window % 8 == drawn % 8 && (drawn / 8) % 1_000 < u64::from(often);
        let leaves_out = is_time && self.stream.shards.values().any(|child| child.parent.as_ref() == Some(&shard.id));
        if leaves_out {
            self.world.reached.note("listing: without a middle one");
        }
        leaves_out
    }
}

/// The shard that this answer leaves out, before a group has begun. It is left out once.
fn left_out_at_start(world: &World, table: &mut Table) -> Option<String> {
    let often = world.lies().at_start;
    if often == 0 || table.has_begun() || !world.stream_dice().rarely(often) {
        return None;
    }
    let stream = table.streams.last()?;
    let candidates: Vec<&String> = stream.shards.keys().filter(|id| !table.left_out.contains(*id)).collect();
    let which = world.stream_dice().index(candidates.len());
    let id = (*candidates.get(which)?).clone();
    table.left_out.insert(id.clone());
    world.reached.note("listing: wrong at the start");
    Some(id)
}

fn listed(shard: &Shard, now: u64) -> ListedShard {
    let closed = shard.closed.is_some() && shard.shown_closed_from <= now;
    ListedShard { id: ShardId::new(&*shard.id), parent: shard.parent.as_deref().map(ShardId::new), closed }
}
