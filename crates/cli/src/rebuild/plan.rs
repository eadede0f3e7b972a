//! `rebuild --plan`: writes all items to scratch indices with the new mapping, to see what it refuses and changes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use streamdex_config::TableArn;
use streamdex_delivery::Bounds;
use streamdex_delivery::backfill::{BackfillRecord, BackfillStore, FilledBy, SEGMENTS, Stored};
use streamdex_delivery::indices::{IndexSetup, IndexWatch};
use streamdex_delivery::letter::{DeadLetter, DeadLetterStore, LetterError, LetterKey, LetterPage};
use streamdex_dynamodb::state::StateError;
use streamdex_dynamodb::time::now;
use streamdex_mapping::{IndexName, Tally};
use streamdex_reconcile::backfill::{End, Settings};
use streamdex_reconcile::pace::Pace;
use streamdex_sink::index::{GroupState, IgnoredValues, KnownIndex, VanishedIndex};
use streamdex_sink::{Indices, SetupError, Target, Targets};
use tokio_util::sync::CancellationToken;

use super::report::intention;
use super::target::Target as Rebuilt;
use crate::args::{Global, RebuildArgs};
use crate::backfill::shown;
use crate::backfill_plan::Plan;
use crate::exit::{CliError, Exit};
use crate::watched::Watched;
use crate::{output, signals};

/// Runs the command.
pub(super) async fn run(global: &Global, targets: &[Rebuilt], arguments: &RebuildArgs) -> Result<Exit, CliError> {
    let stop = CancellationToken::new();
    let mut watched = Watched::default();
    watched.spawn("listens for signals", signals::cancel_on_signals(stop.clone())?);
    let found = Arc::new(Found::open(arguments.list.as_deref())?);
    let mut reports = Vec::new();
    for target in targets {
        let record = target.begin(arguments.from.as_deref()).await?;
        target.has_room(&record, arguments.beside_lambda).await?;
        let plan = target.plan();
        output::note(&format!("{}{}", intention(target, &record), plan.text()));
        let indices = Arc::new(Scratch::new(target.indices()));
        for left in target.indices().left_scratch(target.table()).await? {
            tracing::info!(index = left, "deleting a scratch index of an earlier plan");
            target.indices().delete_scratch(&left).await?;
        }
        let tried = tokio::select! {
            tried = Box::pin(dry_run(target, &indices, &found, &stop)) => tried,
            broken = watched.one_ended() => Err(broken),
        };
        let looked = match &tried {
            Ok(_) => indices.look(&found).await,
            Err(_) => Ok(()),
        };
        indices.delete().await;
        looked?;
        reports.push(found.report(plan, &tried?));
    }
    found.finish()?;
    if global.json {
        output::print_json(&json!({ "plans": reports }))?;
    } else {
        output::print(&reports.iter().map(Report::text).collect::<String>())?;
    }
    let all_fit = reports.iter().all(|report| report.refused.is_empty() && report.ignored.is_empty());
    Ok(if all_fit { Exit::Done } else { Exit::DeadLetters })
}

/// Writes all items to the scratch indices.
async fn dry_run(
    target: &Rebuilt,
    indices: &Arc<Scratch>,
    found: &Arc<Found>,
    stop: &CancellationToken,
) -> Result<Tally, CliError> {
    let settings = Settings { read_units: Pace::new(target.read_units()), items: None, most_items: None };
    let record = BackfillRecord::new(FilledBy::Command, SEGMENTS, target.items(), now());
    let store = Arc::new(NotStored(Mutex::new(record.clone())));
    let cancel = CancellationToken::new();
    let _ended = cancel.clone().drop_guard();
    let letters: Arc<dyn DeadLetterStore> = found.clone();
    let dry = Arc::new(target.mirrored().dry_run(store, settings, (indices.clone(), letters), &cancel));
    let report = shown(dry, record, Bounds { cancel, ..Bounds::default() }, stop.clone()).await?;
    if report.end == End::Stopped {
        return Err(CliError::new(Exit::Unreachable, "stopped before all items were tried")
            .with_hint("run it again; it starts from the beginning"));
    }
    Ok(report.tally)
}

/// The scratch index of each logical one.
struct Scratch {
    indices: Arc<Indices>,
    made: Mutex<HashMap<IndexName, Arc<Target>>>,
    /// One is made at a time.
    turn: tokio::sync::Mutex<()>,
}

/// How many documents, by what is wrong with them.
type Counts = BTreeMap<String, u64>;

/// What was refused, and what no search finds.
struct Found {
    list: Option<Mutex<output::Lines>>,
    refused: Mutex<Counts>,
    ignored: Mutex<Counts>,
}

/// What a plan says of one table.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    plan: Plan,
    /// Items by what came of them.
    outcomes: Tally,
    /// Documents that the new mapping or routes refuse, by reason: they would be dead letters.
    refused: Counts,
    /// Documents that hold values which do not fit their fields, by field.
    ignored: Counts,
}

// === impl Scratch ===

