//! A function in its sandbox: cold and warm.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use streamdex_testkit::lambda::{Answer, Sandbox};

use super::contender::Contender;
use crate::memory::{cpu_seconds, peak_kilobytes};

/// Records of the event.
pub(super) const RECORDS: u32 = 1000;
/// Invocations before those that count.
const WARM_UP: usize = 3;
/// Invocations that count, for each of the rounds.
pub(super) const INVOCATIONS: usize = 10;
/// Starts that are measured.
const STARTS: usize = 9;
/// Until a function must have answered.
const TIME: Duration = Duration::from_secs(60);

/// What was measured of one contender.
#[derive(Default)]
pub(super) struct Measured {
    /// Seconds an invocation, warm.
    pub(super) warm: Vec<f64>,
    pub(super) cpu_seconds: f64,
    pub(super) peak_megabytes: u64,
    pub(super) large_peak_megabytes: u64,
    pub(super) requests: usize,
    /// Milliseconds from the start of the process to its first question for an invocation, and to its first answer.
    pub(super) first_next: Vec<f64>,
    pub(super) first_answer: Vec<f64>,
    /// Milliseconds of the first invocation.
    pub(super) first_invocation: Vec<f64>,
}

impl Measured {
    /// Processor time a record, warm.
    pub(super) fn cpu_microseconds(&self) -> f64 {
        let invocations = u32::try_from(self.warm.len()).map_or(f64::NAN, f64::from);
        self.cpu_seconds * 1e6 / (f64::from(RECORDS) * invocations)
    }
}

/// Starts processes, one after the other.
pub(super) async fn cold(contender: &Contender, event: &str, measured: &mut Measured) -> anyhow::Result<()> {
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
pub(super) async fn warm(
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

pub(super) async fn invoke(contender: &Contender, sandbox: &mut Sandbox, event: &str) -> anyhow::Result<Duration> {
    let invocation = sandbox.invoke(event.to_owned(), TIME).await;
    let good = match &invocation.answer {
        Answer::Response(text) => !text.contains("itemIdentifier"),
        _ => false,
    };
    anyhow::ensure!(good, "{}: {:?}\n{}", contender.title, invocation.answer, sandbox.log());
    Ok(invocation.took)
}
