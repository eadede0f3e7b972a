//! The configuration of every process of a seed.

use std::time::Duration;

use streamdex_config::Compression;
use streamdex_mapping::route::{Condition, Test};
use streamdex_mapping::{IndexName, Mapper, Route};
use streamdex_sink::{Patience, ShortStreak, WriterSettings};

use super::bulk::REQUEST_TIMEOUT;
use super::plan::Plan;
use super::table::{Images, KEY, KIND};

/// The routes of a seed.
pub(super) fn mapper(plan: &Plan) -> Mapper {
    let id = Some(vec![KEY.to_owned()]);
    let to = |name: &str| Route { id: id.clone(), ..Route::to(IndexName::parse(name).unwrap()) };
    if !plan.two_indices || plan.images == Images::KeysOnly {
        return Mapper::new(vec![to("sessions")]);
    }
    let kind =
        |kind: &str| Condition { attribute: KIND.to_owned(), test: Test::EqualsString(kind.to_owned()), not: false };
    let route = |name: &str, of: &str| Route { when: vec![kind(of)], ..to(name) };
    Mapper::new(vec![route("sessions", "a"), route("others", "b")])
}

/// How bulk requests are made.
pub(super) fn writer_settings(seed: u64) -> WriterSettings {
    WriterSettings {
        compression: Compression::None,
        max_batch_bytes: 64 * 1024,
        max_batch_operations: 100,
        max_concurrent_requests: 4,
        request_timeout: REQUEST_TIMEOUT,
        linger: Duration::from_millis(100),
        memory: 1024 * 1024,
        first_retry: Duration::from_millis(100),
        longest_retry: Duration::from_secs(30),
        oldest_read: Duration::from_secs(30),
        stop_grace: Duration::from_secs(8),
        patience: Patience::Endless,
        brake_after: 50,
        brake_after_field: 1000,
        short_streak: ShortStreak::Refuse { proven: Duration::from_secs(2), unproven: Duration::from_secs(60) },
        seed: Some(seed),
    }
}
