//! Making the state table.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification, ScalarAttributeType,
    SseSpecification, SseType, TableDescription, TableStatus, TimeToLiveSpecification,
};
use streamdex_config::TableArn;

use super::StateTable;
use super::error::StateError;
use crate::call::Call;
use crate::description::describe_table;
use crate::fault::{AwsError, Fault};
use crate::place::Place;

/// Whether the table had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made now.
    Created,
    /// It was there.
    Existed,
    /// It was there, and can be deleted by mistake.
    Unprotected,
}

/// How to create the state table outside emulators. The defaults are those of the templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Making {
    /// The customer's KMS key, by id, ARN or alias; `None` is a key that DynamoDB owns.
    pub key: Option<String>,
    /// Without point-in-time recovery.
    pub without_recovery: bool,
    /// Without deletion protection.
    pub without_deletion_protection: bool,
}

const LOOK_AGAIN: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(60);

impl StateTable {
    /// Creates the table if it does not exist: on demand, with `expires` as its TTL attribute, and with the mark. An
    /// existing table is not changed.
    ///
    /// # Errors
    /// A call failed, or a table of that name is there and is no state table.
    pub async fn create(&self, making: &Making) -> Result<Creation, StateError> {
        if let Look::There(table) = self.look().await? {
            self.admit(&table).await?;
            // A command that was stopped may have left it so.
            let is_open = table.deletion_protection_enabled != Some(true) && !is_emulated(&table);
            let is_meant = making.without_deletion_protection;
            return Ok(if is_open && !is_meant { Creation::Unprotected } else { Creation::Existed });
        }
        let creation = match Box::pin(self.request_table(making)).await {
            Ok(()) => Creation::Created,
            // Another process was faster, or an answer was lost: what follows can be done twice.
            Err(error) if error.fault() == Fault::InUse => Creation::Existed,
            Err(error) => return Err(self.failed(error)),
        };
        let table = self.wait_until_active().await?;
        if !is_emulated(&table) {
            self.protect(making).await?;
        }
        self.expire_items().await?;
        self.admit(&table).await?;
        Ok(creation)
    }

    /// Checks that the table exists and is a state table. In an emulator it is created; on AWS the operator creates it.
    ///
    /// # Errors
    /// [`StateError::Missing`], a failed call, or a table that is no state table.
    pub async fn ensure(&self, source: &TableArn) -> Result<Creation, StateError> {
        match self.look().await? {
            Look::There(table) if table.table_arn() == Some(source.as_str()) => Err(self.is_a_source()),
            Look::There(table) => self.admit(&table).await.map(|()| Creation::Existed),
            Look::Missing(_) if source.is_emulator() => self.create(&Making::default()).await,
            Look::Missing(place) => Err(StateError::Missing { table: self.name.clone(), place }),
        }
    }

    /// A table of others with the same key names must not be written into.
    async fn admit(&self, table: &TableDescription) -> Result<(), StateError> {
        if !has_our_keys(table) {
            return Err(StateError::OtherKeys(self.name.clone()));
        }
        if self.follows(table) {
            return Err(self.is_a_source());
        }
        self.keep_marked().await
    }

    async fn look(&self) -> Result<Look, StateError> {
        match describe_table(&self.client, &self.name).await {
            Ok(table) => Ok(Look::There(Box::new(table))),
            Err(error) if error.fault() == Fault::NotFound => Ok(Look::Missing(error.place().clone())),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn request_table(&self, making: &Making) -> Result<(), AwsError> {
        let of_call = Call::of("CreateTable");
        let invalid = |_| of_call.fault(Fault::Invalid);
        let mut call = self.client.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
            let key = KeySchemaElement::builder().attribute_name(name).key_type(kind);
            call = call
                .attribute_definitions(attribute.build().map_err(invalid)?)
                .key_schema(key.build().map_err(invalid)?);
        }
        let encryption = making
            .key
            .as_ref()
            .map(|key| SseSpecification::builder().enabled(true).sse_type(SseType::Kms).kms_master_key_id(key).build());
        let call = call.set_sse_specification(encryption).customize().interceptor(of_call.clone());
        call.send().await.map(drop).map_err(|error| of_call.failed(&error))
    }

    /// Keeps a new table from being deleted by mistake, and lets it be restored.
    async fn protect(&self, making: &Making) -> Result<(), StateError> {
        if !making.without_deletion_protection {
            let of_call = Call::of("UpdateTable");
            let call = self.client.update_table().table_name(&self.name).deletion_protection_enabled(true);
            let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
            sent.map_err(|error| self.unprotected(of_call.failed(&error)))?;
        }
        if !making.without_recovery {
            self.let_it_be_restored().await.map_err(|error| self.unprotected(error))?;
        }
        Ok(())
    }

    /// A new table has no backups for some seconds, and says so.
    async fn let_it_be_restored(&self) -> Result<(), AwsError> {
        let started = tokio::time::Instant::now();
        loop {
            let of_call = Call::of("UpdateContinuousBackups");
            let specification =
                PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
            let specification = specification.map_err(|_| of_call.fault(Fault::Invalid))?;
            let call = self.client.update_continuous_backups().table_name(&self.name);
            let call = call.point_in_time_recovery_specification(specification);
            let sent = Box::pin(call.customize().interceptor(of_call.clone()).send()).await;
            match sent.map_err(|error| of_call.failed(&error)) {
                Ok(_) => return Ok(()),
                Err(error) if error.fault() == Fault::InUse && started.elapsed() < PATIENCE => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn unprotected(&self, source: AwsError) -> StateError {
        StateError::Unprotected { table: self.name.clone(), source }
    }

    async fn wait_until_active(&self) -> Result<TableDescription, StateError> {
        let started = tokio::time::Instant::now();
        loop {
            // The table was asked for just now, and not every node knows it yet.
            if let Look::There(table) = self.look().await?
                && table.table_status == Some(TableStatus::Active)
            {
                return Ok(*table);
            }
            if started.elapsed() > PATIENCE {
                let overdue = AwsError::new(Fault::Transient, "DescribeTable")
                    .with_detail("the table did not become active within 60 s");
                return Err(self.failed(overdue));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn expire_items(&self) -> Result<(), StateError> {
        let of_call = Call::of("UpdateTimeToLive");
        let specification = TimeToLiveSpecification::builder().attribute_name("expires").enabled(true).build();
        let specification = specification.map_err(|_| self.failed(of_call.fault(Fault::Invalid)))?;
        let call = self.client.update_time_to_live().table_name(&self.name).time_to_live_specification(specification);
        let call = call.customize().interceptor(of_call.clone());
        match Box::pin(call.send()).await.map_err(|error| of_call.failed(&error)) {
            Ok(_) => Ok(()),
            // Set already.
            Err(error) if error.fault() == Fault::Invalid => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }
}

/// Whether the table is there.
enum Look {
    There(Box<TableDescription>),
    Missing(Place),
}

fn is_emulated(table: &TableDescription) -> bool {
    table.table_arn().and_then(TableArn::parse).is_none_or(|arn| arn.is_emulator())
}

fn has_our_keys(table: &TableDescription) -> bool {
    let is = |name: &str, kind: KeyType| {
        let key = table.key_schema().iter().find(|key| key.key_type == kind);
        // Where the types are not shown, the names decide.
        let type_of = table.attribute_definitions().iter().find(|attribute| attribute.attribute_name == name);
        let is_text = type_of.is_none_or(|attribute| attribute.attribute_type == ScalarAttributeType::S);
        key.is_some_and(|key| key.attribute_name == name) && is_text
    };
    is("pk", KeyType::Hash) && is("sk", KeyType::Range)
}
