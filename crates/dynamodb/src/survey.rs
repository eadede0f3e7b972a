//! The facts about a table for setting up streamdex: size, keys, stream, encryption, TTL, backups.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{PointInTimeRecoveryStatus, SseStatus, TableDescription, TimeToLiveStatus};
use streamdex_config::StreamArn;
use streamdex_mapping::StreamView;

use crate::call::Call;
use crate::description::{describe_table, replicas_of, stream_of};
use crate::fault::AwsError;
use crate::size::{self, TableSize};

/// A table as its description shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// Its name.
    pub table: String,
    /// Whether it can be read and written.
    pub is_active: bool,
    /// Its key, and what it costs to read.
    pub size: TableSize,
    /// Its stream, where it is switched on.
    pub stream: Option<(StreamArn, StreamView)>,
    /// The KMS key that it is encrypted with; `None` where DynamoDB owns the key.
    pub kms_key: Option<String>,
    /// The other regions of a global table.
    pub replicas: Vec<String>,
}

impl Survey {
    /// Asks for the table `name`.
    ///
    /// # Errors
    /// The call failed, or the table's key is not known.
    pub async fn of(client: &Client, name: &str) -> Result<Survey, AwsError> {
        let table = describe_table(client, name).await?;
        read(&table, name).ok_or_else(|| Call::of("DescribeTable").lacks("Table.KeySchema"))
    }

    /// The attribute whose time the table's items expire at; `None` where they do not.
    ///
    /// # Errors
    /// The call failed, or says nothing.
    pub async fn ttl(client: &Client, name: &str) -> Result<Option<String>, AwsError> {
        let of_call = Call::of("DescribeTimeToLive");
        let call = client.describe_time_to_live().table_name(name).customize().interceptor(of_call.clone());
        let answer = Box::pin(call.send()).await.map_err(|error| of_call.failed(&error))?;
        let lacks = || of_call.lacks("TimeToLiveDescription.TimeToLiveStatus");
        let described = answer.time_to_live_description.ok_or_else(lacks)?;
        let is_on = match described.time_to_live_status.ok_or_else(lacks)? {
            TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling => true,
            TimeToLiveStatus::Disabled | TimeToLiveStatus::Disabling => false,
            _ => return Err(lacks()),
        };
        Ok(described.attribute_name.filter(|_| is_on))
    }

    /// Whether point-in-time recovery is on.
    ///
    /// # Errors
    /// The call failed, or says nothing.
    pub async fn has_recovery(client: &Client, name: &str) -> Result<bool, AwsError> {
        let of_call = Call::of("DescribeContinuousBackups");
        let call = client.describe_continuous_backups().table_name(name).customize().interceptor(of_call.clone());
        let answer = Box::pin(call.send()).await.map_err(|error| of_call.failed(&error))?;
        let described = answer.continuous_backups_description.and_then(|backups| {
            backups.point_in_time_recovery_description.and_then(|recovery| recovery.point_in_time_recovery_status)
        });
        let status = described.ok_or_else(|| of_call.lacks("PointInTimeRecoveryStatus"))?;
        Ok(status == PointInTimeRecoveryStatus::Enabled)
    }
}

fn read(table: &TableDescription, name: &str) -> Option<Survey> {
    let encryption = table.sse_description().filter(|encryption| encryption.status == Some(SseStatus::Enabled));
    Some(Survey {
        table: table.table_name().unwrap_or(name).to_owned(),
        is_active: table.table_status().is_some_and(|status| matches!(status.as_str(), "ACTIVE" | "UPDATING")),
        size: size::read(table)?,
        stream: stream_of(table),
        kms_key: encryption.and_then(|encryption| encryption.kms_master_key_arn.clone()),
        replicas: replicas_of(table),
    })
}
