//! The stream over the AWS SDK.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::types::{Shard, ShardFilter, ShardFilterType, ShardIteratorType};
use streamdex_config::StreamArn;
use tokio::time::timeout;

use crate::call::Call;
use crate::clients::SourceClients;
use crate::description::describe_table;
use crate::fault::{AwsError, Fault};
use crate::records::Records;
use crate::stream::{
    ListedShard, Listing, Position, RecordsPage, ShardId, ShardIterator, ShardPage, StreamSource, StreamStatus,
};

/// Over the SDK's own deadlines, which do not cover the reading of credentials.
const DEADLINE: Duration = Duration::from_secs(30);
const SHARDS_A_PAGE: i32 = 100;

/// One stream of one table, read with the AWS SDK.
#[derive(Debug, Clone)]
pub struct SdkStream {
    clients: SourceClients,
    arn: StreamArn,
    /// `None` where the configuration names a stream and not a table.
    table: Option<String>,
}

impl SdkStream {
    /// The stream `arn`. `table` is asked for its current stream now and then, if given.
    pub fn new(clients: SourceClients, arn: StreamArn, table: Option<String>) -> SdkStream {
        SdkStream { clients, arn, table }
    }

    async fn describe(&self, after: Option<&ShardId>, filter: Option<ShardFilter>) -> Result<ShardPage, AwsError> {
        let of_call = Call::of("DescribeStream");
        let call = self
            .clients
            .streams
            .describe_stream()
            .stream_arn(self.arn.as_str())
            .limit(SHARDS_A_PAGE)
            .set_exclusive_start_shard_id(after.map(|shard| shard.as_str().to_owned()))
            .set_shard_filter(filter)
            .customize()
            .interceptor(of_call.clone())
            .send();
        let answer = within(&of_call, call).await?.map_err(|error| of_call.failed(&error))?;
        let description = answer.stream_description.ok_or_else(|| of_call.lacks("StreamDescription"))?;
        let shards = description.shards.ok_or_else(|| of_call.lacks("Shards"))?;
        let next = description.last_evaluated_shard_id.map(ShardId::new);
        if next.is_some() && next.as_ref() == after {
            let repeated = of_call.fault(Fault::Transient);
            return Err(repeated.with_detail("the answer repeats `LastEvaluatedShardId`"));
        }
        let disabled =
            description.stream_status.is_some_and(|status| matches!(status.as_str(), "DISABLED" | "DISABLING"));
        Ok(ShardPage {
            shards: shards.iter().filter_map(listed).collect(),
            next,
            status: if disabled { StreamStatus::Disabled } else { StreamStatus::Enabled },
            date: of_call.date(),
        })
    }
}

#[async_trait]
impl StreamSource for SdkStream {
    async fn shards(&self, after: Option<&ShardId>) -> Result<ShardPage, AwsError> {
        Box::pin(self.describe(after, None)).await
    }

    async fn children(&self, parent: &ShardId) -> Result<Vec<ListedShard>, AwsError> {
        let mut listing = Listing::default();
        while !listing.is_over() {
            let filter = ShardFilter::builder().r#type(ShardFilterType::ChildShards).shard_id(parent.as_str()).build();
            let page = Box::pin(self.describe(listing.next_after(), Some(filter))).await?;
            if !listing.add(page) {
                let repeated = Call::of("DescribeStream").fault(Fault::Transient);
                return Err(repeated.with_detail("the answer repeats `LastEvaluatedShardId`"));
            }
        }
        let shards = listing.into_shards();
        Ok(shards.into_iter().filter(|shard| shard.parent.as_ref() == Some(parent)).collect())
    }

    async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<ShardIterator, AwsError> {
        let of_call = Call::of("GetShardIterator");
        let call = self.clients.streams.get_shard_iterator().stream_arn(self.arn.as_str()).shard_id(shard.as_str());
        let call = match position {
            Position::TrimHorizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::After(sequence) => {
                call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(sequence.as_str())
            }
        };
        let call = call.customize().interceptor(of_call.clone()).send();
        let answer = within(&of_call, call).await?.map_err(|error| of_call.failed(&error))?;
        answer.shard_iterator.map(ShardIterator::new).ok_or_else(|| of_call.lacks("ShardIterator"))
    }

    async fn records(&self, iterator: &ShardIterator, limit: Option<i32>) -> Result<RecordsPage, AwsError> {
        let of_call = Call::of("GetRecords").raw();
        let call = self.clients.streams.get_records().shard_iterator(iterator.as_str()).set_limit(limit);
        let call = call.customize().interceptor(of_call.clone()).send();
        within(&of_call, call).await?.map_err(|error| of_call.failed(&error))?;
        let answer = Records::read(of_call.body().await?, self.arn.as_str().into());
        let answer = answer.map_err(|error| of_call.unreadable(&error))?;
        // Without them, a missing iterator says nothing about the shard.
        let records = answer.records.ok_or_else(|| of_call.lacks("Records"))?;
        Ok(RecordsPage { records, next: answer.next.map(ShardIterator::new) })
    }

    async fn current_stream(&self) -> Result<Option<String>, AwsError> {
        let Some(name) = &self.table else { return Ok(None) };
        let table = describe_table(&self.clients.dynamodb, name).await?;
        let enabled = table.stream_specification.as_ref().is_some_and(|spec| spec.stream_enabled);
        Ok(table.latest_stream_arn.filter(|_| enabled))
    }
}

fn listed(shard: &Shard) -> Option<ListedShard> {
    let id = ShardId::new(shard.shard_id()?);
    let parent = shard.parent_shard_id().filter(|parent| !parent.is_empty()).map(ShardId::new);
    let closed = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some());
    Some(ListedShard { id, parent, closed })
}

async fn within<F: Future>(of_call: &Call, call: F) -> Result<F::Output, AwsError> {
    let overdue = |_| of_call.fault(Fault::Transient).with_detail("no answer within 30 s");
    timeout(DEADLINE, Box::pin(call)).await.map_err(overdue)
}
