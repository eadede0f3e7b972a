//! `streamdex gap close`.

use serde_json::json;
use streamdex_config::Config;
use streamdex_delivery::backfill::FilledBy;
use streamdex_dynamodb::clients::SourceClients;
use streamdex_poller::closing::Closed;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::StoredGap;

use crate::args::{GapCloseArgs, GapCommand, Global};
use crate::closing::Closing;
use crate::exit::{CliError, Exit};
use crate::followed::followed;
use crate::preflight::{Uses, preflight};
use crate::worker::random;
use crate::{confirm, connect, output, settings};

/// The gaps of one source's table.
struct Table {
    source: String,
    closing: Closing,
    gaps: Vec<StoredGap>,
}

const VERIFY: &str = "`streamdex verify --full --repair`";

/// Runs the command.
pub(crate) async fn run(global: &Global, command: GapCommand) -> Result<Exit, CliError> {
    let GapCommand::Close(arguments) = command;
    let config = settings::configuration(global)?;
    preflight(&config, &[Uses::Sources, Uses::State]).await?;
    let mut tables = tables(&config).await?;
    choose(&mut tables, &arguments)?;
    let count: usize = tables.iter().map(|table| table.gaps.len()).sum();
    if count == 0 {
        return done(global, &tables, None);
    }
    let plan: String = tables.iter().flat_map(|table| table.gaps.iter().map(|gap| line(table, gap))).collect();
    output::note(&plan);
    let until = if tables.iter().all(is_compared_by_run) { "`streamdex run` has compared all items" } else { VERIFY };
    let question = format!("Lost changes stay missing in the index until {until}. Close {count}?");
    if !arguments.yes && !confirm::is_wanted("closing a gap", &question)? {
        return Ok(Exit::Done);
    }
    let mut closed = Closed::Free;
    for table in &tables {
        if Box::pin(table.closing.close(&table.gaps)).await? == Closed::Interrupted {
            closed = Closed::Interrupted;
        }
    }
    done(global, &tables, Some(closed))
}

/// Where `on_gap = "resnapshot"`.
fn is_compared_by_run(table: &Table) -> bool {
    table.closing.by() == FilledBy::Run
}

async fn tables(config: &Config) -> Result<Vec<Table>, CliError> {
    let state = connect::state_table(config).await;
    let command = WorkerId::new(format!("gap-close-{:08x}", random() & 0xffff_ffff));
    let mut tables = Vec::new();
    for source in &config.sources {
        let clients = SourceClients::connect(source).await;
        let info = followed(source, &clients, &state, Some(connect::PATIENCE)).await?;
        let closing = Closing::new(config, source, &clients, &info, (&state, command.clone()));
        let gaps = closing.recorded().await?;
        tables.push(Table { source: source.name.clone(), closing, gaps });
    }
    Ok(tables)
}

/// Leaves those that are to be closed.
fn choose(tables: &mut [Table], arguments: &GapCloseArgs) -> Result<(), CliError> {
    if arguments.all {
        return Ok(());
    }
    let is_known =
        |subject: &&String| tables.iter().flat_map(|table| &table.gaps).any(|gap| gap.gap.subject == **subject);
    if let Some(unknown) = arguments.subjects.iter().find(|subject| !is_known(subject)) {
        return Err(CliError::new(Exit::Usage, format!("there is no gap of {unknown}"))
            .with_hint("name the subject of a gap as `streamdex status` prints it, or close all gaps with --all"));
    }
    for table in tables {
        table.gaps.retain(|gap| arguments.subjects.contains(&gap.gap.subject));
    }
    Ok(())
}

fn line(table: &Table, gap: &StoredGap) -> String {
    format!("{}  {}  {}\n", table.source, gap.gap.kind.name(), gap.gap)
}

fn done(global: &Global, tables: &[Table], closed: Option<Closed>) -> Result<Exit, CliError> {
    if global.json {
        let gaps: Vec<_> = tables.iter().flat_map(|table| table.gaps.iter().map(|gap| {
            json!({ "source": table.source, "kind": gap.gap.kind.name(), "subject": gap.gap.subject, "stream": gap.label })
        })).collect();
        output::print_json(&json!({ "closed": gaps, "interrupted": closed == Some(Closed::Interrupted) }))?;
        return Ok(Exit::Done);
    }
    let count: usize = tables.iter().map(|table| table.gaps.len()).sum();
    output::print(&match closed {
        None => "there are no gaps\n".to_owned(),
        Some(Closed::Free) => format!("{count} closed: the next `streamdex run` continues\n"),
        Some(Closed::Interrupted) => {
            format!("{count} closed: a running `streamdex run` continues within 8 s\n")
        }
    })?;
    if closed.is_some() {
        let who = if tables.iter().all(is_compared_by_run) { "`streamdex run`" } else { VERIFY };
        output::note(&format!("next: 90 s after reading continues, {who} writes the lost changes\n"));
    }
    Ok(Exit::Done)
}
