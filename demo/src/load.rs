//! The load on the table: sign-ins, requests, sign-outs, expiries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use aws_sdk_dynamodb::Client;
use fastrand::Rng;
use streamdex_testkit::compare::Expected;
use streamdex_testkit::engines::Dynoxide;
use streamdex_testkit::workload::{Item, Sessions, TTL};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::awkward::{self, number, text};
use crate::configuration::TABLE;
use crate::expected;

const CHANGES_PER_SECOND: u32 = 300;
const USERS: u32 = 400;
/// How long a short session lives, in seconds.
const SHORT_LIFE: u64 = 2;
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// The same users do the same in every demo.
const SEED: u64 = 7;

/// How many changes of each kind the table saw.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Changes {
    pub(crate) sign_ins: u64,
    pub(crate) updates: u64,
    pub(crate) sign_outs: u64,
    pub(crate) expiries: u64,
    pub(crate) awkward: u64,
}

impl Changes {
    pub(crate) fn total(&self) -> u64 {
        self.sign_ins + self.updates + self.sign_outs + self.expiries + self.awkward
    }
}

/// Changes the table, one write at a time.
pub(crate) struct Load<'a> {
    client: &'a Client,
    dynamodb: &'a Dynoxide,
    sessions: Sessions,
    random: Rng,
    next_session: u32,
    signed_in: Vec<Item>,
    /// What the archive must hold in the end, without the time of expiry.
    short: BTreeMap<String, String>,
    changes: Changes,
}

// === impl Load ===

impl<'a> Load<'a> {
    pub(crate) fn new(client: &'a Client, dynamodb: &'a Dynoxide) -> anyhow::Result<Load<'a>> {
        Ok(Load {
            client,
            dynamodb,
            sessions: Sessions::new(SEED, now()?),
            random: Rng::with_seed(SEED),
            next_session: 0,
            signed_in: Vec::new(),
            short: BTreeMap::new(),
            changes: Changes::default(),
        })
    }

    /// Works for so long, plants the awkward items on the way, and sweeps up in the end.
    pub(crate) async fn run(&mut self, time: Duration) -> anyhow::Result<Changes> {
        let begun = Instant::now();
        let mut swept = begun;
        let mut planted: Vec<Item> = awkward::items();
        planted.push(awkward::refused());
        let mut ticks = interval(Duration::from_secs(1) / CHANGES_PER_SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while begun.elapsed() < time {
            ticks.tick().await;
            self.change().await?;
            if swept.elapsed() >= SWEEP_EVERY {
                swept = Instant::now();
                self.sweep()?;
                if let Some(item) = planted.pop() {
                    self.plant(item).await?;
                }
            }
        }
        for item in planted {
            self.plant(item).await?;
        }
        sleep(Duration::from_secs(SHORT_LIFE + 1)).await;
        self.sweep()?;
        // After the last sweep, which would take it.
        self.plant(awkward::lingering(now()?)).await?;
        Ok(self.changes)
    }

    /// What must be in the archive: documents without the time of expiry, by the id of the session.
    pub(crate) fn expired(&self) -> BTreeMap<String, String> {
        self.short.clone()
    }

    async fn change(&mut self) -> anyhow::Result<()> {
        match self.random.u8(0..100) {
            0..36 => self.sign_in().await,
            36..41 => self.short_session().await,
            41..88 => self.update().await,
            _ => self.sign_out().await,
        }
    }

    fn new_session(&mut self) -> (Item, Item) {
        self.next_session += 1;
        let key = Sessions::key_of(self.random.u32(0..USERS), self.next_session);
        let item = self.sessions.item(key.clone());
        (key, item)
    }

    async fn sign_in(&mut self) -> anyhow::Result<()> {
        let (key, item) = self.new_session();
        put(self.client, item).await?;
        self.signed_in.push(key);
        self.changes.sign_ins += 1;
        Ok(())
    }

    /// Nobody touches it again: it can only expire.
    async fn short_session(&mut self) -> anyhow::Result<()> {
        let (key, mut item) = self.new_session();
        item.insert(TTL.to_owned(), number(&(now()? + SHORT_LIFE).to_string()));
        put(self.client, item).await?;
        // As the table holds it: numbers lose their trailing zeros there.
        let key = Some(key.into_iter().collect());
        let stored = self.client.get_item().table_name(TABLE).set_key(key).consistent_read(true).send().await;
        let stored = stored.context("reading a session")?.item.context("a session that is gone at once")?;
        let Expected { id, document } = expected::document(&stored.into_iter().collect());
        self.short.insert(id, document);
        self.changes.sign_ins += 1;
        Ok(())
    }

    async fn update(&mut self) -> anyhow::Result<()> {
        let Some(key) = self.random.choice(&self.signed_in).cloned() else { return self.sign_in().await };
        let page = format!("/orders?page={}", self.random.u16(..));
        let update = self.client.update_item().table_name(TABLE).set_key(Some(key.into_iter().collect()));
        let update = update.update_expression("SET last_page = :page, last_seen = :now ADD requests :one");
        let update = update.expression_attribute_values(":page", text(&page));
        let update = update.expression_attribute_values(":now", number(&now()?.to_string()));
        let update = update.expression_attribute_values(":one", number("1"));
        update.send().await.context("updating a session")?;
        self.changes.updates += 1;
        Ok(())
    }

    async fn sign_out(&mut self) -> anyhow::Result<()> {
        if self.signed_in.is_empty() {
            return self.sign_in().await;
        }
        let key = self.signed_in.swap_remove(self.random.usize(0..self.signed_in.len()));
        let delete = self.client.delete_item().table_name(TABLE).set_key(Some(key.into_iter().collect()));
        delete.send().await.context("deleting a session")?;
        self.changes.sign_outs += 1;
        Ok(())
    }

    async fn plant(&mut self, item: Item) -> anyhow::Result<()> {
        put(self.client, item).await?;
        self.changes.awkward += 1;
        Ok(())
    }

    /// Expiry, as the service does it by itself.
    fn sweep(&mut self) -> anyhow::Result<()> {
        self.changes.expiries += u64::try_from(self.dynamodb.sweep_ttl())?;
        Ok(())
    }
}

/// Puts an item into the table.
pub(crate) async fn put(client: &Client, item: Item) -> anyhow::Result<()> {
    let item = Some(item.into_iter().collect());
    client.put_item().table_name(TABLE).set_item(item).send().await.context("putting an item")?;
    Ok(())
}

/// Seconds since 1970.
pub(crate) fn now() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs())
}
