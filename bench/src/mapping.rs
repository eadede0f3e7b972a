//! One Lambda event of 1,000 records to its bulk body: read, mapped with the old image compared, coalesced and
//! encoded, against `serde_json` skipping over the same bytes.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use clap::ValueEnum;
use serde::de::IgnoredAny;
use streamdex_bench::typed;
use streamdex_mapping::event::read_captured;
use streamdex_mapping::{Batch, IndexName, Mapper, RecordMeta, Trust};
use streamdex_sink::encode_operation;
use streamdex_testkit::engines::target_folder;
use streamdex_testkit::workload::{Item, StreamRecord, lambda_event_of, modifications};

use crate::memory::peak_kilobytes;
use crate::statistics::{median, median_ratio, spread};

const ROUNDS: usize = 61;

/// A way through the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Route {
    /// `serde_json` skipping over it
    Skip,
    /// streamdex
    Streamdex,
    /// `aws_lambda_events`, `serde_dynamo`, `serde_json`
    Typed,
}

const ROUTES: [Route; 3] = [Route::Skip, Route::Streamdex, Route::Typed];

/// Goes one way again and again, for a profiler to watch.
pub(crate) fn repeat(route: Route) -> anyhow::Result<()> {
    let event = event();
    let mapper = mapper()?;
    let mut body = Vec::new();
    for _ in 0..ROUNDS * 10 {
        go(route, black_box(&event), &mapper, &mut body)?;
    }
    Ok(())
}

/// Measures and prints.
pub(crate) fn run() -> anyhow::Result<()> {
    let event = event();
    let file = target_folder().join("bench").join("event.json");
    std::fs::create_dir_all(file.with_file_name(""))?;
    std::fs::write(&file, &event)?;
    let mapper = mapper()?;
    let mut body = Vec::new();
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS + 5 {
        for (route, times) in ROUTES.iter().zip(&mut times) {
            let took = milliseconds(|| go(*route, black_box(&event), &mapper, &mut body))?;
            if round >= 5 {
                times.push(took);
            }
        }
    }
    go(Route::Streamdex, &event, &mapper, &mut body)?;
    println!(
        "## Mapping: {} bytes of event, 1,000 records with both images, to {} bytes of bulk body\n",
        event.len(),
        body.len()
    );
    println!("| route | ms (median) | ratio to the skip | peak memory beyond the event |");
    println!("|---|---|---|---|");
    let [skip, ..] = &times;
    for (route, times) in ROUTES.iter().zip(&times) {
        let ratio = format!("{:.2} ({})", median_ratio(times, skip), spread_of(times, skip));
        println!("| {} | {:.2} | {ratio} | {} |", route.title(), median(times), peak_of(*route, &file)?);
    }
    println!();
    Ok(())
}

/// The middle half of the ratios; single outliers of a busy machine say nothing.
fn spread_of(times: &[f64], skip: &[f64]) -> String {
    let mut pairs: Vec<(f64, f64)> = times.iter().copied().zip(skip.iter().copied()).collect();
    pairs.sort_by(|left, right| (left.0 / left.1).total_cmp(&(right.0 / right.1)));
    let middle = pairs.get(pairs.len() / 4..pairs.len() * 3 / 4).unwrap_or(&[]);
    let (left, right): (Vec<f64>, Vec<f64>) = middle.iter().copied().unzip();
    spread(&left, &right)
}

/// Changes with both images, without binary values, on which the typed route fails.
pub(crate) fn plain_modifications(count: u32) -> impl Iterator<Item = StreamRecord> {
    modifications(1, count).map(|record| StreamRecord {
        old: record.old.map(without_binary),
        new: record.new.map(without_binary),
        ..record
    })
}

fn event() -> String {
    lambda_event_of(plain_modifications(1000))
}

fn without_binary(mut item: Item) -> Item {
    item.retain(|_, value| !value.is_b() && !value.is_bs());
    item
}

/// A route that says nothing but its index.
pub(crate) fn plain_route() -> anyhow::Result<streamdex_mapping::Route> {
    Ok(streamdex_mapping::Route::to(IndexName::parse("sessions")?))
}

/// The mapper of that route alone.
pub(crate) fn mapper() -> anyhow::Result<Mapper> {
    Ok(Mapper::new(vec![plain_route()?]))
}

/// How long `work` takes.
pub(crate) fn milliseconds(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn go(route: Route, event: &str, mapper: &Mapper, body: &mut Vec<u8>) -> anyhow::Result<()> {
    match route {
        Route::Skip => skip(event)?,
        Route::Typed => {
            black_box(typed::bulk_body(serde_json::from_str(event)?, "sessions-000001")?);
        }
        Route::Streamdex => bulk_body(event, mapper, body)?,
    }
    Ok(())
}

/// `serde_json` skipping over an event.
pub(crate) fn skip(event: &str) -> anyhow::Result<()> {
    black_box(serde_json::from_str::<IgnoredAny>(event)?);
    Ok(())
}

/// An event to its bulk body.
pub(crate) fn bulk_body(event: &str, mapper: &Mapper, body: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut batch = Batch::default();
    let mut failed = None;
    read_captured(event, |_, record| {
        let Ok(change) = record else { return };
        let meta =
            RecordMeta { sequence: change.sequence.clone(), created: change.created, keys: change.canonical_keys() };
        match mapper.map(change, Trust::InOrder) {
            Ok(mapped) => {
                batch.push(meta, mapped);
            }
            Err(error) => failed = Some(error),
        }
    })?;
    anyhow::ensure!(failed.is_none(), "a record of the workload cannot be mapped");
    body.clear();
    for (_, operation) in batch.take_operations() {
        encode_operation(body, "sessions-000001", &operation);
    }
    black_box(body);
    Ok(())
}

/// The peak of a process that goes one way once, less what it had when it had read the event; in a
/// separate process, because a peak is never taken back.
fn peak_of(route: Route, event: &Path) -> anyhow::Result<String> {
    let name = route.to_possible_value().context("a route has a name")?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let output = command.args(["--peak", name.get_name(), "--event"]).arg(event).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// What [`peak_of`] starts.
pub(crate) fn print_peak(route: Route, event: &Path) -> anyhow::Result<()> {
    let event = std::fs::read_to_string(event)?;
    let mapper = mapper()?;
    let before = peak_kilobytes("self").context("no /proc")?;
    let mut body = Vec::new();
    go(route, &event, &mapper, &mut body)?;
    let after = peak_kilobytes("self").context("no /proc")?;
    println!("{:.1} MB", f64::from(u32::try_from(after - before)?) / 1024.0);
    Ok(())
}

impl Route {
    fn title(self) -> &'static str {
        match self {
            Route::Skip => "`serde_json`, skipping",
            Route::Streamdex => "streamdex, old image compared",
            Route::Typed => "`aws_lambda_events` + `serde_dynamo` + `serde_json`",
        }
    }
}
