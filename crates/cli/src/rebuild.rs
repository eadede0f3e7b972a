//! `streamdex rebuild`: fills the next generation of the indices beside the one that searches see, and moves searches to it.
//!
//! It follows the stream as `run` does, for the group of the new configuration, and looks at how far the rebuild is beside
//! that. `run` with the new configuration takes over when it ends.

mod others;
mod plan;
mod report;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use streamdex_config::{Config, OnGap};
use streamdex_delivery::Term;
use streamdex_delivery::backfill::Stored;
use streamdex_delivery::rebuild::{RebuildPhase, RebuildRecord};
use streamdex_reconcile::Fault;
use streamdex_reconcile::rebuild::{Abort, Conditions, Looked, Waiting};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::target::Target;
use crate::args::{Global, RebuildArgs, RunArgs};
use crate::exit::{CliError, Exit};
use crate::preflight::{Uses, preflight};
use crate::watched::Watched;
use crate::{confirm, output, run as follow, settings, signals};

const LOOK_EVERY: Duration = Duration::from_secs(5);
const REMINDER: Duration = Duration::from_secs(60);

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: RebuildArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    preflight(&config, &[Uses::Sources, Uses::State, Uses::OpenSearch]).await?;
    let conditions = Conditions {
        max_lag: Duration::from_secs(arguments.max_lag),
        accept_dead_letters: arguments.accept_dead_letters,
    };
    let mut targets = Vec::new();
    for source in &config.sources {
        targets.push(Box::pin(Target::connect(&config, source, conditions)).await?);
    }
    if arguments.plan {
        return Box::pin(plan::run(global, &targets, &arguments)).await;
    }
    if arguments.status {
        return Box::pin(report::print(global, &targets)).await;
    }
    if arguments.rollback || arguments.abort {
        return Box::pin(take_back(&targets, &arguments)).await;
    }
    let (mut beginnings, mut again) = (Vec::new(), Vec::new());
    for target in &targets {
        match Box::pin(ready(target, &arguments)).await? {
            Ready::Begins(beginning) => beginnings.push((target, beginning)),
            Ready::Again(record) => again.push((target, record)),
            Ready::GoesOn => {}
        }
    }
    // Nothing is stored before all tables are ready.
    if !beginnings.is_empty() && !arguments.yes && !confirm::is_wanted("a rebuild", "Begin?")? {
        return Ok(Exit::Done);
    }
    for (target, beginning) in beginnings {
        beginning.store(target).await?;
    }
    for (target, record) in again {
        target.rebuild.enter(&record, RebuildPhase::Equal).await?;
        tracing::info!(table = target.table(), "searches were moved back: moving them again");
    }
    Box::pin(follow_and_look(global, config, &arguments, targets)).await
}

/// What is done about a table.
enum Ready {
    /// A rebuild begins.
    Begins(Beginning),
    /// One that searches were moved back from is to move them again.
    Again(RebuildRecord),
    /// One goes on.
    GoesOn,
}

/// The record of a rebuild that begins, and the one that it follows.
struct Beginning {
    record: RebuildRecord,
    follows: Option<u64>,
}

/// Finds out what is to be done about a table.
async fn ready(target: &Target, arguments: &RebuildArgs) -> Result<Ready, CliError> {
    let found = match target.record().await? {
        Some(found) if found.to == target.group() || !found.phase.is_over() => found,
        earlier => return Box::pin(begin(target, earlier, arguments)).await.map(Ready::Begins),
    };
    if found.to != target.group() {
        let message = format!("the group {} is being filled for a rebuild of {}", found.to, target.table());
        return Err(CliError::new(Exit::Usage, message).with_hint(
            "end that rebuild first: run `streamdex rebuild` or `streamdex rebuild --abort` with its configuration",
        ));
    }
    match found.phase {
        RebuildPhase::Returned if arguments.again => Ok(Ready::Again(found)),
        RebuildPhase::Returning => Err(unfinished("--rollback")),
        RebuildPhase::Aborting => Err(unfinished("--abort")),
        phase => {
            tracing::info!(table = target.table(), phase = phase.name(), "continuing the rebuild");
            Ok(Ready::GoesOn)
        }
    }
}

fn unfinished(option: &str) -> CliError {
    CliError::new(Exit::Usage, format!("`rebuild {option}` was started but has not finished"))
        .with_hint(format!("run `streamdex rebuild {option}` again to continue"))
}

async fn begin(
    target: &Target,
    earlier: Option<RebuildRecord>,
    arguments: &RebuildArgs,
) -> Result<Beginning, CliError> {
    if target.has_letters_in_a_file() && !arguments.accept_dead_letters {
        let message = "dead letters in a file do not name their group, so refused items would go unnoticed";
        return Err(CliError::new(Exit::Usage, message)
            .with_hint("remove [dead_letter] from the new configuration, or give --accept-dead-letters"));
    }
    let record = target.begin(arguments.from.as_deref()).await?;
    let beat = record.beat.max(earlier.as_ref().map_or(0, |earlier| earlier.beat + 1));
    let record = RebuildRecord { beat, ..record };
    target.has_room(&record, arguments.beside_lambda).await?;
    output::note(&report::intention(target, &record));
    for index in target.dropped(&record).await? {
        output::note(&format!(
            "  {index}: no route writes to this index any more; its alias stays, but is not updated once the earlier run is stopped\n"
        ));
    }
    Ok(Beginning { record, follows: earlier.map(|earlier| earlier.beat) })
}

