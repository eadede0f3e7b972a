//! The parts that all sources of `run` share, and the follower of each.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streamdex_config::{Config, OnGap, Source, TableReference, fingerprint};
use streamdex_delivery::backfill::{BackfillStore, StoredBackfill};
use streamdex_delivery::letter::DeadLetterStore;
use streamdex_delivery::{Delivery, DeliveryProgress, ReadMemory};
use streamdex_dynamodb::clients::SourceClients;
use streamdex_dynamodb::state::StateTable;
use streamdex_dynamodb::stream::SdkStream;
use streamdex_dynamodb::table::TableInfo;
use streamdex_mapping::Mapper;
use streamdex_poller::clock::SystemClock;
use streamdex_poller::follow::{Parts, Settings, generations, sole_index};
use streamdex_poller::graph::Until;
use streamdex_poller::lease::WorkerId;
use streamdex_poller::{DescribeTurn, SearchContact};
use streamdex_sink::{BulkWriter, Client, Indices, Patience, WriterSettings};

use crate::closing::{ClosesItself, Closing};
use crate::filling::Filling;
use crate::followed::partition;
use crate::pause::Pause;
use crate::reached::Reached;
use crate::worker::random;

/// What all sources share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) until: Until,
    pub(crate) state: StateTable,
    pub(crate) worker: WorkerId,
    pub(crate) indices: Arc<Indices>,
    pub(crate) writer: BulkWriter,
    pub(crate) patience: Patience,
    pub(crate) letters: Arc<dyn DeadLetterStore>,
    pub(crate) memory: ReadMemory,
    pub(crate) search: SearchContact,
    /// Leases that this process has.
    pub(crate) leases: Arc<AtomicUsize>,
    pub(crate) describe_turn: DescribeTurn,
    pub(crate) client: Client,
}

/// `--until-end` gives up after so long without progress.
const WITHOUT_PROGRESS: Duration = Duration::from_secs(60);

impl Shared {
    /// What closes the gaps of a source, where the configuration wants that.
    pub(crate) fn closes_itself(
        &self,
        source: &Source,
        clients: &SourceClients,
        info: &TableInfo,
        pause: Arc<Mutex<Pause>>,
    ) -> Option<ClosesItself> {
        let closes = source.on_gap == OnGap::Resnapshot && self.until == Until::Stopped;
        closes.then(|| {
            let command = WorkerId::new(format!("{}-closes-a-gap", self.worker));
            let closing = Closing::new(&self.config, source, clients, info, (&self.state, command));
            ClosesItself::new(closing, self.backfills(info), pause)
        })
    }

    /// What a follower of a source works with, and how.
    pub(crate) fn follows(
        &self,
        source: &Source,
        info: &TableInfo,
        clients: &SourceClients,
        closes: Option<Arc<ClosesItself>>,
    ) -> (Parts, Settings) {
        let reached = Reached {
            table: info.table.clone(),
            clients: clients.clone(),
            client: self.client.clone(),
            indices: self.indices.clone(),
            mapper: Arc::new(Mapper::new(source.routes.clone())),
            letters: Arc::clone(&self.letters),
            memory: self.memory.clone(),
            patience: self.patience,
        };
        let delivery = reached.delivery(reached.items(), self.writer.clone());
        let delivery = Delivery { progress: DeliveryProgress::at_start(), ..delivery };
        let filling = Filling {
            source: source.clone(),
            label: info.stream.arn.label().to_owned(),
            reached,
            writer: self.writer.clone(),
            writer_settings: WriterSettings::new(&self.config.opensearch, self.patience),
            store: self.backfills(info),
            closes,
            worker: self.worker.clone(),
            until: self.until,
        };
        // A stream that is named by its ARN is followed as that one; a table's is asked for now and then.
        let table = matches!(source.table, TableReference::Name(_)).then(|| info.table.clone());
        let indices = Arc::clone(&self.indices);
        let parts = Parts {
            source: Arc::new(SdkStream::new(clients.clone(), info.stream.arn.clone(), table)),
            deliver: Arc::new(delivery),
            store: Arc::new(partition(&self.state, info)),
            indices: self.indices.clone(),
            clock: Arc::new(SystemClock::default()),
            search: self.search.clone(),
            describe_turn: self.describe_turn.clone(),
            cluster: Arc::new(move || indices.cluster()),
            beside: Some(Arc::new(filling)),
        };
        let settings = Settings {
            stream_arn: info.stream.arn.clone(),
            worker: self.worker.clone(),
            routes: fingerprint(source),
            start: source.start,
            until: self.until,
            generations: generations(&self.config, source),
            sole_index: sole_index(source),
            freshness: source.freshness,
            patience: (self.until == Until::PresentEnd).then_some(WITHOUT_PROGRESS),
            leases: Arc::clone(&self.leases),
            seed: random(),
        };
        tracing::info!(
            table = info.table,
            stream = info.stream.arn.label(),
            view = info.stream.view.name(),
            "following"
        );
        (parts, settings)
    }

    /// Where it is kept how far the table is filled.
    fn backfills(&self, info: &TableInfo) -> Arc<dyn BackfillStore> {
        Arc::new(StoredBackfill::new(self.state.clone(), &info.arn))
    }
}
