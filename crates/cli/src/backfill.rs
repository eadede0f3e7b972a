//! `streamdex backfill`: writes what a table held before its stream was followed.

mod followed;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use streamdex_config::{Config, Source};
use streamdex_delivery::backfill::{BackfillRecord, BackfillState, BackfillStore, FilledBy, StoredBackfill};
use streamdex_delivery::{Bounds, Term};
use streamdex_dynamodb::time::now;
use streamdex_reconcile::backfill::{Backfill, Claim, End, LOOK_EVERY, Report, Settings, claim};
use streamdex_reconcile::pace::Pace;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use self::followed::{Followed, followed};
use crate::args::{BackfillArgs, Global};
use crate::backfill_plan::Plan;
use crate::exit::{CliError, Exit};
use crate::mirrored::Mirrored;
use crate::preflight::{Uses, preflight};
use crate::progress::{Progress, dead_letters};
use crate::summary::Summary;
use crate::watched::Watched;
use crate::worker::worker;
use crate::{confirm, connect, output, settings, signals};

/// After the signal, what is in hand is written within this time, or is read again by the next process.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &BackfillArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let source = settings::source(&config, arguments.source.as_deref())?;
    preflight(&config, &[Uses::Sources, Uses::State, Uses::OpenSearch]).await?;
    let letters = connect::letters(&config).await;
    let mirrored = Box::pin(Mirrored::connect(&config, source, letters)).await?;
    let units = arguments.max_read_units.map(f64::from).or_else(|| Pace::half_of(mirrored.size.provisioned_reads));
    let items = arguments.max_documents.map(std::num::NonZeroU32::get);
    let plan = Plan::of(source.table.table_name(), &mirrored.size, units, items);
    if arguments.plan {
        return print_plan(global, &plan);
    }
    let store = store(&config, &mirrored).await?;
    let followed = Box::pin(followed(&config, source, arguments)).await?;
    output::note(&plan.text());
    if let Some(note) = followed.note() {
        output::note(&note);
    }
    if !arguments.yes && !confirm::is_wanted("a backfill", "Write every item?")? {
        return Ok(Exit::Done);
    }
    let stop = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(stop.clone())?);
    let record = match Box::pin(claimed(&*store, arguments, &mirrored, &followed, &stop)).await? {
        Claim::Held(record) => record,
        Claim::Complete(record) => return already_complete(global, &record),
        Claim::Taken(record) => return Err(taken(&record)),
    };
    if followed.has_reader() {
        sleep(2 * LOOK_EVERY).await;
    }
    let settings = Settings { read_units: Pace::new(units), items, most_items: None };
    let cancel = CancellationToken::new();
    let backfill = Arc::new(Box::pin(mirrored.backfill(store, settings, &cancel)).await?);
    watched.spawn("aborts unfinished work after a signal", cancel_after(stop.clone(), cancel.clone()));
    let bounds = Bounds { cancel, ..Bounds::default() };
    let report = tokio::select! {
        report = shown(backfill, record, bounds, stop) => report?,
        broken = watched.one_ended() => return Err(broken),
    };
    finish(global, &report, &followed, source)
}

/// The record of a table in the state table.
async fn store(config: &Config, mirrored: &Mirrored) -> Result<Arc<dyn BackfillStore>, CliError> {
    let state = connect::state_table(config).await;
    let arn = mirrored.size.arn.as_ref().ok_or_else(|| {
        CliError::new(Exit::Unreachable, "DynamoDB did not return the table's ARN").with_hint("run the command again")
    })?;
    connect::within(async { Ok(Box::pin(state.ensure(arn)).await?) }).await?;
    Ok(Arc::new(StoredBackfill::new(state, arn)))
}

