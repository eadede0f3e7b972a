//! What the tests share.

use std::sync::Arc;
use std::time::Duration;

use streamdex_config::{Auth, Compression, OpenSearch};
use streamdex_mapping::{
    Action, Address, CreationTime, DocumentId, ExternalVersion, IndexName, Operation, Origin, Outcome, Role,
};
use streamdex_sink::{BulkWriter, Client, Decision, Patience, Targets, WriterSettings};
use tokio_util::sync::CancellationToken;

/// Every index is set up as `NAME-000001`.
pub(crate) struct FirstGeneration;

impl Targets for FirstGeneration {
    fn concrete(&self, index: &IndexName) -> Option<Arc<str>> {
        Some(format!("{index}-000001").into())
    }
}

pub(crate) fn settings(url: &str, auth: Auth) -> OpenSearch {
    OpenSearch {
        url: url.parse().unwrap(),
        auth,
        ca_file: None,
        tls_verify: true,
        compression: Compression::Gzip,
        max_batch_bytes: 5 * 1024 * 1024,
        max_batch_operations: 2000,
        max_concurrent_requests: 4,
        brake_after: Some(OpenSearch::DEFAULT_BRAKE_AFTER),
        brake_after_field: Some(OpenSearch::DEFAULT_BRAKE_AFTER_FIELD),
        request_timeout: Duration::from_secs(20),
    }
}

/// A writer that retries fast.
pub(crate) fn writer(client: Client, settings: &OpenSearch) -> (BulkWriter, CancellationToken) {
    let cancel = CancellationToken::new();
    let fast = WriterSettings {
        first_retry: Duration::from_millis(5),
        longest_retry: Duration::from_millis(50),
        ..WriterSettings::new(settings, Patience::Endless)
    };
    (BulkWriter::start(client, Arc::new(FirstGeneration), fast, cancel.clone()), cancel)
}

pub(crate) fn operations(count: usize) -> Vec<Operation> {
    (0..count).map(|n| operation(&format!("d{n}"), format!(r#"{{"n":{n},"text":"S3CRET"}}"#).into_bytes())).collect()
}

pub(crate) fn operation(id: &str, document: Vec<u8>) -> Operation {
    Operation {
        address: Address {
            index: IndexName::parse("sessions").unwrap(),
            id: DocumentId::parse(id).unwrap(),
            routing: None,
        },
        version: ExternalVersion::of_change(CreationTime::from_seconds(1), None),
        action: Action::Index(document.into()),
        origin: Origin::Image,
        role: Role::Live,
    }
}

pub(crate) fn applied(decisions: &[Decision]) -> usize {
    decisions.iter().filter(|decision| matches!(decision, Decision::Done(Outcome::Applied))).count()
}
