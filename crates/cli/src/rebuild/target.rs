//! A table whose indices are rebuilt, and the state of its two groups.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use streamdex_config::{Config, DeadLetterKind, Source};
use streamdex_delivery::DeliveryProgress;
use streamdex_delivery::backfill::StoredBackfill;
use streamdex_delivery::indices::KnownIndices;
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::rebuild::{RebuildRecord, StoredRebuild};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::{Extent, StateError, StateTable};
use streamdex_dynamodb::table::TableInfo;
use streamdex_dynamodb::time::now;
use streamdex_mapping::IndexName;
use streamdex_poller::observe::TableReport;
use streamdex_poller::retire::Retirement;
use streamdex_reconcile::pace::Pace;
use streamdex_reconcile::rebuild::{Before, Conditions, NextGroup, Rebuild, Refusal, TableGenerations, begin};
use streamdex_reconcile::verify::Lag;
use streamdex_sink::index::generations::Made;
use streamdex_sink::{Indices, Patience};

use super::others::Others;
use crate::backfill_plan::Plan;
use crate::connect;
use crate::exit::{CliError, Exit};
use crate::followed::partition;
use crate::mirrored::Mirrored;
use crate::status::TableStatus;

/// A table whose indices are rebuilt.
pub(super) struct Target {
    config: Config,
    source: Source,
    info: TableInfo,
    mirrored: Mirrored,
    letters: Arc<dyn DeadLetterStore>,
    pub(super) rebuild: Rebuild,
}

/// How far behind the worker is that reads the stream now; not known where none does.
struct OfReader(TableStatus);

// === impl Target ===

impl Target {
    /// Makes the first contact.
    ///
    /// # Errors
    /// A service does not answer, or the configuration does not fit the table.
    pub(super) async fn connect(config: &Config, source: &Source, conditions: Conditions) -> Result<Target, CliError> {
        let letters = connect::letters(config).await;
        let mirrored = Box::pin(Mirrored::connect(config, source, Arc::clone(&letters))).await?;
        let clients = SourceClients::connect(source).await;
        let info = connect::within(async { Ok(Box::pin(TableInfo::describe(&clients, source)).await?) }).await?;
        connect::fits(source, &info)?;
        let state = connect::state_table(config).await;
        connect::within(async { Ok(Box::pin(state.ensure(&info.arn)).await?) }).await?;
        let known = KnownIndices::new(state.clone(), &info.arn);
        let generations = TableGenerations { indices: mirrored.indices(), known, table: info.table.clone() };
        let rebuild = Rebuild {
            group: config.state.group.clone(),
            store: Arc::new(StoredRebuild::new(state.clone(), info.arn.as_str())),
            backfill: Arc::new(StoredBackfill::new(state.clone(), &info.arn)),
            generations: Arc::new(generations),
            letters: Arc::clone(&letters),
            table: info.table.clone(),
            lag: Arc::new(OfReader(TableStatus::new(source, info.clone(), &state))),
            conditions,
            patience: Patience::one_shot(),
            progress: DeliveryProgress::under_way(),
            now: Arc::new(now),
        };
        Ok(Target { config: config.clone(), source: source.clone(), info, mirrored, letters, rebuild })
    }

    pub(super) fn table(&self) -> &str {
        &self.info.table
    }

    /// The group of the next generation.
    pub(super) fn group(&self) -> &str {
        &self.config.state.group
    }

    pub(super) fn has_letters_in_a_file(&self) -> bool {
        matches!(self.config.dead_letter.kind, DeadLetterKind::File(_))
    }

    /// About how many items the table has.
    pub(super) fn items(&self) -> u64 {
        self.mirrored.size.items
    }

    /// How many read units a second may be taken.
    pub(super) fn read_units(&self) -> Option<f64> {
        Pace::half_of(self.mirrored.size.provisioned_reads)
    }

    /// What reading all items costs and takes.
    pub(super) fn plan(&self) -> Plan {
        Plan::of(self.table(), &self.mirrored.size, self.read_units(), None)
    }

