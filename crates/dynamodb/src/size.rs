//! A table for readers of all its items: its key, and what it costs to read.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{BillingMode, KeyType as KeyRole, TableDescription};
use streamdex_config::TableArn;
use streamdex_mapping::{KeyAttribute, KeyType};

use crate::description::describe_table;
use crate::fault::{AwsError, Fault};

/// A table as its description shows it. Counts are DynamoDB's own, which are some six hours old.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSize {
    /// The table's ARN; emulators may give none.
    pub arn: Option<TableArn>,
    /// Its id: another one after the table was deleted and made again.
    pub id: Option<String>,
    /// The key attributes, partition key first.
    pub keys: Vec<KeyAttribute>,
    /// About how many items it has.
    pub items: u64,
    /// About how many bytes they take.
    pub bytes: u64,
    /// The read units a second that it is provisioned with; `None` where reads are paid by request.
    pub provisioned_reads: Option<u64>,
}

/// A strongly consistent read takes one unit for so many bytes (Developer Guide, "Read/write capacity mode").
const BYTES_A_UNIT: u64 = 4096;

impl TableSize {
    /// Asks for the table `name`.
    ///
    /// # Errors
    /// The call failed, or the table's key is not known.
    pub async fn describe(client: &Client, name: &str) -> Result<TableSize, AwsError> {
        let table = describe_table(client, name).await?;
        read(&table).ok_or_else(|| {
            AwsError::new(Fault::Transient, "DescribeTable").with_detail("the answer lacks the table's key attributes")
        })
    }

    /// The names of the key attributes, partition key first.
    pub fn key_names(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }

    /// About how many read units it takes to read all items, strongly consistent.
    pub fn read_units(&self) -> u64 {
        self.bytes.div_ceil(BYTES_A_UNIT)
    }
}

fn read(table: &TableDescription) -> Option<TableSize> {
    let attributes = table.attribute_definitions();
    let mut schema: Vec<_> = table.key_schema().iter().collect();
    schema.sort_by_key(|key| key.key_type != KeyRole::Hash);
    let key = |name: &str| {
        let definition = attributes.iter().find(|attribute| attribute.attribute_name == name)?;
        let kind = KeyType::parse(definition.attribute_type.as_str())?;
        Some(KeyAttribute { name: name.to_owned(), kind })
    };
    let keys: Vec<KeyAttribute> = schema.iter().map(|part| key(&part.attribute_name)).collect::<Option<_>>()?;
    if keys.is_empty() {
        return None;
    }
    let number = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    let on_demand = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
    let reads = number(table.provisioned_throughput().and_then(|throughput| throughput.read_capacity_units));
    Some(TableSize {
        arn: table.table_arn().and_then(TableArn::parse),
        id: table.table_id().map(str::to_owned),
        keys,
        items: number(table.item_count),
        bytes: number(table.table_size_bytes),
        provisioned_reads: Some(reads).filter(|reads| *reads > 0 && on_demand != Some(&BillingMode::PayPerRequest)),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, KeySchemaElement, ProvisionedThroughputDescription, ScalarAttributeType,
    };

    use super::*;

    fn table(reads: i64) -> TableDescription {
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
        };
        let key = |name: &str, role| KeySchemaElement::builder().attribute_name(name).key_type(role).build().unwrap();
        TableDescription::builder()
            .attribute_definitions(attribute("other", ScalarAttributeType::S))
            .attribute_definitions(attribute("sk", ScalarAttributeType::N))
            .attribute_definitions(attribute("pk", ScalarAttributeType::B))
            .key_schema(key("sk", KeyRole::Range))
            .key_schema(key("pk", KeyRole::Hash))
            .item_count(53)
            .table_size_bytes(8193)
            .provisioned_throughput(ProvisionedThroughputDescription::builder().read_capacity_units(reads).build())
            .build()
    }

    #[test]
    fn keys_come_with_their_types_and_size_with_its_units() {
        let size = read(&table(40)).unwrap();
        let keys: Vec<_> = size.keys.iter().map(|key| (key.name.as_str(), key.kind)).collect();
        assert_eq!(keys, [("pk", KeyType::Binary), ("sk", KeyType::Number)]);
        assert_eq!((size.items, size.read_units(), size.provisioned_reads), (53, 3, Some(40)));
        assert_eq!(read(&table(0)).unwrap().provisioned_reads, None);
    }

    #[test]
    fn a_key_that_is_not_known_is_no_table() {
        assert_eq!(read(&TableDescription::builder().build()), None);
    }
}
