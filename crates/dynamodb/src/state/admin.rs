//! Making the state table.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use streamdex_config::TableArn;

use super::StateTable;
use super::error::StateError;
use crate::fault::{AwsError, Fault};

/// Whether the table had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made now.
    Created,
    /// It was there.
    Existed,
}

const LOOK_AGAIN: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

impl StateTable {
    /// Makes the table if it is not there: on demand, with `expires` as its TTL attribute.
    ///
    /// # Errors
    /// A call failed, or a table of that name with other keys is there.
    pub async fn create(&self) -> Result<Creation, StateError> {
        if self.exists().await? {
            return Ok(Creation::Existed);
        }
        let creation = match Box::pin(self.request_table()).await {
            Ok(()) => Creation::Created,
            // Another process was faster.
            Err(error) if error.fault() == Fault::InUse => Creation::Existed,
            Err(error) => return Err(self.failed(error)),
        };
        self.wait_until_active().await?;
        if creation == Creation::Created {
            self.expire_items().await?;
        }
        Ok(creation)
    }

    /// Checks that the table is there. In an emulator it is made; on AWS its making is the operator's.
    ///
    /// # Errors
    /// [`StateError::Missing`], a failed call, or other keys.
    pub async fn ensure(&self, source: &TableArn) -> Result<Creation, StateError> {
        if self.exists().await? {
            return Ok(Creation::Existed);
        }
        if source.is_emulator() {
            return self.create().await;
        }
        Err(StateError::Missing(self.name.clone()))
    }

    async fn exists(&self) -> Result<bool, StateError> {
        match Box::pin(self.client.describe_table().table_name(&self.name).send()).await {
            Ok(answer) => {
                let table =
                    answer.table.unwrap_or_else(|| aws_sdk_dynamodb::types::TableDescription::builder().build());
                let key = |kind: KeyType| {
                    table.key_schema().iter().find(|key| key.key_type == kind).map(|key| key.attribute_name.as_str())
                };
                if (key(KeyType::Hash), key(KeyType::Range)) != (Some("pk"), Some("sk")) {
                    return Err(StateError::OtherKeys(self.name.clone()));
                }
                Ok(true)
            }
            Err(error) => match AwsError::from_sdk("DescribeTable", &error) {
                error if error.fault() == Fault::NotFound => Ok(false),
                error => Err(self.failed(error)),
            },
        }
    }

    async fn request_table(&self) -> Result<(), AwsError> {
        const OPERATION: &str = "CreateTable";
        let invalid = |_| AwsError::new(Fault::Invalid, OPERATION);
        let mut call = self.client.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            call = call
                .attribute_definitions(attribute.build().map_err(invalid)?)
                .key_schema(key.build().map_err(invalid)?);
        }
        call.send().await.map(drop).map_err(|error| AwsError::from_sdk(OPERATION, &error))
    }

    async fn wait_until_active(&self) -> Result<(), StateError> {
        const OPERATION: &str = "DescribeTable";
        let started = tokio::time::Instant::now();
        loop {
            let answer = Box::pin(self.client.describe_table().table_name(&self.name).send()).await;
            let status = match answer {
                Ok(answer) => answer.table.and_then(|table| table.table_status),
                Err(error) => match AwsError::from_sdk(OPERATION, &error) {
                    // The table was asked for just now, and not every node knows it yet.
                    error if error.fault() == Fault::NotFound => None,
                    error => return Err(self.failed(error)),
                },
            };
            if status == Some(TableStatus::Active) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                let overdue = AwsError::new(Fault::Transient, OPERATION)
                    .with_detail("the table did not become active within 60 s");
                return Err(self.failed(overdue));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn expire_items(&self) -> Result<(), StateError> {
        const OPERATION: &str = "UpdateTimeToLive";
        let specification = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build();
        let specification = specification.map_err(|_| self.failed(AwsError::new(Fault::Invalid, OPERATION)))?;
        let call = self.client.update_time_to_live().table_name(&self.name).time_to_live_specification(specification);
        match Box::pin(call.send()).await {
            Ok(_) => Ok(()),
            Err(error) => match AwsError::from_sdk(OPERATION, &error) {
                // Set already.
                error if error.fault() == Fault::Invalid => Ok(()),
                error => Err(self.failed(error)),
            },
        }
    }
}