    pub(super) fn mirrored(&self) -> &Mirrored {
        &self.mirrored
    }

    pub(super) fn indices(&self) -> Arc<Indices> {
        self.mirrored.indices()
    }

    /// The record of the rebuild, if there is one.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(super) async fn record(&self) -> Result<Option<RebuildRecord>, CliError> {
        connect::within(async { Ok(self.rebuild.store.load().await?) }).await
    }

    /// The indices of all generations.
    ///
    /// # Errors
    /// OpenSearch does not answer, or refuses.
    pub(super) async fn made(&self) -> Result<Vec<Made>, CliError> {
        Ok(self.indices().made(self.table()).await?)
    }

    /// The record that a rebuild begins with.
    ///
    /// # Errors
    /// It cannot begin.
    pub(super) async fn begin(&self, from: Option<&str>) -> Result<RebuildRecord, CliError> {
        self.knows(from).await?;
        let indices = self.indices();
        let (configured, made) = (indices.configured(self.table()), self.made().await?);
        let table_arn = self.info.arn.as_str();
        let before = Before { table_arn, group: self.group(), from, configured: &configured, made: &made, now: now() };
        let refusal = match begin(before) {
            Ok(record) => return Ok(record),
            Err(refusal) => refusal,
        };
        if refusal == Refusal::NothingShown {
            for index in &configured {
                let names = indices.behind(&index.text).await?;
                if !names.is_empty() {
                    let message =
                        format!("searches of {} see {}, which streamdex did not create", index.text, names.join(", "));
                    return Err(CliError::new(Exit::Usage, message).with_hint(
                        "remove the alias from that index, or rename it; then `streamdex run` creates an index, fills it and creates the alias",
                    ));
                }
            }
        }
        Err(CliError::new(Exit::Usage, refusal.to_string()).with_hint(refusal.hint()))
    }

    /// Whether the group that the user names has ever kept anything about the table: a name that is misspelt would leave the
    /// true one out.
    async fn knows(&self, from: Option<&str>) -> Result<(), CliError> {
        let Some(from) = from else { return Ok(()) };
        let stored = partition(&self.state_of(from).await, &self.info);
        if !connect::within(async { Ok(stored.query(Extent::All).await?) }).await?.is_empty() {
            return Ok(());
        }
        let message = format!("the state table has no data of a group {from} about {}", self.table());
        Err(CliError::new(Exit::Usage, message)
            .with_hint("--from is the state.group of the configuration that runs now"))
    }

    /// Indices of the earlier group that no route of this configuration gives: their aliases stay where they are.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(super) async fn dropped(&self, record: &RebuildRecord) -> Result<Vec<String>, CliError> {
        let known = KnownIndices::new(self.state_of(&record.from).await, &self.info.arn);
        let known = connect::within(async { Ok(known.load().await?) }).await?;
        let indices = self.indices();
        let is_given = |name: &str| IndexName::parse(name).is_ok_and(|name| indices.concrete_name(&name).is_ok());
        Ok(known.into_iter().map(|known| known.index).filter(|index| !is_given(index)).collect())
    }

    async fn state_of(&self, group: &str) -> StateTable {
        let mut config = self.config.clone();
        group.clone_into(&mut config.state.group);
        connect::state_table(&config).await
    }

    /// Whether what searches saw before is still there.
    ///
    /// # Errors
    /// It is not.
    pub(super) async fn is_there(&self, record: &RebuildRecord) -> Result<(), CliError> {
        let made = self.made().await?;
        for rebuilt in record.indices.values() {
            let generation = rebuilt.from.generation;
            let is_there =
                |name: &str| made.iter().any(|made| made.index.as_str() == name && made.generation == generation);
            if let Some(gone) = rebuilt.from.names.keys().find(|name| !is_there(name)) {
                let message = format!("{gone}-{generation:06} is gone: searches cannot move back");
                return Err(CliError::new(Exit::Usage, message).with_hint(
                    "build another generation: set a new `generation` and state.group, and run `streamdex rebuild`",
                ));
            }
        }
        Ok(())
    }

    /// Whether the stream has room for another reader.
    ///
    /// # Errors
    /// It has not, or that cannot be found out.
    pub(super) async fn has_room(&self, record: &RebuildRecord, lambda: bool) -> Result<(), CliError> {
        let state = connect::state_table(&self.config).await;
        let arn = self.info.arn.as_str();
        let known = connect::within(async { Ok(Box::pin(state.groups(arn)).await?) }).await?;
        let mut groups = Vec::new();
        for group in known.into_iter().filter(|group| *group != record.to) {
            if reader(&self.report_of(&group).await?).is_some() {
                groups.push(group);
            }
        }
        Others { groups, lambda, is_global: !self.info.replicas.is_empty() }.has_room(self.table())
    }

    /// Whether the index that searches saw before is still up to date.
    ///
    /// # Errors
    /// It is not, or nobody knows.
    pub(super) async fn is_current(
        &self,
        record: &RebuildRecord,
        given: Option<Duration>,
        most_seconds: u64,
    ) -> Result<(), CliError> {
        let report = self.report_of(&record.from).await?;
        let refuse = |what: String, hint: &str| Err(CliError::new(Exit::Unreachable, what).with_hint(hint));
        if !report.gaps.is_empty() {
            let what =
                format!("the group {} has lost changes: the earlier generation does not equal the table", record.from);
            return refuse(what, "close its gap first, then compare: see docs/recover.md");
        }
        match given.or_else(|| lag_of(&report)) {
            Some(lag) if lag.as_secs() <= most_seconds => Ok(()),
            Some(lag) => {
                let what = format!("the earlier generation is {} s behind the table", lag.as_secs());
                refuse(what, "wait until it has caught up, or allow the lag with --max-lag")
            }
            None => {
                let what = format!(
                    "nobody reads the stream for the group {}: the earlier generation is out of date",
                    record.from
                );
                refuse(
                    what,
                    "start its `streamdex run` and wait until it has caught up; for a Lambda function, give its lag with --lag",
                )
            }
        }
    }

    /// What the state table says of a group.
    ///
    /// # Errors
    /// The state table cannot be read.
    pub(super) async fn report_of(&self, group: &str) -> Result<TableReport, CliError> {
        let state = self.state_of(group).await;
        TableStatus::new(&self.source, self.info.clone(), &state).report().await
    }
}

