//! `streamdex dlq replay`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use streamdex_config::{Config, Source};
use streamdex_delivery::letter::DeadLetter;
use streamdex_reconcile::letters::{Fate, Replay, ReplayReport, Selection};
use tokio_util::sync::CancellationToken;

use super::list::line;
use super::store::Store;
use crate::args::Global;
use crate::exit::{CliError, Exit};
use crate::mirrored::Mirrored;
use crate::preflight::{Uses, preflight};
use crate::watched::Watched;
use crate::{output, settings, signals};

/// What is asked for.
pub(super) struct Request {
    pub(super) selection: Selection,
    pub(super) source: Option<String>,
    pub(super) is_dry: bool,
    pub(super) file: Option<PathBuf>,
}

/// Replays the letters of one table, or of all.
pub(super) async fn run(global: &Global, request: Request) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let uses: &[Uses] = match request.file {
        Some(_) => &[Uses::Sources, Uses::OpenSearch],
        None => &[Uses::Sources, Uses::Letters, Uses::OpenSearch],
    };
    preflight(&config, uses).await?;
    let store = match &request.file {
        Some(path) => Store::of_file(path)?,
        None => Store::of_config(&config).await,
    };
    let sources = match &request.source {
        Some(name) => vec![settings::source(&config, Some(name))?],
        None => config.sources.iter().collect(),
    };
    let meant = store.meant(&request.selection).await?;
    for place in &meant.malformed {
        tracing::warn!(place, "the dead letter cannot be read");
    }
    let of_source = |letter: &&DeadLetter| sources.iter().any(|source| source.table.table_name() == letter.table);
    let (ours, others): (Vec<&DeadLetter>, Vec<&DeadLetter>) = meant.letters.iter().partition(of_source);
    if !others.is_empty() {
        let tables: std::collections::BTreeSet<&str> = others.iter().map(|letter| letter.table.as_str()).collect();
        let tables: Vec<&str> = tables.into_iter().collect();
        tracing::warn!(
            letters = others.len(),
            tables = tables.join(", "),
            "some dead letters belong to tables that are not in this configuration"
        );
    }
    if ours.is_empty() {
        output::note(&format!("no such dead letters in {}\n", store.place));
    }
    let mut report = ReplayReport::default();
    if request.is_dry {
        return show(global, &ours);
    }
    let cancel = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(cancel.clone())?);
    for source in sources.iter().filter(|source| ours.iter().any(|letter| letter.table == source.table.table_name())) {
        let replayed = tokio::select! {
            replayed = Box::pin(replay(&config, source, &store, &request.selection, &cancel)) => replayed,
            broken = watched.one_ended() => Err(broken),
        };
        report.add(replayed?);
    }
    print(global, &report)?;
    Ok(if report.healed == report.letters { Exit::Done } else { Exit::DeadLetters })
}

async fn replay(
    config: &Config,
    source: &Source,
    store: &Store,
    selection: &Selection,
    cancel: &CancellationToken,
) -> Result<ReplayReport, CliError> {
    let mirrored = Box::pin(Mirrored::connect(config, source, store.letters.clone())).await?;
    let repair = Box::pin(mirrored.repair(cancel)).await?;
    let replay = Replay::new(Arc::clone(&mirrored.mirror), repair);
    Ok(Box::pin(replay.run(selection, cancel)).await?)
}

/// The letters that are meant, and those that cannot be replayed.
fn show(global: &Global, letters: &[&DeadLetter]) -> Result<Exit, CliError> {
    let unreplayable = letters.iter().filter(|letter| Fate::unreplayable(letter).is_some()).count();
    if global.json {
        let shown = serde_json::json!({ "letters": letters.len(), "unreplayable": unreplayable });
        output::print_json(&shown)?;
    } else {
        output::print(&letters.iter().map(|letter| line(letter)).collect::<String>())?;
        output::note(&format!("{} dead letters match; nothing was changed\n", letters.len()));
    }
    Ok(Exit::Done)
}

fn print(global: &Global, report: &ReplayReport) -> Result<(), CliError> {
    if global.json {
        return output::print_json(report);
    }
    let mut text = format!("{} dead letters in {:.1} s\n", report.letters, report.seconds);
    for (count, what) in [
        (report.healed, "healed: their documents are right, and the letters were removed"),
        (report.refused, "refused as before"),
        (report.left, "left: their documents are not right yet; replay them again"),
        (report.unreplayable, "cannot be replayed: `streamdex verify --full --repair` compares their table"),
    ] {
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {count:>9}  {what}");
        }
    }
    for (reason, count) in &report.reasons {
        let _ = writeln!(text, "  {count:>9}  of them {reason}");
    }
    output::print(&text)
}
