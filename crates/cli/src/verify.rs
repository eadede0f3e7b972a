//! `streamdex verify`: whether the index equals the table.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streamdex_config::Config;
use streamdex_delivery::Term;
use streamdex_delivery::backfill::{
    BackfillRecord, BackfillState, BackfillStore, FilledBy, SEGMENTS, Stored, StoredBackfill,
};
use streamdex_dynamodb::size::TableSize;
use streamdex_dynamodb::time::now;
use streamdex_reconcile::Fault;
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::verify::{Difference, DifferenceSink, Phase, Progress, Report, Scope, Settings, Verify};
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use crate::args::{Global, VerifyArgs};
use crate::exit::{CliError, Exit};
use crate::mirrored::{Mirrored, ReaderLag};
use crate::preflight::{Uses, preflight};
use crate::watched::Watched;
use crate::{connect, output, settings, signals};

/// Items of the table, and documents of each index, of a quick look.
const SAMPLE: u32 = 1000;
/// Differences that are named without a file for all of them.
const NAMED: usize = 10;
const TICK: Duration = Duration::from_millis(200);

/// Runs the command.
pub(crate) async fn run(global: &Global, arguments: &VerifyArgs) -> Result<Exit, CliError> {
    let config = settings::configuration(global)?;
    let source = settings::source(&config, arguments.source.as_deref())?;
    preflight(&config, &[Uses::Sources, Uses::Letters, Uses::OpenSearch]).await?;
    let letters = connect::letters(&config).await;
    let mirrored = Box::pin(Mirrored::connect(&config, source, letters)).await?;
    let cancel = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(cancel.clone())?);
    let scope = if arguments.full { Scope::Full } else { Scope::Sample(arguments.sample.unwrap_or(SAMPLE)) };
    output::note(&plan(source.table.table_name(), &mirrored.size, scope));
    let units = arguments.max_read_units.map(f64::from).or_else(|| Pace::half_of(mirrored.size.provisioned_reads));
    let settings = Settings {
        scope,
        items: mirrored.size.items,
        segments: arguments.segments.get(),
        pace: Pace::new(units),
        lag: Arc::new(Box::pin(ReaderLag::connect(&config, source, arguments.lag.map(Duration::from_secs))).await?),
        patience: Duration::from_secs(arguments.patience),
        folder: std::env::temp_dir(),
        repair: if arguments.repair { Some(Box::pin(mirrored.repair(&cancel)).await?) } else { None },
    };
    let completes = arguments.full && arguments.repair;
    let recorded = if completes { Box::pin(Recorded::load(&config, &mirrored)).await? } else { None };
    let list = Arc::new(List::open(arguments.list.as_deref())?);
    let verify = Verify::new(mirrored.mirror.clone(), settings, list.clone());
    let progress = Shown::start(verify.progress());
    let verified = tokio::select! {
        verified = Box::pin(verify.run(&cancel)) => verified,
        broken = watched.one_ended() => return Err(broken),
        () = progress.show() => return Err(CliError::new(Exit::Unreachable, "the progress display stopped")),
    };
    progress.finish();
    let report = verified.map_err(unfinished)?;
    list.finish()?;
    print(global, arguments, &report, &list)?;
    if let Some(recorded) = recorded.filter(|_| report.is_whole())
        && !Box::pin(recorded.complete(&mirrored, &report, &cancel)).await?
    {
        output::note(
            "`streamdex status` still says phase = partial: a gap is open, an index is gone, or the index is being filled\n",
        );
    }
    Ok(if report.is_equal() { Exit::Done } else { Exit::DeadLetters })
}

/// An index that was repaired until it was equal holds all that the table held: what was recorded before is complete then,
/// unless somebody fills, or a gap is open.
struct Recorded {
    store: StoredBackfill,
    found: Option<BackfillRecord>,
}

impl Recorded {
    /// As it is before the first item is read: a gap that is closed later asks for another comparison.
    async fn load(config: &Config, mirrored: &Mirrored) -> Result<Option<Recorded>, CliError> {
        let Some(arn) = &mirrored.size.arn else { return Ok(None) };
        let store = StoredBackfill::new(connect::state_table(config).await, arn);
        let found = connect::within(async { Ok(store.load().await?) }).await?;
        Ok(Some(Recorded { store, found }))
    }

