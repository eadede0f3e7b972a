//! From a put until its document can be read, and until a search finds it, while `streamdex run` follows with its default
//! settings.

use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::putter::{LIMIT, LOOK_AGAIN, Putter, become_searchable, become_visible};
use super::spans::count;
use crate::child::Running;
use crate::figures::{COUNT, Figures, MILLISECONDS, RATE};
use crate::program::Program;
use crate::search::{Bench, Reader};
use crate::source::{Options, Source};
use crate::statistics::percentile;

const RATES: [u32; 3] = [1, 100, 1_000];
const SHARDS: usize = 4;
/// Documents that are looked at, a second: looking takes the engine's time too.
const PROBES_A_SECOND: u32 = 5;
/// Puts at the rate that do not count.
const WARM_UP: Duration = Duration::from_secs(5);
/// Whose multiples, less their whole part, spread evenly.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

/// Milliseconds from the put, of every document that was looked at.
#[derive(Default)]
pub(super) struct Measured {
    pub(super) visible: Vec<f64>,
    pub(super) searchable: Vec<f64>,
    pub(super) puts_a_second: f64,
}

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, watched: Duration) -> anyhow::Result<()> {
    let mut figures = Figures::new(&bench.programs);
    for rate in RATES {
        for program in bench.programs.in_turn() {
            let measured = Box::pin(measure(bench, program, rate, watched)).await?;
            show(&mut figures, program, &format!("{rate} writes/s"), &measured);
        }
    }
    println!(
        "## Freshness: {SHARDS} shards, default settings, into OpenSearch 3.8.0, {} s a rate\n",
        watched.as_secs()
    );
    println!("From a put, which is an append to the stream that is served from memory: the service's own delay is not");
    println!(
        "in it. *Visible*: GET by id. *Searchable*: a search finds it; the index refreshes itself, at its default"
    );
    println!("of 1 s. A document is looked for every {} ms in both ways.\n", LOOK_AGAIN.as_millis());
    figures.print();
    Ok(())
}

/// Fills the rows of what was measured.
pub(super) fn show(figures: &mut Figures, program: &Program, title: &str, measured: &Measured) {
    let kinds =
        [("visible", &measured.visible, ["≤ 300 ms", "≤ 1,000 ms", ""]), ("searchable", &measured.searchable, [""; 3])];
    for (kind, milliseconds, expected) in kinds {
        for ((percent, name), expected) in [(50, "p50"), (99, "p99"), (100, "longest")].into_iter().zip(expected) {
            let figure = MILLISECONDS.of(format!("{title}, {kind}, {name}")).expected(expected);
            figures.add(program, &figure, percentile(milliseconds, percent));
        }
    }
    let looked_at = count(u64::try_from(measured.visible.len()).unwrap_or(u64::MAX));
    figures.add(program, &COUNT.of(format!("{title}, documents looked at")), looked_at);
    figures.add(program, &RATE.of(format!("{title}, reached")), measured.puts_a_second);
}

async fn measure(bench: &Bench, program: &Program, rate: u32, watched: Duration) -> anyhow::Result<Measured> {
    bench.fresh_index_of(program).await?;
    let source = Source::start(SHARDS)?;
    let config = source.config(bench, program, &format!("freshness-{rate}"), &Options::default())?;
    let mut putter = Putter::new(source, rate.into());
    let running = Running::start(program, &config)?;
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
pub(super) async fn put_and_look(
    reader: &Reader,
    putter: &mut Putter,
    rate: u32,
    during: Duration,
) -> anyhow::Result<Measured> {
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
            looking.spawn(look(reader.clone(), id, put_at));
        }
        // Uneven gaps: even ones would meet the poller at the same point of its schedule each time.
        next += mean_gap.mul_f64(0.5 + (f64::from(putter.puts) * GOLDEN_RATIO).fract());
    }
    let puts_a_second = f64::from(putter.puts - before) / started.elapsed().as_secs_f64();
    let mut measured = Measured { puts_a_second, ..Measured::default() };
    while let Some(seen) = looking.join_next().await {
        let [visible, searchable] = seen??;
        measured.visible.push(visible);
        measured.searchable.push(searchable);
    }
    Ok(measured)
}

/// Milliseconds until the document is visible, and until it is searchable.
async fn look(reader: Reader, id: String, put_at: Instant) -> anyhow::Result<[f64; 2]> {
    let visible = async {
        become_visible(&reader, &id).await?;
        anyhow::Ok(put_at.elapsed().as_secs_f64() * 1e3)
    };
    let searchable = async {
        become_searchable(&reader, &id).await?;
        anyhow::Ok(put_at.elapsed().as_secs_f64() * 1e3)
    };
    let (visible, searchable) = Box::pin(async { tokio::try_join!(visible, searchable) }).await?;
    Ok([visible, searchable])
}