impl Scratch {
    fn new(indices: Arc<Indices>) -> Scratch {
        Scratch { indices, made: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn made(&self) -> MutexGuard<'_, HashMap<IndexName, Arc<Target>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for values that do not fit.
    async fn look(&self, found: &Found) -> Result<(), CliError> {
        let made: Vec<(IndexName, Arc<Target>)> =
            self.made().iter().map(|(index, target)| (index.clone(), Arc::clone(target))).collect();
        for (index, target) in made {
            self.indices.ignored_values(&target.concrete, |page| found.ignore(&index, &page)).await?;
        }
        Ok(())
    }

    /// Deletes them; the next plan deletes what is left.
    async fn delete(&self) {
        let made: Vec<Arc<Target>> = self.made().drain().map(|(_, target)| target).collect();
        for target in made {
            if let Err(error) = self.indices.delete_scratch(&target.concrete).await {
                tracing::warn!(
                    index = target.concrete,
                    hint = error.hint(),
                    "a scratch index could not be deleted: {error}"
                );
            }
        }
    }
}

#[async_trait]
impl IndexWatch for Scratch {
    fn restore(&self, _table: &TableArn, _known: Vec<KnownIndex>, _group: GroupState) {}

    fn known(&self) -> Vec<KnownIndex> {
        Vec::new()
    }

    async fn watch(&self) -> Result<Vec<VanishedIndex>, SetupError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl IndexSetup for Scratch {
    async fn ensure(&self, index: &IndexName) -> Result<Arc<Target>, SetupError> {
        let _turn = self.turn.lock().await;
        if let Some(target) = self.target(index) {
            return Ok(target);
        }
        let concrete = self.indices.make_scratch(index).await?;
        let target = Arc::new(Target { concrete, uuid: None, generation: 0 });
        self.made().insert(index.clone(), Arc::clone(&target));
        Ok(target)
    }

    async fn find(&self, index: &IndexName) -> Result<Option<Arc<Target>>, SetupError> {
        Ok(self.target(index))
    }

    fn target(&self, index: &IndexName) -> Option<Arc<Target>> {
        self.made().get(index).cloned()
    }
}

impl Targets for Scratch {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        self.target(index).map(|target| target.concrete.as_str().into())
    }
}

// === impl Found ===

impl Found {
    fn open(path: Option<&Path>) -> Result<Found, CliError> {
        let list = path.map(output::file).transpose()?;
        Ok(Found { list: list.map(Mutex::new), refused: Mutex::default(), ignored: Mutex::default() })
    }

    fn ignore(&self, index: &IndexName, page: &[IgnoredValues]) {
        let mut ignored = self.ignored.lock().unwrap_or_else(PoisonError::into_inner);
        for document in page {
            for field in &document.fields {
                *ignored.entry(format!("{index}: {field}")).or_default() += 1;
            }
            self.write(
                &json!({"verdict": "ignored", "index": index.as_str(), "id": document.id, "fields": document.fields}),
            );
        }
    }

    fn refuse(&self, letter: &DeadLetter) {
        let address = letter.address.as_ref();
        let (index, id) = (address.map(|address| address.index.as_str()), address.map(|address| address.id.as_str()));
        let what = format!("{}: {}: {}", index.unwrap_or("-"), letter.reason, letter.error);
        let keys = letter.keys.as_deref().and_then(|keys| serde_json::from_str::<Value>(keys).ok());
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
        self.write(&json!({
            "verdict": "refused", "index": index, "id": id, "keys": keys, "reason": letter.reason, "error": letter.error
        }));
    }

    fn write(&self, line: &Value) {
        if let Some(list) = &self.list {
            // Where this fails, so does the end, which says so.
            let _ = writeln!(list.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        }
    }

    fn finish(&self) -> Result<(), CliError> {
        let Some(list) = &self.list else { return Ok(()) };
        list.lock().unwrap_or_else(PoisonError::into_inner).flush().map_err(CliError::stdout)
    }

    /// What was found for one table; the next one begins with nothing.
    fn report(&self, plan: Plan, outcomes: &Tally) -> Report {
        let take = |counts: &Mutex<Counts>| std::mem::take(&mut *counts.lock().unwrap_or_else(PoisonError::into_inner));
        Report { plan, outcomes: *outcomes, refused: take(&self.refused), ignored: take(&self.ignored) }
    }
}

#[async_trait]
impl DeadLetterStore for Found {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), LetterError> {
        letters.iter().for_each(|letter| self.refuse(letter));
        Ok(())
    }

    async fn list(&self, _after: Option<&LetterKey>) -> Result<LetterPage, LetterError> {
        Ok(LetterPage::default())
    }

    async fn remove(&self, _letter: &DeadLetter) -> Result<bool, LetterError> {
        Ok(false)
    }

    async fn get(&self, _key: &LetterKey) -> Result<Option<DeadLetter>, LetterError> {
        Ok(None)
    }
}

// === impl Report ===

impl Report {
    fn text(&self) -> String {
        let refused: u64 = self.refused.values().sum();
        let mut text = format!(
            "{} items tried: {} have no document, {refused} are refused\n",
            self.outcomes.records(),
            self.outcomes.filtered
        );
        let lines = [("refused", &self.refused), ("not searchable", &self.ignored)];
        for (what, counts) in lines {
            for (reason, count) in counts {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  {count:>9}  {what}: {reason}");
            }
        }
        text.push_str(match (self.refused.is_empty(), self.ignored.is_empty()) {
            (true, true) => "the new mapping accepts all of them\n",
            _ => "--list FILE writes each of them with its id\n",
        });
        text
    }
}

/// How far a dry run is: nobody else has to know.
struct NotStored(Mutex<BackfillRecord>);

#[async_trait]
impl BackfillStore for NotStored {
    async fn load(&self) -> Result<Option<BackfillRecord>, StateError> {
        Ok(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }

    async fn store(&self, record: &BackfillRecord, _follows: Option<u64>) -> Result<Stored, StateError> {
        record.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Stored::Stored)
    }

    async fn note(&self, _index: &KnownIndex) -> Result<(), StateError> {
        Ok(())
    }

    async fn replace(&self, record: &BackfillRecord) -> Result<(), StateError> {
        self.store(record, None).await.map(drop)
    }

    async fn gaps(&self) -> Result<usize, StateError> {
        Ok(0)
    }
}
