//! Many shards under the limits of the service: from the start of the process until all of them are read, and with what
//! freshness that goes on.

use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep;

use super::freshness::put_and_look;
use super::putter::Putter;
use super::spans::{Span, all_at_work, count, watch};
use crate::child::Running;
use crate::figures::{COUNT, CPU_MILLISECONDS, Figure, Figures, MEGABYTES, MILLISECONDS, RATE, SECONDS, SLOW_RATE};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};
use crate::statistics::percentile;

/// Until all shards must be read.
const BEGIN_WITHIN: Duration = Duration::from_secs(300);
/// Until every shard has slowed down.
const SETTLE: Duration = Duration::from_secs(20);
/// Items that are put while it reads.
const PUTS_A_SECOND: u32 = 2;

/// The rows of one program.
struct Rows<'a> {
    program: &'a Program,
    figures: &'a mut Figures,
}

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, shards: usize, watched: Duration) -> anyhow::Result<()> {
    let mut figures = Figures::new(&bench.programs);
    for program in bench.programs.in_turn() {
        let rows = Rows { program, figures: &mut figures };
        Box::pin(measure(bench, shards, watched, rows)).await?;
    }
    let seconds = watched.as_secs();
    println!("## {shards} shards, default settings (`freshness = \"1s\"`), under the limits of the service\n");
    println!(
        "A shard is at work when something of it was asked for. Then the reading is watched for {seconds} s, and for"
    );
    println!("as long {PUTS_A_SECOND} items a second are put, each on another shard.\n");
    figures.print();
    Ok(())
}

async fn measure(bench: &Bench, shards: usize, watched: Duration, mut rows: Rows<'_>) -> anyhow::Result<()> {
    bench.fresh_index_of(rows.program).await?;
    let source = Source::limited(shards)?;
    let config = source.config(bench, rows.program, &format!("many-{shards}"), &Options::default())?;
    let mut putter = Putter::new(source, 1);
    let started = Instant::now();
    let running = Running::start(rows.program, &config)?;
    let at_work = SECONDS.of("process start until all are at work");
    let at_work = if shards == 2_000 { at_work.expected("≤ 60 s") } else { at_work };
    if !Box::pin(all_at_work(&running, &putter.source, BEGIN_WITHIN)).await? {
        let remark = format!("{} after {} s", putter.source.stream.shards_read(), BEGIN_WITHIN.as_secs());
        rows.figures.remark(rows.program, &at_work, remark);
        return Ok(());
    }
    rows.add(&at_work, started.elapsed().as_secs_f64());
    rows.add(&COUNT.of("calls that were throttled until then"), throttled(&putter.source));
    sleep(SETTLE).await;
    putter.source.stream.take_times_between_reads();
    let span = watch(&running, &putter.source, watched).await?;
    rows.show(&span, &putter.source.stream.take_times_between_reads());
    let seen = Box::pin(put_and_look(&bench.reader(), &mut putter, PUTS_A_SECOND, watched)).await;
    let seen = seen.with_context(|| running.log_tail())?;
    rows.add(&MILLISECONDS.of("put until visible, p50"), percentile(&seen.visible, 50));
    rows.add(&MILLISECONDS.of("put until visible, p99"), percentile(&seen.visible, 99));
    running.stop().await
}

impl Rows<'_> {
    fn add(&mut self, figure: &Figure, value: f64) {
        self.figures.add(self.program, figure, value);
    }

    fn show(&mut self, span: &Span, between_reads: &[Duration]) {
        self.add(&MEGABYTES.of("resident"), span.used.resident_megabytes);
        self.add(&MEGABYTES.of("peak"), span.used.peak_megabytes);
        self.add(&CPU_MILLISECONDS.of("CPU"), span.cpu());
        let [records, descriptions] = span.calls;
        self.add(&RATE.of("GetRecords"), span.a_second(records));
        self.add(&SLOW_RATE.of("DescribeStream"), span.a_second(descriptions));
        self.add(&SLOW_RATE.of("throttled calls"), span.a_second(span.throttled));
        let milliseconds: Vec<f64> = between_reads.iter().map(|between| between.as_secs_f64() * 1e3).collect();
        let p50 = MILLISECONDS.of("between two reads of a shard, p50").expected("850–935 ms");
        self.add(&p50, percentile(&milliseconds, 50));
        self.add(&MILLISECONDS.of("between two reads of a shard, p99"), percentile(&milliseconds, 99));
    }
}

fn throttled(source: &Source) -> f64 {
    ["GetRecords", "DescribeStream"].iter().map(|operation| count(source.stream.throttled(operation))).sum()
}