impl Beginning {
    async fn store(self, target: &Target) -> Result<(), CliError> {
        match target.rebuild.store.store(&self.record, self.follows).await? {
            Stored::Stored => Ok(()),
            Stored::Refused => {
                Err(CliError::new(Exit::Unreachable, "another process began a rebuild at the same time")
                    .with_hint("`streamdex rebuild --status` shows it"))
            }
        }
    }
}

/// Follows the streams for the group of the next generation, and looks at how far each rebuild is.
async fn follow_and_look(
    global: &Global,
    mut config: Config,
    arguments: &RebuildArgs,
    targets: Vec<Target>,
) -> Result<Exit, CliError> {
    for source in &mut config.sources {
        // It was asked for, however large the table is; and what is lost in a gap is compared again.
        source.backfill_at_most = Some(u64::MAX);
        source.on_gap = OnGap::Resnapshot;
    }
    let run = RunArgs { until_end: false, report_every: arguments.report_every, listen: arguments.listen };
    let beside = move |watched: &mut Watched, stop: &CancellationToken| {
        let followed = Arc::new(AtomicUsize::new(targets.len()));
        for target in targets {
            watched.spawn("checks the rebuild", look(Arc::new(target), Arc::clone(&followed), stop.clone()));
        }
    };
    follow::follow(global, config, &run, beside).await
}

