//! The output while the table is written to: a changing line on a terminal, or a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::follower::{Follower, Report};

const LINE_EVERY: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(500);

/// Shows what `streamdex run` tells until the future is dropped; returns when it ended by itself.
pub(crate) async fn show(follower: &mut Follower) -> anyhow::Error {
    let begun = Instant::now();
    let bar = bar();
    let mut last_line = begun;
    let mut shown = (begun, Report::default());
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let report = match follower.latest() {
            Ok(Some(report)) if report.records > shown.1.records => report,
            Ok(_) => continue,
            Err(error) => return error,
        };
        let line = line(begun, &shown, &report);
        match &bar {
            Some(bar) => {
                bar.set_message(line);
                shown = (Instant::now(), report);
            }
            None if last_line.elapsed() >= LINE_EVERY => {
                println!("  {line}");
                last_line = Instant::now();
                shown = (last_line, report);
            }
            None => {}
        }
    }
}

fn line(begun: Instant, shown: &(Instant, Report), report: &Report) -> String {
    let (since, before) = shown;
    let milliseconds = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = report.records.saturating_sub(before.records).saturating_mul(1_000) / milliseconds;
    let lag = report.lag_ms.map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms"));
    let outcomes: Vec<String> = report
        .outcomes()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let seconds = begun.elapsed().as_secs();
    format!("{seconds:>3} s  {:>6} records  {rate:>4}/s  lag {lag:>7}  {}", report.records, outcomes.join(", "))
}

fn bar() -> Option<ProgressBar> {
    if !io::stderr().is_terminal() || !io::stdout().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new_spinner().with_finish(ProgressFinish::AndLeave);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    Some(bar)
}
