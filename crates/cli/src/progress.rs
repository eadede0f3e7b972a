//! Progress on stderr: a bar on a terminal, a log line now and then elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use streamdex_mapping::Tally;

use crate::logging::{bars, is_interactive};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(120);

/// What is counted.
const RECORDS: &str = "records";
const ITEMS: &str = "items";

/// A log line whose fields are the number of records and their seven outcomes, and what else is given.
macro_rules! with_outcomes {
    ($tally:expr, $($rest:tt)+) => {
        tracing::info!(
            records = $tally.records(),
            applied = $tally.applied,
            superseded = $tally.superseded,
            absent = $tally.absent,
            coalesced = $tally.coalesced,
            unchanged = $tally.unchanged,
            filtered = $tally.filtered,
            dead_lettered = $tally.dead_lettered,
            $($rest)+
        )
    };
}
pub(crate) use with_outcomes;

/// How many dead letters there were so far; none where there were none.
pub(crate) fn dead_letters(tally: &Tally) -> Option<String> {
    match tally.dead_lettered {
        0 => None,
        1 => Some("1 dead letter".to_owned()),
        letters => Some(format!("{letters} dead letters")),
    }
}

/// The progress of one command, in records.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    /// What is counted.
    what: &'static str,
    total: Option<u64>,
    lines_every: Duration,
    started: Instant,
    last_line: Instant,
}

// === impl Progress ===

impl Progress {
    /// Begins; `total` is the number of records, where it is known.
    pub fn start(total: Option<u64>) -> Progress {
        Progress::of(RECORDS, total)
    }

    /// The same of the items of a table; `total` is about how many it has.
    pub fn of_items(total: Option<u64>) -> Progress {
        Progress::of(ITEMS, total)
    }

    fn of(what: &'static str, total: Option<u64>) -> Progress {
        let now = Instant::now();
        let bar = is_interactive().then(|| {
            let bar = bars().add(total.map_or_else(ProgressBar::new_spinner, ProgressBar::new));
            // A bar that is dropped, as at an error, goes away too.
            let bar = bar.with_finish(ProgressFinish::AndClear);
            bar.set_style(style(what, total));
            bar.enable_steady_tick(TICK);
            bar
        });
        Progress { bar, what, total, lines_every: LINE_EVERY, started: now, last_line: now }
    }

    /// Where there is no terminal, writes a line this often.
    #[must_use]
    pub fn with_lines_every(mut self, interval: Duration) -> Progress {
        self.lines_every = interval;
        self
    }

    /// Sets the number of finished items. `detail` is a text such as `12 dead letters`.
    pub fn set(&mut self, done: u64, detail: &str) {
        if self.line_is_due(done, detail) {
            let seconds = self.started.elapsed().as_secs();
            match self.what {
                ITEMS => tracing::info!(items = done, of = self.total, seconds, "{detail}"),
                _ => tracing::info!(records = done, seconds, "{detail}"),
            }
        }
    }

    /// The same with all outcomes and how many gaps are open, which a line tells as fields for programs to read.
    pub fn set_outcomes(&mut self, tally: &Tally, lag: Option<Duration>, gaps: usize, detail: &str) {
        if self.line_is_due(tally.records(), detail) {
            let lag_ms = lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX));
            with_outcomes!(tally, seconds = self.started.elapsed().as_secs(), lag_ms, gaps, "{detail}");
        }
    }

    /// Shows it on the bar; without one, whether it is time for a line.
    fn line_is_due(&mut self, records: u64, detail: &str) -> bool {
        if let Some(bar) = &self.bar {
            bar.set_position(records);
            bar.set_message(detail.to_owned());
            return false;
        }
        let due = self.last_line.elapsed() >= self.lines_every;
        if due {
            self.last_line = Instant::now();
        }
        due
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(what: &str, total: Option<u64>) -> ProgressStyle {
    let template = match total {
        Some(_) => format!("{{bar:30}} {{human_pos}}/{{human_len}} {what}  {{per_sec}}  {{eta}} left  {{msg}}"),
        None => format!("{{spinner}} {{human_pos}} {what}  {{per_sec}}  {{msg}}"),
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
