//! `streamdex gap close`.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use streamdex_config::{Config, StreamArn};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::stream::SdkStream;
use streamdex_dynamodb::table::{StreamInfo, TableError};
use streamdex_poller::closing::{CloseError, Closed, GapCloser};
use streamdex_poller::follow::generations;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::state::StoredGap;

use crate::args::{GapCloseArgs, GapCommand, Global};
use crate::exit::{CliError, Exit};
use crate::follow::{followed, partition, random, table_can_pass};
use crate::preflight::{Uses, preflight};
use crate::{confirm, connect, output, settings};

/// The gaps of one source's table.
struct Table {
    source: String,
    clients: SourceClients,
    /// The stream that is followed.
    stream: StreamArn,
    closer: GapCloser,
    gaps: Vec<StoredGap>,
}

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
    let question =
        format!("What was lost stays missing in the index until `streamdex verify --full --repair`. Close {count}?");
    if !arguments.yes && !confirm::is_wanted("closing a gap", &question)? {
        return Ok(Exit::Done);
    }
    let mut closed = Closed::Free;
    for table in &tables {
        Box::pin(nothing_is_left_of_earlier_streams(table)).await?;
        let close = || Box::pin(table.closer.close(&table.gaps));
        let came_to = connect::insist(Some(connect::PATIENCE), CloseError::passes_by_itself, close).await?;
        if came_to == Closed::Interrupted {
            closed = came_to;
        }
    }
    done(global, &tables, Some(closed))
}

async fn tables(config: &Config) -> Result<Vec<Table>, CliError> {
    let state = connect::state_table(config).await;
    let command = WorkerId::new(format!("gap-close-{:08x}", random() & 0xffff_ffff));
    let mut tables = Vec::new();
    for source in &config.sources {
        let clients = SourceClients::connect(source).await;
        let info = followed(source, &clients, &state, Some(connect::PATIENCE)).await?;
        let store = Arc::new(partition(&state, &info));
        let arn = info.stream.arn;
        let stream = Arc::new(SdkStream::new(clients.clone(), arn.clone(), None));
        let closer = GapCloser::new(stream, store, arn.clone(), generations(config, source), command.clone());
        let gaps = connect::insist(Some(connect::PATIENCE), CloseError::passes_by_itself, || closer.gaps()).await?;
        tables.push(Table { source: source.name.clone(), clients, stream: arn, closer, gaps });
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
        return Err(CliError::new(Exit::Usage, format!("no gap about {unknown} is recorded"))
            .with_hint("name what a gap is about as `streamdex status` prints it, or close all with --all"));
    }
    for table in tables {
        table.gaps.retain(|gap| arguments.subjects.contains(&gap.gap.subject));
    }
    Ok(())
}

/// A shard of an earlier stream that stands still holds changes that nobody has read, for as long as that stream is there.
async fn nothing_is_left_of_earlier_streams(table: &Table) -> Result<(), CliError> {
    let of_earlier = |gap: &&StoredGap| gap.label != table.stream.label() && gap.gap.kind.concerns_a_shard();
    let labels: BTreeSet<&str> = table.gaps.iter().filter(of_earlier).map(|gap| gap.label.as_str()).collect();
    for label in labels {
        let arn = table.stream.table().stream(label);
        let describe = || Box::pin(StreamInfo::describe(&table.clients, &arn));
        match connect::insist(Some(connect::PATIENCE), table_can_pass, describe).await {
            Err(TableError::NoStream { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {
                let message = format!("the earlier stream {arn} has gaps, and can still be read");
                return Err(CliError::new(Exit::Usage, message).with_hint(
                    "set [source] stream_arn to it in place of table, `streamdex gap close --all`, `streamdex run --until-end`; then set table again",
                ));
            }
        }
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
        None => "no gap is recorded\n".to_owned(),
        Some(Closed::Free) => format!("{count} closed: the next `streamdex run` goes on\n"),
        Some(Closed::Interrupted) => {
            format!("{count} closed: reading goes on within 8 s, where a `streamdex run` is there\n")
        }
    })?;
    if closed.is_some() {
        output::note("next: 90 s after reading goes on, `streamdex verify --full --repair` writes what was lost\n");
    }
    Ok(Exit::Done)
}