/// Does what is next, until it is to stop. `followed` is how many tables still need this process.
async fn look(target: Arc<Target>, followed: Arc<AtomicUsize>, stop: CancellationToken) {
    let mut told = Told::default();
    // The stream is pinned first, which makes a new beginning of what is recorded.
    sleep(LOOK_EVERY).await;
    while !stop.is_cancelled() {
        let term = Term { cancel: &stop, until: None };
        match Box::pin(target.rebuild.look(term)).await {
            Ok(Looked::Gone) => match told.is_needed(&target, term).await {
                Ok(true) => told.follows(&target),
                Ok(false) => {
                    told.gone(&target);
                    // As long as one table needs this process, none is left without a reader.
                    if followed.fetch_sub(1, Ordering::AcqRel) > 1 {
                        return std::future::pending().await;
                    }
                    stop.cancel();
                }
                Err(fault) => told.failed(&target, &fault),
            },
            // The next phase has begun.
            Ok(Looked::Entered(record)) => {
                told.entered(&target, &record);
                continue;
            }
            Ok(Looked::Comparing) => {
                tracing::info!(table = target.table(), "requested a comparison of all items with their documents")
            }
            Ok(Looked::Waiting(waiting)) => told.waits(&target, &waiting),
            Ok(Looked::Settled(record)) => told.rests(&target, &record),
            Ok(Looked::Healed(record)) => {
                told.sees(&record);
                tracing::warn!(
                    table = target.table(),
                    phase = record.phase.name(),
                    "aliases pointed elsewhere and were moved"
                );
            }
            Err(fault) => told.failed(&target, &fault),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
    std::future::pending().await
}

/// What was said last and when, and what that knows of searches.
#[derive(Default)]
struct Told {
    last: Option<(String, Instant)>,
    /// The rebuild that has moved searches.
    moved: Option<RebuildRecord>,
}

impl Told {
    /// Whether searches need this process although its rebuild is gone.
    async fn is_needed(&self, target: &Target, term: Term<'_>) -> Result<bool, Fault> {
        match &self.moved {
            Some(moved) => Box::pin(target.rebuild.is_needed(moved, term)).await,
            None => Ok(false),
        }
    }

    fn gone(&self, target: &Target) {
        let hint = "the other tables are still followed: stop this process and start it without the table";
        tracing::warn!(
            table = target.table(),
            hint,
            "the rebuild is gone: it was aborted, or another one has replaced it"
        );
    }

    fn failed(&self, target: &Target, fault: &Fault) {
        if !fault.is_stop() {
            tracing::warn!(
                table = target.table(),
                hint = fault.hint(),
                "the rebuild could not continue, trying again: {fault}"
            );
        }
    }

    /// Searches see what the group fills, or not.
    fn sees(&mut self, record: &RebuildRecord) {
        self.moved = (record.phase == RebuildPhase::Moved).then(|| record.clone());
    }

    fn entered(&mut self, target: &Target, record: &RebuildRecord) {
        self.last = None;
        self.sees(record);
        let table = target.table();
        match record.phase {
            RebuildPhase::Equal => tracing::info!(table, "the next generation equals the table"),
            RebuildPhase::Filling => tracing::warn!(table, "comparing the next generation again"),
            RebuildPhase::Moving => tracing::info!(table, "moving the aliases"),
            // Each look says so from now on.
            RebuildPhase::Moved => {}
            phase => tracing::info!(table, phase = phase.name(), "the rebuild continues"),
        }
    }

    fn waits(&mut self, target: &Target, waiting: &Waiting) {
        let (text, hint) = report::waiting(waiting);
        self.say(&text, || tracing::info!(table = target.table(), hint, "{text}"));
    }

    fn rests(&mut self, target: &Target, record: &RebuildRecord) {
        self.sees(record);
        let (text, hint) = report::rest(record);
        self.say(text, || tracing::info!(table = target.table(), hint, "{text}"));
    }

    fn follows(&mut self, target: &Target) {
        let text = "another rebuild has begun, but searches still use this generation: keeping it up to date";
        let hint = "start `streamdex run` with this configuration as a standby, then stop this process";
        self.say(text, || tracing::info!(table = target.table(), hint, "{text}"));
    }

    /// One line for each change, and a reminder each minute.
    fn say(&mut self, text: &str, log: impl Fn()) {
        let again = |(last, at): &(String, Instant)| last != text || at.elapsed() >= REMINDER;
        if self.last.as_ref().is_none_or(again) {
            log();
            self.last = Some((text.to_owned(), Instant::now()));
        }
    }
}

/// `--rollback` and `--abort`.
async fn take_back(targets: &[Target], arguments: &RebuildArgs) -> Result<Exit, CliError> {
    let cancel = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(cancel.clone())?);
    let term = Term { cancel: &cancel, until: None };
    let mut failed = None;
    // One table that cannot be taken back keeps no other one from it.
    for target in targets {
        let taken = match arguments.abort {
            true => Box::pin(abort(target, arguments, term)).await,
            false => Box::pin(roll_back(target, arguments, term)).await,
        };
        if let Err(error) = taken
            && let Some(earlier) = failed.replace(error)
        {
            tracing::error!(hint = earlier.hint(), "{earlier}");
        }
    }
    failed.map_or(Ok(Exit::Done), Err)
}

/// The record that is to be taken back; none where there is none any more.
async fn of_this_group(target: &Target) -> Result<Option<RebuildRecord>, CliError> {
    let Some(record) = target.record().await? else {
        output::note(&format!("there is no rebuild of {}\n", target.table()));
        return Ok(None);
    };
    if record.to != target.group() {
        let message = format!("the rebuild of {} belongs to the group {}", target.table(), record.to);
        return Err(CliError::new(Exit::Usage, message).with_hint("use the configuration with that state.group"));
    }
    Ok(Some(record))
}

async fn roll_back(target: &Target, arguments: &RebuildArgs, term: Term<'_>) -> Result<(), CliError> {
    let Some(record) = of_this_group(target).await? else { return Ok(()) };
    let table = target.table();
    match record.phase {
        RebuildPhase::Moved | RebuildPhase::Moving => {}
        RebuildPhase::Returning => {
            report::rolled_back(table, &target.rebuild.look(term).await?);
            return Ok(());
        }
        RebuildPhase::Returned => {
            output::note(&format!("searches of {table} see the earlier generation\n"));
            return Ok(());
        }
        phase => {
            let message = format!("searches of {table} see the earlier generation: the rebuild is {}", phase.name());
            return Err(CliError::new(Exit::Usage, message).with_hint("`streamdex rebuild --status` shows it"));
        }
    }
    target.is_there(&record).await?;
    target.is_current(&record, arguments.lag.map(Duration::from_secs), arguments.max_lag).await?;
    report::rolled_back(table, &target.rebuild.go_back(&record, term).await?);
    Ok(())
}

async fn abort(target: &Target, arguments: &RebuildArgs, term: Term<'_>) -> Result<(), CliError> {
    let Some(record) = of_this_group(target).await? else { return Ok(()) };
    let table = target.table();
    let question = format!("Delete the new generation of {table} and the state of the group {}?", record.to);
    if !arguments.yes && record.phase != RebuildPhase::Aborting && !confirm::is_wanted("an abort", &question)? {
        return Ok(());
    }
    match target.rebuild.abort(record, target, term).await? {
        Abort::Done => {
            output::note(&format!("the rebuild of {table} was aborted: searches see the earlier generation\n"));
            Ok(())
        }
        Abort::Shown(phase) => {
            let message = format!("searches of {table} may see the next generation: the rebuild is {}", phase.name());
            Err(CliError::new(Exit::Usage, message).with_hint("move them back first: `streamdex rebuild --rollback`"))
        }
        Abort::ReadBy(reader) => {
            let message = format!("{reader} still reads the stream of {table} for the group");
            Err(CliError::new(Exit::Unreachable, message)
                .with_hint("stop that `streamdex run`, and run `streamdex rebuild --abort` again to continue"))
        }
    }
}
