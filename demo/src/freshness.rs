//! The time from a put until the index shows it, measured on one item: from before the put until a GET by id returns
//! it.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use aws_sdk_dynamodb::Client;
use fastrand::Rng;
use serde_json::Value;
use streamdex_testkit::workload::{Item, PARTITION_KEY, SORT_KEY};
use tokio::time::sleep;

use crate::awkward::{number, text};
use crate::cluster::Cluster;
use crate::configuration::INDEX;
use crate::expected;
use crate::load::put;

const LOOK: Duration = Duration::from_millis(5);

/// Puts one item again and again, and looks for it.
#[derive(Debug)]
pub(crate) struct Probe<'a> {
    client: &'a Client,
    cluster: &'a Cluster,
    random: Rng,
    puts: u64,
    samples: Vec<Duration>,
}

// === impl Probe ===

impl<'a> Probe<'a> {
    pub(crate) fn new(client: &'a Client, cluster: &'a Cluster) -> Probe<'a> {
        Probe { client, cluster, random: Rng::new(), puts: 0, samples: Vec::new() }
    }

    /// Samples while the cell holds; the last one is finished. What begins within `warm_up` is no sample.
    pub(crate) async fn sample_while(
        &mut self,
        writing: &Cell<bool>,
        warm_up: Duration,
        give_up: Duration,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while writing.get() {
            // Random, so as not to fall in step with the polling.
            sleep(Duration::from_millis(self.random.u64(20..200))).await;
            let counts = begun.elapsed() >= warm_up;
            let took = self.put_and_see(give_up).await?;
            self.samples.extend(counts.then_some(took));
        }
        Ok(())
    }

    /// Puts the item and returns how long it took to show; this one is no sample.
    pub(crate) async fn put_and_see(&mut self, give_up: Duration) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.puts += 1;
        let item = item(self.puts);
        let path = format!("/{INDEX}/_doc/{}", expected::id(&item).replace('|', "%7C"));
        put(self.client, item).await?;
        while begun.elapsed() < give_up {
            let (status, text) = self.cluster.get(&path).await?;
            if status == 200 {
                let document: Value = serde_json::from_str(&text).context("reading the probe's document")?;
                if document.pointer("/_source/beat").and_then(Value::as_u64) >= Some(self.puts) {
                    return Ok(begun.elapsed());
                }
            }
            sleep(LOOK).await;
        }
        bail!("a put did not appear in the index within {} s", give_up.as_secs())
    }

    /// How often the item was put.
    pub(crate) fn puts(&self) -> u64 {
        self.puts
    }

    /// The median, the 99th percentile and the number of samples; `None` without samples.
    pub(crate) fn percentiles(&self) -> Option<(Duration, Duration, usize)> {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get((sorted.len().saturating_sub(1) * percent).div_ceil(100)).copied();
        Some((at(50)?, at(99)?, sorted.len()))
    }
}

fn item(beat: u64) -> Item {
    Item::from([
        (PARTITION_KEY.to_owned(), text("probe")),
        (SORT_KEY.to_owned(), text("probe")),
        ("beat".to_owned(), number(&beat.to_string())),
    ])
}
