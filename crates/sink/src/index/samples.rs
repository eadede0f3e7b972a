//! Configurations for the unit tests of this folder.

use std::collections::BTreeMap;
use std::time::Duration;

use streamdex_config::{
    Auth, AwsSettings, Compression, Config, DeadLetter, DeadLetterKind, OnGap, OpenSearch, Source, StartPosition,
    State, TableReference,
};
use streamdex_mapping::{IndexName, OnExpiry, Route, Ttl};

pub(super) fn name(text: &str) -> IndexName {
    IndexName::parse(text).unwrap()
}

pub(super) fn route(index: &str) -> Route {
    Route::to(name(index))
}

/// Sessions with a TTL and an archive.
pub(super) fn session_route() -> Route {
    let ttl = Ttl {
        attribute: "expires_at".into(),
        on_expiry: OnExpiry::Archive(name("sessions-expired")),
        infer_expiry: false,
    };
    Route { ttl: Some(ttl), ..route("sessions") }
}

pub(super) fn config(routes: Vec<Route>) -> Config {
    let source = Source {
        name: "sessions".into(),
        table: TableReference::Name("sessions".into()),
        region: None,
        endpoint_url: None,
        streams_endpoint_url: None,
        aws: AwsSettings::default(),
        start: StartPosition::default(),
        backfill_at_most: None,
        on_gap: OnGap::Fail,
        freshness: Source::DEFAULT_FRESHNESS,
        routes,
    };
    Config {
        aws: AwsSettings::default(),
        sources: vec![source],
        opensearch: OpenSearch {
            url: "http://127.0.0.1:1".parse().unwrap(),
            auth: Auth::None,
            ca_file: None,
            tls_verify: true,
            compression: Compression::Gzip,
            max_batch_bytes: 5 << 20,
            max_batch_operations: 2000,
            max_concurrent_requests: 8,
            brake_after: Some(OpenSearch::DEFAULT_BRAKE_AFTER),
            brake_after_field: Some(OpenSearch::DEFAULT_BRAKE_AFTER_FIELD),
            request_timeout: Duration::from_secs(10),
        },
        state: State {
            table: "streamdex-state".into(),
            group: "default".into(),
            region: None,
            endpoint_url: None,
            aws: AwsSettings::default(),
        },
        dead_letter: DeadLetter { kind: DeadLetterKind::Table, written_out: false },
        lambda: streamdex_config::Lambda::default(),
        http: streamdex_config::Http::default(),
        indices: BTreeMap::new(),
    }
}
