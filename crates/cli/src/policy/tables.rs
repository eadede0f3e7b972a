//! The AWS calls that streamdex makes itself: to the followed tables, their streams and the state table.

use streamdex_config::{AwsSettings, Config, DeadLetterKind, Manage, Source, TableReference};
use streamdex_dynamodb::state::Partition;
use streamdex_sink::index::index_names;

use super::document::Statement;
use super::facts::{Facts, Purpose};
use super::grants::Grants;
use super::place::Place;

/// Following a stream.
pub(super) const READ_STREAM: [&str; 3] =
    ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"];
const DESCRIBE_STREAM: [&str; 1] = ["dynamodb:DescribeStream"];
const DESCRIBE_TABLE: &str = "dynamodb:DescribeTable";
const READ_ITEMS: &str = "dynamodb:BatchGetItem";
const SCAN: &str = "dynamodb:Scan";

/// The state table as the poller uses it: is it there and marked, leases and checkpoints read and written, starts, gaps
/// and letters put. There is no right for a transaction: each of its parts needs its own.
const KEEP_PROGRESS: [&str; 7] = [
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
];
/// The function keeps which indices it has written to, their brakes, and its letters; Lambda keeps the progress.
const KEEP_INDICES: [&str; 3] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
const PUT_LETTERS: [&str; 1] = ["dynamodb:PutItem"];
const READ_PROGRESS: [&str; 1] = ["dynamodb:Query"];
const READ_ITEMS_OF_STATE: [&str; 2] = ["dynamodb:GetItem", "dynamodb:Query"];
/// Who follows the table, how far it was filled, indices and letters.
const KEEP_BACKFILL: [&str; 4] = ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
/// Letters are read, and removed when their documents are right. The refusal of a condition is read too.
const KEEP_LETTERS: [&str; 3] = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:Query"];
/// The same, and an index that is equal now is recorded to hold all that the table held.
const KEEP_REPAIR: [&str; 4] = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"];
/// As `run`, and who else reads the stream is looked for in all of the table.
const KEEP_REBUILD: [&str; 8] = [
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:DescribeTable",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    SCAN,
    "dynamodb:UpdateItem",
];
/// The one item that tells a state table from others.
const KEEP_MARK: [&str; 2] = ["dynamodb:GetItem", "dynamodb:PutItem"];
const CREATE_TABLE: [&str; 5] = [
    "dynamodb:CreateTable",
    "dynamodb:DescribeTable",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
];

const EACH_KEY: &str = "ForAllValues:StringEquals";
const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

const DECRYPT: [&str; 1] = ["kms:Decrypt"];
/// What DynamoDB asks of who makes a table with a customer key, at the least:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html>.
const TAKE_KEY: [&str; 8] = [
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];
const DECRYPT_AND_WRITE: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

pub(super) fn grant(grants: &mut Grants, config: &Config, sources: &[&Source], purpose: Purpose, facts: &Facts) {
    let awaits = purpose == Purpose::Run && config.http.await_per_second.is_some();
    for source in sources {
        let place = Place::of_source(&facts.around, source);
        let stream = stream_actions(source, purpose);
        let table = table_actions(source, purpose, awaits, facts);
        let table_arn = place.arn("dynamodb", &format!("table/{}", source.table.table_name()));
        let reads = table.contains(&READ_ITEMS) || stream.contains(&"dynamodb:GetRecords");
        grants.allow(&source.aws, Statement::new("SourceStream", stream, stream_arn(source, &place)));
        grants.allow(&source.aws, Statement::new("SourceTable", &table, table_arn));
        if reads {
            grant_source_keys(grants, &source.aws, &place, facts);
        }
    }
    grant_state(grants, config, sources, purpose, facts);
}

/// The stream's ARN; where the table is named, every stream that it will have, because switching a stream off and
/// on makes another one.
pub(super) fn stream_arn(source: &Source, place: &Place) -> String {
    match &source.table {
        TableReference::StreamArn(arn) => arn.to_string(),
        TableReference::Name(name) => place.arn("dynamodb", &format!("table/{name}/stream/*")),
    }
}

/// Reading what a customer key encrypts, by way of DynamoDB alone.
pub(super) fn grant_source_keys(grants: &mut Grants, credentials: &AwsSettings, place: &Place, facts: &Facts) {
    for key in &facts.source_keys {
        let statement = Statement::new("SourceKey", &DECRYPT, key.clone());
        grants.allow(credentials, statement.via(place.via("dynamodb")));
    }
}

fn stream_actions(source: &Source, purpose: Purpose) -> &'static [&'static str] {
    let by_arn = matches!(source.table, TableReference::StreamArn(_));
    match purpose {
        Purpose::Run | Purpose::Rebuild => &READ_STREAM,
        // A table that is known by its stream alone is described by its stream.
        Purpose::Replay | Purpose::Status | Purpose::Index | Purpose::Backfill | Purpose::Verify | Purpose::Repair
            if by_arn =>
        {
            &DESCRIBE_STREAM
        }
        // The stream is read by AWS Lambda: see `lambda`.
        _ => &[],
    }
}

