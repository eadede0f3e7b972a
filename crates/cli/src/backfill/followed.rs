//! Finds out who follows the stream during a backfill. Without a follower, changes during the backfill are missed (rule
//! B5, docs/registers/guarantees.md).

use streamdex_config::{Config, Source};
use streamdex_mapping::READ_MARGIN_SECONDS;

use crate::args::BackfillArgs;
use crate::exit::{CliError, Exit};
use crate::status::TableStatus;

/// Who follows the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Followed {
    /// A group of workers, from this second on by the service's time.
    Pinned {
        at: u64,
        /// Who reads it now.
        reader: Option<String>,
    },
    /// Something that keeps no state here, as the user says.
    Told,
    /// Nobody: the table is filled once.
    Nobody,
}

/// Finds out who follows the stream.
///
/// # Errors
/// Nobody does, and that is not what was asked for.
pub(super) async fn followed(config: &Config, source: &Source, arguments: &BackfillArgs) -> Result<Followed, CliError> {
    if arguments.no_stream {
        return Ok(Followed::Nobody);
    }
    let table = source.table.table_name();
    let Some(status) = Box::pin(TableStatus::of_followed(config, source)).await? else {
        return Err(without_stream(table));
    };
    if arguments.beside_lambda {
        return Ok(Followed::Told);
    }
    let loaded = status.load().await?;
    match loaded.start {
        Some(start) => Ok(Followed::Pinned {
            at: start.at,
            reader: loaded.lease.and_then(|lease| lease.owner).map(|owner| owner.to_string()),
        }),
        None => Err(nobody_follows(config, table)),
    }
}

fn without_stream(table: &str) -> CliError {
    let message = format!("the table {table} has no stream: changes during the backfill would be missed");
    CliError::new(Exit::Usage, message).with_hint(format!(
        "turn it on: aws dynamodb update-table --table-name {table} --stream-specification \
         StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES; or fill once, without following changes, with --no-stream"
    ))
}

fn nobody_follows(config: &Config, table: &str) -> CliError {
    let group = &config.state.group;
    let message = format!(
        "nobody follows the stream of {table} yet (group {group}): changes during the backfill would be missed"
    );
    CliError::new(Exit::Usage, message).with_hint(
        "start `streamdex run` first: it fills an empty index by itself; beside the Lambda function add --beside-lambda, \
         once `aws lambda list-event-source-mappings` says Enabled and StartingPosition TRIM_HORIZON; --no-stream fills once",
    )
}

// === impl Followed ===

impl Followed {
    /// No item is read before this, in seconds since 1970: a change from before the pin must not look newer.
    pub(super) fn not_before(&self) -> u64 {
        match self {
            Followed::Pinned { at, .. } => at + READ_MARGIN_SECONDS,
            Followed::Told | Followed::Nobody => 0,
        }
    }

    pub(super) fn has_reader(&self) -> bool {
        matches!(self, Followed::Pinned { reader: Some(_), .. })
    }

    /// What the user is to know before it begins.
    pub(super) fn note(&self) -> Option<String> {
        match self {
            Followed::Pinned { reader: Some(_), .. } => None,
            Followed::Pinned { reader: None, .. } => Some(
                "  nobody reads the stream now: start `streamdex run` within a day, or changes are lost\n".to_owned(),
            ),
            Followed::Told => Some(
                "  with --beside-lambda, the function must already follow the stream: changes that it cannot read are missed\n"
                    .to_owned(),
            ),
            Followed::Nobody => Some(
                "  the index will be as old as this read: later changes of the table are not followed\n"
                    .to_owned(),
            ),
        }
    }

    /// What to do when all is written.
    pub(super) fn next(&self) -> &'static str {
        match self {
            Followed::Nobody => "changes from now on are not followed",
            Followed::Pinned { .. } | Followed::Told => {
                "`streamdex verify --full` proves that the index equals the table"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_what_the_index_held_at_the_pin_is_older_than_what_is_read() {
        assert_eq!(Followed::Pinned { at: 1_000, reader: None }.not_before(), 1_090);
        assert_eq!((Followed::Told.not_before(), Followed::Nobody.not_before()), (0, 0));
    }
}