async fn claimed(
    store: &dyn BackfillStore,
    arguments: &BackfillArgs,
    mirrored: &Mirrored,
    followed: &Followed,
    stop: &CancellationToken,
) -> Result<Claim, CliError> {
    let fresh = BackfillRecord::new(FilledBy::Command, arguments.segments, mirrored.size.items, now());
    let fresh = BackfillRecord { not_before: followed.not_before(), ..fresh };
    let term = Term { cancel: stop, until: None };
    if arguments.restart {
        // What another process fills is taken from it: its next write is refused.
        let found = store.load().await?;
        let not_before = found.as_ref().map_or(0, |found| found.not_before).max(fresh.not_before);
        // Who has to compare after a gap still has to.
        let gap = found.filter(|found| found.after_gap && found.state == BackfillState::Running);
        let (by, after_gap) = (gap.as_ref().map_or(fresh.by, |gap| gap.by), gap.is_some());
        store.replace(&BackfillRecord { not_before, by, after_gap, ..fresh.clone() }).await?;
    }
    Ok(claim(store, worker().as_str(), fresh, term).await?)
}

/// Fills, and shows how far it is.
pub(crate) async fn shown(
    backfill: Arc<Backfill>,
    record: BackfillRecord,
    bounds: Bounds,
    stop: CancellationToken,
) -> Result<Report, CliError> {
    let progress = backfill.progress();
    let (before, expected) = (record.items, record.expected);
    let mut shown = Progress::of_items(Some(expected.max(before)).filter(|expected| *expected > 0));
    let mut ticks = interval(TICK);
    let filling = backfill.run(record, bounds, stop);
    tokio::pin!(filling);
    let report = loop {
        tokio::select! {
            report = &mut filling => break report,
            _ = ticks.tick() => {
                let tally = progress.now();
                shown.set(before + tally.records(), &dead_letters(&tally).unwrap_or_default());
            }
        }
    };
    shown.finish();
    Ok(report?)
}

async fn cancel_after(stop: CancellationToken, cancel: CancellationToken) {
    stop.cancelled().await;
    sleep(STOP_WITHIN).await;
    cancel.cancel();
    std::future::pending().await
}

/// The result for programs.
#[derive(Debug, Serialize)]
struct Outcome<'r> {
    table: &'r str,
    state: End,
    /// Of this and earlier processes.
    items: u64,
    #[serde(flatten)]
    summary: Summary,
}

fn finish(global: &Global, report: &Report, followed: &Followed, source: &Source) -> Result<Exit, CliError> {
    let summary = Summary::new(report.tally, 0, report.took);
    if global.json {
        let (table, items) = (source.table.table_name(), report.record.items);
        output::print_json(&Outcome { table, state: report.end, items, summary })?;
    } else {
        output::print(&summary.to_string())?;
    }
    match report.end {
        End::Complete => {
            output::note(&format!("complete: {} items; {}\n", report.record.items, followed.next()));
            Ok(summary.exit())
        }
        End::Stopped | End::TooLarge => {
            let (done, of) = (report.record.done(), report.record.segments.len());
            let message = format!("stopped after {} items, {done} of {of} segments done", report.record.items);
            Err(CliError::new(Exit::Unreachable, message).with_hint("run the same command again to continue"))
        }
        End::Gapped => {
            Err(CliError::new(Exit::Gapped, "every item was written, but changes were lost: documents of deleted items may remain")
                .with_hint(
                    "if `streamdex status` shows a gap, close it with `streamdex gap close`; then run `streamdex verify --full --repair` 90 seconds later",
                ))
        }
    }
}

fn print_plan(global: &Global, plan: &Plan) -> Result<Exit, CliError> {
    if global.json {
        output::print_json(plan)?;
    } else {
        output::print(&plan.text())?;
    }
    Ok(Exit::Done)
}

fn already_complete(global: &Global, record: &BackfillRecord) -> Result<Exit, CliError> {
    if global.json {
        let state = serde_json::json!({ "state": BackfillState::Complete, "items": record.items });
        output::print_json(&state)?;
    }
    let ago = now().saturating_sub(record.at);
    output::note(&format!("the backfill was completed {ago} s ago; --restart writes every item again\n"));
    Ok(Exit::Done)
}

fn taken(record: &BackfillRecord) -> CliError {
    let owner = record.owner.as_deref().unwrap_or("another process");
    let message =
        format!("{owner} is running the backfill of this table, {} of about {} items", record.items, record.expected);
    CliError::new(Exit::Unreachable, message)
        .with_hint("`streamdex status` shows its progress; if it stops, run the same command again to continue")
}
