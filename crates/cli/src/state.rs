//! `streamdex state create`.

use serde_json::json;
use streamdex_dynamodb::state::{Creation, Making, protection_hint};

use crate::args::{Global, StateCommand};
use crate::exit::{CliError, Exit};
use crate::preflight::{Uses, preflight};
use crate::{connect, output, settings};

/// Runs the command.
pub(crate) async fn run(global: &Global, command: StateCommand) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    preflight(&config, &[Uses::State]).await?;
    let table = connect::state_table(&config).await;
    match command {
        StateCommand::Create(arguments) => {
            let making = Making {
                key: arguments.key,
                without_recovery: arguments.no_recovery,
                without_deletion_protection: arguments.no_deletion_protection,
            };
            let creation = Box::pin(table.create(&making)).await?;
            if creation == Creation::Unprotected {
                let hint = protection_hint(table.name());
                tracing::warn!(hint, "state table {} exists without deletion protection", table.name());
            }
            let created = creation == Creation::Created;
            if global.json {
                output::print_json(&json!({ "table": table.name(), "created": created }))?;
            } else {
                let what = if created { "created" } else { "exists already, unchanged" };
                output::print(&format!("state table {}: {what}\n", table.name()))?;
            }
            Ok(Exit::Done)
        }
    }
}
