//! The resources that a running process used over a span of time.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::child::{Running, Usage};
use crate::source::Source;

/// A span of time in the life of a process.
pub(super) struct Span {
    pub(super) seconds: f64,
    /// At its end, but for the processor time, which is that of the span.
    pub(super) used: Usage,
    /// GetRecords, DescribeStream.
    pub(super) calls: [f64; 2],
    /// The part of them that was throttled.
    pub(super) throttled: f64,
}

const CALLS: [&str; 2] = ["GetRecords", "DescribeStream"];
const LOOK: Duration = Duration::from_millis(100);

/// Watches for so long.
pub(super) async fn watch(running: &Running, source: &Source, during: Duration) -> anyhow::Result<Span> {
    let before = running.usage()?;
    let ([records, descriptions], throttled_before) = (calls(source), throttled(source));
    let started = Instant::now();
    sleep(during).await;
    let mut used = running.usage()?;
    used.cpu_seconds -= before.cpu_seconds;
    let [records_after, descriptions_after] = calls(source);
    Ok(Span {
        seconds: started.elapsed().as_secs_f64(),
        used,
        calls: [count(records_after - records), count(descriptions_after - descriptions)],
        throttled: count(throttled(source) - throttled_before),
    })
}

/// Waits until something of every shard was asked for; `false` where that takes longer than `limit`.
pub(super) async fn all_at_work(running: &Running, source: &Source, limit: Duration) -> anyhow::Result<bool> {
    let deadline = Instant::now() + limit;
    while source.stream.shards_read() < source.shards().len() {
        // It must live.
        running.usage()?;
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}

impl Span {
    pub(super) fn a_second(&self, number: f64) -> f64 {
        number / self.seconds
    }

    /// Milliseconds of processor time a second.
    pub(super) fn cpu(&self) -> f64 {
        self.a_second(self.used.cpu_seconds * 1e3)
    }
}

fn calls(source: &Source) -> [u64; 2] {
    CALLS.map(|operation| source.stream.calls(operation))
}

fn throttled(source: &Source) -> u64 {
    CALLS.iter().map(|operation| source.stream.throttled(operation)).sum()
}

pub(super) fn count(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::NAN, f64::from)
}
