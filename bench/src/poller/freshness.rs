//! From a put until its document can be read, while `streamdex run` follows with its default settings.

use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::putter::{LIMIT, LOOK_AGAIN, Putter, become_visible};
use crate::child::Running;
use crate::search::{Bench, Reader};
use crate::source::{Compression, Source};
use crate::statistics::percentile;

const RATES: [u32; 3] = [1, 100, 1_000];
const SHARDS: usize = 4;
/// Documents that are looked at, a second: looking takes the engine's time too.
const PROBES_A_SECOND: u32 = 5;
/// Puts at the rate that do not count.
const WARM_UP: Duration = Duration::from_secs(5);
/// Whose multiples, less their whole part, spread evenly.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

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
    let mut putter = Putter::new(source, rate.into());
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
