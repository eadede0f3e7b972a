//! The stream over the AWS SDK.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodbstreams::types::{Shard, ShardFilter, ShardFilterType, ShardIteratorType, StreamDescription};
use streamdex_config::StreamArn;
use tokio::time::timeout;

use crate::clients::SourceClients;
use crate::fault::{AwsError, Fault};
use crate::stream::{
    ListedShard, Position, RecordsPage, ShardId, ShardIterator, ShardPage, StreamSource, StreamStatus,
};
use crate::time::ServerDate;

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

    async fn describe(
        &self,
        after: Option<&ShardId>,
        filter: Option<ShardFilter>,
    ) -> Result<(StreamDescription, Option<u64>), AwsError> {
        const OPERATION: &str = "DescribeStream";
        let date = ServerDate::default();
        let call = self
            .clients
            .streams
            .describe_stream()
            .stream_arn(self.arn.as_str())
            .limit(SHARDS_A_PAGE)
            .set_exclusive_start_shard_id(after.map(|shard| shard.as_str().to_owned()))
            .set_shard_filter(filter)
            .customize()
            .interceptor(date.clone())
            .send();
        let answer = within(OPERATION, call).await?.map_err(|error| AwsError::from_sdk(OPERATION, &error))?;
        let missing = || AwsError::new(Fault::Transient, OPERATION).with_detail("the answer holds no description");
        Ok((answer.stream_description.ok_or_else(missing)?, date.seen()))
    }
}

#[async_trait]
impl StreamSource for SdkStream {
    async fn shards(&self, after: Option<&ShardId>) -> Result<ShardPage, AwsError> {
        let (description, date) = Box::pin(self.describe(after, None)).await?;
        let disabled =
            description.stream_status().is_some_and(|status| matches!(status.as_str(), "DISABLED" | "DISABLING"));
        Ok(ShardPage {
            shards: description.shards().iter().filter_map(listed).collect(),
            next: description.last_evaluated_shard_id().map(ShardId::new),
            status: if disabled { StreamStatus::Disabled } else { StreamStatus::Enabled },
            date,
        })
    }

    async fn children(&self, parent: &ShardId) -> Result<Vec<ListedShard>, AwsError> {
        let mut children = Vec::new();
        let mut after = None;
        loop {
            let filter = ShardFilter::builder().r#type(ShardFilterType::ChildShards).shard_id(parent.as_str()).build();
            let (description, _) = Box::pin(self.describe(after.as_ref(), Some(filter))).await?;
            let of_parent = |shard: &ListedShard| shard.parent.as_ref() == Some(parent);
            children.extend(description.shards().iter().filter_map(listed).filter(of_parent));
            after = description.last_evaluated_shard_id().map(ShardId::new);
            if after.is_none() {
                return Ok(children);
            }
        }
    }

    async fn iterator(&self, shard: &ShardId, position: &Position) -> Result<ShardIterator, AwsError> {
        const OPERATION: &str = "GetShardIterator";
        let call = self.clients.streams.get_shard_iterator().stream_arn(self.arn.as_str()).shard_id(shard.as_str());
        let call = match position {
            Position::TrimHorizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::After(sequence) => {
                call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(sequence.as_str())
            }
        };
        let answer = within(OPERATION, call.send()).await?.map_err(|error| AwsError::from_sdk(OPERATION, &error))?;
        let missing = || AwsError::new(Fault::Transient, OPERATION).with_detail("the answer holds no iterator");
        answer.shard_iterator.map(ShardIterator::new).ok_or_else(missing)
    }

    async fn records(&self, iterator: &ShardIterator, limit: Option<i32>) -> Result<RecordsPage, AwsError> {
        const OPERATION: &str = "GetRecords";
        let call = self.clients.streams.get_records().shard_iterator(iterator.as_str()).set_limit(limit).send();
        let answer = within(OPERATION, call).await?.map_err(|error| AwsError::from_sdk(OPERATION, &error))?;
        Ok(RecordsPage {
            records: answer.records.unwrap_or_default(),
            next: answer.next_shard_iterator.map(ShardIterator::new),
        })
    }

    async fn current_stream(&self) -> Result<Option<String>, AwsError> {
        const OPERATION: &str = "DescribeTable";
        let Some(table) = &self.table else { return Ok(None) };
        let call = self.clients.dynamodb.describe_table().table_name(table).send();
        let answer = within(OPERATION, call).await?.map_err(|error| AwsError::from_sdk(OPERATION, &error))?;
        let described = answer.table;
        let enabled = described
            .as_ref()
            .and_then(|table| table.stream_specification.as_ref())
            .is_some_and(|spec| spec.stream_enabled);
        Ok(described.and_then(|table| table.latest_stream_arn).filter(|_| enabled))
    }
}

fn listed(shard: &Shard) -> Option<ListedShard> {
    let id = ShardId::new(shard.shard_id()?);
    let parent = shard.parent_shard_id().filter(|parent| !parent.is_empty()).map(ShardId::new);
    let closed = shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some());
    Some(ListedShard { id, parent, closed })
}

async fn within<F: Future>(operation: &'static str, call: F) -> Result<F::Output, AwsError> {
    let overdue = |_| AwsError::new(Fault::Transient, operation).with_detail("no answer within 30 s");
    timeout(DEADLINE, Box::pin(call)).await.map_err(overdue)
}