/// Who reads the stream for a group now.
pub(super) fn reader(report: &TableReport) -> Option<&str> {
    report.lease.as_ref()?.live_reader()
}

/// How far behind the worker is that reads now.
pub(super) fn lag_of(report: &TableReport) -> Option<Duration> {
    report.lease.as_ref()?.lag()
}

#[async_trait]
impl Lag for OfReader {
    async fn lag(&self) -> Option<Duration> {
        match self.0.report().await {
            Ok(report) => lag_of(&report),
            Err(error) => {
                tracing::warn!("the lag is unknown: {error}");
                None
            }
        }
    }
}

#[async_trait]
impl NextGroup for Target {
    async fn take(&self) -> Result<Option<String>, StateError> {
        self.retirement().await.take(now()).await
    }

    async fn forget(&self, left: &[String]) -> Result<Option<String>, StateError> {
        let taken = self.retirement().await.forget(left).await?;
        if taken.is_none() && matches!(self.config.dead_letter.kind, DeadLetterKind::Table) {
            self.forget_letters().await;
        }
        Ok(taken)
    }
}

impl Target {
    async fn retirement(&self) -> Retirement {
        Retirement(Arc::new(partition(&connect::state_table(&self.config).await, &self.info)))
    }

    /// Letters that cannot be removed are of a group that nobody uses any more.
    async fn forget_letters(&self) {
        let mut after = None;
        loop {
            let page = match self.letters.list(after.as_ref()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!("dead letters of the group could not be deleted: {error}");
                    return;
                }
            };
            for letter in page.letters.iter().filter(|letter| letter.table == self.info.table) {
                if let Err(error) = self.letters.remove(letter).await {
                    tracing::warn!("a dead letter of the group could not be deleted: {error}");
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return,
            }
        }
    }
}
