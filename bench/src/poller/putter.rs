//! Puts documents on the stream, and looks for them in the index.

use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_testkit::workload::{EVENT_TIME, Item, PARTITION_KEY, SORT_KEY, Sessions, StreamRecord};
use tokio::time::{sleep, timeout};

use crate::search::Reader;
use crate::source::{Source, now};

/// Puts sessions, each under a new key.
pub(super) struct Putter {
    pub(super) source: Source,
    sessions: Sessions,
    pub(super) puts: u32,
}

pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Until a document must have come.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Looks for a document until a GET finds it.
pub(super) async fn become_visible(reader: &Reader, id: &str) -> anyhow::Result<()> {
    found(id, || reader.has(id)).await
}

/// Looks for a document until a search finds it.
pub(super) async fn become_searchable(reader: &Reader, id: &str) -> anyhow::Result<()> {
    found(id, || reader.finds(id)).await
}

async fn found<F>(id: &str, look: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let looking = async {
        while !look().await? {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    let limit = LIMIT.as_secs();
    timeout(LIMIT, Box::pin(looking)).await.with_context(|| format!("{id} was not found within {limit} s"))?
}

// === impl Putter ===

impl Putter {
    pub(super) fn new(source: Source, seed: u64) -> Putter {
        Putter { source, sessions: Sessions::new(seed, EVENT_TIME), puts: 0 }
    }

    /// Puts a new session, on each shard in turn; its document's id.
    pub(super) fn put(&mut self) -> anyhow::Result<String> {
        let shard = self.source.shard(usize::try_from(self.puts)?).to_owned();
        self.put_on(&shard)
    }

    /// Puts a new session on a shard; its document's id.
    pub(super) fn put_on(&mut self, shard: &str) -> anyhow::Result<String> {
        let number = self.puts;
        self.puts += 1;
        let (user, session) = (format!("user-{:04}", number % 1_000), format!("session-{number:08}"));
        // Key values in the order of their names.
        let id = format!("{session}|{user}");
        let key = [(PARTITION_KEY, user), (SORT_KEY, session)];
        let key: Item = key.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect();
        let record = StreamRecord {
            event_name: "INSERT",
            seconds: now()?,
            position: 1_000_000 + u64::from(number),
            old: None,
            new: Some(self.sessions.item(key)),
        };
        self.source.stream.append(shard, [record.to_json()]);
        Ok(id)
    }
}
