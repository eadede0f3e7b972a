//! Events through Lambda functions: streamdex's, one written the usual way in Rust, and with `--peers` those of
//! others, each the real process behind a Runtime API, over loopback into a real node.

mod contender;
mod peers;
mod tls;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use streamdex_testkit::fault::FaultServer;
use streamdex_testkit::lambda::{Answer, Sandbox};
use streamdex_testkit::workload::lambda_event_of;

use crate::mapping;
use crate::memory::{cpu_seconds, peak_kilobytes};
use crate::peers::Peers;
use crate::search::Bench;
use crate::statistics::{median, median_ratio, spread};
use contender::Contender;

/// Records of the event.
const RECORDS: u32 = 1000;
/// Records of the event near the 6 MB that Lambda delivers.
const LARGE_RECORDS: u32 = 2550;
/// Invocations before those that count.
const WARM_UP: usize = 3;
/// Invocations that count, for each of the rounds.
const INVOCATIONS: usize = 10;
/// Starts that are measured.
const STARTS: usize = 9;
/// Until a function must have answered.
const TIME: Duration = Duration::from_secs(60);

/// What was measured of one contender.
#[derive(Default)]
struct Measured {
    /// Seconds an invocation, warm.
    warm: Vec<f64>,
    cpu_seconds: f64,
    peak_megabytes: u64,
    large_peak_megabytes: u64,
    requests: usize,
    /// Milliseconds from the start of the process to its first question for an invocation, and to its first answer.
    first_next: Vec<f64>,
    first_answer: Vec<f64>,
    /// Milliseconds of the first invocation.
    first_invocation: Vec<f64>,
}

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

/// Starts processes, one after the other.
async fn cold(contender: &Contender, event: &str, measured: &mut Measured) -> anyhow::Result<()> {
    for _ in 0..STARTS {
        let started = Instant::now();
        let mut sandbox = contender.function.start();
        anyhow::ensure!(sandbox.asked_for_next(TIME).await, "{}: {}", contender.title, sandbox.log());
        measured.first_next.push(started.elapsed().as_secs_f64() * 1e3);
        let took = invoke(contender, &mut sandbox, event).await?;
        measured.first_answer.push(started.elapsed().as_secs_f64() * 1e3);
        measured.first_invocation.push(took.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// The contenders take turns, each in one sandbox.
async fn warm(
    contenders: &[Contender],
    rounds: usize,
    event: &str,
    measured: &mut BTreeMap<&str, Measured>,
) -> anyhow::Result<()> {
    let mut sandboxes = Vec::new();
    for contender in contenders {
        let mut sandbox = contender.function.start();
        for _ in 0..WARM_UP {
            invoke(contender, &mut sandbox, event).await?;
        }
        sandboxes.push(sandbox);
    }
    for _ in 0..rounds * INVOCATIONS {
        for (contender, sandbox) in contenders.iter().zip(&mut sandboxes) {
            let pid = sandbox.pid().to_string();
            let before = cpu_seconds(&pid).context("no /proc")?;
            let took = invoke(contender, sandbox, event).await?;
            let Some(of) = measured.get_mut(contender.title) else { continue };
            of.warm.push(took.as_secs_f64());
            of.cpu_seconds += cpu_seconds(&pid).context("no /proc")? - before;
            of.peak_megabytes = of.peak_megabytes.max(peak_kilobytes(&pid).unwrap_or(0) / 1024);
        }
    }
    Ok(())
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

async fn invoke(contender: &Contender, sandbox: &mut Sandbox, event: &str) -> anyhow::Result<Duration> {
    let invocation = sandbox.invoke(event.to_owned(), TIME).await;
    let good = match &invocation.answer {
        Answer::Response(text) => !text.contains("itemIdentifier"),
        _ => false,
    };
    anyhow::ensure!(good, "{}: {:?}\n{}", contender.title, invocation.answer, sandbox.log());
    Ok(invocation.took)
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

impl Measured {
    /// Processor time a record, warm.
    fn cpu_microseconds(&self) -> f64 {
        let invocations = u32::try_from(self.warm.len()).map_or(f64::NAN, f64::from);
        self.cpu_seconds * 1e6 / (f64::from(RECORDS) * invocations)
    }
}
