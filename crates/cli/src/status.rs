//! `streamdex status`: shows the workers from the state table, or from one worker.

mod check;
mod documents;
mod fetch;
mod render;
#[cfg(test)]
mod samples;
mod tables;

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use serde_json::Value;
use streamdex_poller::observe::{Report, TableReport};
use tokio::time::{MissedTickBehavior, interval};
use url::Url;

use self::documents::{Counted, IndexDocuments};
use self::fetch::get;
pub(crate) use self::tables::TableStatus;
use self::tables::Tables;
use crate::args::{Global, StatusArgs};
use crate::exit::{CliError, Exit};
use crate::{output, settings};

const AGAIN: Duration = Duration::from_secs(2);
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &StatusArgs) -> Result<Exit, CliError> {
    let Some(url) = &arguments.url else {
        let config = settings::configuration(global)?;
        let tables = Tables::connect(&config).await?;
        if arguments.check {
            let reports = tables.reports().await?;
            output::print(&tables_text(global, &reports, None))?;
            return Ok(check::exit(&reports, f64::from(arguments.max_lag)));
        }
        let documents = if arguments.indices { Some(IndexDocuments::connect(&config).await?) } else { None };
        return show(arguments, || of_group(global, &tables, documents.as_ref())).await;
    };
    if arguments.live {
        get(url, "livez").await?;
        return Ok(Exit::Done);
    }
    show(arguments, || of_worker(global, url)).await
}

/// What the state table says of the readers.
async fn of_group(global: &Global, tables: &Tables, documents: Option<&IndexDocuments>) -> Result<String, CliError> {
    let reports = tables.reports().await?;
    let counted = match documents {
        Some(documents) => Some(documents.count().await?),
        None => None,
    };
    Ok(tables_text(global, &reports, counted.as_deref()))
}

fn tables_text(global: &Global, reports: &[TableReport], counted: Option<&[Counted]>) -> String {
    if global.json {
        let shown = match counted {
            Some(counted) => serde_json::json!({ "tables": reports, "indices": counted }),
            None => serde_json::json!({ "tables": reports }),
        };
        return format!("{shown}\n");
    }
    render::tables(reports) + &counted.map(render::indices).unwrap_or_default()
}

/// What a worker says of itself.
async fn of_worker(global: &Global, url: &Url) -> Result<String, CliError> {
    let body = get(url, "status").await?;
    let foreign = |error: serde_json::Error| {
        CliError::new(Exit::Unreachable, format!("{url} answers, but is not streamdex"))
            .caused_by(error)
            .with_hint("give the address of `streamdex run --listen`")
    };
    if global.json {
        // As it is: another version may know more.
        let report: Value = serde_json::from_str(&body).map_err(foreign)?;
        return Ok(format!("{report}\n"));
    }
    let report: Report = serde_json::from_str(&body).map_err(foreign)?;
    Ok(render::report(&report))
}

/// Shows it once; or again every two seconds, until Ctrl-C. Who does not answer may do so again.
async fn show<F>(arguments: &StatusArgs, text: impl Fn() -> F) -> Result<Exit, CliError>
where
    F: Future<Output = Result<String, CliError>>,
{
    if !arguments.watch {
        output::print(&Box::pin(text()).await?)?;
        return Ok(Exit::Done);
    }
    let mut ticks = interval(AGAIN);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
    let shown = async {
        loop {
            ticks.tick().await;
            let text = match Box::pin(text()).await {
                Ok(text) => text,
                Err(error) if error.exit() == Exit::Unreachable => format!("{error}\n"),
                Err(error) => return Err(error),
            };
            output::print(&format!("{clear}{text}"))?;
        }
    };
    tokio::select! {
        ended = shown => ended,
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
    }
}