    /// Whether it is complete now. What changed since it was loaded is not this comparison's to complete.
    async fn complete(
        self,
        mirrored: &Mirrored,
        report: &Report,
        cancel: &CancellationToken,
    ) -> Result<bool, CliError> {
        let Recorded { store, found } = self;
        if found.as_ref().is_some_and(|found| found.state == BackfillState::Complete) {
            return Ok(true);
        }
        if !Box::pin(mirrored.note_indices(&store, Term { cancel, until: None })).await? {
            return Ok(false);
        }
        let stored = async {
            let fresh = || BackfillRecord::new(FilledBy::Command, SEGMENTS, mirrored.size.items, now());
            let follows = found.as_ref().map(|found| found.beat);
            let complete = found.unwrap_or_else(fresh).completed((report.checked, report.dead_lettered), now());
            Ok(store.gaps().await? == 0 && store.store(&complete, follows).await? == Stored::Stored)
        };
        connect::within(stored).await
    }
}

/// A comparison that did not come to its end proves nothing.
fn unfinished(fault: Fault) -> CliError {
    if fault.is_stop() {
        return CliError::new(Exit::Unreachable, "stopped: this proves nothing")
            .with_hint("run it again; repairs are kept");
    }
    fault.into()
}

/// What it reads and costs, before it begins.
fn plan(table: &str, size: &TableSize, scope: Scope) -> String {
    match scope {
        Scope::Full => format!(
            "verifying table {table}: about {} items and {} read units (DynamoDB's count, up to six hours old), and every document of its indices\n",
            size.items,
            size.read_units()
        ),
        Scope::Sample(most) => format!(
            "comparing about {most} of {} items of table {table}, and as many documents of each index; --full compares all\n",
            size.items
        ),
    }
}

fn print(global: &Global, arguments: &VerifyArgs, report: &Report, list: &List) -> Result<(), CliError> {
    if global.json {
        return output::print_json(report);
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            let _ = writeln!(text, "  {count:>9}  {what}");
        }
    };
    line(report.missing, "missing: items without their document");
    line(report.extra, "extra: documents without an item, or in another place than their item's");
    line(report.different, "different: documents that do not equal their items");
    line(report.dead_lettered, "explained by dead letters");
    line(report.repaired, "repaired");
    line(report.healed, "dead letters removed: their documents are right");
    line(report.inconclusive, "inconclusive: could not be decided");
    let head = format!(
        "{} items and {} documents compared in {:.1} s: {}\n",
        report.checked,
        report.documents,
        report.seconds,
        headline(report, arguments)
    );
    output::print(&(head + &text))?;
    if report.archived > 0 {
        output::note(&format!("{} documents in archives were counted, not compared\n", report.archived));
    }
    if let Some(note) = list.note() {
        output::note(&note);
    }
    Ok(())
}

fn headline(report: &Report, arguments: &VerifyArgs) -> &'static str {
    match (report.is_equal(), arguments.full, report.drift()) {
        (true, true, _) => "index equals table",
        (true, false, _) => "no difference found",
        (false, _, 1..) => "the index differs from the table",
        (false, ..) if report.is_whole() => "equal, except for items with dead letters",
        (false, ..) => "not everything could be proven equal",
    }
}

/// The list of differences: in a file, or the first few by verdict and index.
struct List {
    file: Option<Mutex<output::Lines>>,
    first: Mutex<Vec<String>>,
}

// === impl List ===

impl List {
    fn open(path: Option<&Path>) -> Result<List, CliError> {
        let file = path.map(output::file).transpose()?;
        Ok(List { file: file.map(Mutex::new), first: Mutex::default() })
    }

    fn finish(&self) -> Result<(), CliError> {
        let Some(file) = &self.file else { return Ok(()) };
        file.lock().unwrap_or_else(PoisonError::into_inner).flush().map_err(CliError::stdout)
    }

    fn note(&self) -> Option<String> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            return None;
        }
        Some(first.concat() + "--list FILE names all of them, with ids and keys\n")
    }
}

impl DifferenceSink for List {
    fn take(&self, difference: &Difference) -> io::Result<()> {
        let Some(file) = &self.file else {
            let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.len() < NAMED {
                let index = difference.index.as_deref().unwrap_or("-");
                first.push(format!("  {}  {index}: {}\n", difference.verdict.name(), difference.reason));
            }
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_writer(&mut *file, difference)?;
        file.write_all(b"\n")
    }
}

/// The progress, as it is shown.
struct Shown {
    progress: Arc<Progress>,
    shown: Mutex<crate::progress::Progress>,
}

impl Shown {
    fn start(progress: Arc<Progress>) -> Shown {
        Shown { progress, shown: Mutex::new(crate::progress::Progress::of_items(None)) }
    }

    /// Shows it, for ever.
    async fn show(&self) {
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
            let (phase, [items, documents, suspects]) = self.progress.now();
            let detail = match phase {
                Phase::Table => format!("{suspects} differ so far"),
                Phase::Index => format!("{documents} documents listed, {suspects} differ so far"),
                Phase::Differences => format!("{suspects} differ and are checked again"),
            };
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).set(items, &detail);
        }
    }

    fn finish(self) {
        self.shown.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    }
}
