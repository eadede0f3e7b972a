//! Progress on stderr: a bar on a terminal, a log line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::logging::{bars, is_interactive};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(120);

/// The progress of one command, in records.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    lines_every: Duration,
    started: Instant,
    last_line: Instant,
}

// === impl Progress ===

impl Progress {
    /// Begins; `total` is the number of records, where it is known.
    pub fn start(total: Option<u64>) -> Progress {
        let now = Instant::now();
        let bar = is_interactive().then(|| {
            let bar = bars().add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            // A bar that is dropped, as at an error, goes away too.
            let bar = bar.with_finish(ProgressFinish::AndClear);
            bar.set_style(style(total));
            bar.enable_steady_tick(TICK);
            bar
        });
        Progress { bar, lines_every: LINE_EVERY, started: now, last_line: now }
    }

    /// Where there is no terminal, writes a line this often.
    #[must_use]
    pub fn with_lines_every(mut self, interval: Duration) -> Progress {
        self.lines_every = interval;
        self
    }

    /// So many records are done; `detail` says more, as `12 dead letters`.
    pub fn set(&mut self, records: u64, detail: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(records);
                bar.set_message(detail.to_owned());
            }
            None if self.last_line.elapsed() >= self.lines_every => {
                self.last_line = Instant::now();
                let seconds = self.started.elapsed().as_secs();
                tracing::info!(records, seconds, "{detail}");
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(total: Option<u64>) -> ProgressStyle {
    let template = match total {
        Some(_) => "{bar:30} {human_pos}/{human_len} records  {per_sec}  {msg}",
        None => "{spinner} {human_pos} records  {per_sec}  {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
