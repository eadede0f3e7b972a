//! Events through Lambda functions: streamdex's, one written the usual way in Rust, and with `--peers` those of
//! others, each the real process behind a Runtime API, over loopback into a real node.

mod contender;
mod measure;
mod peers;
mod tls;

use std::collections::BTreeMap;

use anyhow::Context;
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::workload::lambda_event_of;

use self::contender::Contender;
use self::measure::{INVOCATIONS, Measured, RECORDS, cold, invoke, warm};
use crate::mapping;
use crate::memory::peak_kilobytes;
use crate::peers::Peers;
use crate::search::Bench;
use crate::statistics::{median, median_ratio, spread};

/// Records of the event near the 6 MB that Lambda delivers.
const LARGE_RECORDS: u32 = 2550;

/// Measures and prints.
pub(crate) async fn run(bench: &Bench, rounds: usize, peers: Peers) -> anyhow::Result<()> {
    let mut contenders = vec![Contender::streamdex(bench)?, Contender::naive(bench)?];
    if peers == Peers::All {
        contenders.extend([peers::node(bench)?, peers::python(bench)?]);
    }
    let event = lambda_event_of(mapping::plain_modifications(RECORDS));
    let large = lambda_event_of(mapping::plain_modifications(LARGE_RECORDS));
    anyhow::ensure!((5_500_000..6_291_456).contains(&large.len()), "{} bytes of large event", large.len());
    let mut measured: BTreeMap<&str, Measured> = BTreeMap::new();
    for contender in &contenders {
        contender.make_index(bench)?;
        let of = measured.entry(contender.title).or_default();
        cold(contender, &event, of).await?;
        of.large_peak_megabytes = peak_of(contender, &large).await?;
        of.requests = requests(contender, bench, &event).await?;
    }
    warm(&contenders, rounds, &event, &mut measured).await?;
    print(&contenders, &measured, (event.len(), rounds));
    tls::run(bench, rounds, &event).await
}

async fn peak_of(contender: &Contender, event: &str) -> anyhow::Result<u64> {
    let mut sandbox = contender.function.start();
    invoke(contender, &mut sandbox, event).await?;
    Ok(peak_kilobytes(&sandbox.pid().to_string()).context("no /proc")? / 1024)
}

/// Bulk requests that one warm invocation makes.
async fn requests(contender: &Contender, bench: &Bench, event: &str) -> anyhow::Result<usize> {
    let server = FaultServer::in_front_of(&bench.node.url());
    let mut sandbox = contender.function_at(&server.url())?.start();
    invoke(contender, &mut sandbox, event).await?;
    server.forget_requests();
    invoke(contender, &mut sandbox, event).await?;
    Ok(server.requests().len())
}

fn print(contenders: &[Contender], measured: &BTreeMap<&str, Measured>, (bytes, rounds): (usize, usize)) {
    let invocations = rounds * INVOCATIONS;
    println!("## Lambda: an event of {RECORDS} records ({bytes} bytes) into OpenSearch 3.8.0, {invocations} times\n");
    println!(
        "| function | records/s, warm | time, ratio to streamdex | CPU µs a record | ratio | requests | peak memory | at 6 MB | start to first `next` | to first answer |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let Some(own) = contenders.first().and_then(|contender| measured.get(contender.title)) else { return };
    for contender in contenders {
        let Some(of) = measured.get(contender.title) else { continue };
        let records = f64::from(RECORDS);
        println!(
            "| {} | {:.0} | {:.2} ({}) | {:.1} | {:.1} | {} | {} MB | {} MB | {:.0} ms | {:.0} ms |",
            contender.title,
            records / median(&of.warm),
            median_ratio(&of.warm, &own.warm),
            spread(&of.warm, &own.warm),
            of.cpu_microseconds(),
            of.cpu_seconds / own.cpu_seconds,
            of.requests,
            of.peak_megabytes,
            of.large_peak_megabytes,
            median(&of.first_next),
            median(&of.first_answer),
        );
    }
    println!();
}
