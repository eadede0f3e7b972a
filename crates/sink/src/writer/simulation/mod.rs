//! The writer against a model of OpenSearch, on paused time: no network, no sleeping, every fault on demand.

mod doubt;
mod lone;
mod outages;
mod random;
mod scenarios;
mod world;

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::Compression;
use streamdex_mapping::{
    Action, Address, CreationTime, DocumentId, ExternalVersion, IndexName, Operation, Origin, Outcome, Role,
};
use tokio_util::sync::CancellationToken;

use super::{BulkWriter, Patience, ShortStreak, Targets, WriterSettings};
use world::World;

/// Every index is set up as `NAME-000001`, but those whose name starts with `unknown`.
struct AllTargets;

impl Targets for AllTargets {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        (!index.as_str().starts_with("unknown")).then(|| format!("{index}-000001").into())
    }
}

fn settings() -> WriterSettings {
    WriterSettings {
        compression: Compression::None,
        max_batch_bytes: 1024 * 1024,
        max_batch_operations: 100,
        max_concurrent_requests: 4,
        request_timeout: Duration::from_secs(60),
        linger: Duration::from_millis(100),
        memory: 8 * 1024 * 1024,
        first_retry: Duration::from_millis(100),
        longest_retry: Duration::from_secs(30),
        oldest_read: Duration::from_secs(30),
        stop_grace: Duration::from_secs(8),
        patience: Patience::Endless,
        brake_after: 50,
        brake_after_field: 1000,
        short_streak: ShortStreak::Refuse { proven: Duration::from_secs(2), unproven: Duration::from_secs(60) },
        seed: Some(1),
    }
}

fn start(world: &Arc<World>, settings: WriterSettings) -> (BulkWriter, CancellationToken) {
    let cancel = CancellationToken::new();
    let transport: Arc<dyn super::BulkTransport> = Arc::<World>::clone(world);
    (BulkWriter::start_on(transport, Arc::new(AllTargets), settings, cancel.clone()), cancel)
}

/// As [`start`], with what an earlier writer learned.
fn start_again(
    world: &Arc<World>,
    settings: WriterSettings,
    learned: super::Learned,
) -> (BulkWriter, CancellationToken) {
    let cancel = CancellationToken::new();
    let transport: Arc<dyn super::BulkTransport> = Arc::<World>::clone(world);
    (BulkWriter::start_on_with(transport, Arc::new(AllTargets), settings, learned, cancel.clone()), cancel)
}

fn applied(decisions: &[super::Decision]) -> usize {
    let is_applied = |decision: &&super::Decision| matches!(decision, super::Decision::Done(Outcome::Applied));
    decisions.iter().filter(is_applied).count()
}

fn refused(decisions: &[super::Decision]) -> usize {
    decisions.iter().filter(|decision| matches!(decision, super::Decision::Refused(_))).count()
}

/// Writes in a separate task.
fn writing(writer: &BulkWriter, operations: Vec<Operation>) -> tokio::task::JoinHandle<Vec<super::Decision>> {
    let writer = writer.clone();
    tokio::spawn(async move { writer.write(operations).await })
}

fn operation(index: &str, id: &str, seconds: u32, action: Action) -> Operation {
    Operation {
        address: Address { index: IndexName::parse(index).unwrap(), id: DocumentId::parse(id).unwrap(), routing: None },
        version: ExternalVersion::of_change(CreationTime::from_seconds(seconds), None),
        action,
        origin: Origin::Image,
        role: Role::Live,
    }
}

fn index(index: &str, id: &str) -> Operation {
    operation(index, id, 1, Action::Index(format!(r#"{{"id":"{id}"}}"#).into()))
}

fn delete(index: &str, id: &str) -> Operation {
    operation(index, id, 1, Action::Delete)
}

fn read(index_name: &str, id: &str) -> Operation {
    Operation { origin: Origin::Read { at: 0 }, ..index(index_name, id) }
}

fn many(index_name: &str, count: usize) -> Vec<Operation> {
    (0..count).map(|n| index(index_name, &format!("d{n}"))).collect()
}
