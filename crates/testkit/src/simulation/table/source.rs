//! The stream and the items as one worker reaches them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_dynamodb::item::{Found, ItemRead, ItemReader};
use streamdex_dynamodb::records::Records;
use streamdex_dynamodb::stream::{ListedShard, Position, RecordsPage, ShardId, ShardIterator, ShardPage, StreamSource};
use streamdex_dynamodb::{AwsError, Fault};
use streamdex_mapping::{Key, KeyValue};
use tokio::time::Instant;

use super::super::gate::{Gate, Lost};
use super::super::weather::{Endpoint, Refusal};
use super::super::world::World;
use super::listing;

/// A stream, as one worker reaches it.
pub(crate) struct SimulatedStream {
    pub(crate) gate: Arc<Gate>,
    pub(crate) world: Arc<World>,
    pub(crate) arn: String,
}

/// The table's items, as one worker reaches them.
pub(crate) struct SimulatedItems {
    pub(crate) gate: Arc<Gate>,
    pub(crate) world: Arc<World>,
}

/// The deadline of the SDK's client.
const DEADLINE: Duration = Duration::from_secs(10);

impl SimulatedStream {
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        serve: impl FnOnce(&World) -> Result<T, AwsError> + Send + 'static,
    ) -> Result<T, AwsError> {
        let (world, name) = (Arc::clone(&self.world), self.gate.name.clone());
        let answer = self.gate.call(Endpoint::Stream, DEADLINE, move |refusal| {
            let answer = match refusal {
                Some(Refusal::Throttled) => Err(AwsError::new(Fault::Throttled, operation)),
                Some(_) => Err(AwsError::new(Fault::Transient, operation)),
                None => {
                    world.table().trim();
                    serve(&world)
                }
            };
            if let Err(error) = &answer {
                world.trace.note(format_args!("{name} {operation}: {}", error.fault().name()));
            }
            answer
        });
        answer.await.unwrap_or_else(|lost| Err(unanswered(operation, lost)))
    }
}

fn unanswered(operation: &'static str, lost: Lost) -> AwsError {
    let detail = match lost {
        Lost::NotSent => "no connection",
        Lost::NoAnswer => "no answer",
    };
    AwsError::new(Fault::Transient, operation).with_detail(detail)
}

#[async_trait]
impl StreamSource for SimulatedStream {
    async fn shards(&self, after: Option<&ShardId>) -> Result<ShardPage, AwsError> {
        let (arn, after, name) = (self.arn.clone(), after.cloned(), self.gate.name.clone());
        self.call("DescribeStream", move |world| {
            world.admit_describe(&name)?;
            listing::page(world, &arn, after.as_ref().map(ShardId::as_str))
        })
        .await
    }

    async fn children(&self, parent: &ShardId) -> Result<Vec<ListedShard>, AwsError> {
        let (arn, parent, name) = (self.arn.clone(), parent.as_str().to_owned(), self.gate.name.clone());
        self.call("DescribeStream", move |world| {
            world.admit_describe(&name)?;
            listing::children(world, &arn, &parent)
        })
        .await
    }

    async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<ShardIterator, AwsError> {
        const OPERATION: &str = "GetShardIterator";
        let (shard, position) = (shard.as_str().to_owned(), position.clone());
        self.call(OPERATION, move |world| {
            let now = world.time.millis();
            let table = world.table();
            let found = table.shard(&shard).filter(|shard| !shard.removed);
            let found = found.ok_or_else(|| AwsError::new(Fault::NotFound, OPERATION))?;
            if now < found.settles && world.stream_dice().chance(10) {
                return Err(AwsError::new(Fault::NotFound, OPERATION));
            }
            let index = match position {
                Position::TrimHorizon => found.trimmed,
                Position::After(sequence) => {
                    let order = sequence.as_str().parse().map_err(|_| AwsError::new(Fault::Invalid, OPERATION))?;
                    found.after(order).map_err(|_| AwsError::new(Fault::Trimmed, OPERATION))?
                }
            };
            Ok(ShardIterator::new(format!("{shard}|{index}|{now}")))
        })
        .await
    }

