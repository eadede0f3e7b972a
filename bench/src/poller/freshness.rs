//! From a put until its document can be read, while `streamdex run` follows with its default settings.

use std::time::Duration;

use anyhow::Context;
use aws_sdk_dynamodb::types::AttributeValue;
use streamdex_testkit::workload::{EVENT_TIME, Item, PARTITION_KEY, SORT_KEY, Sessions, StreamRecord};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::child::Running;
use crate::search::{Bench, Reader};
use crate::source::{Compression, Source, now};
use crate::statistics::percentile;

const RATES: [u32; 3] = [1, 100, 1_000];
const SHARDS: usize = 4;
/// Documents that are looked at, a second: looking takes the engine's time too.
const PROBES_A_SECOND: u32 = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Puts at the rate that do not count.
const WARM_UP: Duration = Duration::from_secs(5);
/// Until a document must have come.
const LIMIT: Duration = Duration::from_secs(60);
/// Whose multiples, less their whole part, spread evenly.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

/// Puts sessions, each under a new key.
struct Putter {
    source: Source,
    sessions: Sessions,
    puts: u32,
}

/// One row.
struct Measured {
    milliseconds: Vec<f64>,
    puts_a_second: f64,
}

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, watched: Duration) -> anyhow::Result<()> {
    println!(
        "## Freshness: from put to visible by GET, {SHARDS} shards, default settings, {} s a row, into OpenSearch 3.8.0\n",
        watched.as_secs()
    );
    println!(
        "A put is an append to the stream that is served from memory, so that the service's own delay is not in it."
    );
    println!("A document is looked for every {} ms.\n", LOOK_AGAIN.as_millis());
    println!("| writes/s | reached | documents looked at | p50 | p99 | longest |");
    println!("|---|---|---|---|---|---|");
    for rate in RATES {
        let Measured { milliseconds, puts_a_second } = Box::pin(measure(bench, rate, watched)).await?;
        let [p50, p99, longest] = [50, 99, 100].map(|percent| percentile(&milliseconds, percent));
        println!(
            "| {rate} | {puts_a_second:.1} | {} | {p50:.0} ms | {p99:.0} ms | {longest:.0} ms |",
            milliseconds.len()
        );
    }
    println!();
    Ok(())
}

async fn measure(bench: &Bench, rate: u32, watched: Duration) -> anyhow::Result<Measured> {
    bench.fresh_index().await?;
    let source = Source::start(SHARDS)?;
    let config = source.config(bench, &format!("freshness-{rate}"), Compression::Default)?;
    let mut putter = Putter { source, sessions: Sessions::new(rate.into(), EVENT_TIME), puts: 0 };
    let running = Running::start(&config)?;
    let measured = Box::pin(follow(bench, &mut putter, rate, watched)).await.with_context(|| running.log_tail())?;
    running.stop().await?;
    Ok(measured)
}

async fn follow(bench: &Bench, putter: &mut Putter, rate: u32, watched: Duration) -> anyhow::Result<Measured> {
    let first = putter.put()?;
    // The start of the process is not what is measured.
    become_visible(&bench.reader(), &first).await?;
    put_and_look(&bench.reader(), putter, rate, WARM_UP).await?;
    let measured = put_and_look(&bench.reader(), putter, rate, watched).await?;
    bench.wait_for_documents(putter.puts, LIMIT).await?;
    Ok(measured)
}

/// Puts at the rate, and looks for some of the documents.
async fn put_and_look(reader: &Reader, putter: &mut Putter, rate: u32, during: Duration) -> anyhow::Result<Measured> {
    let looked_at = (rate / PROBES_A_SECOND).max(1);
    let mean_gap = Duration::from_secs(1) / rate;
    let started = Instant::now();
    let mut next = started;
    let before = putter.puts;
    let mut looking = JoinSet::new();
    while next < started + during {
        sleep_until(next).await;
        let put_at = Instant::now();
        let id = putter.put()?;
        if putter.puts.is_multiple_of(looked_at) {
            let reader = reader.clone();
            looking.spawn(async move {
                become_visible(&reader, &id).await?;
                anyhow::Ok(put_at.elapsed().as_secs_f64() * 1e3)
            });
        }
        // Uneven gaps: even ones would meet the poller at the same point of its schedule each time.
        next += mean_gap.mul_f64(0.5 + (f64::from(putter.puts) * GOLDEN_RATIO).fract());
    }
    let puts_a_second = f64::from(putter.puts - before) / started.elapsed().as_secs_f64();
    let mut milliseconds = Vec::new();
    while let Some(seen) = looking.join_next().await {
        milliseconds.push(seen??);
    }
    Ok(Measured { milliseconds, puts_a_second })
}

async fn become_visible(reader: &Reader, id: &str) -> anyhow::Result<()> {
    let look = async {
        while !reader.has(id).await? {
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    };
    timeout(LIMIT, look).await.with_context(|| format!("{id} was not visible after {} s", LIMIT.as_secs()))?
}

// === impl Putter ===

impl Putter {
    /// Puts a new session; its document's id.
    fn put(&mut self) -> anyhow::Result<String> {
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
        self.source.stream.append(self.source.shard(usize::try_from(number)?), [record.to_json()]);
        Ok(id)
    }
}