/// `awaits`: items are read when somebody waits for them.
fn table_actions(source: &Source, purpose: Purpose, awaits: bool, facts: &Facts) -> Vec<&'static str> {
    let by_name = matches!(source.table, TableReference::Name(_));
    let describes = match purpose {
        Purpose::Run | Purpose::Replay | Purpose::Status | Purpose::Index => by_name,
        // A table that is known by its stream has keys and a size too.
        Purpose::Backfill | Purpose::Verify | Purpose::Repair | Purpose::Rebuild | Purpose::Dlq => true,
        Purpose::Lambda | Purpose::StateCreate => false,
    };
    let scans = match purpose {
        Purpose::Run => source.may_be_scanned(),
        _ => matches!(purpose, Purpose::Backfill | Purpose::Verify | Purpose::Repair | Purpose::Rebuild),
    };
    let mut actions = Vec::new();
    actions.extend((scans || awaits || purpose.reads_items(facts)).then_some(READ_ITEMS));
    actions.extend((scans || awaits || describes).then_some(DESCRIBE_TABLE));
    actions.extend(scans.then_some(SCAN));
    actions
}

fn grant_state(grants: &mut Grants, config: &Config, sources: &[&Source], purpose: Purpose, facts: &Facts) {
    let letters = config.dead_letter.kind == DeadLetterKind::Table;
    let actions: &[&str] = match purpose {
        Purpose::Run => &KEEP_PROGRESS,
        Purpose::Rebuild => &KEEP_REBUILD,
        Purpose::Lambda if letters => &KEEP_INDICES,
        Purpose::Replay if letters => &PUT_LETTERS,
        Purpose::Backfill => &KEEP_BACKFILL,
        Purpose::Repair => &KEEP_REPAIR,
        Purpose::Dlq if letters => &KEEP_LETTERS,
        // Who makes an index asks who makes its aliases.
        Purpose::Dlq => &READ_ITEMS_OF_STATE,
        // Lag, known indices and letters.
        Purpose::Verify | Purpose::Status => &READ_PROGRESS,
        Purpose::StateCreate => &CREATE_TABLE,
        _ => return,
    };
    let state = &config.state;
    let place = Place::new(&facts.around, state.region.as_deref(), &state.aws);
    let table = place.arn("dynamodb", &format!("table/{}", state.table));
    let statement = Statement::new("StateTable", actions, table.clone());
    if purpose == Purpose::StateCreate {
        grants.allow(&state.aws, statement);
        if let Some(key) = &facts.state_key {
            let statement = Statement::new("StateKey", &TAKE_KEY, key.clone());
            grants.allow(&state.aws, statement.via(place.via("dynamodb")));
        }
        let mark = Statement::new("StateMark", &KEEP_MARK, table);
        let partition = [Partition::Mark.key()];
        return grants.allow(&state.aws, mark.when(EACH_KEY, LEADING_KEYS, partition));
    }
    let statement = match purpose {
        // Of two groups, and of whoever else reads.
        Purpose::Rebuild => statement,
        // Other groups share the table, and are none of this one's business.
        _ => statement.when(EACH_KEY, LEADING_KEYS, partitions(config, sources, purpose, facts)),
    };
    grants.allow(&state.aws, statement);
    let reads = actions == READ_PROGRESS.as_slice() || actions == READ_ITEMS_OF_STATE.as_slice();
    let key_actions: &[&str] = if reads { &DECRYPT } else { &DECRYPT_AND_WRITE };
    if let Some(key) = &facts.state_key {
        grants.allow(&state.aws, Statement::new("StateKey", key_actions, key.clone()).via(place.via("dynamodb")));
    }
}

/// The partition keys in the state table that are read or written.
fn partitions(config: &Config, sources: &[&Source], purpose: Purpose, facts: &Facts) -> Vec<String> {
    let group = &config.state.group;
    let arn = |source: &Source| {
        let table = format!("table/{}", source.table.table_name());
        Place::of_source(&facts.around, source).arn("dynamodb", &table)
    };
    let follow = |source: &&Source| Partition::Follow { group, table: &arn(source) }.key();
    // Who makes an index asks who makes its aliases.
    let writes = matches!(purpose, Purpose::Run | Purpose::Lambda | Purpose::Backfill | Purpose::Repair | Purpose::Dlq);
    let makes = writes && index_names(config).iter().any(|index| index.manage == Manage::Create);
    let rebuilt = if makes { sources } else { &[] };
    let rebuilt = rebuilt.iter().map(|source| Partition::Rebuild { table: &arn(source) }.key());
    let followed = if purpose == Purpose::Replay { &[] } else { sources };
    let in_table = config.dead_letter.kind == DeadLetterKind::Table;
    let letters = (purpose != Purpose::Status && in_table).then(|| Partition::Letters { group }.key());
    let mark = matches!(purpose, Purpose::Run | Purpose::Backfill).then(|| Partition::Mark.key());
    followed.iter().map(follow).chain(rebuilt).chain(letters).chain(mark).collect()
}
