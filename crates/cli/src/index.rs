//! `streamdex index plan|apply`.

use std::fmt::Display;

use serde::Serialize;
use serde_json::json;
use streamdex_sink::{Client, Indices, SetupError};

use crate::args::{Global, IndexCommand};
use crate::exit::{CliError, Exit, exit_of_setup};
use crate::preflight::{Uses, preflight};
use crate::{connect, output, settings};

/// Runs the command.
pub(crate) async fn run(global: &Global, command: IndexCommand) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    preflight(&config, &[Uses::Sources, Uses::OpenSearch]).await?;
    let client = Client::connect(&config.opensearch, &config.aws).await?;
    // An index is made once: what only the table tells must be known before, and may be unknown in a plan alone.
    let can_do_without = match command {
        IndexCommand::Plan => |error: &CliError| error.exit() != Exit::Usage,
        IndexCommand::Apply => |_: &CliError| false,
    };
    let context = Box::pin(connect::table_facts(&config, can_do_without)).await?;
    let indices = Indices::new(client, &config, &context);
    connect::opensearch(&indices).await?;
    match command {
        IndexCommand::Plan => {
            let plans = Box::pin(indices.plan()).await;
            print(global, &plans)?;
            finish(plans.iter().map(|plan| plan.result.as_ref().err()))
        }
        IndexCommand::Apply => {
            let applied = Box::pin(indices.apply()).await;
            print(global, &applied)?;
            finish(applied.iter().map(|applied| applied.result.as_ref().err()))
        }
    }
}

fn print<T: Display + Serialize>(global: &Global, indices: &[T]) -> Result<(), CliError> {
    if global.json {
        return output::print_json(&json!({ "indices": indices }));
    }
    let texts: Vec<String> = indices.iter().map(ToString::to_string).collect();
    output::print(&texts.join("\n"))
}

/// The worst of the errors decides the status. They were printed with the indices.
fn finish<'a>(errors: impl Iterator<Item = Option<&'a SetupError>>) -> Result<Exit, CliError> {
    let (mut indices, mut failed, mut worst) = (0_usize, 0_usize, Exit::Done);
    for error in errors {
        indices += 1;
        if let Some(error) = error {
            failed += 1;
            worst = worst.max(exit_of_setup(error));
        }
    }
    if failed == 0 {
        return Ok(Exit::Done);
    }
    Err(CliError::new(worst, format!("{failed} of {indices} indices cannot be set up"))
        .with_hint("follow the hints on stdout"))
}