    async fn records(&self, iterator: &ShardIterator, limit: Option<i32>) -> Result<RecordsPage, AwsError> {
        const OPERATION: &str = "GetRecords";
        let (text, arn) = (iterator.as_str().to_owned(), self.arn.as_str().into());
        let name = self.gate.name.clone();
        self.call(OPERATION, move |world| {
            let invalid = || AwsError::new(Fault::Invalid, OPERATION);
            let mut parts = text.split('|');
            let (Some(id), Some(index), Some(issued)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(invalid());
            };
            let index: usize = index.parse().map_err(|_| invalid())?;
            let issued: u64 = issued.parse().map_err(|_| invalid())?;
            let now = world.time.millis();
            let habits = world.plan.stream;
            if now > issued + habits.iterator_life {
                return Err(AwsError::new(Fault::ExpiredIterator, OPERATION));
            }
            world.count_read(&name, id);
            world.check_order(&name, id);
            let nothing = world.stream_dice().chance(habits.empty_pages);
            let mut table = world.table();
            let found = table.shard_mut(id).filter(|shard| !shard.removed);
            let shard = found.ok_or_else(|| AwsError::new(Fault::NotFound, OPERATION))?;
            if !shard.reads.admit(now, habits.reads_a_second) {
                return Err(AwsError::new(Fault::Throttled, OPERATION));
            }
            let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            let runs = if world.is_calm() { 0 } else { habits.empty_runs };
            let nothing = nothing || shard.is_in_a_run(index, runs, &mut world.stream_dice());
            let most = if nothing { 0 } else { habits.records_a_page.min(limit) };
            let page = shard.page(index, most, now).map_err(|_| AwsError::new(Fault::Trimmed, OPERATION))?;
            shard.answered(index, (page.records.len(), most), now);
            if !page.records.is_empty() || page.next.is_none() {
                let end = if page.next.is_none() { ", the end" } else { "" };
                world.trace.note(format_args!("{name} reads {} of {id} from {index}{end}", page.records.len()));
                if !page.records.is_empty() {
                    world.calls.page(&name, id);
                }
            }
            let next = page.next.map(|next| ShardIterator::new(format!("{id}|{next}|{now}")));
            let text = format!("{{\"Records\":[{}]}}", page.records.join(","));
            let answer = Records::read(text.into(), arn).expect("an answer of GetRecords");
            Ok(RecordsPage { records: answer.records.expect("a list"), next })
        })
        .await
    }

    async fn current_stream(&self) -> Result<Option<String>, AwsError> {
        self.call("DescribeTable", move |world| {
            let table = world.table();
            Ok(table.streams.last().filter(|stream| stream.enabled).map(|stream| stream.arn.clone()))
        })
        .await
    }
}

#[async_trait]
impl ItemReader for SimulatedItems {
    async fn read(&self, keys: &[Key]) -> Result<Vec<ItemRead>, AwsError> {
        const OPERATION: &str = "BatchGetItem";
        let keys: Vec<String> = keys.iter().map(key_text).collect();
        let world = Arc::clone(&self.world);
        let answer = self.gate.call(Endpoint::Items, DEADLINE, move |refusal| match refusal {
            Some(Refusal::Throttled) => Err(AwsError::new(Fault::Throttled, OPERATION)),
            Some(_) => Err(AwsError::new(Fault::Transient, OPERATION)),
            None => {
                let at = world.time.seconds();
                let table = world.table();
                let find = |key: &String| match table.items.get(key) {
                    Some(item) => Found::Item(item.json(key).to_string().into()),
                    None => Found::Absent,
                };
                let answered = Instant::now();
                Ok(keys.iter().map(|key| ItemRead { found: find(key), at, answered }).collect())
            }
        });
        answer.await.unwrap_or_else(|lost| Err(unanswered(OPERATION, lost)))
    }
}

fn key_text(key: &Key) -> String {
    match key.attributes().next() {
        Some((_, KeyValue::String(text))) => text.to_string(),
        _ => String::new(),
    }
}
