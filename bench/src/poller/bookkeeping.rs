//! The cost of 10,000 shards beyond the calls for them.
//!
//! The same process is measured with two values of `freshness`, and so with two rates of calls. A line through both gives the
//! processor time of a call, and what is left at no calls at all: heartbeats, listings, watchdog, status.

use std::time::Duration;

use tokio::time::sleep;

use super::spans::{Span, all_at_work, watch};
use crate::child::Running;
use crate::figures::{CPU_MILLISECONDS, Figures, MEGABYTES, MICROSECONDS, SLOW_RATE};
use crate::program::Program;
use crate::search::Bench;
use crate::source::{Options, Source};

const SHARDS: usize = 10_000;
/// Seconds of `freshness`: often and seldom.
const FRESHNESS: [u32; 2] = [15, 60];
const BEGIN_WITHIN: Duration = Duration::from_secs(300);
/// An idle shard is asked less and less often until then.
const SETTLE: Duration = Duration::from_secs(120);
/// Two listings, and two calls for each shard even where they are seldom.
const WATCHED: Duration = Duration::from_secs(120);

/// Measures and prints.
pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let mut figures = Figures::new(&bench.programs);
    for program in bench.programs.in_turn() {
        let mut spans = Vec::new();
        for freshness in FRESHNESS {
            let Some(span) = Box::pin(measure(bench, program, freshness)).await? else { continue };
            let named = |name: &str| format!("freshness {freshness} s: {name}");
            figures.add(program, &CPU_MILLISECONDS.of(named("CPU")), span.cpu());
            figures.add(program, &SLOW_RATE.of(named("calls")), span.a_second(span.calls.iter().sum()));
            let resident = MEGABYTES.of(named("resident")).expected("hundreds of MB");
            figures.add(program, &resident, span.used.resident_megabytes);
            spans.push(span);
        }
        let beyond = CPU_MILLISECONDS.of("beyond the calls").expected("< 50 ms/s");
        if let [often, seldom] = spans.as_slice() {
            let (milliseconds_a_call, rest) = line(often, seldom);
            figures.add(program, &MICROSECONDS.of("CPU of a call"), milliseconds_a_call * 1e3);
            figures.add(program, &beyond, rest);
        } else {
            figures.remark(program, &beyond, format!("not at work within {} s", BEGIN_WITHIN.as_secs()));
        }
    }
    println!("## Bookkeeping of {SHARDS} idle shards, watched for {} s\n", WATCHED.as_secs());
    println!("*Beyond the calls* is where the line through both rows of CPU over calls/s meets no calls.\n");
    figures.print();
    Ok(())
}

/// `None` where it did not begin in time.
async fn measure(bench: &Bench, program: &Program, freshness: u32) -> anyhow::Result<Option<Span>> {
    bench.fresh_index_of(program).await?;
    let source = Source::limited(SHARDS)?;
    let lines = format!("freshness = \"{freshness}s\"\n");
    let options = Options { source: &lines, ..Options::default() };
    let config = source.config(bench, program, &format!("bookkeeping-{freshness}"), &options)?;
    let running = Running::start(program, &config)?;
    if !Box::pin(all_at_work(&running, &source, BEGIN_WITHIN)).await? {
        return Ok(None);
    }
    sleep(SETTLE).await;
    let span = watch(&running, &source, WATCHED).await?;
    running.stop().await?;
    Ok(Some(span))
}

/// Milliseconds of a call, and those of each second in which there are no calls.
fn line(often: &Span, seldom: &Span) -> (f64, f64) {
    let calls = |span: &Span| span.a_second(span.calls.iter().sum());
    let a_call = (often.cpu() - seldom.cpu()) / (calls(often) - calls(seldom));
    (a_call, seldom.cpu() - a_call * calls(seldom))
}
