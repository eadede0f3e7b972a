//! A writer that changes a table at random, at a bounded rate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use fastrand::Rng;
use tokio::time::{MissedTickBehavior, interval};

use super::sessions::{Item, Sessions, number};

/// How many writes of each kind were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Whole items put.
    pub puts: u64,
    /// Items updated in place.
    pub updates: u64,
    /// Items deleted, there or not.
    pub deletes: u64,
}

impl Written {
    /// All writes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.puts + self.updates + self.deletes
    }
}

/// Puts, updates and deletes over a small set of keys, so that many writes meet the same item. One write is under
/// way at a time: the last one on a key is the one that counts.
#[derive(Debug)]
pub struct RandomWriter {
    client: Client,
    table: String,
    sessions: Sessions,
    random: Rng,
    users: u32,
    sessions_per_user: u32,
    pause: Duration,
}

impl RandomWriter {
    /// A writer to `table`: 200 writes/s over 50 users of 4 sessions.
    ///
    /// # Panics
    /// When the clock stands before 1970.
    #[must_use]
    pub fn new(client: Client, table: &str, seed: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self {
            client,
            table: table.to_owned(),
            sessions: Sessions::new(seed, now),
            random: Rng::with_seed(seed ^ 0x5eed),
            users: 50,
            sessions_per_user: 4,
            pause: Duration::from_millis(5),
        }
    }

    /// At most that many writes a second.
    #[must_use]
    pub fn writes_per_second(mut self, rate: u32) -> Self {
        self.pause = Duration::from_secs(1) / rate.max(1);
        self
    }

    /// The keys to choose from.
    #[must_use]
    pub fn keys(mut self, users: u32, sessions_per_user: u32) -> Self {
        (self.users, self.sessions_per_user) = (users, sessions_per_user);
        self
    }

    /// Makes `count` writes.
    ///
    /// # Panics
    /// When the emulator refuses a write.
    pub async fn write(&mut self, count: u64) -> Written {
        let mut written = Written::default();
        let mut ticks = interval(self.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while written.total() < count {
            ticks.tick().await;
            self.write_one(&mut written).await;
        }
        written
    }

    /// Writes until `stop` is done; the write under way is finished.
    ///
    /// # Panics
    /// When the emulator refuses a write.
    pub async fn write_until(&mut self, stop: impl Future<Output = ()>) -> Written {
        let mut written = Written::default();
        let mut ticks = interval(self.pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return written,
                _ = ticks.tick() => {}
            }
            self.write_one(&mut written).await;
        }
    }

    async fn write_one(&mut self, written: &mut Written) {
        let key = self.sessions.key(self.users, self.sessions_per_user);
        match self.random.u8(0..10) {
            0..5 => {
                let item = self.sessions.item(key);
                self.put(item).await;
                written.puts += 1;
            }
            5..8 => {
                self.update(key).await;
                written.updates += 1;
            }
            _ => {
                self.delete(key).await;
                written.deletes += 1;
            }
        }
    }

    async fn put(&self, item: Item) {
        let item = Some(item.into_iter().collect());
        self.client.put_item().table_name(&self.table).set_item(item).send().await.unwrap();
    }

    async fn update(&mut self, key: Item) {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key.into_iter().collect()))
            .update_expression("SET last_page = :page ADD hits :one")
            .expression_attribute_values(":page", AttributeValue::S(format!("/page/{}", self.random.u16(..))))
            .expression_attribute_values(":one", number("1"))
            .send()
            .await
            .unwrap();
    }

    async fn delete(&self, key: Item) {
        let key = Some(key.into_iter().collect());
        self.client.delete_item().table_name(&self.table).set_key(key).send().await.unwrap();
    }
}
