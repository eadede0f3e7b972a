//! A table for readers of all its items: its key, and what it costs to read.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat as Format};
use aws_sdk_dynamodb::types::{BillingMode, KeyType as KeyRole, TableDescription};
use streamdex_config::TableArn;
use streamdex_mapping::{KeyAttribute, KeyType};

use crate::description::describe_table;
use crate::fault::{AwsError, Fault};
use crate::stream::KEPT_SECONDS;

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
    /// When it was made, in seconds since 1970, where it was made empty: a restored table and a replica begin with items.
    pub made_empty: Option<u64>,
    /// The read units a second that it is provisioned with; `None` where reads are paid by request.
    pub provisioned_reads: Option<u64>,
}

/// The stream of a table that is made with one is so many seconds younger at most.
const MADE_TOGETHER: u64 = 10;
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

pub(crate) fn read(table: &TableDescription) -> Option<TableSize> {
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
        made_empty: made_empty(table),
        provisioned_reads: Some(reads).filter(|reads| *reads > 0 && on_demand != Some(&BillingMode::PayPerRequest)),
    })
}

/// An imported table does not show its import; its stream is turned on later.
fn made_empty(table: &TableDescription) -> Option<u64> {
    let begins_with_items = table.restore_summary().is_some() || !table.replicas().is_empty();
    let made = table.creation_date_time().and_then(|made| u64::try_from(made.secs()).ok());
    made.filter(|_| !begins_with_items)
}

impl TableSize {
    /// Whether the stream with this label still holds all changes of the table at `now`: it is as old as the table, and
    /// no record is trimmed yet.
    pub fn is_all_in_stream(&self, label: &str, now: u64) -> bool {
        let began = DateTime::from_str(&format!("{label}Z"), Format::DateTime).ok();
        let began = began.and_then(|began| u64::try_from(began.secs()).ok());
        let (Some(made), Some(began)) = (self.made_empty, began) else { return false };
        began <= made + MADE_TOGETHER && now < began + KEPT_SECONDS - MADE_TOGETHER
    }
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
    fn a_stream_as_old_as_its_table_holds_all_of_it_for_a_day() {
        let at = |seconds: i64| TableSize {
            made_empty: made_empty(
                &TableDescription::builder().creation_date_time(DateTime::from_secs(seconds)).build(),
            ),
            ..read(&table(0)).unwrap()
        };
        // 1,795,359,681 s is the time of the label.
        let (label, began) = ("2026-11-22T15:01:21.123", 1_795_359_681);
        for (made, now, all) in [
            (began, began + 60, true),
            (began - 9, began + 60, true),
            (began - 11, began + 60, false),
            (began, began + 86_389, true),
            (began, began + 86_391, false),
        ] {
            assert_eq!(at(made).is_all_in_stream(label, now.try_into().unwrap()), all, "{made} {now}");
        }
        assert!(!at(began).is_all_in_stream("x", 7) && !read(&table(0)).unwrap().is_all_in_stream(label, 7));
        let replica = aws_sdk_dynamodb::types::ReplicaDescription::builder().region_name("eu-west-1").build();
        let global = TableDescription::builder().creation_date_time(DateTime::from_secs(began)).replicas(replica);
        assert_eq!(made_empty(&global.build()), None, "what other regions wrote before came without records");
    }

    #[test]
    fn a_key_that_is_not_known_is_no_table() {
        assert_eq!(read(&TableDescription::builder().build()), None);
    }
}
